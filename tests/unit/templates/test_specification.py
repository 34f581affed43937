import re
import tomllib
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from templates import specification
from templates.limits import MAX_BUCKET_NOTIFICATIONS
from templates.specification import ProcessingQueue, Specification, SpecificationError
from templates.specification_api import Api
from templates.specification_options import Alarms, Cdn, Events, Logs
from templates.specification_sources import Source
from templates.specification_variants import Variants, Watermark
from worker import settings

SHIPPED = Path(__file__).parents[3] / "params" / "pipeline.toml"


def test_the_shipped_file_names_every_key() -> None:
    """C1: whatever values it has; docs/reference/specification.md has the defaults."""
    named = set(re.findall(r"^#? ?(\w+) *=", SHIPPED.read_text("utf-8"), re.MULTILINE))
    models: list[type[BaseModel]] = [ProcessingQueue, Source]
    models += [Variants, Watermark, specification.Network, Alarms, Api, Cdn, Events, Logs]
    keys = {key for model in models for key in model.model_fields}
    tables = {"interface_endpoints", "formats", "watermark"}
    assert keys - named - tables == set()
    assert specification.load(SHIPPED)


def test_a_watermarks_defaults_are_the_workers() -> None:
    """Issue 15: what the template leaves out, so that it stays small."""
    default = Watermark()
    assert default.worker_config() == {"key": "watermarks/watermark.png"}
    made = settings.Watermark(default.key)
    assert default.model_dump() == {name: getattr(made, name) for name in Watermark.model_fields}
    centered = Watermark(key="watermarks/a.png", position="center", width=100)
    config: dict[str, Any] = centered.worker_config()
    assert settings.Watermark(**config).width == 100


