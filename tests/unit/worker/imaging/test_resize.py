"""worker.imaging.resize: what Pillow makes, to the byte."""

import ctypes
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from darkroom.bundle import imaging_library
from worker.imaging import resize as resizing
from worker.imaging.resize import resize

MODES = ("L", "RGB", "RGBX", "RGBa", "RGBA", "CMYK", "YCbCr", "LAB")
FILTERS = (
    *(Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.HAMMING),
    *(Image.Resampling.BICUBIC, Image.Resampling.LANCZOS),
)
LENGTHS = st.one_of(st.integers(1, 40), st.integers(1, 400))
SHARES = st.one_of(st.just((0.0, 1.0)), st.tuples(st.floats(0, 1), st.floats(0, 1)))


@pytest.fixture(autouse=True)
def vectors() -> None:
    if not resizing.is_vectorised():
        pytest.skip("resizing: Pillow alone")


def noise(mode: str, size: tuple[int, int], seed: int, *, extreme: bool = False) -> Image.Image:
    """Return an image of random bytes; of 0 and 255 alone, where sums are largest."""
    length = size[0] * size[1] * len(Image.new(mode, (1, 1)).getbands())
    values = random.Random(seed).randbytes(length)  # noqa: S311 -- not for secrets
    if extreme:
        values = bytes(255 * (one & 1) for one in values)
    return Image.frombytes(mode, size, values)


@settings(max_examples=300)
@example("L", (29, 40), (4, 9), FILTERS[1], (0.0, 1.0), (0.0, 1.0), 1, False)  # down first
@example("RGB", (400, 1), (1, 1), FILTERS[4], (0.0, 1.0), (0.0, 1.0), 1, True)
@example("L", (1, 400), (400, 1), FILTERS[4], (0.0, 1.0), (0.0, 1.0), 1, True)
@example("RGBA", (33, 33), (33, 33), FILTERS[3], (0.0, 1.0), (0.0, 1.0), 1, False)
@example("L", (50, 50), (7, 7), FILTERS[0], (0.5, 0.5), (0.3, 0.3), 1, False)  # an empty box
@given(
    mode=st.sampled_from(MODES),
    size=st.tuples(LENGTHS, LENGTHS),
    wanted=st.tuples(LENGTHS, LENGTHS),
    resample=st.sampled_from(FILTERS),
    across=SHARES,
    down=SHARES,
    seed=st.integers(0, 1 << 32),
    extreme=st.booleans(),
)
def test_it_makes_what_pillow_makes(
    mode: str,
    size: tuple[int, int],
    wanted: tuple[int, int],
    resample: Image.Resampling,
    across: tuple[float, float],
    down: tuple[float, float],
    seed: int,
    extreme: bool,
) -> None:
    """P8: whichever of the two resizes, the outputs have the same bytes."""
    image = noise(mode, size, seed, extreme=extreme)
    (left, right), (top, bottom) = sorted(across), sorted(down)
    box = left * size[0], top * size[1], right * size[0], bottom * size[1]
    expected = image.resize(wanted, resample, box)
    found = resize(image, wanted, resample, box)
    assert (found.mode, found.size) == (expected.mode, expected.size)
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("resample", FILTERS)
def test_it_does_so_for_a_photograph_of_megapixels(mode: str, resample: Image.Resampling) -> None:
    """P8: also in more memory than Pillow has in one block by itself."""
    image = noise(mode, (2449, 3265), 7)
    expected = image.resize((900, 1200), resample)
    assert resize(image, (900, 1200), resample).tobytes() == expected.tobytes()


@pytest.mark.parametrize("mode", ["1", "P", "LA", "I", "F", "I;16"])
def test_other_modes_and_filters_are_pillows(mode: str) -> None:
    image = Image.linear_gradient("L").convert(mode if mode != "I;16" else "I").convert(mode)
    expected = image.resize((31, 17), Image.Resampling.BICUBIC)
    assert resize(image, (31, 17), Image.Resampling.BICUBIC).tobytes() == expected.tobytes()
    nearest = Image.Resampling.NEAREST
    grey = Image.linear_gradient("L")
    assert resize(grey, (9, 9), nearest).tobytes() == grey.resize((9, 9), nearest).tobytes()


@pytest.mark.parametrize(
    ("size", "box"),
    [((0, 5), None), ((5, 5), (-1, 0, 5, 5)), ((5, 5), (0, 0, 11, 5)), ((5, 5), (6, 0, 5, 5))],
)
def test_what_pillow_refuses_is_refused(
    size: tuple[int, int], box: tuple[float, float, float, float] | None
) -> None:
    """P9: no memory is read that is not the image's."""
    with pytest.raises(ValueError, match=r"must be > 0|can't be|can't exceed"):
        resize(Image.new("L", (10, 10)), size, Image.Resampling.BOX, box)


def test_much_scratch_memory_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """P9: a line of a million pixels is Pillow's, whose memory is estimated."""
    taken: list[int] = []

    def allocate(size: int) -> bytearray:
        taken.append(size)
        return bytearray(size)

    monkeypatch.setattr(resizing, "bytearray", allocate, raising=False)
    line = noise("RGB", (1_000_000, 1), 3)
    expected = line.resize((1200, 1), Image.Resampling.LANCZOS)
    assert resize(line, (1200, 1), Image.Resampling.LANCZOS).tobytes() == expected.tobytes()
    assert taken == []
    resize(noise("RGB", (10_000, 10), 3), (1200, 1), Image.Resampling.LANCZOS)
    assert 0 < taken[0] <= 4 << 20


@pytest.fixture
def _restored() -> Iterator[None]:
    yield
    imaging_library.use_here()


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("content", [None, b"", b"\x7fELF of another kind"])
def test_without_the_library_pillow_resizes(content: bytes | None, tmp_path: Path) -> None:
    """P8: a library that is missing, or for another system, costs time and nothing else."""
    library = tmp_path / "resize.so"
    if content is not None:
        library.write_bytes(content)
    resizing.use(library)
    assert not resizing.is_vectorised()
    image = noise("RGB", (64, 48), 5)
    expected = image.resize((20, 15), Image.Resampling.LANCZOS)
    assert resize(image, (20, 15), Image.Resampling.LANCZOS).tobytes() == expected.tobytes()


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize(
    "kernel",
    [
        lambda *_: 0,  # a processor without the instructions
        lambda *_: 1,  # touches nothing
    ],
)
def test_a_library_that_does_otherwise_is_not_used(
    kernel: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P8: its results are compared with Pillow's once, before it is used."""
    resizing._kernel.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: type("Library", (), {"darkroom_resize": kernel}))
    assert not resizing.is_vectorised()
