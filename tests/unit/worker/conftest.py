"""Fixtures for all tests of the worker."""

from __future__ import annotations

import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def _no_pixel_limit_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore Pillow's limit, which is global and which the worker sets."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
