"""Two slides of one tissue, stained and scanned differently, look alike afterwards."""

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from tiledseg.config import ImageSettings, StainReference
from tiledseg.data.preprocessing import preprocess
from tiledseg.data.stain import color_map

RUIFROK = np.array([[0.65, 0.70, 0.29], [0.09, 0.95, 0.28]])
OTHER = np.array([[0.60, 0.75, 0.35], [0.20, 0.90, 0.40]])
REFERENCE = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])


def tissue(stains: np.ndarray, strength: float, seed: int = 0) -> np.ndarray:
    """Amounts of both stains in patches, with places of one alone; the same for a seed."""
    rng = np.random.default_rng(seed)
    amounts = np.abs(cv2.GaussianBlur(rng.normal(0, 1, (120, 160, 2)), (0, 0), 5)) * 14
    amounts[:40, :, 0] = amounts[-40:, :, 1] = 0.0
    amounts[40:80, :40] = 0.0
    stains = stains / np.linalg.norm(stains, axis=1, keepdims=True)
    light = 240 * np.exp(-strength * amounts @ stains) - 1
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def shown(image: np.ndarray, stain: str) -> np.ndarray:
    return preprocess(image, ImageSettings.model_validate({"stain": stain})).astype(int)


class TestNormalization:
    @pytest.mark.parametrize(("stain", "closer"), [("macenko", 0.2), ("reinhard", 0.6)])
    def test_two_stainings_come_together(self, stain: str, closer: float) -> None:
        dark, pale = tissue(RUIFROK, 1.1), tissue(OTHER, 0.6)
        apart = np.abs(dark.astype(int) - pale).mean()
        assert np.abs(shown(dark, stain) - shown(pale, stain)).mean() < closer * apart

    @pytest.mark.parametrize(("stains", "strength"), [(RUIFROK, 1.0), (OTHER, 0.7)])
    def test_macenko_finds_the_stains_and_their_amounts(
        self, stains: np.ndarray, strength: float
    ) -> None:
        """Where there was one stain alone there is the reference's, as strong as the reference."""
        image = tissue(stains, strength)
        found = color_map(image, ImageSettings(stain="macenko"))
        assert found is not None
        after = -np.log((found.apply(image) + 1.0) / 240)
        before = -np.log((image + 1.0) / 240)
        for rows, direction in ((slice(-40, None), REFERENCE[0]), (slice(0, 40), REFERENCE[1])):
            alone = after[rows][before[rows].min(axis=2) > 0.2]
            mean = alone.mean(axis=0) / np.linalg.norm(alone.mean(axis=0))
            assert mean @ direction > 0.995
        stained = after[(before >= 0.15).all(axis=2)]
        amounts = np.percentile(stained @ np.linalg.pinv(REFERENCE), 99, axis=0)
        np.testing.assert_allclose(amounts, [1.9705, 1.0308], rtol=0.1)

    def test_reinhard_gives_stained_pixels_the_mean_and_spread_of_the_reference(self) -> None:
        image = tissue(RUIFROK, 0.7)
        density = -np.log((image + 1.0) / 240)
        stained = (density >= 0.15).all(axis=2)
        lab = cv2.cvtColor(shown(image, "reinhard").astype(np.uint8), cv2.COLOR_RGB2LAB)[stained]
        np.testing.assert_allclose(lab.mean(axis=0), [160, 156, 112], atol=4)
        np.testing.assert_allclose(lab.std(axis=0), [45, 16, 13], atol=5)

    @pytest.mark.parametrize("stain", ["macenko", "reinhard"])
    def test_the_reference_decides(self, stain: str) -> None:
        image = tissue(RUIFROK, 0.8)
        own = StainReference(densities="0.9 0.4", lab_mean="190 150 120")
        settings = ImageSettings.model_validate({"stain": stain, "stain_reference": own})
        assert preprocess(image, settings).mean() > shown(image, stain).mean() + 10


class TestImagesWithoutStain:
    @pytest.mark.parametrize("stain", ["macenko", "reinhard"])
    @pytest.mark.parametrize(
        "image",
        [
            np.full((50, 40, 3), 255, np.uint8),
            np.zeros((50, 40, 3), np.uint8),
            np.full((50, 40, 3), (250, 240, 251), np.uint8),
            np.repeat(tissue(RUIFROK, 1.0)[..., :1], 3, axis=2),
            tissue(RUIFROK, 1.0)[..., :1],
            np.full((1, 1, 3), (200, 10, 10), np.uint8),
        ],
        ids=["white", "black", "slide", "gray in three", "gray", "one pixel"],
    )
    def test_are_left_alone(self, stain: str, image: np.ndarray) -> None:
        settings = ImageSettings.model_validate({"stain": stain})
        expected = np.broadcast_to(image, (*image.shape[:2], 3))
        np.testing.assert_array_equal(preprocess(image, settings), expected)

    def test_one_stain_is_not_taken_for_two(self) -> None:
        image = np.full((60, 60, 3), 255, np.uint8)
        amounts = np.linspace(0.3, 2.0, 60)[:, np.newaxis]
        image[:] = (240 * np.exp(-amounts @ RUIFROK[:1]))[:, np.newaxis]
        assert color_map(image, ImageSettings(stain="macenko")) is None

    def test_a_faint_image_is_not_blown_up(self) -> None:
        """A speck of dust on a bare slide does not turn its noise into tissue."""
        rng = np.random.default_rng(0)
        image = (245 + rng.integers(-3, 4, (100, 100, 3))).astype(np.uint8)
        image[50:60, 50:60] = tissue(RUIFROK, 0.6)[60:70, 60:70]
        for stain in ("macenko", "reinhard"):
            assert shown(image, stain)[:40].min() > 200


class TestReference:
    @pytest.mark.parametrize(
        ("key", "text", "words"),
        [
            ("eosin", "0.2 0.8", "is not 3 numbers"),
            ("eosin", "0.2 0.8 red", "is not 3 numbers"),
            ("densities", "1 2 3", "is not 2 numbers"),
            ("densities", "1 0", "must be more than 0"),
            ("lab_mean", "nan 1 1", "is not 3 numbers"),
            ("lab_mean", "-1 1 1", "from 0 to 255"),
            ("lab_spread", "0 1 1", "must be more than 0"),
            ("hematoxylin", "0 0 0", "must be more than 0"),
            ("hematoxylin", "0.4318 1.6024 1.1162", "have one color"),
        ],
    )
    def test_refusals(self, key: str, text: str, words: str) -> None:
        with pytest.raises(ValidationError, match=words):
            StainReference.model_validate({key: text})
