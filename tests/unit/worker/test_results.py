"""worker/results.py: reasons for rejections have one form, whichever processor gives them."""

from __future__ import annotations

import pytest

from worker.results import LONGEST_REASON, Rejection


@pytest.mark.parametrize("reason", ["empty", "too_many_pages", "md5_differs", "a" * LONGEST_REASON])
def test_any_reason_in_lower_snake_case_is_allowed(reason: str) -> None:
    """C1: another processor needs no change of the worker."""
    assert Rejection(reason, "A sentence.").reason == reason


@pytest.mark.parametrize(
    "reason",
    ["", "Empty", "too many", "too-many", "_empty", "empty_", "a__b", "7up", "é", "a" * 65, "a\n"],
)
def test_another_form_is_an_error(reason: str) -> None:
    """C1: it becomes the name of a metric and an argument of a command."""
    with pytest.raises(ValueError, match="lower_snake_case"):
        Rejection(reason, "A sentence.")
