"""worker/settings.py: a wrong environment is refused with a sentence, at the first event."""

from __future__ import annotations

import pytest

from worker.settings import Settings, SettingsError, Variants, parse

MEMORY = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
ENVIRONMENT = {
    "UPLOAD_BUCKET": "uploads-bucket",
    "THUMBNAIL_BUCKET": "thumbnails-bucket",
    "ENCRYPTION_KEY_ARN": "arn:aws:kms:xx-test-1:111122223333:key/k",
    "WORK_QUEUE_URL": "https://sqs.invalid/work",
    "VARIANTS": '{"widths":[128,1200],"formats":{"jpeg":85,"webp":80}}',
    "CACHE_CONTROL": "public, max-age=60",
    "MAX_OBJECT_BYTES": "52428800",
    "MAX_PIXELS": "100000000",
    "VISIBILITY_TIMEOUT": "360",
    "LOG_LEVEL": "INFO",
}


def test_the_environment_becomes_settings() -> None:
    """P1: what the template passes is what the worker uses, widest variant first."""
    assert parse(ENVIRONMENT) == Settings(
        upload_bucket="uploads-bucket",
        thumbnail_bucket="thumbnails-bucket",
        encryption_key_arn="arn:aws:kms:xx-test-1:111122223333:key/k",
        work_queue_url="https://sqs.invalid/work",
        variants=Variants(
            widths=(1200, 128), formats={"jpeg": 85, "webp": 80}, max_pixels=100_000_000
        ),
        cache_control="public, max-age=60",
        max_object_bytes=52_428_800,
        visibility_timeout=360,
        log_level="INFO",
    )


def test_source_and_destination_must_differ() -> None:
    """R5, trap 16: one bucket for both would make thumbnails of thumbnails for ever."""
    with pytest.raises(SettingsError, match="must be two buckets"):
        parse(ENVIRONMENT | {"THUMBNAIL_BUCKET": "uploads-bucket"})


def test_only_the_queue_may_be_left_out() -> None:
    """R2: no queue means no endpoint to reach it by; anything else missing is a mistake."""
    for absent in ({"WORK_QUEUE_URL": ""}, {}):
        rest = {name: value for name, value in ENVIRONMENT.items() if name != "WORK_QUEUE_URL"}
        assert parse(rest | absent).work_queue_url is None
    for name in ENVIRONMENT.keys() - {"WORK_QUEUE_URL"}:
        with pytest.raises(SettingsError, match=name):
            parse(ENVIRONMENT | {name: ""})


def test_the_functions_memory_is_lambdas_to_say() -> None:
    """P5: outside of Lambda nobody says, and there is no bound."""
    assert parse(ENVIRONMENT).memory_megabytes is None
    assert parse(ENVIRONMENT | {MEMORY: "1792"}).memory_megabytes == 1792


@pytest.mark.parametrize("name", ["MAX_OBJECT_BYTES", "MAX_PIXELS", "VISIBILITY_TIMEOUT", MEMORY])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1e6", "many", "²"])
def test_limits_are_whole_numbers(name: str, value: str) -> None:
    """Trap 43: a limit that cannot be read must not become no limit."""
    with pytest.raises(SettingsError, match=name):
        parse(ENVIRONMENT | {name: value})


def test_removals_are_followed_only_where_it_says_so() -> None:
    """P6: off by default, and a slip of the pen is neither on nor off."""
    assert not parse(ENVIRONMENT).follow_deletes
    assert not parse(ENVIRONMENT | {"FOLLOW_DELETES": "false"}).follow_deletes
    assert parse(ENVIRONMENT | {"FOLLOW_DELETES": "true"}).follow_deletes
    with pytest.raises(SettingsError, match="FOLLOW_DELETES is 'yes'; true or false"):
        parse(ENVIRONMENT | {"FOLLOW_DELETES": "yes"})


@pytest.mark.parametrize(
    "value",
    [
        "{",
        "[]",
        "7",
        "{}",
        '{"widths":[],"formats":{"jpeg":85}}',
        '{"widths":[0],"formats":{"jpeg":85}}',
        '{"widths":[true],"formats":{"jpeg":85}}',
        '{"widths":[16384],"formats":{"jpeg":85}}',
        '{"widths":[400,400],"formats":{"jpeg":85}}',
        '{"widths":[400],"formats":{}}',
        '{"widths":[400],"formats":["jpeg"]}',
        '{"widths":[400],"formats":{"gif":85}}',
        '{"widths":[400],"formats":{"jpeg":0}}',
        '{"widths":[400],"formats":{"jpeg":101}}',
        '{"widths":[400],"formats":{"jpeg":"85"}}',
    ],
)
def test_variants_have_a_shape(value: str) -> None:
    """P1: checked before the first picture, not by the encoder's exception in each."""
    with pytest.raises(SettingsError, match="VARIANTS"):
        parse(ENVIRONMENT | {"VARIANTS": value})
