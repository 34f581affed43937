"""What holds for every test."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from darkroom.bundle import imaging_library
from worker.imaging import resize

# The same examples each time, whatever the machine's load: new ones are for `tox -e fuzz`.
settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")

# A job in the background is started with Ctrl-C ignored, and programs under test inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart() -> None:
    """Resize as the package does, with the compiled library."""
    imaging_library.use_here()


def pytest_report_header() -> str:
    """Say what the tests resize with."""
    found = resize.is_vectorised()
    return f"resizing: {'with vectors' if found else 'Pillow alone: no ziglang, Linux or AVX2'}"


@pytest.fixture(scope="module", autouse=True)
def pillows_own_limit() -> Iterator[None]:
    """The worker sets Pillow's pixel limit for its process; a test's is not the next one's."""
    limit = Image.MAX_IMAGE_PIXELS
    yield
    Image.MAX_IMAGE_PIXELS = limit
