"""The preview shows what training gets."""

import numpy as np
import pytest

from tiledseg.checking.preview import SAMPLES, preview_sheet, write_preview
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import load_dataset
from tiledseg.errors import DatasetError


@pytest.mark.parametrize(
    "image", [{}, {"color_space": "hsv"}, {"color_space": "lab"}, {"channels": 1}]
)
def test_samples_beside_their_masks(sound, tiny_experiment, image):
    if "channels" in image:
        image = {**image, "color_space": "gray"}
    experiment = tiny_experiment(image=image, augmentation={"hue": 0.0, "color_cast": 0.0})
    dataset = load_dataset(experiment.dataset, sound.parent)
    sheet = preview_sheet(dataset.splits["train"], experiment, PixelCache())
    assert sheet.dtype == np.uint8
    shown, mask = sheet[6:246, 6:246].astype(int), sheet[6:246, 252:492]
    assert set(np.unique(mask)) <= {0, 255}
    dark = shown.sum(axis=2) < 450
    # Discs are dark on a bright ground: the mask beside a sample lies where it is dark.
    assert (dark == (mask[..., 0] > 0)).mean() > 0.9
    assert sheet.shape == (756, 1992, 3)
    assert SAMPLES == 12


def test_nothing_to_show(sound, check, tiny_experiment, tmp_path):
    for path in (sound / "train" / "images").iterdir():
        path.write_text("not an image")
    with pytest.raises(DatasetError, match="no training image can be read"):
        write_preview(check(sound), tiny_experiment(), tmp_path / "preview.png")
