"""Architectures by name, and the one function that builds them."""

from collections.abc import Callable, Mapping

import keras

from tiledseg.models.unet import build_unet
from tiledseg.settings import ModelSettings

Builder = Callable[[ModelSettings, int, str], keras.Model]

ARCHITECTURES: Mapping[str, Builder] = {"UNet": build_unet}


def build_model(
    settings: ModelSettings, channels: int, *, precision: str = "float32"
) -> keras.Model:
    """Build a network with fresh weights.

    Args:
        settings: The architecture's name and sizes.
        channels: Channels of the input image.
        precision: A Keras dtype policy, for example ``mixed_bfloat16``.

    Returns:
        A functional model from images (B, H, W, channels), 0 to 255 in any dtype, to
        probabilities (B, H, W, num_classes) float32. H and W are multiples of
        ``settings.stride``.
    """
    return ARCHITECTURES[settings.architecture](settings, channels, precision)