@pytest.mark.parametrize(
    ("content", "key", "allowed"),
    [
        (
            {"network": {"availability_zones": 1}},
            "network.availability_zones",
            "at least 2",
        ),
        (
            {"network": {"availability_zones": 5}},
            "network.availability_zones",
            "at most 4",
        ),
        (
            {"network": {"availability_zones": "2"}},
            "network.availability_zones",
            "whole number (given: '2')",
        ),
        ({"network": 2}, "network", "table"),
        ({"network": {"vpc": "mine"}}, "network.vpc", "'existing'"),
        ({"network": {"endpoints": "existing"}}, "network", 'needs vpc = "existing"'),
        (
            {"network": {"interface_endpoints": {"sqs": ["sqs:X"]}}},
            "network",
            "an endpoint for sqs",
        ),
        (
            {"network": {"interface_endpoints": {"kms": ["kms:*"]}}},
            "network.interface_endpoints.kms[0]",
            "without '*'",
        ),
        (
            {"network": {"vpc": "existing", "interface_endpoints": {"kms": ["kms:Decrypt"]}}},
            "network",
            'need vpc = "create"',
        ),
        ({"netwrk": {}}, "netwrk", "network, sources, queues, variants"),
        ({"cdn": {"domain": True}}, "cdn.domain", "allowed: custom_domain, web_acl"),
        (
            {"sources": {"default": {"prefix": []}}},
            "sources.default.prefix",
            "type, prefixes, suffixes, propagate_deletes",
        ),
        ({"sources": {"default": {"prefixes": "a/"}}}, "sources.default.prefixes", "list"),
        ({"sources": {"default": {"prefixes": []}}}, "sources.default.prefixes", "at least 1"),
        ({"sources": {"default": {"prefixes": ["", "a/"]}}}, "sources.default", "overlap"),
        ({"sources": {"default": {"output_prefix": ""}}}, "sources.default.output_prefix", "'/'"),
        (
            {"sources": {"default": {"prefixes": ["a"]}}},
            "sources.default.prefixes[0]",
            "'uploads/'",
        ),
        (
            {"sources": {"default": {"prefixes": ["/a/"]}}},
            "sources.default.prefixes[0]",
            "'uploads/'",
        ),
        ({"sources": {"default": {"prefixes": ["*/"]}}}, "sources.default.prefixes[0]", "'()/-"),
        ({"sources": {"default": {"prefixes": ["a b/"]}}}, "sources.default.prefixes[0]", "'()/-"),
        ({"sources": {"default": {"prefixes": ["ä/"]}}}, "sources.default.prefixes[0]", "ASCII"),
        (
            {"sources": {"default": {"output_prefix": "${x}/"}}},
            "sources.default.output_prefix",
            "ASCII",
        ),
        ({"sources": {"default": {"suffixes": [".j?g"]}}}, "sources.default.suffixes[0]", "'.jpg'"),
        (
            {"sources": {"default": {"choose_variants": True}}},
            "sources.default",
            "needs several variants",
        ),
        (
            {"sources": {"default": {"copy_metadata": ["Author"]}}},
            "sources.default.copy_metadata[0]",
            "like 'author'",
        ),
        (
            {"sources": {"default": {"keep_metadata": ["gps"]}}},
            "sources.default.keep_metadata[0]",
            "'taken' or 'copyright'",
        ),
        ({"sources": {"scan-1": {}}}, "sources.scan-1", "starting with a letter"),
        ({"sources": {"default": {"suffixes": ["jpg"]}}}, "sources.default.suffixes[0]", "'.jpg'"),
        ({"sources": {"default": {"suffixes": [".Jpg"]}}}, "sources.default.suffixes[0]", "'.jpg'"),
        (
            {"sources": {"default": {"suffixes": [""]}}},
            "sources.default.suffixes[0]",
            "'*' for any",
        ),
        ({"variants": {"default": {"widths": []}}}, "variants.default.widths", "at least 1"),
        ({"variants": {"default": {"widths": [9, 90]}}}, "variants.default.widths[0]", "16"),
        ({"variants": {"default": {"widths": [90, 90]}}}, "variants.default.widths", "twice"),
        ({"variants": {"default": {"fit": "fill"}}}, "variants.default.fit", "'cover'"),
        (
            {"variants": {"default": {"fit": "cover"}}},
            "variants.default",
            'needs an aspect_ratio, like "4:3"',
        ),
        ({"variants": {"default": {"aspect_ratio": "4:3"}}}, "variants.default", "takes no aspect"),
        (
            {"variants": {"default": {"fit": "contain", "aspect_ratio": "0:3"}}},
            "variants.default.aspect_ratio",
            "'4:3'",
        ),
        (
            {"variants": {"default": {"fit": "contain", "aspect_ratio": "1:999"}}},
            "variants.default",
            "at most 8192",
        ),
        (
            {"variants": {"default": {"widths": [400, 200], "heights": [300]}}},
            "variants.default",
            "1 for 2 widths",
        ),
        (
            {"variants": {"default": {"widths": [200, 400], "heights": [300, 200]}}},
            "variants.default",
            "width 200 has the height 300",
        ),
        (
            {
                "variants": {
                    "default": {
                        **{"widths": [400], "heights": [300]},
                        **{"fit": "cover", "aspect_ratio": "4:3"},
                    }
                }
            },
            "variants.default",
            "takes no heights",
        ),
        ({"variants": {"default": {"position": "top"}}}, "variants.default", 'needs fit = "cover"'),
        (
            {"variants": {"default": {"background": "white"}}},
            "variants.default.background",
            "'#ffffff'",
        ),
        ({"variants": {"default": {"sharpen": 201}}}, "variants.default.sharpen", "200"),
        (
            {"variants": {"default": {"animated": True, "formats": {"jpeg": 80}}}},
            "variants.default",
            "needs a WebP",
        ),
        (
            {"variants": {"default": {"animated": True, "widths": [128]}}},
            "variants.default",
            "min_width of at most 128",
        ),
        (
            {"variants": {"default": {"watermark": {"key": "logo.png"}}}},
            "variants.default.watermark.key",
            "'watermarks/logo.png'",
        ),
        (
            {"variants": {"default": {"watermark": {"key": "thumbnails/logo.png"}}}},
            "variants.default.watermark.key",
            "below watermarks/",
        ),
        (
            {"variants": {"default": {"watermark": {"key": "watermarks/"}}}},
            "variants.default.watermark.key",
            "below watermarks/",
        ),
        (
            {"variants": {"default": {"watermark": {"key": "watermarks/*.png"}}}},
            "variants.default.watermark.key",
            "only ASCII letters",
        ),
        (
            {"variants": {"default": {"watermark": {"key": "watermarks/../a"}}}},
            "variants.default.watermark.key",
            "dots alone",
        ),
        (
            {"variants": {"default": {"watermark": {"key": "watermarks/a", "position": "middle"}}}},
            "variants.default.watermark.position",
            "'bottom-right'",
        ),
        (
            {"variants": {"default": {"watermark": {"key": "watermarks/a", "width": 101}}}},
            "variants.default.watermark.width",
            "at most 100",
        ),
        (
            {"variants": {"default": {"watermark": {"key": "watermarks/a", "opacity": 0}}}},
            "variants.default.watermark.opacity",
            "at least 1",
        ),
        (
            {"variants": {"default": {"watermark": {"key": "watermarks/a", "margin": 26}}}},
            "variants.default.watermark.margin",
            "at most 25",
        ),
        (
            {"variants": {"default": {"watermark": {"key": "watermarks/a", "size": 26}}}},
            "variants.default.watermark.size",
            "allowed: key, position",
        ),
        (
            {
                "variants": {
                    "default": {"watermark": {"key": "watermarks/a", "width": 91, "margin": 5}}
                }
            },
            "variants.default.watermark",
            "margin to at most 4",
        ),
        (
            {
                "variants": {
                    "default": {
                        "watermark": {"key": "watermarks/a", "position": "center", "margin": 1}
                    }
                }
            },
            "variants.default.watermark",
            "takes no margin",
        ),
        (
            {"variants": {"default": {"watermark": {"key": "watermarks/a", "min_width": 1201}}}},
            "variants.default",
            "on no thumbnail",
        ),
        ({"variants": {"default": {"formats": {}}}}, "variants.default.formats", "at least 1"),
        (
            {"variants": {"default": {"formats": {"gif": 1}}}},
            "variants.default.formats.gif",
            "'avif'",
        ),
        ({"variants": {"default": {"formats": {"png": 80}}}}, "variants.default", "is 100"),
        (
            {"variants": {"default": {"formats": {"webp": 101}}}},
            "variants.default.formats.webp.quality",
            "100",
        ),
        (
            {"variants": {"default": {"formats": {"webp": [80]}}}},
            "variants.default.formats.webp",
            "must be a quality from 1 to 100",
        ),
        (
            {"variants": {"default": {"formats": {"webp": {"min_width": 9}}}}},
            "variants.default.formats.webp",
            "a table with one: { quality = 80 }",
        ),
        (
            {"variants": {"default": {"formats": {"webp": True}}}},
            "variants.default.formats.webp",
            "must be a quality from 1 to 100",
        ),
        (
            {
                "variants": {
                    "default": {"formats": {"jpeg": 80, "webp": {"quality": 1, "min_width": 1201}}}
                }
            },
            "variants.default",
            "formats.webp is never made",
        ),
        (
            {"variants": {"default": {"formats": {"webp": {"quality": 9, "width": 9}}}}},
            "variants.default.formats.webp.width",
            "allowed: quality, min_width",
        ),
        (
            {"variants": {"default": {"formats": {"webp": {"quality": 80, "min_width": 129}}}}},
            "variants.default",
            "no format is made at a width of 128",
        ),
        (
            {"queues": {"default": {"timeout_seconds": 901}}},
            "queues.default.timeout_seconds",
            "900",
        ),
        ({"sources": {}}, "sources", "at least 1"),
        ({"sources": {"Scans": {}}}, "sources.Scans", "lower-case letters"),
        ({"sources": {"a-long-name": {}}}, "sources.a-long-name", "at most 10 characters"),
        ({"sources": {"uploads": {}}}, "sources.uploads", "reserved for the stack"),
        ({"sources": {"worker-log": {}}}, "sources.worker-log", "reserved for the stack"),
        ({"sources": {"scans": 1}}, "sources.scans", "table"),
        ({"sources": {"default": {"type": "ftp"}}}, "sources.default.type", "'eventbridge'"),
        ({"sources": {"default": {"raw_message_delivery": True}}}, "sources.default", '"sns"'),
        (
            {"sources": {"default": {"type": "eventbridge", "archive_after_days": 30}}},
            "sources.default",
            'needs type = "s3", not "eventbridge"',
        ),
        (
            {"sources": {"default": {"archive_storage_class": "GLACIER_IR"}}},
            "sources.default",
            "needs archive_after_days",
        ),
        (
            {"sources": {"default": {"archive_after_days": 1, "archive_storage_class": "GLACIER"}}},
            "sources.default.archive_storage_class",
            "'INTELLIGENT_TIERING'",
        ),
        (
            {"sources": {"default": {"archive_after_days": -1}}},
            "sources.default.archive_after_days",
            "at least 0",
        ),
        ({"sources": {"default": {"queue": "fast"}}}, "sources.default.queue", "defined: default"),
        (
            {"sources": {"default": {"variants": "x"}}},
            "sources.default.variants",
            "defined: default",
        ),
        (
            {"sources": {"default": {"variants": []}}},
            "sources.default.variants",
            "at least 1",
        ),
        (
            {"sources": {"default": {"variants": ["default", "default"]}}},
            "sources.default",
            "variants has 'default' twice",
        ),
        (
            {
                "sources": {"default": {"variants": ["default", "square"]}},
                "variants": {"default": {}, "square": {"cache_control": "no-store"}},
            },
            "sources.default.variants",
            "default and square have different cache_control",
        ),
        ({"queues": {"default": {}, "bulk": {}}}, "queues.bulk", "no source uses it"),
        ({"variants": {"default": {}, "small": {}}}, "variants.small", "no source uses it"),
        (
            {"queues": {"default": {"max_receive_count": 1}}},
            "queues.default.max_receive_count",
            "2",
        ),
    ],
)
def test_a_wrong_value_is_named_with_file_key_and_what_is_allowed(
    content: dict[str, Any], key: str, allowed: str
) -> None:
    """C1: an error is a sentence for people."""
    with pytest.raises(SpecificationError) as caught:
        specification.parse(content, origin="mine.toml")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"mine.toml: {key}: ")
    assert allowed in line


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ("sources = 3", "sources: must be a table (given: 3)"),
        ("network = [1]", "network: must be a table (given: a list of 1)"),
        (
            "[queues.default]\nbatch_size = 60.0",
            "queues.default.batch_size: must be a whole number",
        ),
        (
            "[queues.default]\nbatch_size = true",
            "queues.default.batch_size: must be a whole number",
        ),
        ("[network]\nvpc = 2026-01-01", "network.vpc: must be 'create' or 'existing'"),
        ("[cdn]\nweb_acl = 'yes'", "cdn.web_acl: must be true or false (given: 'yes')"),
        (
            "[sources.default]\nprefixes = []",
            "sources.default.prefixes: must have at least 1",
        ),
        (
            "[variants.default]\nwidths = {}",
            "variants.default.widths: must be a list (given: a",
        ),
        (
            "[variants.default]\nwidths = [16, 17, 18, 19, 20, 21, 22, 23, 24]",
            "variants.default.widths: must have at most 8 entries (given: a list of 9)",
        ),
        (
            "[variants.default]\ncache_control = ''",
            "variants.default.cache_control: must have at least 1 character (given: '')",
        ),
        (
            "[network.interface_endpoints]\nKMS = ['kms:Decrypt']",
            "network.interface_endpoints.KMS: must be the name of a service, like 'kms'",
        ),
        ("[network]\nvpc = 1\nendpoints = 2", "network.vpc: must be"),
    ],
)
def test_an_error_shows_what_is_allowed_and_what_was_given(tables: str, message: str) -> None:
    """C1: in the words of TOML, for each type of error."""
    with pytest.raises(SpecificationError) as caught:
        specification.parse(tomllib.loads(tables), origin="mine.toml")
    assert str(caught.value).startswith(f"mine.toml: {message}")


