"""Checks of linters that do not fit a resource, each with its reason beside it."""

from typing import Any


def suppress(**reasons: str) -> dict[str, Any]:
    """Return a resource's Metadata that excepts it from checks: id=reason.

    Checkov reads its own, `darkroom validate` all of them; it fails on an exception without
    reason or need.
    """
    found: dict[str, Any] = {}
    for check, reason in reasons.items():
        tool = "checkov" if check.startswith("CKV") else "darkroom"
        skips = found.setdefault(tool, {"skip": []})["skip"]
        skips.append({"id": check, "comment": reason})
    return found
