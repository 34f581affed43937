"""What is stored costs, at first and over time, and what the log archive adds."""

from pathlib import Path

import pytest

from darkroom.capacity import log_archive
from darkroom.capacity.estimate import CapacityEstimate
from darkroom.capacity.report import as_json, as_text
from darkroom.capacity.storage import Storage
from tests.unit.darkroom.capacity.conftest import estimate

# One size of picture, 10^6 pixels of 0.28 bytes: 280 KB, and a million of them 280 GB.
ONE_SIZE = ("--megapixels", "1", "--rate", "1M/month")
MILLION_GB = 280
DAYS = 365 / 12


def with_specification(tmp_path: Path, text: str, *more: str) -> CapacityEstimate:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return estimate("--pipeline", str(path), *more)


def archiving(tmp_path: Path, storage_class: str, *more: str, days: int = 30) -> Storage:
    text = (
        f'[sources.default]\narchive_after_days = {days}\narchive_storage_class = "{storage_class}"'
    )
    return with_specification(tmp_path, text, *(more or ONE_SIZE)).storage


def by_month(storage: Storage, *, archived: bool) -> list[float]:
    return [(one.archived_usd or 0) if archived else one.unarchived_usd for one in storage.months]


def test_uploads_and_thumbnails_are_priced_apart() -> None:
    """D6: and nothing goes to another class unless that is specified."""
    found = estimate(*ONE_SIZE).storage
    uploads, thumbnails, _archive, _access_logs = found.lines
    assert uploads.amount == pytest.approx(MILLION_GB, rel=0.01)
    assert uploads.usd == pytest.approx(MILLION_GB * 0.023, rel=0.01)
    assert 0 < thumbnails.usd < 60 * uploads.usd
    assert found.move is None
    assert not found.is_specified


def test_what_is_kept_grows_with_every_month() -> None:
    """D6: nothing expires by itself, except for logs after LogArchiveRetentionDays, a year."""
    found = estimate(*ONE_SIZE).storage
    *pictures, archive, access_logs = (line.usd for line in found.lines)
    logs = archive + access_logs
    expected = [months * sum(pictures) + min(months, 12) * logs for months in (1, 12, 36)]
    assert by_month(found, archived=False) == pytest.approx(expected)


def test_uploads_in_glacier_cost_a_sixth_and_a_move(tmp_path: Path) -> None:
    """D6, pitfall 83: 30 days in S3 Standard, the rest of the year in GLACIER_IR."""
    found = archiving(tmp_path, "GLACIER_IR")
    thumbnails = found.lines[1].usd
    standard, archived = 30 / DAYS, 12 - 30 / DAYS
    expected = MILLION_GB * (standard * 0.023 + archived * 0.004) + 1000 * 0.02 + 12 * thumbnails
    expected += 12 * sum(line.usd for line in found.lines[-2:])
    assert by_month(found, archived=True)[1] == pytest.approx(expected, rel=0.01)
    assert [line.price for line in found.lines][2:-2] == ["s3_glacier_ir_gb_month"]
    assert found.move is not None
    assert found.move.usd == pytest.approx(20.00, rel=0.001)
    assert found.is_specified
    assert found.advice == ""


def test_intelligent_tiering_has_two_cheaper_tiers_and_is_monitored(tmp_path: Path) -> None:
    """D6: 30 days after the move the one, after 90 the other, if nobody reads them."""
    found = archiving(tmp_path, "INTELLIGENT_TIERING", days=0)
    thumbnails = found.lines[1].usd
    tiers = 30 / DAYS * 0.023 + 60 / DAYS * 0.0125 + (12 - 90 / DAYS) * 0.004
    expected = MILLION_GB * tiers + 1000 * 0.01 + 12 * 1000 * 0.0025 + 12 * thumbnails
    expected += 12 * sum(line.usd for line in found.lines[-2:])
    assert by_month(found, archived=True)[1] == pytest.approx(expected, rel=0.01)
    names = [line.item for line in found.lines]
    assert any("after 30 days" in name for name in names)
    assert any("after 90 days" in name for name in names)
    assert found.lines[-3].usd == pytest.approx(2.50, rel=0.001)


def test_small_uploads_stay(tmp_path: Path) -> None:
    """Pitfall 83: S3 moves nothing below 128 KB, so an archive would not be paid back."""
    small = ("--megapixels", "0.4")  # 112 KB
    found = archiving(tmp_path, "GLACIER_IR", *small)
    assert found.move is not None
    assert found.move.amount == 0
    assert by_month(found, archived=True) == by_month(found, archived=False)
    assert estimate(*small).storage.advice == ""


def test_the_archive_begins_after_its_days(tmp_path: Path) -> None:
    """D6: until then nothing moves, and nothing is saved."""
    first, year, third = zip(
        by_month(found := archiving(tmp_path, "GLACIER_IR", days=400), archived=True),
        by_month(found, archived=False),
        strict=True,
    )
    assert first[0] == first[1]
    assert year[0] == year[1]
    assert third[0] < third[1]


def test_the_advice_is_the_difference_after_a_year() -> None:
    """D6: one line of text, where the specification archives nothing."""
    found = estimate()
    year = found.storage.months[1]
    assert year.archived_usd is not None
    saved = year.unarchived_usd - year.archived_usd
    assert f"saves {saved:,.0f} of {year.unarchived_usd:,.0f} USD" in found.storage.advice
    assert as_text(found).count("archive_after_days = 30 saves") == 1
    shown = as_json(found)["cost"]["storage"]
    assert shown["advice"] == found.storage.advice
    assert [one["months"] for one in shown["months"]] == [1, 12, 36]


