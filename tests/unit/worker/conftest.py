"""What every test of the worker starts from."""

from __future__ import annotations

import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def _no_pixel_limit_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back Pillow's limit, one for the process, which the worker sets to its own."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