def test_every_error_is_reported_at_once() -> None:
    """C1: a line each."""
    with pytest.raises(SpecificationError) as caught:
        specification.parse({"network": {"vpc": 1, "endpoints": 2}, "logs": 3}, origin="mine.toml")
    assert len(str(caught.value).splitlines()) == 3


def test_a_long_value_is_shown_in_part() -> None:
    """C1: a message is a line that a person reads."""
    with pytest.raises(SpecificationError) as caught:
        specification.parse({"network": {"vpc": 500 * "x"}}, origin="mine.toml")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "uploads",
    [
        {"prefixes": ["in/", "in/raw/"]},
        {"prefixes": ["in/", "in/"]},
        {"suffixes": [".gz", ".tar.gz"]},
        {"suffixes": [".jpg", ".jpg"]},
        {"suffixes": ["*", ".jpg"]},
    ],
)
def test_overlapping_filters_are_refused_by_name(uploads: dict[str, Any]) -> None:
    """Pitfall 12, T2: S3 would refuse them at deploy time."""
    with pytest.raises(SpecificationError, match=r"sources\.default: .*overlap"):
        specification.parse({"sources": {"default": uploads}}, origin="mine.toml")


def test_more_notifications_than_s3_takes_are_refused() -> None:
    """T2: 100 configurations a bucket."""
    prefixes = [f"p{number}/" for number in range(6)]
    with pytest.raises(SpecificationError, match=r'need 180 .*; S3 allows 100\. .* = \["\*"\]'):
        specification.parse({"sources": {"default": {"prefixes": prefixes}}}, origin="mine.toml")
    deletes = {"prefixes": prefixes[:2], "propagate_deletes": True}
    with pytest.raises(SpecificationError, match="3 types of event, need 180"):
        specification.parse({"sources": {"default": deletes}}, origin="mine.toml")


