import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiledseg.config import ImageSettings
from tiledseg.data.preprocessing import (
    PixelSample,
    color_map,
    preprocess,
    preprocess_region,
    preprocessing_halo,
)
from tiledseg.errors import ImageError

RGB = np.random.default_rng(0).integers(0, 256, (19, 37, 3), dtype=np.uint8)


class TestColorSpace:
    def test_rgb_is_left_alone(self) -> None:
        np.testing.assert_array_equal(preprocess(RGB, ImageSettings()), RGB)

    @pytest.mark.parametrize(
        ("name", "code"), [("hsv", cv2.COLOR_RGB2HSV_FULL), ("lab", cv2.COLOR_RGB2LAB)]
    )
    def test_three_channels(self, name: str, code: int) -> None:
        settings = ImageSettings.model_validate({"color_space": name})
        np.testing.assert_array_equal(preprocess(RGB, settings), cv2.cvtColor(RGB, code))

    def test_gray(self) -> None:
        shown = preprocess(RGB, ImageSettings(color_space="gray", channels=1))
        assert shown.shape == (19, 37, 1)
        np.testing.assert_array_equal(shown[..., 0], cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY))

    @pytest.mark.parametrize("name", ["rgb", "hsv", "lab", "gray"])
    @pytest.mark.parametrize("gamma", [1.0, 0.6])
    @pytest.mark.parametrize("sharpening", [0.0, 1.5])
    def test_one_gray_channel_is_shown_as_three_equal_ones(
        self, name: str, gamma: float, sharpening: float
    ) -> None:
        settings = ImageSettings.model_validate(
            {
                "color_space": name,
                "channels": 1 if name == "gray" else 3,
                "gamma": gamma,
                "sharpening": sharpening,
            }
        )
        gray = RGB[..., :1]
        shown = preprocess(gray, settings)
        np.testing.assert_array_equal(shown, preprocess(np.repeat(gray, 3, axis=2), settings))
        assert shown.shape == (19, 37, settings.channels)
        assert shown.flags.c_contiguous


class TestGamma:
    def test_every_value(self) -> None:
        ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
        shown = preprocess(ramp, ImageSettings(gamma=2.0, color_space="gray", channels=1))
        expected = np.rint(255 * (ramp / 255.0) ** 2)
        np.testing.assert_array_equal(shown, expected)


class TestSharpening:
    def test_flat_stays_flat_and_edges_grow(self) -> None:
        step = np.full((20, 20, 3), 80, np.uint8)
        step[:, 10:] = 160
        shown = preprocess(step, ImageSettings(sharpening=1.0))
        assert (shown[:, :4] == 80).all()
        assert (shown[:, 9] < 80).all()
        assert (shown[:, 10] > 160).all()

    def test_acts_locally_so_that_a_tile_with_a_margin_is_enough(self) -> None:
        settings = ImageSettings(sharpening=2.0)
        whole = preprocess(RGB, settings)
        np.testing.assert_array_equal(preprocess(RGB[:, :20], settings)[:, :12], whole[:, :12])


def stained_image(height: int, width: int) -> np.ndarray:
    """Patches of two stains in changing amounts, with a little noise, on a bright slide."""
    rng = np.random.default_rng([height, width])
    stains = np.array([[0.65, 0.70, 0.29], [0.09, 0.95, 0.28]])
    amounts = np.abs(cv2.GaussianBlur(rng.normal(0, 6, (height, width, 2)), (0, 0), 4))
    light = 240 * np.exp(-amounts @ stains) + rng.normal(0, 2, (height, width, 3))
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


SHOWN = [
    {"stain": "macenko"},
    {"stain": "reinhard"},
    {"stain": "macenko", "sharpening": 2.0, "gamma": 0.7, "color_space": "hsv"},
    {"stain": "reinhard", "sharpening": 1.0, "color_space": "lab"},
    {"stain": "macenko", "color_space": "gray", "channels": 1},
    {"sharpening": 0.5},
    {},
]


class TestRegions:
    @pytest.mark.parametrize("content", SHOWN, ids=str)
    @pytest.mark.parametrize("shape", [(150, 90), (61, 1500)])
    def test_regions_look_as_the_whole_image_does(
        self, content: dict[str, object], shape: tuple[int, int]
    ) -> None:
        settings = ImageSettings.model_validate(content)
        image = stained_image(*shape)
        whole = preprocess(image, settings)
        side, margin = 37, preprocessing_halo(settings)
        places = [(y, x) for y in range(0, shape[0], side) for x in range(0, shape[1], side)]
        sample = PixelSample(*shape)
        for top, left in places[::-1]:
            sample.add(image[top : top + side, left : left + side], top, left)
        found = color_map(sample.pixels, settings)
        for top, left in places:
            above, before = min(top, margin), min(left, margin)
            region = image[top - above : top + side + margin, left - before : left + side + margin]
            shown = preprocess_region(region, settings, found)[above:, before:][:side, :side]
            np.testing.assert_array_equal(shown, whole[top : top + side, left : left + side])
        assert not content or not np.array_equal(whole, image)

    def test_a_smaller_margin_would_not_do(self) -> None:
        settings = ImageSettings(sharpening=2.0)
        margin = preprocessing_halo(settings) - 1
        whole = preprocess(RGB, settings)
        shown = preprocess_region(RGB[:, 10 - margin :], settings, None)[:, margin:]
        assert not np.array_equal(shown, whole[:, 10:])

    @given(st.integers(1, 3000), st.integers(1, 40), st.integers(1, 999), st.booleans())
    def test_a_sample_is_whole_however_it_is_gathered(
        self, long: int, short: int, side: int, upright: bool
    ) -> None:
        height, width = (long, short) if upright else (short, long)
        image = np.arange(height * width, dtype=np.uint32).view(np.uint8)
        image = image.reshape(height, width, 4)[..., :3] | 1
        once, pieces = PixelSample(height, width), PixelSample(height, width)
        once.add(image, 0, 0)
        for top in range(0, height, side):
            for left in range(0, width, side):
                pieces.add(image[top : top + side, left : left + side], top, left)
        np.testing.assert_array_equal(pieces.pixels, once.pixels)
        assert once.pixels.all()
        assert max(once.pixels.shape) <= 1024


class TestRefusals:
    @pytest.mark.parametrize(
        "image", [RGB.astype(np.float32), RGB[..., 0], np.zeros((4, 4, 2), np.uint8)]
    )
    def test_other_arrays(self, image: np.ndarray) -> None:
        with pytest.raises(ImageError, match="give \\(height, width, 1 or 3\\) in uint8"):
            preprocess(image, ImageSettings())
