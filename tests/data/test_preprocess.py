import cv2
import numpy as np
import pytest

from tiledseg.data.preprocess import preprocess
from tiledseg.errors import ImageError
from tiledseg.settings import ImageSettings

RGB = np.random.default_rng(0).integers(0, 256, (19, 37, 3), dtype=np.uint8)


class TestColourSpace:
    def test_rgb_is_left_alone(self) -> None:
        np.testing.assert_array_equal(preprocess(RGB, ImageSettings()), RGB)

    @pytest.mark.parametrize(
        ("name", "code"), [("hsv", cv2.COLOR_RGB2HSV_FULL), ("lab", cv2.COLOR_RGB2LAB)]
    )
    def test_three_channels(self, name: str, code: int) -> None:
        settings = ImageSettings.model_validate({"color_space": name})
        np.testing.assert_array_equal(preprocess(RGB, settings), cv2.cvtColor(RGB, code))

    def test_grey(self) -> None:
        shown = preprocess(RGB, ImageSettings(color_space="gray", channels=1))
        assert shown.shape == (19, 37, 1)
        np.testing.assert_array_equal(shown[..., 0], cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY))

    @pytest.mark.parametrize("name", ["rgb", "hsv", "lab", "gray"])
    @pytest.mark.parametrize("gamma", [1.0, 0.6])
    @pytest.mark.parametrize("sharpening", [0.0, 1.5])
    def test_one_grey_channel_is_shown_as_three_equal_ones(
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
        grey = RGB[..., :1]
        shown = preprocess(grey, settings)
        np.testing.assert_array_equal(shown, preprocess(np.repeat(grey, 3, axis=2), settings))
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


class TestRefusals:
    @pytest.mark.parametrize(
        "image", [RGB.astype(np.float32), RGB[..., 0], np.zeros((4, 4, 2), np.uint8)]
    )
    def test_other_arrays(self, image: np.ndarray) -> None:
        with pytest.raises(ImageError, match="give \\(height, width, 1 or 3\\) in uint8"):
            preprocess(image, ImageSettings())
