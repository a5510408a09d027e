"""The flexible U-Net of the source experiments.

Ronneberger, Fischer & Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015, with padding that keeps the size, transposed convolutions, and
per-level kernels, dilation and dropout.
"""

from collections.abc import Callable

import keras
from keras import layers

from tiledseg.config import ModelSettings
from tiledseg.models.blocks import double_convolution, image_input, probabilities

Enlarge = Callable[[keras.KerasTensor, int, str], keras.KerasTensor]
Skip = Callable[[keras.KerasTensor, keras.KerasTensor, str], keras.KerasTensor]


def build_unet(settings: ModelSettings, channels: int) -> keras.Model:
    """Build the U-Net; see ``tiledseg.models.build_model`` for shapes and dtypes."""
    return build_levels(settings, channels, transpose_convolve, lambda skip, _, __: skip)


def build_levels(
    settings: ModelSettings,
    channels: int,
    enlarge: Enlarge,
    skip: Skip,
    *,
    bias: bool | None = None,
) -> keras.Model:
    """Build a network of the U-Net's shape.

    Args:
        settings: Sizes.
        channels: Channels of the image.
        enlarge: Doubles a tensor's sides: called with it, the filters to give it, and a name.
        skip: What the decoder gets of a level of the encoder: called with the level's tensor,
            the decoder's tensor of the same size, and a name.
        bias: Whether the levels' convolutions have one; see ``blocks.convolution``.
    """
    image, tensor = image_input(channels, reduction=settings.reduction)
    skips: list[keras.KerasTensor] = []
    bridge = settings.num_layers - 1
    for level in range(bridge):
        tensor = _level(tensor, settings, level, f"down{level}", bias)
        skips.append(tensor)
        tensor = layers.MaxPooling2D(2, name=f"pool{level}")(tensor)
    tensor = _level(tensor, settings, bridge, "bridge", bias)
    for level in reversed(range(bridge)):
        tensor = enlarge(tensor, _filters(settings, level), f"enlarge{level}")
        passed = skip(skips[level], tensor, f"skip{level}")
        tensor = layers.Concatenate(name=f"join{level}")([tensor, passed])
        tensor = _level(tensor, settings, level, f"up{level}", bias)
    probability = probabilities(tensor, settings.num_classes, reduction=settings.reduction)
    return keras.Model(image, probability, name=settings.architecture)


def transpose_convolve(tensor: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Double a tensor's sides by a learned filter of 2 x 2."""
    return layers.Conv2DTranspose(filters, 2, strides=2, padding="same", name=name)(tensor)


def _filters(settings: ModelSettings, level: int) -> int:
    return int(settings.base_filters * 2**level)


def _level(
    tensor: keras.KerasTensor, settings: ModelSettings, level: int, name: str, bias: bool | None
) -> keras.KerasTensor:
    return double_convolution(
        tensor,
        _filters(settings, level),
        kernel=max(3, settings.base_kernels - 2 * level),
        dilation=max(1, settings.dilation - level),
        activation=settings.activation,
        normalization=settings.normalization,
        bias=bias,
        rate=settings.dropout_at(level),
        name=name,
    )
