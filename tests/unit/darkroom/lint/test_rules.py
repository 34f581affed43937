"""The rules: silent on sound templates, and each finds its seeded defects."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darkroom.cloudformation.loader import load
from darkroom.lint import engine, suppressions
from darkroom.lint.catalogue import ALL_RULES, RULES
from templates import pipeline, specification
from tests.mutation import additions
from tests.mutation.defects import DEFECTS, Defect

# The highest code of each service that was ever given.
LAST_CODES = {
    "API": 4,
    "CFN": 10,
    "CLOUDWATCH": 14,
    "EVENTS": 3,
    "FIREHOSE": 3,
    "IAM": 16,
    "KMS": 11,
    "LAMBDA": 19,
    "LOGS": 3,
    "S3": 18,
    "SNS": 4,
    "SQS": 9,
    "VPC": 12,
    "VPCE": 8,
}

ROOT = Path(__file__).parents[4]
EXAMPLES = Path(__file__).parent / "third_party_templates"

# The findings about a template as short examples on the web have it.
TYPICAL = {
    ("Jobs", "sqs-visibility-timeout"),
    ("Jobs", "sqs-redrive-policy"),
    ("Jobs", "cfn-unique-names"),
    ("Jobs", "kms-cmk-encryption"),
    ("JobsPolicy", "sqs-policy-s3-source"),
    ("JobsPolicy", "iam-confused-deputy"),
    ("ResizeFeed", "lambda-partial-batch-response"),
    ("ResizeFeed", "lambda-esm-max-concurrency"),
    ("Resize", "lambda-log-group"),
    ("Resize", "lambda-code-key"),
    ("Resize", "cfn-hardcoded-account-or-region"),
    ("ResizeRole", "lambda-recursive-loop"),
    ("ResizeRole", "iam-wildcard-action"),
    ("ResizeRole", "iam-wildcard-resource"),
    ("ResizeRole", "iam-aws-managed-policy"),
    ("Images", "s3-public-access-block"),
    ("Images", "s3-notification-depends-on-policy"),
    ("Images", "s3-notification-suffix-case"),
    ("Images", "s3-notification-prefix"),
    ("Images", "s3-bucket-name"),
    ("Images", "cfn-deletion-policy"),
}


def generated(**tables: Any) -> dict[str, Any]:
    described = specification.parse(tables, origin="test")
    content: dict[str, Any] = json.loads(pipeline.render(pipeline.build(described)))
    return content


def copied(content: dict[str, Any]) -> dict[str, Any]:
    """A copy, ten times faster than copy.deepcopy."""
    found: dict[str, Any] = json.loads(json.dumps(content))
    return found


@pytest.fixture(scope="module")
def sound() -> dict[str, Any]:
    return generated()


def findings(content: dict[str, Any]) -> list[str]:
    """The findings that are not suppressed, as lines that a failing test shows."""
    skips = list(suppressions.suppressions(content))
    return [
        f"{one.resource}: {one.rule}: {one.message} ({one.parameters})"
        for one in engine.check(content, {})
        if not any(skip.covers(one) for skip in skips)
        # With a log archive the template is deployed through S3: docs/logs.md.
        if not (
            one.rule == "cfn-template-size"
            and "LogArchiveRetentionDays" in content.get("Parameters", {})
        )
    ]


@pytest.mark.parametrize(
    "add",
    [
        *(additions.access_logs, additions.archive, additions.distribution),
        additions.archived_distribution,
        *(additions.operator, additions.rule_to_queue, additions.external_sources),
        *(additions.record_topic, additions.archived_uploads),
    ],
)
def test_what_defects_are_seeded_into_is_sound(
    sound: dict[str, Any], add: Callable[[dict[str, Any]], None]
) -> None:
    """D4: a rule that reports a sound part would be switched off."""
    content = copied(sound)
    add(content)
    assert findings(content) == []


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.change.__name__)
def test_a_defect_is_noticed(sound: dict[str, Any], defect: Defect) -> None:
    """D4: by its own rule; `python -m tests.mutation` shows the other linters."""
    content = copied(sound)
    defect.apply(content)
    assert content != sound
    assert any(engine.check(content, {}, [RULES[defect.rule]]))


def test_every_rule_finds_something() -> None:
    """D4: a rule that no defect breaks is a rule that cannot fail."""
    assert {defect.rule for defect in DEFECTS} == set(RULES)
    page = (ROOT / "docs" / "security.md").read_text()
    assert f"{len(RULES)} rules of our own" in page
    assert f"# {len(DEFECTS)} single defects" in page


def test_codes_are_stable() -> None:
    """D4: a suppression and a code host know a rule by its code: it is never given again.

    A rule that goes away stays here, as a number that no rule has; a new one takes the next.
    """
    numbers: dict[str, list[int]] = {}
    for rule in ALL_RULES.values():
        found = re.fullmatch(r"DR-([A-Z0-9]+)-(\d{3})", rule.code)
        assert found, rule.code
        assert rule.name.startswith(found[1].lower() + "-")
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.name)
        numbers.setdefault(found[1], []).append(int(found[2]))
    last = {service: max(of_service) for service, of_service in numbers.items()}
    assert last == LAST_CODES
    for service, of_service in numbers.items():
        assert sorted(of_service) == list(range(1, last[service] + 1))
    assert len(ALL_RULES) == sum(last.values())


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_reason_remediation_and_source(name: str) -> None:
    """D4: a finding that nobody understands is ignored."""
    rule = RULES[name]
    assert len(rule.why) > 30
    assert rule.why.endswith((".", "."))
    assert rule.remediation.endswith(".")
    assert rule.source.startswith("https://docs.aws.amazon.com/")
    assert rule.requirements or rule.pitfalls
    assert rule.title.endswith(".")


def test_a_rule_knows_no_logical_id_of_ours(sound: dict[str, Any]) -> None:
    """D4: rules find resources by type and reference, in any template."""
    text = "".join(path.read_text() for path in (ROOT / "darkroom" / "lint" / "rules").glob("*.py"))
    ours = {title for title in sound["Resources"] if len(title) > 6}
    assert len(ours) > 20
    assert [title for title in ours if f'"{title}"' in text] == []


def test_a_sound_third_party_template_passes() -> None:
    """D4: another team's, in YAML, with other names and no network."""
    assert findings(load(EXAMPLES / "sound.yaml").content) == []


