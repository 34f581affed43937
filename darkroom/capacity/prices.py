"""List prices by region, each with its date and its source."""

import datetime
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from darkroom.errors import UsageError
from templates import prices as shared

PRICES = Path(__file__).parent / "prices.toml"


class Price(BaseModel):
    """US dollars per unit; `read` is how surely the figure is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    usd: Annotated[float, Field(ge=0, lt=1e9, strict=True, allow_inf_nan=False)]
    date: Annotated[datetime.date, Field(strict=True)]
    source: str
    read: Literal["source", "quoted", "assumed"] = "source"
    note: str = ""


class PriceFile(RootModel[dict[str, dict[str, Price]]]):
    """A price file: prices by region and by name."""


def prices(region: str, files: list[Path]) -> dict[str, Price]:
    """Return the prices of a region, the user's files overriding ours.

    Raises:
        UsageError: A file cannot be read or is not a price file, or a price of the region is in
            none of them.
    """
    known = _read(PRICES)
    names = set(known["us-east-1"])
    for path in files:
        for place, entries in _read(path).items():
            if unknown := sorted(set(entries) - names):
                raise UsageError(
                    f"{path}: {place}.{unknown[0]} is not a price that is used;"
                    f" allowed: {', '.join(sorted(names))}"
                )
            known.setdefault(place, {}).update(entries)
    if region not in known:
        raise UsageError(
            f"no prices for {region!r}; there are prices for {', '.join(sorted(known))};"
            " give your own with --prices FILE.toml"
        )
    if missing := sorted(names - set(known[region])):
        raise UsageError(f"prices for {region!r} are missing: {', '.join(missing)}")
    return known[region]


def _read(path: Path) -> dict[str, dict[str, Price]]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    if path == PRICES:
        _add_shared(content)
    try:
        return PriceFile.model_validate(content).root
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path}: {place}: {first['msg']}") from None


def _add_shared(content: dict[str, Any]) -> None:
    """Add the figures that the dashboard uses as well: building a template reads no file."""
    for name, usd in {
        "lambda_gb_second_arm64": shared.LAMBDA_GB_SECOND_ARM64,
        "s3_thousand_writes": 1000 * shared.S3_WRITE,
        "s3_thousand_reads": 1000 * shared.S3_READ,
    }.items():
        content["us-east-1"][name]["usd"] = float(usd)
