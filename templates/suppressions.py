"""Linter checks that do not fit a resource, each with its reason."""

from typing import Any

WHOLE_BUCKET = "The source is the whole bucket: prefixes has an empty prefix"


def suppress(**reasons: str) -> dict[str, Any]:
    """Return a resource's Metadata that suppresses checks, as id=reason.

    Checkov reads its own ids and `darkroom validate` all of them; it fails on a suppression
    without a reason and on one that is not needed.
    """
    found: dict[str, Any] = {}
    for check, reason in reasons.items():
        tool = "checkov" if check.startswith("CKV") else "darkroom"
        skips = found.setdefault(tool, {"skip": []})["skip"]
        skips.append({"id": check, "comment": reason})
    return found
