"""List prices by region, each with where and when it was read."""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from darkroom.errors import UsageError

PRICES = Path(__file__).parent / "prices.toml"

Read = Literal["source", "quoted", "assumed"]


@dataclass(frozen=True)
class Price:
    """US dollars for one unit; where and when that was read, and how surely."""

    usd: float
    date: str
    source: str
    read: Read
    note: str = ""


def prices(region: str, files: list[Path]) -> dict[str, Price]:
    """Return the prices of a region, those of the user's files over our own.

    Raises UsageError: a file cannot be read or has another shape, or the region is not in any.
    """
    known = _table(PRICES)
    names = set(known["us-east-1"])
    for path in files:
        for place, entries in _table(path).items():
            if unknown := sorted(set(entries) - names):
                raise UsageError(
                    f"{path}: {place}.{unknown[0]} is no price that is used;"
                    f" allowed: {', '.join(sorted(names))}"
                )
            known.setdefault(place, {}).update(entries)
    if region not in known:
        raise UsageError(
            f"no prices of {region!r}: there are those of {', '.join(sorted(known))};"
            " give your own with --prices FILE.toml"
        )
    if missing := sorted(names - set(known[region])):
        raise UsageError(f"prices of {region!r} are missing: {', '.join(missing)}")
    return known[region]


def _table(path: Path) -> dict[str, dict[str, Price]]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    found: dict[str, dict[str, Price]] = {}
    for region, entries in content.items():
        if not isinstance(entries, dict):
            raise UsageError(f"{path}: {region} is no table of prices, like [us-east-1.NAME]")
        found[region] = {
            name: _price(f"{path}: {region}.{name}", entry) for name, entry in entries.items()
        }
    return found


def _price(where: str, entry: Any) -> Price:
    allowed = {"usd", "date", "source", "read", "note"}
    if not isinstance(entry, dict) or not {"usd", "date", "source"} <= set(entry) <= allowed:
        raise UsageError(f"{where}: needs usd, date and source; read and note may be there")
    usd, date, read = entry["usd"], entry["date"], entry.get("read", "source")
    if isinstance(usd, bool) or not isinstance(usd, int | float) or not 0 <= usd < 1e9:
        raise UsageError(f"{where}: usd is {usd!r}, not an amount of dollars")
    if not isinstance(date, datetime.date) or isinstance(date, datetime.datetime):
        raise UsageError(f"{where}: date is {date!r}, not a day like 2026-01-31, without quotes")
    if read not in get_args(Read):
        raise UsageError(f"{where}: read is {read!r}; allowed: {', '.join(get_args(Read))}")
    return Price(
        float(usd), date.isoformat(), str(entry["source"]), read, str(entry.get("note", ""))
    )
