"""Check of what lies in the sources' buckets and was announced to nobody."""

from collections.abc import Iterator

from darkroom.aws import objects
from darkroom.aws.concurrency import map_concurrently
from darkroom.aws.objects import ExistingObject
from darkroom.aws.queues import DeployedSource, find_sources
from darkroom.aws.records import is_recorded, read_record
from darkroom.checks.deployed.comparison import Target
from darkroom.checks.framework import Finding, passed, warned, where_possible
from darkroom.console.text import plural
from templates.specification_values import ANY_SUFFIX

EXAMPLES = 3
"""How many keys a finding names."""


def check_unannounced(target: Target) -> Iterator[Finding]:
    """Pitfall 11: what lies under a prefix has a suffix that is announced, or a record.

    One listing of 1,000 versions for each prefix, and a GET for each key that no filter names.
    """
    for source in find_sources(target.stack).values():
        if ANY_SUFFIX in source.suffixes:
            yield passed(
                f"{source.bucket}: every key under {_listed(source.prefixes)} is announced"
            )
            continue
        for prefix in source.prefixes:
            yield from where_possible(
                _unannounced(target, source, prefix), f"what {source.bucket} has under {prefix!r}"
            )


def _unannounced(target: Target, source: DeployedSource, prefix: str) -> Iterator[Finding]:
    s3, outputs = target.stack.client("s3"), target.stack.output("ThumbnailBucketName")

    def judged(found: ExistingObject) -> tuple[str, bool]:
        record = read_record(s3, outputs, found.source.key, source.settings)
        return found.source.key, is_recorded(record, found)

    listed, is_all = objects.first_objects(s3, source.bucket, prefix)
    wanted = [one for one in listed if source.is_unannounced(one.source.key)]
    left = [key for key, recorded in map_concurrently(judged, wanted) if not recorded]
    extent = f"{'' if is_all else 'the first '}{plural(len(listed), 'object')} under {prefix!r}"
    if not left:
        yield passed(f"{source.bucket}: no filter leaves out any of {extent}")
        return
    more = f" and {len(left) - EXAMPLES:,} more" if len(left) > EXAMPLES else ""
    change = f'name their suffixes in the specification, or suffixes = ["{ANY_SUFFIX}"]'
    yield warned(
        f"{source.bucket}: of {extent} {len(left):,} have a suffix that is announced to nobody,"
        f" and no record: {', '.join(left[:EXAMPLES])}{more}",
        f"{change}, deploy, then darkroom backfill --skip-processed"
        if source.filters_in_worker
        else f"darkroom backfill --stack-name {target.stack.name} --source {source.name}"
        f" --unannounced; for later ones {change}",
    )


def _listed(prefixes: tuple[str, ...]) -> str:
    return ", ".join(repr(prefix) for prefix in prefixes)
