"""The flexible U-Net of the source experiments.

Ronneberger, Fischer & Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015, with padding that keeps the size, transposed convolutions, and
per-level kernels, dilation and dropout.
"""

import keras
from keras import layers

from tiledseg.models.blocks import double_convolution, image_input, probabilities
from tiledseg.settings import ModelSettings


def build_unet(settings: ModelSettings, channels: int, precision: str) -> keras.Model:
    """Build the U-Net; see ``tiledseg.models.build_model`` for shapes and dtypes."""
    image, tensor = image_input(channels, precision, reduction=settings.reduction)
    skips: list[keras.KerasTensor] = []
    bridge = settings.num_layers - 1
    for level in range(bridge):
        tensor = _level(tensor, settings, level, precision, f"down{level}")
        skips.append(tensor)
        tensor = layers.MaxPooling2D(2, dtype=precision, name=f"pool{level}")(tensor)
    tensor = _level(tensor, settings, bridge, precision, "bridge")
    for level in reversed(range(bridge)):
        tensor = layers.Conv2DTranspose(
            _filters(settings, level),
            2,
            strides=2,
            padding="same",
            dtype=precision,
            name=f"enlarge{level}",
        )(tensor)
        tensor = layers.Concatenate(dtype=precision, name=f"join{level}")([tensor, skips[level]])
        tensor = _level(tensor, settings, level, precision, f"up{level}")
    probability = probabilities(tensor, settings.num_classes, reduction=settings.reduction)
    return keras.Model(image, probability, name="UNet")


def _filters(settings: ModelSettings, level: int) -> int:
    return int(settings.base_filters * 2**level)


def _level(
    tensor: keras.KerasTensor, settings: ModelSettings, level: int, precision: str, name: str
) -> keras.KerasTensor:
    return double_convolution(
        tensor,
        _filters(settings, level),
        kernel=max(3, settings.base_kernels - 2 * level),
        dilation=max(1, settings.dilation - level),
        activation=settings.activation,
        normalization=settings.normalization,
        dropout=settings.dropout_rate * (level + 1),
        precision=precision,
        name=name,
    )
