"""The measured pictures: what is written into a camera file, and what stays."""

from pathlib import Path

import pytest
from PIL import Image

from benchmarks import camera_files, pictures


@pytest.mark.parametrize("order", ["<", ">"])
def test_another_orientation_leaves_all_other_bytes_alone(tmp_path: Path, order: str) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    exif = Image.Exif()
    exif.endian = order
    exif[pictures._ORIENTATION_TAG] = 1
    Image.radial_gradient("L").save(source, "JPEG", exif=exif)
    pictures._turned(6)(source, target)
    with Image.open(target) as picture:
        assert picture.getexif()[pictures._ORIENTATION_TAG] == 6
    before, after = source.read_bytes(), target.read_bytes()
    assert len(before) == len(after)
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


def test_a_file_without_orientation_is_not_taken_for_a_turned_one(tmp_path: Path) -> None:
    source = tmp_path / "source"
    Image.radial_gradient("L").save(source, "JPEG")
    with pytest.raises(ValueError, match="no EXIF orientation"):
        pictures._turned(6)(source, tmp_path / "target")


def test_what_is_not_as_it_came_says_how_it_was_made() -> None:
    for recipe in pictures.RECIPES:
        assert recipe.source in camera_files.FILES
        assert (recipe.step is None) == (not recipe.how), recipe.name
        assert recipe.step or recipe.stand_in, f"{recipe.name} could not be made of samples"
