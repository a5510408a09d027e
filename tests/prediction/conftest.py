"""A tiny network that cuts small images into many tiles, and slides for it."""

import keras
import numpy as np
import pytest
import tifffile

from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor


@pytest.fixture(scope="session")
def slide_predictor(tiny_experiment):
    """Tiles of at most 64 pixels, a network of two filters."""
    experiment = tiny_experiment(model={"base_filters": 2})
    keras.utils.set_random_seed(1)
    model = build_model(experiment.model, 3)
    noise = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    level = np.quantile(model.predict_on_batch(noise), 0.75)
    *others, bias = model.get_weights()
    model.set_weights([*others, bias - np.log(level / (1 - level))])  # a quarter is foreground
    return Predictor(model, experiment)


@pytest.fixture(scope="session")
def class_predictor(tiny_experiment):
    """The same of a background and two classes, each of which is somewhere."""
    experiment = tiny_experiment(
        dataset={"mask_form": "labels", "classes": ["background", "red cell", "platelet"]},
        model={"base_filters": 2, "num_classes": 3},
    )
    keras.utils.set_random_seed(2)
    model = build_model(experiment.model, 3)
    *others, kernel, bias = model.get_weights()
    noise = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    level = np.log(model.predict_on_batch(noise)).mean(axis=(0, 1, 2))
    model.set_weights([*others, kernel, bias - level])
    return Predictor(model, experiment)


@pytest.fixture(autouse=True)
def _few_tiles_at_once(monkeypatch):
    """Small images are predicted in one batch else, and there is nothing to stop between."""
    monkeypatch.setattr("tiledseg.tiling.execution.streaming.BATCH_PIXELS", 2 * 64 * 64)


@pytest.fixture(scope="session")
def slide_pixels():
    """Colored noise at the left, glass at the right, (150, 210, 3)."""
    rng = np.random.default_rng(7)
    pixels = rng.integers(0, 256, (150, 210, 3), np.uint8)
    pixels[:, 120:] = rng.integers(236, 242, (150, 90, 1), np.uint8)
    return pixels


@pytest.fixture
def write_slides(tmp_path, slide_pixels):
    """Writes images of one shape, so that a network is compiled once; gives their paths."""

    def write(stems):
        paths = [tmp_path / "slides" / f"{stem}.tif" for stem in stems]
        paths[0].parent.mkdir()
        for number, path in enumerate(paths):
            tifffile.imwrite(path, np.roll(slide_pixels, 20 * number, axis=1), photometric="rgb")
        return paths

    return write


@pytest.fixture
def slide_file(tmp_path, slide_pixels):
    """The pixels as a tiled TIFF with a pixel size."""
    path = tmp_path / "slides" / "s.tif"
    path.parent.mkdir()
    tifffile.imwrite(
        path, slide_pixels, photometric="rgb", tile=(64, 64), resolution=(20000, 20000),
        resolutionunit="centimeter",
    )  # fmt: skip
    return path
