"""What a workload hands back: named outputs, or the reason why there will never be any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Reason = Literal[
    "archived",
    "corrupt",
    "deleted",
    "empty",
    "not_an_image",
    "too_large",
    "too_many_pixels",
    "too_many_scans",
    "unsupported_format",
]


@dataclass(frozen=True)
class Output:
    """One file to store.

    `name` tells it apart from the source's other outputs (`w400.webp`): 1 to 64 bytes without `/`.
    `metadata` holds ASCII strings and is stored beside the source's identity.
    """

    name: str
    body: bytes
    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)


class Rejection(Exception):  # noqa: N818 -- an end of its own, not an error of ours
    """The object will never give outputs; trying again would not help."""

    def __init__(self, reason: Reason, detail: str) -> None:
        """`reason` is for programs (a closed set), `detail` a sentence for people."""
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail
