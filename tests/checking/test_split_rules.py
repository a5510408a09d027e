"""Splits that share what they must not share are refused before a training."""

import shutil

import pytest
from faults_to_plant import (
    disc,
    same_file_in_two_splits,
    same_file_twice,
    source_in_two_splits,
)

from tiledseg.checking.split_rules import refuse_leaks
from tiledseg.data.dataset import load_dataset
from tiledseg.errors import DatasetError
from tiledseg.settings import DatasetSettings

TINY = DatasetSettings(name="Tiny")


def test_a_sound_dataset_is_let_pass(sound):
    refuse_leaks(load_dataset(TINY, sound.parent).splits)


@pytest.mark.parametrize("plant", [same_file_in_two_splits, source_in_two_splits])
def test_a_leak_is_refused(sound, plant):
    place = plant(sound)
    with pytest.raises(DatasetError) as caught:
        refuse_leaks(load_dataset(TINY, sound.parent).splits)
    for words in (str(place), "one split alone", "tiledseg check lists all"):
        assert words in str(caught.value)


def test_the_number_of_leaks_is_told(sound):
    for number in (6, 7, 9):
        shutil.copy(disc(sound, "images", number - 6), disc(sound, "images", number))
    with pytest.raises(DatasetError, match=r"\(and 2 more\)"):
        refuse_leaks(load_dataset(TINY, sound.parent).splits)


def test_an_image_twice_in_one_split_is_no_leak(sound):
    same_file_twice(sound)
    refuse_leaks(load_dataset(TINY, sound.parent).splits)


def test_training_begins_with_it(sound, tiny_experiment):
    from tiledseg.pipeline import prepare  # loads Keras

    same_file_in_two_splits(sound)
    with pytest.raises(DatasetError, match=r"disc9\.png: is the same file as disc0\.png of train"):
        prepare(tiny_experiment())
