"""Checks of linters that do not fit a resource, each with its reason beside it."""


def except_for(**reasons: str) -> dict[str, object]:
    """Return a resource's Metadata that excepts it from checks, as checkov reads it: id=reason.

    `python -m ops validate` fails on an exception without reason or need.
    """
    skip = [{"id": check, "comment": reason} for check, reason in reasons.items()]
    return {"checkov": {"skip": skip}}
