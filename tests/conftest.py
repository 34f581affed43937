"""What holds for every test."""

from collections.abc import Iterator

import pytest
from PIL import Image


@pytest.fixture(scope="module", autouse=True)
def pillows_own_limit() -> Iterator[None]:
    """The worker sets Pillow's pixel limit for its process; a test's is not the next one's."""
    limit = Image.MAX_IMAGE_PIXELS
    yield
    Image.MAX_IMAGE_PIXELS = limit
