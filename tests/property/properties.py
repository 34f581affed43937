"""What holds for every specification: its template resolves, fits, and passes every check."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from darkroom.cloudformation.model import TemplateModel
from darkroom.cloudformation.references import references
from darkroom.cloudformation.resource_types import resource_type
from darkroom.iam.least_privilege import failures, verify
from darkroom.iam.model import model_of_template
from darkroom.lint import engine, suppressions
from darkroom.lint.finding import Finding
from templates import limits, naming, pipeline
from templates.naming import NAME_PREFIX, NAME_PREFIX_LENGTH
from templates.specification import Specification
from worker import settings

MAX_ENTRIES = {
    "Resources": limits.MAX_RESOURCES,
    "Parameters": limits.MAX_PARAMETERS,
    "Outputs": limits.MAX_OUTPUTS,
}
LONGEST_REGION = "ap-northeast-15"


def rendered(plan: Specification) -> str:
    """Return the text of the plan's template."""
    return pipeline.render(pipeline.build(plan))


def faults(plan: Specification, text: str) -> list[str]:
    """Return what is wrong with the template `text` of `plan`, in sentences."""
    if text != rendered(plan):
        return ["the second time it is another text"]
    content = json.loads(text)
    # With the longest names there can be: what fits then, fits always.
    longest = {NAME_PREFIX: NAME_PREFIX_LENGTH * "n", "AWS::Region": LONGEST_REGION}
    for name in plan.sources:
        bucket = naming.logical_id(name, "BucketName")
        longest[bucket] = (
            bucket + (limits.MAX_BUCKET_NAME_CHARACTERS - len(bucket)) * "b"
        )  # each another
    stack = TemplateModel(content, dict(longest))
    found = [*_references(stack), *_names(stack), *_limits(stack, text)]
    found += _environments(plan, stack)
    found += map(str, failures(model_of_template(content, plan)))
    return found + unsuppressed(content, list(engine.check(content, {})), ("rules",))


def unsuppressed(
    content: dict[str, Any], found: list[Finding], linters: Sequence[str]
) -> list[str]:
    """Return what `linters` found and the template does not suppress, a line each."""
    remaining, _ = suppressions.apply(content, found, linters)
    return [f"{one.resource}: {one.rule}: {one.message} ({one.parameters})" for one in remaining]


def unnoticed(plan: Specification, text: str) -> list[str]:
    """Return the mutants of a template's policies that the least-privilege test does not detect."""
    return list(verify(model_of_template(json.loads(text), plan)).surviving_mutants)


def _references(stack: TemplateModel) -> Iterator[str]:
    """Yield what is referred to and not there."""
    known = {*stack.resources, *stack.parameters}
    for title, resource in stack.resources.items():
        for name in references(resource):
            if name not in known and not name.startswith("AWS::"):
                yield f"{title}: there is no {name}"
        stack.properties(title)  # its conditions are there


def _names(stack: TemplateModel) -> Iterator[str]:
    """Yield the names that two resources of a type have."""
    given = Counter(
        (stack.type_of(title), stack.name(title))
        for title in stack.resources
        if resource_type(stack.type_of(title)).name
    )
    yield from (
        f"{count} of {kind} are called {name}" for (kind, name), count in given.items() if count > 1
    )


def _limits(stack: TemplateModel, text: str) -> Iterator[str]:
    """Yield what is larger than AWS takes."""
    sizes = {"bytes of template": (len(text.encode()), limits.MAX_TEMPLATE_BYTES)}
    for section, most in MAX_ENTRIES.items():
        sizes[section] = (len(stack.template[section]), most)
    for title, role in stack.resources_of_type("IAM::Role").items():
        policies = json.dumps(
            [one["PolicyDocument"] for one in role["Policies"]], separators=(",", ":")
        )
        sizes[f"characters of policy of {title}"] = (
            len(policies),
            limits.ROLE_POLICIES.characters,
        )
    for title, function in stack.resources_of_type("Lambda::Function").items():
        variables = function["Environment"]["Variables"]
        size = sum(len(f"{name}{value}".encode()) for name, value in variables.items())
        sizes[f"bytes of environment of {title}"] = (size, limits.MAX_ENVIRONMENT_BYTES)
    for what, (size, most) in sizes.items():
        if size > most:
            yield f"{size:,} {what}; AWS takes {most:,}"


def _environments(plan: Specification, stack: TemplateModel) -> Iterator[str]:
    """Yield where a worker's settings differ from the specification of its sources."""
    for queue in plan.queues:
        function = stack.properties(naming.logical_id(queue, "Worker"))
        configured = settings.Settings.from_environment(
            {name: str(value) for name, value in function["Environment"]["Variables"].items()}
        )
        expected = {
            name: (
                plan.output_prefix(name),
                source.hash_prefix,
                plan.variants[source.variants[0]].cache_control,
            )
            for name, source in plan.sources.items()
            if source.queue == queue
        }
        read = {
            one.name: (one.output_prefix, one.hash_prefix, one.cache_control)
            for one in configured.sources.values()
        }
        if read != expected:
            yield f"queue {queue}: its worker reads {read} instead of {expected}"
