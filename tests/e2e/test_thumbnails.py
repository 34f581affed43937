"""Real pictures through the generated template: what comes out, and where."""

import io
from urllib.parse import quote

import pytest
from PIL import Image, ImageSequence

from tests.e2e.harness import Pipeline, Stored
from tests.e2e.pictures import CASES, Case, animated


@pytest.fixture(scope="module")
def versions(running: Pipeline) -> dict[str, str]:
    """All cases uploaded at once, as a crowd would; key → version."""
    return {case.key: running.upload(case.key, case.make()) for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.key[8:60])
def test_every_picture_arrives_right(
    running: Pipeline, versions: dict[str, str], case: Case
) -> None:
    """T1, P1, P2, P3, D5, pitfalls 11 and 13: whatever its key and format, with no manual step."""
    thumbnails = running.thumbnails(case.key, versions[case.key])
    assert set(thumbnails) == {"w1200", "w1200.webp", "w400", "w400.webp", "w128"}
    for name, stored in thumbnails.items():
        width = min(int(name[1:].partition(".")[0]), case.size[0])
        kind = "WEBP" if name.endswith(".webp") else "PNG" if case.transparent else "JPEG"
        _check_picture(stored, case, kind=kind, width=width)
        _check_object(stored, case, running, version=versions[case.key], kind=kind)


def _check_picture(stored: Stored, case: Case, *, kind: str, width: int) -> None:
    with Image.open(io.BytesIO(stored.body)) as picture:
        picture.load()
        assert picture.format == kind
        assert picture.size == (width, round(case.size[1] * width / case.size[0]))
        assert picture.has_transparency_data == case.transparent
        assert not picture.getexif()
        assert not {"exif", "icc_profile", "comment", "xmp"} & set(picture.info)
        assert not getattr(picture, "is_animated", False)
        assert kind != "JPEG" or picture.info.get("progressive")
        colours = picture.convert("RGB")
    for index, expected in enumerate(case.corners):
        point = (
            int(colours.width * (0.1, 0.9)[index % 2]),
            int(colours.height * (0.1, 0.9)[index // 2]),
        )
        found = colours.getpixel(point)
        assert isinstance(found, tuple)
        distance = max(abs(one - other) for one, other in zip(found, expected, strict=True))
        assert distance <= case.tolerance, f"corner {index}: {found} instead of {expected}"


def _check_object(
    stored: Stored, case: Case, running: Pipeline, *, version: str, kind: str
) -> None:
    head = stored.head
    assert head["ContentType"] == f"image/{kind.lower()}"
    assert head["CacheControl"] == "public, max-age=31536000, immutable"
    assert head["ServerSideEncryption"] == "aws:kms"
    assert head["SSEKMSKeyId"] == running.stack.outputs["EncryptionKeyArn"]
    source = running.s3.head_object(Bucket=running.uploads, Key=case.key, VersionId=version)
    metadata = dict(stored.metadata)
    assert metadata.pop("source-bucket") == running.uploads
    assert metadata.pop("source-version") == version
    assert metadata.pop("source-etag").strip('"') == source["ETag"].strip('"')
    assert metadata.pop("source-sequencer")
    if len(quote(case.key)) <= 1000:  # all metadata together may have 2 KB
        assert metadata.pop("source-key") == quote(case.key)
    assert metadata.pop("settings")
    with Image.open(io.BytesIO(stored.body)) as picture:
        assert metadata == {"width": str(picture.width), "height": str(picture.height)}


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_moves_where_that_is_asked(impatient: Pipeline, kind: str) -> None:
    """P8: two frames of 100 ms, shown once by the GIF and without end by the WebP."""
    key = f"uploads/moving.{kind.lower()}"
    found = impatient.thumbnails(key, impatient.upload(key, animated(kind)))
    record = impatient.record(key)
    assert record is not None
    entries = {entry["name"]: entry for entry in record["outputs"]}
    for name, stored in found.items():
        with Image.open(io.BytesIO(stored.body)) as picture:
            moves = name.endswith(".webp")
            assert getattr(picture, "n_frames", 1) == 1 + moves
            if moves:
                assert picture.info["loop"] == (kind == "GIF")
                last = [frame.convert("L") for frame in ImageSequence.Iterator(picture)][-1]
                assert max(last.tobytes()) < 20
        about = {"frames": 2, "duration_ms": 200} if moves else {}
        assert {key: entries[name].get(key) for key in ("frames", "duration_ms")} == {
            key: about.get(key) for key in ("frames", "duration_ms")
        }
        assert stored.metadata.get("frames") == ("2" if moves else None)


def test_what_no_filter_names_is_left_alone(running: Pipeline, versions: dict[str, str]) -> None:
    """T2: another prefix, another suffix, a mixed-case suffix: no message, so no output."""
    picture = CASES[0].make()
    strangers = ["elsewhere/plain.jpg", "uploads/plain.jpg.bak", "uploads/plain.Jpg"]
    for key in strangers:
        running.upload(key, picture)
    known = running.upload("uploads/after the strangers.jpg", picture)
    running.thumbnails("uploads/after the strangers.jpg", known)
    running.drained()
    found = running.s3.list_objects_v2(Bucket=running.thumbnail_bucket)["Contents"]
    assert not [item["Key"] for item in found for key in strangers if f"/{key}/" in item["Key"]]
    assert versions


def test_names_carry_prefix_account_and_region(running: Pipeline) -> None:
    """D3: bucket names are unique per stack, account and region."""
    account = running.emulator.client("sts").get_caller_identity()["Account"]
    suffix = f"-{account}-{running.emulator.region}"
    assert running.uploads == f"darkroom-uploads{suffix}"
    assert running.thumbnail_bucket == f"darkroom-thumbnails{suffix}"


def test_two_stacks_live_side_by_side(running: Pipeline, impatient: Pipeline) -> None:
    """Pitfall 52: another NamePrefix, and nothing is shared; both work."""
    cloudformation = running.emulator.client("cloudformation")
    physical = [
        {
            resource["PhysicalResourceId"]
            for resource in cloudformation.describe_stack_resources(StackName=name)[
                "StackResources"
            ]
        }
        for name in (running.stack.name, impatient.stack.name)
    ]
    assert min(map(len, physical)) > 25
    assert not physical[0] & physical[1]
    picture = CASES[0].make()
    for pipeline in (running, impatient):
        version = pipeline.upload("uploads/side by side.jpg", picture)
        pipeline.thumbnails("uploads/side by side.jpg", version)
