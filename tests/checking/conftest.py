"""A sound dataset to plant faults in."""

from pathlib import Path

import pytest

from tiledseg.checking.check import check_folder
from tiledseg.checking.finding import Report
from tiledseg.config.experiment import Experiment


@pytest.fixture
def sound(tiny_dataset) -> Path:
    """ROOT/Tiny with 6 train, 3 valid and 3 test images, 96 x 96, three discs each."""
    return tiny_dataset(images=(6, 3, 3))


@pytest.fixture
def check(tiny_experiment):
    """Check a folder with crops of 96 pixels; sections may be overridden."""

    def run(folder: Path, halo: int | None = None, **sections) -> Report:
        settings = {"image": {"size": 96}, **sections}
        experiment: Experiment = tiny_experiment(**settings)
        return check_folder(folder, experiment, halo=halo)

    return run
