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
from tiledseg.config import DatasetSettings, SplitSettings
from tiledseg.data.dataset import load_dataset
from tiledseg.errors import DatasetError

TINY = DatasetSettings(name="Tiny")


def refuse(folder, **split):
    refuse_leaks(
        load_dataset(TINY, folder.parent).splits, SplitSettings.model_validate(split), folder
    )


def test_a_sound_dataset_is_let_pass(sound):
    refuse(sound)


@pytest.mark.parametrize("plant", [same_file_in_two_splits, source_in_two_splits])
def test_a_leak_is_refused(sound, plant):
    place = plant(sound)
    with pytest.raises(DatasetError) as caught:
        refuse(sound)
    for words in (str(place), "one split alone", "tiledseg check lists all"):
        assert words in str(caught.value)


def test_names_that_are_no_tiles(sound):
    source_in_two_splits(sound)
    with pytest.raises(DatasetError, match=r"dataset\.split\.tiles: false"):
        refuse(sound)
    refuse(sound, tiles=False)


def test_the_number_of_leaks_is_told(sound):
    for number in (6, 7, 9):
        shutil.copy(disc(sound, "images", number - 6), disc(sound, "images", number))
    with pytest.raises(DatasetError, match=r"\(and 2 more\)"):
        refuse(sound)


def test_an_image_twice_in_one_split_is_no_leak(sound):
    same_file_twice(sound)
    refuse(sound)


def test_training_begins_with_it(sound, tiny_experiment):
    from tiledseg.pipeline import prepare  # loads Keras

    same_file_in_two_splits(sound)
    with pytest.raises(DatasetError, match=r"disc9\.png: is the same file as disc0\.png of train"):
        prepare(tiny_experiment())


class TestGroups:
    """Discs 0 to 5 are of train, 6 to 8 of valid, 9 and more of test: see the sound dataset."""

    def test_a_group_in_two_splits_is_refused(self, sound):
        with pytest.raises(DatasetError, match=r"comes from disc, as .* of train does"):
            refuse(sound, group_pattern="^([a-z]+)")

    def test_groups_of_one_image_each_are_let_pass(self, sound):
        refuse(sound, group_pattern="([0-9]+)$")

    def test_a_stem_without_group_is_refused(self, sound):
        with pytest.raises(DatasetError, match=r"finds no group in '.*'; widen it"):
            refuse(sound, group_pattern="^(patient[0-9])")

    def test_a_file_of_groups(self, sound):
        stems = [path.stem for path in sorted(sound.glob("*/images/*"))]
        listed = sound / "patients.csv"
        rows = [f"{stem},{number}" for number, stem in enumerate(stems)]
        listed.write_text("\n".join(["stem,group", *rows]))
        refuse(sound, group_file="patients.csv")
        rows[0] = rows[0].split(",")[0] + "," + rows[-1].split(",")[1]
        listed.write_text("\n".join(["stem,group", *rows]))
        with pytest.raises(DatasetError, match="comes from"):
            refuse(sound, group_file="patients.csv")
