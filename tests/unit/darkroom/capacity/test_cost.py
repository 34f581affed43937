"""What it costs, and where each price comes from."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.capacity import cost, prices
from darkroom.capacity.model import Demand
from darkroom.errors import UsageError
from tests.unit.darkroom.capacity.conftest import plan

ROOT = Path(__file__).parents[4]
PRICES = prices.prices("us-east-1", [])
BASE = plan().capacity


def bill(rate: float, **options: float) -> cost.Bill:
    return cost.bill(replace(BASE, demand=Demand(rate=rate)), PRICES, **options)


@given(st.floats(1e-3, 1e7), st.floats(1, 100))
def test_cost_is_linear_with_full_batches(rate: float, times: float) -> None:
    """D6: but for what a month of metrics and the queue's data keys cost."""
    one, many = bill(rate, size=5), bill(rate * times, size=5)
    fixed = 3.1
    assert many.total - many.at_rest == pytest.approx(
        (one.total - one.at_rest) * times, rel=1e-6, abs=fixed * times
    )
    assert one.at_rest == many.at_rest


@given(st.floats(1e-3, 1e7), st.floats(1, 100))
def test_more_pictures_cost_more_and_each_of_them_no_more(rate: float, times: float) -> None:
    few, many = bill(rate), bill(rate * times)
    assert many.total >= few.total
    assert many.per_million <= few.per_million * 1.1  # a batch of 5 has one that waits for four


def test_every_line_is_its_amount_at_its_price() -> None:
    found = bill(1.0)
    for line in (*found.rest, *found.work, found.storage):
        assert line.usd == pytest.approx(line.amount * PRICES[line.price].usd)
    assert found.total == pytest.approx(sum(line.usd for line in (*found.rest, *found.work)))


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_every_price_has_its_day_and_its_source(region: str) -> None:
    """D6: and one that was not seen at its source says so, with the reason."""
    for price in prices.prices(region, []).values():
        assert price.usd > 0
        assert datetime.date.fromisoformat(price.date) >= datetime.date(2025, 1, 1)
        assert price.source.startswith("https://")
        assert price.read == "source" or price.note


def test_ones_own_price_stands_over_ours(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        "[us-east-1.s3_thousand_writes]\nusd = 0.004\ndate = 2026-01-01\nsource = 'a contract'\n"
    )
    found = prices.prices("us-east-1", [mine])
    assert found["s3_thousand_writes"] == prices.Price(0.004, "2026-01-01", "a contract", "source")
    assert found["s3_thousand_reads"] == PRICES["s3_thousand_reads"]


ENTRY = "usd = 1\ndate = 2026-01-01\nsource = 'x'\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[", "cannot be read"),
        ("a = 1", "no table of prices"),
        ("[us-east-1.x]\n" + ENTRY, "us-east-1.x is no price that is used; allowed: cloudwatch"),
        ("[us-east-1.kms_key_month]\nusd = 1", "needs usd, date and source"),
        ("[us-east-1.kms_key_month]\n" + ENTRY + "eur = 1", "needs usd, date and source"),
        ("[us-east-1.kms_key_month]\n" + ENTRY.replace("1\n", "-1\n", 1), "not an amount"),
        ("[us-east-1.kms_key_month]\n" + ENTRY.replace("1\n", "nan\n", 1), "not an amount"),
        ("[us-east-1.kms_key_month]\n" + ENTRY.replace("2026-01-01", "'2026'"), "not a day"),
        ("[us-east-1.kms_key_month]\n" + ENTRY + "read = 'no'", "allowed: source, quoted"),
        ("[mars-1.kms_key_month]\n" + ENTRY, "missing"),
    ],
)
def test_a_wrong_price_is_told(content: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(UsageError, match=told):
        prices.prices("mars-1" if "mars" in content else "us-east-1", [path])


def test_a_region_without_prices_is_told() -> None:
    with pytest.raises(UsageError, match=r"no prices of 'cn-north-1'.*--prices"):
        prices.prices("cn-north-1", [])


def test_the_readme_tells_what_the_plan_says() -> None:
    """D6: both tables, to the cent."""
    readme = (ROOT / "README.md").read_text("utf-8")
    for name, column in (("dev.json", 2), ("prod.json", 3)):
        table = readme.split("| at rest, a month")[1].split("\n\n")[0].splitlines()
        told = float(table[-1].split("|")[column].strip(" *"))
        found = plan("--parameters", str(ROOT / "params" / name)).bill
        assert told == round(found.at_rest, 2)
    table = readme.split("| per million pictures")[1].split("\n\n")[0].splitlines()
    *parts, together = [float(line.split("|")[2].strip(" *")) for line in table[2:]]
    assert round(sum(parts), 2) == together
    assert together == pytest.approx(plan().bill.per_million, abs=0.01)