@pytest.mark.parametrize(
    ("scans", "clashes"),
    [
        ({"prefixes": ["in/"]}, False),  # below scans/in/
        ({"prefixes": ["in/"], "output_prefix": "uploads/"}, True),
        ({"prefixes": ["uploads/"], "output_prefix": "scans/"}, False),
        ({"prefixes": ["a/"], "output_prefix": "uploads/b/"}, True),
        # thumbnails/scans/??/in/
        ({"prefixes": ["in/"], "hash_prefix": True}, False),
    ],
)
def test_two_sources_never_write_one_key(scans: dict[str, Any], clashes: bool) -> None:
    """P2, T5: outputs lie at folder and key, so that these must not meet."""
    content = {"sources": {"default": {}, "scans": scans}}
    if not clashes:
        specification.parse(content, origin="mine.toml")
        return
    with pytest.raises(SpecificationError, match=r"default and sources\.scans would both write"):
        specification.parse(content, origin="mine.toml")


def test_two_sources_never_write_one_rejection() -> None:
    """P2, T5: outputs are apart where only one source has a hash, and rejections are not."""
    shared = {"prefixes": ["uploads/"], "output_prefix": "shared/"}
    content = {"sources": {"plain": shared, "hashed": {**shared, "hash_prefix": True}}}
    with pytest.raises(SpecificationError, match="would both write below rejected/: shared/"):
        specification.parse(content, origin="mine.toml")


