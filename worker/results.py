"""What an object ends as: named outputs or a rejection, and the result to report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

REASON = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
"""A rejection's reason: lower_snake_case."""

LONGEST_REASON = 64
"""Characters in a rejection's reason."""

Outcome = Literal["succeeded", "rejected", "deleted", "superseded", "skipped"]


@dataclass(frozen=True)
class Output:
    """One file to store.

    Attributes:
        name: Distinguishes the source's outputs (`w400.webp`): 1 to 64 bytes without `/`.
        body: The file's bytes.
        content_type: Its media type.
        metadata: ASCII strings or numbers, stored beside the source's identity and in the record.
    """

    name: str
    body: bytes
    content_type: str
    metadata: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Properties:
    """What the record says of an object beside its outputs.

    Attributes:
        source: Fields of the record's `source`, beside those that name the version.
        record: Further fields of the record. All are values as JSON has them.
    """

    source: Mapping[str, Any]
    record: Mapping[str, Any]


class Rejection(Exception):  # noqa: N818 -- an outcome, not an error of ours
    """The object will never give outputs; another try would not help."""

    def __init__(self, reason: str, detail: str) -> None:
        """Reject an object.

        Args:
            reason: For programs, one of few: lower_snake_case, at most 64 characters.
            detail: A sentence for people.

        Raises:
            ValueError: The reason does not have that form.
        """
        if len(reason) > LONGEST_REASON or not REASON.fullmatch(reason):
            raise ValueError(
                f"reason {reason!r}: lower_snake_case of at most {LONGEST_REASON} characters"
                " is allowed"
            )
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class WatermarkError(Exception):
    """A watermark is missing or cannot be used: the operator's fault, which no picture pays for.

    Nothing is published without it, and nothing is rejected: the message comes back.
    """


@dataclass(frozen=True)
class Result:
    """How one object ended, for its log line and for the metrics.

    Attributes:
        outcome: What became of it.
        message: A sentence for the log.
        reason: Why it was rejected or deleted.
        bytes_in: Size of the object, where it was read.
        bytes_out: Size of all outputs, where they were written.
        output_count: Number of outputs, where they were written.
        processing_ms: Milliseconds that processing took, waiting for memory included and S3 not.
        cause: The exception behind a rejection.
    """

    outcome: Outcome
    message: str
    reason: str | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    output_count: int | None = None
    processing_ms: int | None = None
    cause: BaseException | None = None