def test_an_existing_bucket_is_its_owners(tmp_path: Path) -> None:
    """T5: the stack has no say in its lifecycle."""
    (tmp_path / "own.json").write_text('["NamePrefix=own", "BucketName=old-pictures"]')
    text = '[sources.default]\ntype = "eventbridge"'
    found = with_specification(tmp_path, text, "--parameters", str(tmp_path / "own.json"))
    assert found.storage.archive is None
    assert found.storage.advice == ""
    assert "archive_after_days" not in as_text(found)


NO_ARCHIVE = "[logs]\narchive = false\n"
IN_GROUP = "[logs]\narchive_flow_logs = false\n"


def test_the_log_archive_has_its_price(tmp_path: Path) -> None:
    """D6: a record for each invocation, which Firehose bills as 5 KB; none where it is off."""
    single = "[queues.default]\nbatch_size = 1\nmaximum_batching_window_seconds = 0\n"
    off = with_specification(tmp_path, single + NO_ARCHIVE + NO_VPC)
    plain = {line.item: line for line in off.bill.variable}
    (tmp_path / "archived").mkdir()
    found = with_specification(tmp_path / "archived", single + NO_VPC)
    lines = {line.item: line for line in found.bill.variable if line.item not in plain}
    firehose, decompression, writes = lines.values()
    assert firehose.amount == pytest.approx(5, rel=0.01)  # a million records
    assert decompression.amount == pytest.approx(plain["logs, GB"].amount)
    assert writes.amount == pytest.approx(730 * 12 / 1e3, rel=0.01)  # one in five minutes
    assert "log archive, GB" in [line.item for line in found.storage.lines]
    assert "log archive, GB" not in [line.item for line in off.storage.lines]


NO_VPC = '[network]\nvpc = "existing"\nendpoints = "existing"\n'


def flow_log(found: CapacityEstimate) -> list[tuple[float, float]]:
    return [
        (line.amount, line.usd) for line in found.bill.variable if line.item.startswith("flow log")
    ]


def test_the_flow_log_costs_half_in_the_archive(tmp_path: Path) -> None:
    """D6, O6: vended logs: 0.25 a GB to S3 and 0.50 to a log group; none of an existing VPC."""
    (to_bucket, price), (puts, _) = flow_log(estimate())
    ((to_group, more),) = flow_log(with_specification(tmp_path, IN_GROUP))
    assert to_bucket == pytest.approx(to_group)
    assert more == pytest.approx(2 * price)
    assert puts == pytest.approx(730 * 12 / 1e3, rel=0.01)  # one in five minutes
    (tmp_path / "own.json").write_text('["NamePrefix=own"]')
    options = ("--parameters", str(tmp_path / "own.json"))
    assert flow_log(with_specification(tmp_path, NO_VPC, *options)) == []


def test_full_batches_open_fewer_connections() -> None:
    """D6: a thread reads through one, and ten requests at once write through ten."""
    one = log_archive.flow_log_bytes(1, threads=4, writes=6)
    ten = log_archive.flow_log_bytes(10, threads=4, writes=6)
    each_way = 2 * log_archive.FLOW_RECORD_BYTES
    assert (one, ten) == ((1 + 6) * each_way, (4 + 10) * each_way)


def test_access_logs_cost_their_storage_alone(tmp_path: Path) -> None:
    """D6, O6: S3 delivers them for nothing; a record of each request."""
    found = estimate()
    line = found.storage.lines[-1]
    assert line.item == "S3 access logs, GB"
    requests = 8  # an upload, a GET, five thumbnails, a record
    assert line.amount == pytest.approx(requests * log_archive.ACCESS_RECORD_BYTES / 1e3)
    off = with_specification(tmp_path, "[logs]\ns3_access_logs = false\n")
    assert "S3 access logs, GB" not in [line.item for line in off.storage.lines]
    assert off.bill.per_million == pytest.approx(found.bill.per_million)


@pytest.mark.parametrize(("pictures", "billed"), [(1, 5_000), (25, 5_000), (26, 10_000)])
def test_a_record_is_billed_in_steps(pictures: int, billed: int) -> None:
    """D6: so that small records cost what they do not weigh."""
    assert log_archive.billed_bytes(pictures) == billed


@pytest.mark.parametrize(("region", "limit"), [("us-east-1", 5), ("eu-central-1", 1)])
def test_the_streams_throughput_is_a_quota(tmp_path: Path, region: str, limit: int) -> None:
    """O6: by Region; without an archive there is no such quota."""
    name = "Firehose: log bytes per second"
    options = ("--region", region, "--rate", "20/s", "--burst", "10x10min")
    (found,) = (quota for quota in estimate(*options).quotas if quota.name == name)
    assert found.limit == limit * 2**20
    # 200 per second, in batches of one to five.
    assert 200 / 5 * log_archive.record_bytes(5) <= found.need <= 200 * log_archive.record_bytes(1)
    assert found.rate == pytest.approx(200 * found.limit / found.need)
    without = with_specification(tmp_path, NO_ARCHIVE, *options)
    assert name not in {quota.name for quota in without.quotas}
