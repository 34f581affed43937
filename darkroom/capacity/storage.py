"""What stored pictures cost: those of one month, and all of them after some months."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from darkroom.capacity import log_archive
from darkroom.capacity.cost import BillLine, access_log_bytes, flow_log_bytes, log_bytes
from darkroom.capacity.model import CapacityModel
from darkroom.capacity.prices import Price
from darkroom.capacity.service import area
from darkroom.capacity.stack import Archive, StackFigures
from darkroom.capacity.text import amount
from darkroom.capacity.workload import TypicalPicture
from darkroom.console.option_types import MONTH_SECONDS

MONTHS = (1, 12, 36)
"""After how many months of this demand the bill is shown."""

SUGGESTED = Archive(days=30, storage_class="GLACIER_IR")
"""What is compared where nothing is specified."""

MINIMUM_BYTES = 128 * 1024
"""S3 moves no smaller object to these classes (pitfall 83)."""

MONTH_DAYS = MONTH_SECONDS / 86_400

INFREQUENT_DAYS, ARCHIVED_DAYS = 30, 90
"""After these S3 Intelligent-Tiering moves an object that nobody reads to cheaper tiers.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/intelligent-tiering-overview.html
"""

# Bytes per pixel of a thumbnail: the benchmark's tables of similarity and of encoders; PNG is of
# photographs, the sample ones among them, at 400 and 1,200 pixels.
_THUMBNAIL_BYTES = {"jpeg": 0.24, "webp": 0.16, "avif": 0.13, "png": 1.73}


@dataclass(frozen=True, kw_only=True)
class StoredMonths:
    """The monthly bill after some months of this demand, in US dollars."""

    months: int
    unarchived_usd: float
    archived_usd: float | None
    """With the archive; None where the source can have none."""


@dataclass(frozen=True, kw_only=True)
class Storage:
    """What is stored costs; not in the sums of the bill."""

    lines: list[BillLine]
    """Of what one month brings, for each month that it is kept."""

    move: BillLine | None
    """Of what one month brings, once; None where nothing moves."""

    archive: Archive | None
    """As specified, or as suggested; None where the source can have none."""

    is_specified: bool
    months: list[StoredMonths]

    @property
    def advice(self) -> str:
        """Return what `archive_after_days` would save, or nothing."""
        year = next(one for one in self.months if one.months == 12)
        if self.is_specified or not self.archive or year.archived_usd is None:
            return ""
        saved = year.unarchived_usd - year.archived_usd
        if saved < 0.01:
            return ""
        return (
            f"archive_after_days = {self.archive.days} saves {amount(saved)} of"
            f" {amount(year.unarchived_usd)} USD a month after a year."
        )


@dataclass(frozen=True)
class _Tier:
    """A price per GB and month, from an age in days on."""

    item: str
    days: float
    price: str


def storage(capacity: CapacityModel, known: Mapping[str, Price]) -> Storage:
    """Return what storage costs at this demand."""
    service, stack = capacity.service, capacity.service.stack
    month = capacity.demand.rate * MONTH_SECONDS

    def gigabytes(size: float) -> float:
        return month * size / 1e9

    large = [picture for picture in service.pictures if picture.file_bytes >= MINIMUM_BYTES]
    uploads, movable, thumbnails = (
        gigabytes(sum(sizes))
        for sizes in (
            [picture.share * picture.file_bytes for picture in service.pictures],
            [picture.share * picture.file_bytes for picture in large],
            [picture.share * _thumbnail_bytes(stack, picture) for picture in service.pictures],
        )
    )
    moved = month * sum(picture.share for picture in large)
    archived = log_bytes(capacity, capacity.batch) if stack.archives_logs else 0.0
    if stack.flow_log == "bucket":
        archived += flow_log_bytes(capacity, capacity.batch)
    archived *= log_archive.COMPRESSED / 1e9
    access_logs = access_log_bytes(capacity) / 1e9
    log_months = stack.log_days / MONTH_DAYS

    def line(item: str, units: float, price: str) -> BillLine:
        return BillLine(item, units, price, units * known[price].usd)

    def move(archive: Archive) -> BillLine:
        price = f"s3_{archive.price_name}_thousand_transitions"
        return line(f"moves to {archive.storage_class}, thousands", moved / 1e3, price)

    def usd(months: int, archive: Archive | None) -> float:
        """Return the bill of a month, after `months` of this demand."""
        total = months * (uploads - movable + thumbnails) * known["s3_gb_month"].usd
        total += min(months, log_months) * (archived + access_logs) * known["s3_gb_month"].usd
        for tier, kept in _kept(archive, months):
            total += movable * kept * known[tier.price].usd
        if not archive or months * MONTH_DAYS <= archive.days:
            return total
        total += move(archive).usd
        if archive.is_monitored:
            aged = months - archive.days / MONTH_DAYS
            total += moved / 1e3 * aged * known["s3_intelligent_tiering_thousand_objects"].usd
        return total

    specified = stack.archive
    compared = specified or (SUGGESTED if stack.can_archive else None)
    lines = [
        line("uploads, GB", uploads, "s3_gb_month"),
        line("thumbnails, GB", thumbnails, "s3_gb_month"),
        *(line(tier.item, movable, tier.price) for tier in _tiers(specified)[1:]),
    ]
    if specified and specified.is_monitored:
        price = "s3_intelligent_tiering_thousand_objects"
        lines.append(line("monitored uploads, thousands", moved / 1e3, price))
    if stack.archives_logs:
        lines.append(line("log archive, GB", archived, "s3_gb_month"))
    if stack.keeps_access_logs:
        lines.append(line("S3 access logs, GB", access_logs, "s3_gb_month"))
    return Storage(
        lines=lines,
        move=move(specified) if specified else None,
        archive=compared,
        is_specified=specified is not None,
        months=[
            StoredMonths(
                months=months,
                unarchived_usd=usd(months, None),
                archived_usd=usd(months, compared) if compared else None,
            )
            for months in MONTHS
        ],
    )


def _tiers(archive: Archive | None) -> list[_Tier]:
    """Return the prices of an upload by its age."""
    found = [_Tier("uploads", 0, "s3_gb_month")]
    if archive:
        later = (
            [
                (INFREQUENT_DAYS, "s3_intelligent_tiering_infrequent_gb_month"),
                (ARCHIVED_DAYS, "s3_intelligent_tiering_archive_gb_month"),
            ]
            if archive.is_monitored
            else [(0, "s3_glacier_ir_gb_month")]
        )
        for days, price in later:
            age = archive.days + days
            found.append(_Tier(f"uploads after {age} days, GB", age, price))
    return found


def _kept(archive: Archive | None, months: float) -> Iterator[tuple[_Tier, float]]:
    """Yield each tier with how many months' uploads are in it after `months`."""
    tiers = _tiers(archive)
    ends = [*(tier.days for tier in tiers[1:]), math.inf]
    for tier, end in zip(tiers, ends, strict=True):
        yield tier, max(0.0, min(months, end / MONTH_DAYS) - tier.days / MONTH_DAYS)


def _thumbnail_bytes(stack: StackFigures, picture: TypicalPicture) -> float:
    return sum(
        area(picture, width) * 1e6 * _THUMBNAIL_BYTES[format_name]
        for width, format_name in stack.outputs
    )
