"""The plan's numbers are the template's, and the template's are consistent with the plan."""

from pathlib import Path

import pytest

from darkroom.capacity import stack
from darkroom.errors import UsageError
from tests.unit.darkroom.capacity.conftest import estimate
from tests.unit.templates.conftest import generate

PARAMS = Path(__file__).parents[4] / "params"
DEFAULTS = Path(__file__).with_name("defaults.toml")


def read(*files: str, **overrides: int | str) -> stack.StackFigures:
    return stack.read(DEFAULTS, [PARAMS / name for name in files], overrides)


def test_the_parameter_file_decides_what_costs() -> None:
    """D6: no endpoint, no hours of one; another concurrency, another ramp."""
    small, large = read("dev.json"), read("prod.json")
    assert (small.concurrency, large.concurrency) == (2, 100)
    assert (small.interface_endpoint_zones, large.interface_endpoint_zones) == (0, large.zones)
    assert (small.has_sqs_endpoint, large.has_sqs_endpoint) == (False, True)


def test_an_option_stands_over_the_file() -> None:
    found = read("prod.json", MaximumConcurrency=7, MemorySize=3538, Architecture="x86_64")
    assert (found.concurrency, found.memory_megabytes) == (7, 3538)
    assert found.architecture == "x86_64"


def test_what_is_counted_is_what_is_generated() -> None:
    """D6: an alarm more in the template is an alarm more on the bill."""
    kinds = [resource["Type"] for resource in generate().resources.values()]
    found = read("prod.json")
    assert found.alarms >= kinds.count("AWS::CloudWatch::Alarm")
    assert found.dashboards == kinds.count("AWS::CloudWatch::Dashboard")
    assert found.keys == kinds.count("AWS::KMS::Key")


SEVERAL = """
[sources.default]
[sources.scans]
hash_prefix = true
queue = "bulk"
variants = "small"
[queues.default]
[queues.bulk]
batch_size = 2
provisioned_mode = true
[variants.default]
[variants.small]
widths = [100]
formats = { webp = 80 }
"""


def test_watermarks_cost_a_read_in_each_invocation_and_memory(tmp_path: Path) -> None:
    """Issue 15, D6: counted once by key, as the worker reads them."""
    plain, marked = tmp_path / "plain.toml", tmp_path / "marked.toml"
    tables = '[sources.default]\nvariants = ["default", "square"]\n'
    plain.write_text(f"{tables}[variants.default]\n[variants.square]\n")
    mark = 'watermark = { key = "watermarks/a.png" }\n'
    marked.write_text(f"{tables}[variants.default]\n{mark}[variants.square]\n{mark}")
    one, other = (estimate("--pipeline", str(path)) for path in (plain, marked))

    def amount(item: str) -> float:
        before, after = (
            next(line.amount for line in each.bill.variable if line.item.startswith(item))
            for each in (one, other)
        )
        return after - before

    assert other.capacity.service.stack.watermarks == 1
    (invocations,) = (
        line.amount * 1e3 for line in other.bill.variable if "invocations" in line.item
    )
    assert amount("GETs") == pytest.approx(invocations)  # both in thousands
    assert other.capacity.service._divided[1] < one.capacity.service._divided[1]


def test_a_sources_lane_and_variants_are_its_own(tmp_path: Path) -> None:
    """D6: what costs at rest is of the whole stack, all else of the queue that is asked about."""
    path = tmp_path / "several.toml"
    path.write_text(SEVERAL)
    one = stack.read(path, [], {"MemorySize": 2000})
    other = stack.read(path, [], {"MemorySize": 3000}, source="scans")
    assert (one.memory_megabytes, other.memory_megabytes) == (2000, 3000)
    assert (one.batch_size, other.batch_size) == (5, 2)
    assert {format_name for _, format_name in one.outputs} == {"jpeg", "webp"}
    assert other.outputs == ((100, "webp"),)
    assert (one.output_prefixes, other.output_prefixes) == (1, 256)
    assert one.pollers is None
    assert other.pollers
    assert one.queues == other.queues == 2
    assert one.alarms == other.alarms
    found = estimate("--pipeline", str(path), "--source", "scans")
    assert "MaximumConcurrency" not in [quota.name for quota in found.quotas]
    with pytest.raises(UsageError, match="no source 'scan'; allowed: default, scans"):
        stack.read(path, [], {}, source="scan")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "has no parameters"),
        ('["MaximumConcurrency=1"]', "below 2"),
        ('["Memory=1"]', "is not a parameter of the template"),
        ("{", "not JSON"),
    ],
)
def test_a_wrong_parameter_file_is_refused(content: str, message: str, tmp_path: Path) -> None:
    """D4: with the file's name, and what is allowed."""
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=message) as caught:
        stack.read(DEFAULTS, [path], {})
    assert str(path) in str(caught.value)


def test_the_default_retries_end_before_the_queue_forgets() -> None:
    """R1: a message becomes a dead letter, it does not expire."""
    for parameters in ("dev.json", "prod.json"):
        found = estimate("--parameters", str(PARAMS / parameters)).capacity
        retries, deployed = found.retries, found.service.stack
        assert sum(retries.ceilings()) + deployed.visibility < deployed.retention / 10
