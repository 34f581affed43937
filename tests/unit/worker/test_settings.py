"""worker/settings.py: a wrong environment fails with a sentence, at the first event."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from worker.settings import Settings, SettingsError, Source, Variants, Watermark

MEMORY = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
ENVIRONMENT = {
    "SOURCES": '{"uploads-bucket":{"name":"default"}}',
    "THUMBNAIL_BUCKET": "thumbnails-bucket",
    "ENCRYPTION_KEY_ARN": "arn:aws:kms:xx-test-1:111122223333:key/k",
    "WORK_QUEUE_URL": "https://sqs.invalid/work",
    "VARIANTS": (
        '{"default":{"widths":[128,1200],"formats":{"jpeg":85,"webp":80},'
        '"cache_control":"public, max-age=60"}}'
    ),
    "MAX_OBJECT_BYTES": "52428800",
    "MAX_PIXELS": "100000000",
    "VISIBILITY_TIMEOUT": "360",
    "LOG_LEVEL": "INFO",
}
SOURCE = Source(
    name="default",
    variants=(
        Variants(widths=(1200, 128), formats={"jpeg": 85, "webp": 80}, max_pixels=100_000_000),
    ),
    cache_control="public, max-age=60",
)


def test_the_environment_becomes_settings() -> None:
    """P1: what the template passes is what the worker uses, widest variant first."""
    assert Settings.from_environment(ENVIRONMENT) == Settings(
        sources={"uploads-bucket": SOURCE},
        thumbnail_bucket="thumbnails-bucket",
        encryption_key_arn="arn:aws:kms:xx-test-1:111122223333:key/k",
        work_queue_url="https://sqs.invalid/work",
        max_object_bytes=52_428_800,
        visibility_timeout=360,
        log_level="INFO",
    )


def test_source_and_destination_must_differ() -> None:
    """R5, pitfall 16: one bucket for both would make thumbnails of thumbnails forever."""
    with pytest.raises(SettingsError, match="must be another bucket"):
        Settings.from_environment(ENVIRONMENT | {"THUMBNAIL_BUCKET": "uploads-bucket"})


def test_only_the_queue_may_be_left_out() -> None:
    """R2: without an endpoint for SQS there is no queue URL; everything else is required."""
    for absent in ({"WORK_QUEUE_URL": ""}, {}):
        rest = {name: value for name, value in ENVIRONMENT.items() if name != "WORK_QUEUE_URL"}
        assert Settings.from_environment(rest | absent).work_queue_url is None
    for name in ENVIRONMENT.keys() - {"WORK_QUEUE_URL"}:
        with pytest.raises(SettingsError, match=name):
            Settings.from_environment(ENVIRONMENT | {name: ""})


def test_the_functions_memory_is_set_by_lambda() -> None:
    """P5: outside of Lambda there is no bound."""
    assert Settings.from_environment(ENVIRONMENT).memory_megabytes is None
    assert Settings.from_environment(ENVIRONMENT | {MEMORY: "1792"}).memory_megabytes == 1792


@pytest.mark.parametrize("name", ["MAX_OBJECT_BYTES", "MAX_PIXELS", "VISIBILITY_TIMEOUT", MEMORY])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1e6", "many", "²"])
def test_limits_are_whole_numbers(name: str, value: str) -> None:
    """Pitfall 43: a limit that cannot be read must not become no limit."""
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment(ENVIRONMENT | {name: value})


def test_each_bucket_has_its_own_settings() -> None:
    """T5: every source has its output prefix, its variants and its handling of deletions."""
    variants = json.loads(ENVIRONMENT["VARIANTS"])
    variants["small"] = {"widths": [64], "formats": {"avif": 50}, "cache_control": "no-cache"}
    scans = {
        "name": "scans",
        "output_prefix": "scans/",
        "hash_prefix": True,
        "variants": ["small"],
        "propagate_deletes": True,
        "keep_metadata": ["taken"],
        "prefixes": ["in/", "new/"],
        "suffixes": [".jpg"],
    }
    sources = {"uploads-bucket": {"name": "default"}, "scans-bucket": scans}
    changed = {"VARIANTS": json.dumps(variants), "SOURCES": json.dumps(sources)}
    found = Settings.from_environment(ENVIRONMENT | changed).sources
    assert found == {
        "uploads-bucket": SOURCE,
        "scans-bucket": Source(
            name="scans",
            variants=(
                Variants(widths=(64,), formats={"avif": 50}, max_pixels=100_000_000, name="small"),
            ),
            cache_control="no-cache",
            output_prefix="scans/",
            hash_prefix=True,
            propagate_deletes=True,
            keep_metadata=("taken",),
            prefixes=("in/", "new/"),
            suffixes=(".jpg",),
        ),
    }
    # printf in/a.jpg | sha256sum
    assert found["scans-bucket"].output_key("in/a.jpg", "w64") == "thumbnails/scans/8c/in/a.jpg/w64"
    assert found["scans-bucket"].record_key("in/a.jpg").startswith("thumbnails/scans/8c/in/a.jpg/")
    assert found["scans-bucket"].output_key_prefix("in/a.jpg") == "thumbnails/scans/8c/in/a.jpg/"
    assert found["scans-bucket"].rejection_key("in/a.jpg") == "rejected/scans/in/a.jpg.json"
    assert found["scans-bucket"].matches("new/A.JPG")
    assert not found["scans-bucket"].matches("old/a.jpg")
    assert not found["scans-bucket"].matches("new/a.txt")
    assert found["uploads-bucket"].matches("anything")


def test_each_width_keeps_its_height() -> None:
    """P1: in whatever order the specification has them."""
    variants = json.loads(ENVIRONMENT["VARIANTS"])
    variants["default"] |= {"widths": [200, 400], "heights": [100, 300]}
    found = Settings.from_environment(ENVIRONMENT | {"VARIANTS": json.dumps(variants)})
    (made,) = next(iter(found.sources.values())).variants
    assert (made.widths, made.heights) == ((400, 200), (300, 100))


def test_variants_may_have_a_watermark() -> None:
    """Issue 15: with the specification's defaults; each key is read once."""
    variants = json.loads(ENVIRONMENT["VARIANTS"])
    variants["default"]["watermark"] = {"key": "watermarks/a.png", "opacity": 40}
    found = Settings.from_environment(ENVIRONMENT | {"VARIANTS": json.dumps(variants)})
    (made,) = next(iter(found.sources.values())).variants
    assert made.watermark == Watermark("watermarks/a.png", "bottom-right", 25, 2, 40, 200)
    assert found.watermark_keys == {"watermarks/a.png"}
    assert not Settings.from_environment(ENVIRONMENT).watermark_keys
    variants["default"]["watermark"] = {"size": 4}
    with pytest.raises(SettingsError, match=r"VARIANTS has .*size"):
        Settings.from_environment(ENVIRONMENT | {"VARIANTS": json.dumps(variants)})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.3,0.6", (0.3, 0.6)),
        (" .25 , 1 ", (0.25, 1.0)),
        ("0,0", (0.0, 0.0)),
        *((text, "center") for text in ("", "0.3", "1.5,0.5", "-0.1,0", "nan,0", "30%,60%")),
    ],
)
def test_an_objects_metadata_name_the_focus(value: str, expected: object) -> None:
    """P1: two shares from 0 to 1; anything else is the center, as no metadata are."""
    focused = replace(SOURCE, variants=(replace(SOURCE.variants[0], position="focus"),))
    assert focused.for_object({"focus": value}).variants[0].position == expected
    assert focused.for_object({}).variants[0].position == "center"


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ("small", ["small"]),
        ("small, default", ["default", "small"]),
        ("small,unknown", ["small"]),
        ("unknown", ["default", "small"]),
        ("", ["default", "small"]),
    ],
)
def test_an_objects_metadata_choose_its_variants(value: str, made: list[str]) -> None:
    """P1: among those of the source, and only where the source lets them."""
    both = (SOURCE.variants[0], replace(SOURCE.variants[0], name="small"))
    source = replace(SOURCE, variants=both, choose_variants=True)
    assert [one.name for one in source.for_object({"variants": value}).variants] == made
    assert replace(SOURCE, variants=both).for_object({"variants": value}).variants == both


