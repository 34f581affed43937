"""The check of speed: which ratios are a loss, and which are noise."""

import json

from benchmarks import pictures
from benchmarks.regression import PICTURES, STORED, losses

STORED_RATIOS = {"jpeg": 0.8, "png": 2.0}


def test_a_loss_of_a_fifth_is_noticed_on_one_picture_alone() -> None:
    assert list(losses({"jpeg": 0.8 * 1.2, "png": 2.0}, STORED_RATIOS)) == [
        "jpeg: 0.96 instead of 0.80, 20% more"
    ]
    slowed = {picture: ratio * 1.25 for picture, ratio in STORED_RATIOS.items()}
    assert len(list(losses(slowed, STORED_RATIOS))) == 2


def test_noise_and_gains_are_no_loss() -> None:
    assert not list(losses({"jpeg": 0.8 * 1.1, "png": 2.0 * 0.9}, STORED_RATIOS))


def test_a_picture_without_a_stored_ratio_does_not_pass_unnoticed() -> None:
    assert list(losses({"webp": 1.0}, STORED_RATIOS))


def test_the_stored_ratios_are_those_of_the_measured_pictures() -> None:
    names = {recipe.name for recipe in pictures.RECIPES}
    assert set(PICTURES) <= names
    for ratios in json.loads(STORED.read_text("utf-8")).values():
        assert ratios.keys() == set(PICTURES)