@pytest.mark.parametrize(
    ("scans", "clashes"),
    [
        ({"prefixes": ["in/"]}, False),
        ({"prefixes": ["uploads/a/"], "output_prefix": "3f/"}, True),
        ({"prefixes": ["uploads/"], "output_prefix": "3f0/"}, False),
        ({"prefixes": ["in/"], "output_prefix": "3f/"}, False),
        ({"prefixes": [""], "output_prefix": "3f/"}, True),
        # No hash begins with it, but the wildcard of the distribution's permission matches it.
        ({"prefixes": ["uploads/"], "output_prefix": "zz/"}, True),
        # Both are spread over the same 256 prefixes.
        ({"prefixes": ["uploads/"], "output_prefix": "in/", "hash_prefix": True}, False),
    ],
)
def test_a_hash_stands_for_any_two_characters(scans: dict[str, Any], clashes: bool) -> None:
    """P2, T5, S5: another source's key, or one that its permission names, may not begin with it."""
    content = {"sources": {"default": {"hash_prefix": True}, "scans": scans}}
    if not clashes:
        specification.parse(content, origin="mine.toml")
        return
    with pytest.raises(SpecificationError, match=r"thumbnails/: \?\?/uploads/ and "):
        specification.parse(content, origin="mine.toml")


def test_a_distribution_delivers_something() -> None:
    """P4: without a published source it could read nothing; without [cdn] nothing is published."""
    unpublished: dict[str, Any] = {"sources": {"default": {"published": False}}}
    assert specification.parse(unpublished, origin="mine.toml").published_paths() == []
    with pytest.raises(SpecificationError, match=r"mine\.toml: cdn: no source is published"):
        specification.parse({**unpublished, "cdn": {}}, origin="mine.toml")
    unpublished["sources"]["scans"] = {"prefixes": ["in/", "raw/"]}
    plan = specification.parse({**unpublished, "cdn": {}}, origin="mine.toml")
    assert plan.published_paths() == ["scans/in/", "scans/raw/"]


