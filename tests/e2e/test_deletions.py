"""Where the specification asks for it, thumbnails follow what their source has become."""

from collections.abc import Callable

import pytest

from darkroom.checks.names import VERIFY
from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator
from templates import specification
from tests.e2e import pictures
from tests.e2e.conftest import template
from tests.e2e.harness import Operator, Pipeline, Stored
from worker import keys


@pytest.fixture(scope="module")
def following(emulator: Emulator, package_parameters: dict[str, str]) -> Pipeline:
    """A third stack, with any suffix, `propagate_deletes` and `keep_metadata`."""
    source = {"suffixes": ["*"], "propagate_deletes": True, "keep_metadata": ["taken"]}
    plan = specification.parse({"sources": {"default": source}}, origin="test")
    stack = deployment.deploy(
        emulator,
        template(plan),
        stack_name="following",
        parameters={**package_parameters, "NamePrefix": "following"},
    )
    return Pipeline(emulator, stack)


def _outputs(pipeline: Pipeline, key: str) -> list[Stored]:
    found = [pipeline.stored(keys.output_key(key, name)) for name in pipeline.variant_names]
    return [stored for stored in found if stored]


def test_thumbnails_go_and_come_with_their_source(following: Pipeline) -> None:
    """P6, P7: by the rights, rules and events of the template itself; the record has its time."""
    key = "uploads/now you see it.jpg"
    version = following.upload(key, pictures.with_private_metadata())
    following.thumbnails(key, version)
    kept = following.record(key) or {}
    assert kept["taken"] == "2024-05-01T12:34:56"
    assert "copyright" not in kept

    marker = following.s3.delete_object(Bucket=following.uploads, Key=key)["VersionId"]
    record = following.rejection(key)
    assert (record["state"], record["source"]["version_id"]) == ("deleted", marker)
    following.until(lambda: True if not _outputs(following, key) else None, "end of thumbnails")

    following.s3.delete_object(Bucket=following.uploads, Key=key, VersionId=marker)
    following.thumbnails(key, version)
    following.until(
        lambda: True if following.stored(keys.rejection_key(key)) is None else None,
        "end of the record",
    )
    following.drained()


def test_thumbnails_stay_where_nobody_asked(running: Pipeline) -> None:
    """P6: off by default."""
    key = "uploads/kept.jpg"
    version = running.upload(key, pictures.jpeg())
    before = running.thumbnails(key, version)
    running.s3.delete_object(Bucket=running.uploads, Key=key)
    metadata = next(iter(before.values())).metadata
    running.send(running.notification(key, metadata))
    running.drained()
    after = running.thumbnails(key, version)
    assert {name: stored.body for name, stored in after.items()} == {
        name: stored.body for name, stored in before.items()
    }


def test_a_canary_leaves_nothing(following: Pipeline, terminal: Callable[[str], Operator]) -> None:
    """D4: its outputs and the records of its deletion are deleted in the end."""
    report = terminal(following.stack.name).does(
        "verify",
        *(text for name in VERIFY if name != "canary" for text in ("--skip", name)),
    )
    assert "a version that is gone is recorded as deleted" in report
    following.drained()
    left = following.s3.list_object_versions(Bucket=following.thumbnail_bucket)
    kept = [*left.get("Versions", []), *left.get("DeleteMarkers", [])]
    assert not [one["Key"] for one in kept if "canary" in one["Key"]]


def test_any_file_under_a_prefix_has_an_outcome(following: Pipeline) -> None:
    """R2, T2: with `suffixes = ["*"]`, whatever its name: thumbnails, or a rejection."""
    version = following.upload("uploads/cat.Jpg", pictures.jpeg())
    for key, body in (("uploads/notes.txt", b"no picture"), ("uploads/.DS_Store", b"Bud1")):
        following.upload(key, body)
        assert following.rejection(key)["rejection"]["reason"] == "not_an_image"
    following.thumbnails("uploads/cat.Jpg", version)