def test_metadata_change_nothing_that_asks_for_none() -> None:
    """P1: a focus has no effect on variants with another position."""
    assert SOURCE.for_object({"focus": "0.3,0.6"}) == SOURCE


@pytest.mark.parametrize(
    "value",
    [
        "{",
        "[]",
        "{}",
        '{"b":7}',
        '{"b":{}}',
        '{"b":{"name":"default"},"b":{"name":"scans"}}',
        '{"b":{"name":"default","variants":"none"}}',
        '{"b":{"name":"default","colour":"red"}}',
    ],
)
def test_sources_have_a_shape(value: str) -> None:
    """T5: for example, two parameters with one bucket's name fail before the first image."""
    with pytest.raises(SettingsError, match="SOURCES"):
        Settings.from_environment(ENVIRONMENT | {"SOURCES": value})


@pytest.mark.parametrize(
    "value",
    [
        "{",
        "[]",
        "7",
        "{}",
        '{"default":{"widths":[],"formats":{"jpeg":85},"cache_control":"no"}}',
        '{"default":{"widths":[0],"formats":{"jpeg":85},"cache_control":"no"}}',
        '{"default":{"widths":[true],"formats":{"jpeg":85},"cache_control":"no"}}',
        '{"default":{"widths":[16384],"formats":{"jpeg":85},"cache_control":"no"}}',
        '{"default":{"widths":[400,400],"formats":{"jpeg":85},"cache_control":"no"}}',
        '{"default":{"widths":[400],"formats":{},"cache_control":"no"}}',
        '{"default":{"widths":[400],"formats":["jpeg"],"cache_control":"no"}}',
        '{"default":{"widths":[400],"formats":{"gif":85},"cache_control":"no"}}',
        '{"default":{"widths":[400],"formats":{"jpeg":0},"cache_control":"no"}}',
        '{"default":{"widths":[400],"formats":{"jpeg":101},"cache_control":"no"}}',
        '{"default":{"widths":[400],"formats":{"jpeg":"85"},"cache_control":"no"}}',
        '{"default":{"widths":[400],"formats":{"jpeg":85}}}',
        '{"default":{"widths":[400],"heights":[9,8],"formats":{"jpeg":85},"cache_control":"no"}}',
        '{"default":{"widths":[400],"formats":{"jpeg":85},"min_widths":{"webp":9},"cache_control":"no"}}',
        '{"default":{"widths":[400],"formats":{"jpeg":85},"cache_control":""}}',
    ],
)
def test_variants_have_a_shape(value: str) -> None:
    """P1: checked before the first image, not by the encoder's exception for each."""
    with pytest.raises(SettingsError, match="VARIANTS"):
        Settings.from_environment(ENVIRONMENT | {"VARIANTS": value})