def test_a_typical_third_party_template_does_not() -> None:
    """D4: what short examples on the web leave out."""
    content = load(EXAMPLES / "typical.json").content
    found = {(one.resource, one.rule) for one in engine.check(content, {})}
    assert found >= TYPICAL


def test_a_template_that_a_rule_cannot_read_has_not_passed() -> None:
    """D4: no traceback, and no silence."""
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"RedrivePolicy": "none"}}
    lines = findings({"Resources": {"Odd": queue}})
    assert any("does not have the form that this rule expects" in line for line in lines)


def test_a_bound_that_breaks_a_rule_is_found_with_its_value(sound: dict[str, Any]) -> None:
    """R4: what the parameters allow must hold, not only what they default to."""
    content = copied(sound)
    content["Parameters"]["Timeout"] = {
        "Type": "Number",
        "Default": 60,
        "MinValue": 1,
        "MaxValue": 61,
    }
    content["Resources"]["Worker"]["Properties"]["Timeout"] = {"Ref": "Timeout"}
    (found,) = engine.check(content, {}, [RULES["sqs-visibility-timeout"]])
    assert found.parameters == "Timeout=61"


def test_values_that_the_template_rejects_are_not_tried(sound: dict[str, Any]) -> None:
    """D2: two equal zones break a rule of the template, so that they cannot be deployed."""
    content = copied(sound)
    del content["Rules"]["AvailabilityZonesDiffer"]
    rule = RULES["vpc-availability-zones"]
    assert list(engine.check(sound, {}, [rule])) == []
    (found,) = engine.check(content, {}, [rule])
    assert found.parameters == "AvailabilityZoneIndexB=0"
