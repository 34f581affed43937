"""What it costs, and where each price comes from."""

import datetime
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.capacity import cost, prices
from darkroom.capacity.model import Demand
from darkroom.errors import UsageError
from tests.unit.darkroom.capacity.conftest import estimate

ROOT = Path(__file__).parents[4]
PRICES = prices.prices("us-east-1", [])
BASE = estimate().capacity


def bill(rate: float, **options: float) -> cost.Bill:
    return cost.bill(replace(BASE, demand=Demand(rate=rate)), PRICES, **options)


@given(st.floats(1e-3, 1e7), st.floats(1, 100))
def test_cost_is_linear_with_full_batches(rate: float, times: float) -> None:
    """D6: except for the monthly cost of metrics and of the queue's data keys."""
    one, many = bill(rate, size=5), bill(rate * times, size=5)
    fixed = 3.1
    assert many.total - many.fixed_total == pytest.approx(
        (one.total - one.fixed_total) * times, rel=1e-6, abs=fixed * times
    )
    assert one.fixed_total == many.fixed_total


@given(st.floats(1e-3, 1e7), st.floats(1, 100))
def test_more_pictures_cost_more_and_each_of_them_no_more(rate: float, times: float) -> None:
    few, many = bill(rate), bill(rate * times)
    assert many.total >= few.total
    assert many.per_million <= few.per_million * 1.1  # a batch of 5 has one that waits for four


def test_every_line_is_its_amount_at_its_price() -> None:
    found = bill(1.0)
    for line in (*found.fixed, *found.variable):
        assert line.usd == pytest.approx(line.amount * PRICES[line.price].usd)
    assert found.total == pytest.approx(sum(line.usd for line in (*found.fixed, *found.variable)))


VOLUME = str(ROOT / "params" / "examples" / "volume.toml")


def pollers(*arguments: str) -> float:
    """Return what provisioned pollers cost per month."""
    lines = {line.item: line for line in estimate(*arguments).bill.fixed}
    return lines["provisioned pollers, hours"].usd


def test_provisioned_pollers_are_billed_by_the_hour(tmp_path: Path) -> None:
    """D6: the minimum of all queues, which run without messages as well."""
    (tmp_path / "own.json").write_text('["NamePrefix=volume"]')
    volume = ("--pipeline", VOLUME, "--parameters", str(tmp_path / "own.json"))
    for found, count in (
        (pollers(), 0),
        (pollers(*volume), 2),
        (pollers(*volume, "--pollers", "5:20"), 5),
        (pollers("--pollers", "3:20"), 3),
    ):
        assert found == pytest.approx(count * 730 * 0.00925, rel=0.001)


def test_events_cost_what_is_announced(tmp_path: Path) -> None:
    """D6: a topic each record, EventBridge each object; neither where it is not asked for."""
    path = tmp_path / "events.toml"
    path.write_text("[events]\ntopic = true\neventbridge = true\n")
    plain, announced = (
        {line.item: line for line in found.bill.variable}
        for found in (estimate(), estimate("--pipeline", str(path)))
    )
    more = {item: line for item, line in announced.items() if item not in plain}
    records, events = (line.amount for line in more.values())
    assert records == pytest.approx(plain["upload PUTs, thousands"].amount / 1e3)
    assert events == pytest.approx(plain["thumbnail and record PUTs, thousands"].amount / 1e3)
    assert [line.price for line in more.values()] == [
        "sns_million_requests",
        "eventbridge_million_events",
    ]
    kms = "KMS requests, ten thousands"
    assert 1 < announced[kms].amount - plain[kms].amount < 2


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_every_price_has_its_day_and_its_source(region: str) -> None:
    """D6: a price that was not seen at its source has a note with the reason."""
    for price in prices.prices(region, []).values():
        assert price.usd > 0
        assert price.date >= datetime.date(2025, 1, 1)
        assert price.source.startswith("https://")
        assert price.read == "source" or price.note


def test_ones_own_price_stands_over_ours(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        "[us-east-1.s3_thousand_writes]\nusd = 0.004\ndate = 2026-01-01\nsource = 'a contract'\n"
    )
    found = prices.prices("us-east-1", [mine])
    assert found["s3_thousand_writes"] == prices.Price(
        usd=0.004, date=datetime.date(2026, 1, 1), source="a contract"
    )
    assert found["s3_thousand_reads"] == PRICES["s3_thousand_reads"]


ENTRY = "usd = 1\ndate = 2026-01-01\nsource = 'x'\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "cannot be read"),
        ("a = 1", "a: Input should be a valid dictionary"),
        ("[us-east-1.x]\n" + ENTRY, "us-east-1.x is not a price that is used; allowed: cloudwatch"),
        ("[us-east-1.kms_key_month]\nusd = 1", "us-east-1.kms_key_month.date: Field required"),
        ("[us-east-1.kms_key_month]\n" + ENTRY + "eur = 1", "kms_key_month.eur: Extra inputs"),
        (
            "[us-east-1.kms_key_month]\n" + ENTRY.replace("1\n", "-1\n", 1),
            "greater than or equal to 0",
        ),
        ("[us-east-1.kms_key_month]\n" + ENTRY.replace("1\n", "nan\n", 1), "finite number"),
        (
            "[us-east-1.kms_key_month]\n" + ENTRY.replace("2026-01-01", "'2026'"),
            "kms_key_month.date: Input should be a valid date",
        ),
        (
            "[us-east-1.kms_key_month]\n" + ENTRY + "read = 'no'",
            "should be 'source', 'quoted' or 'assumed'",
        ),
        ("[mars-1.kms_key_month]\n" + ENTRY, "missing"),
    ],
)
def test_a_wrong_price_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(UsageError, match=message):
        prices.prices("mars-1" if "mars" in content else "us-east-1", [path])


def test_a_region_without_prices_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no prices for 'cn-north-1'.*--prices"):
        prices.prices("cn-north-1", [])


def test_the_readme_has_the_estimates_costs() -> None:
    """D6: both tables, to the cent."""
    readme = (ROOT / "README.md").read_text("utf-8")
    for name, column in (("dev.json", 2), ("prod.json", 3)):
        table = readme.split("| fixed, per month")[1].split("\n\n")[0].splitlines()
        stated = float(table[-1].split("|")[column].strip(" *"))
        found = estimate("--parameters", str(ROOT / "params" / name)).bill
        assert stated == round(found.fixed_total, 2)
    table = readme.split("| per million pictures")[1].split("\n\n")[0].splitlines()
    *parts, together = [float(line.split("|")[2].strip(" *")) for line in table[2:]]
    assert round(sum(parts), 2) == together
    assert together == pytest.approx(estimate().bill.per_million, abs=0.01)