def test_a_default_source_may_be_absent() -> None:
    """T5: any number and mix, under any names."""
    plan = specification.parse({"sources": {"scans": {}}}, origin="mine.toml")
    assert plan.output_prefix("scans") == "scans/"
    assert Specification().output_prefix("default") == ""


def test_every_error_of_a_file_is_reported_at_once() -> None:
    content = {"network": {"availability_zones": 9}, "queues": {"default": {"batch_size": 0}}}
    with pytest.raises(SpecificationError) as caught:
        specification.parse(content, origin="mine.toml")
    assert len(str(caught.value).splitlines()) == 2


def test_a_large_batch_needs_a_window() -> None:
    """Pitfall 49: Lambda refuses more than ten messages without one."""
    with pytest.raises(SpecificationError, match="maximum_batching_window_seconds above 0"):
        specification.parse(_batches(11, window=0), origin="mine.toml")
    specification.parse(_batches(11, window=1), origin="mine.toml")
    specification.parse(_batches(10, window=0), origin="mine.toml")


def _batches(size: int, *, window: int) -> dict[str, Any]:
    return {"queues": {"default": {"batch_size": size, "maximum_batching_window_seconds": window}}}


def test_the_last_try_comes_before_a_message_expires() -> None:
    """R1, R2: otherwise what fails is gone, and in no dead-letter queue."""
    queue = {"timeout_seconds": 900, "max_receive_count": 64}  # 64 times 5,405 s are four days
    with pytest.raises(SpecificationError, match="max_receive_count to at most 63, or a shorter"):
        specification.parse({"queues": {"default": queue}}, origin="mine.toml")
    specification.parse(
        {"queues": {"default": {**queue, "max_receive_count": 63}}}, origin="x.toml"
    )


@pytest.mark.parametrize("deletes", [False, True])
def test_the_default_suffixes_fit_and_do_not_overlap(*, deletes: bool) -> None:
    """T2, pitfall 11, pitfall 12: what phones and cameras write, in both cases, within 100."""
    source = Source(propagate_deletes=deletes)
    assert {".jpg", ".jpe", ".jfif", ".mpo", ".heic", ".heif", ".hif", ".avif"} <= set(
        source.suffixes
    )
    found = source.notifications()
    assert len(found) == len(set(found)) <= MAX_BUCKET_NOTIFICATIONS
    for event in source.events():
        suffixes = [suffix for one, _, suffix in found if one == event]
        assert {*map(str.lower, suffixes)} == set(source.suffixes)
        assert {*map(str.swapcase, suffixes)} == set(suffixes)
        assert not any(a.endswith(b) for a, b in permutations(suffixes, 2))


def test_any_suffix_is_one_notification_of_each_prefix() -> None:
    """T2: everything under a prefix is announced."""
    source = Source(prefixes=("in/", "raw/"), suffixes=("*",))
    assert source.filters() == (("in/", ""), ("raw/", ""))


def test_a_suffix_without_letters_is_notified_once() -> None:
    """Pitfall 11, pitfall 12: S3 refuses the same filter twice."""
    plan = specification.parse(
        {"sources": {"default": {"suffixes": [".001", ".jpg"]}}}, origin="mine.toml"
    )
    suffixes = [suffix for _, suffix in plan.sources["default"].filters()]
    assert suffixes == [".001", ".jpg", ".JPG"]


@given(st.integers(10, 900), st.integers(0, 300))
def test_visibility_covers_six_timeouts_and_the_window(timeout: int, window: int) -> None:
    """Pitfall 41, R4: derived, not typed twice, and within SQS's twelve hours."""
    queue = ProcessingQueue(timeout_seconds=timeout, maximum_batching_window_seconds=window)
    assert 6 * timeout + window <= queue.visibility_seconds <= 43_200


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "no such file"), (b"zones = ", "not TOML"), (b"\xff", "not UTF-8")],
)
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "my pipeline.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecificationError, match=says) as caught:
        specification.load(path)
    assert str(caught.value).startswith(str(path))


def test_a_directory_is_no_specification(tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match="directory"):
        specification.load(tmp_path)
