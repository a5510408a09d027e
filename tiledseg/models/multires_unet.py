"""MultiResUNet: blocks that see three scales at once, and residual paths as skip connections.

Ibtehaz & Rahman, "MultiResUNet: Rethinking the U-Net architecture for multimodal biomedical
image segmentation", Neural Networks 121, 2020, with alpha = 1.67.
"""

import keras
from keras import layers

from tiledseg.config import ModelSettings
from tiledseg.models.blocks import convolution, dropout, image_input, normalize, probabilities

ALPHA = 1.67
"""A block's channels as a multiple of those of a U-Net's level (section 3.4 of the paper)."""


def build_multires_unet(settings: ModelSettings, channels: int) -> keras.Model:
    """Build the MultiResUNet; see ``tiledseg.models.build_model`` for shapes and dtypes."""
    image, tensor = image_input(channels)
    bridge = settings.num_layers - 1
    skips: list[keras.KerasTensor] = []
    for level in range(bridge):
        tensor = _block(tensor, settings, level, f"down{level}")
        skips.append(_path(tensor, settings, level, length=bridge - level))
        tensor = layers.MaxPooling2D(2, name=f"pool{level}")(tensor)
    tensor = _block(tensor, settings, bridge, "bridge")
    for level in reversed(range(bridge)):
        filters = settings.base_filters * 2**level
        tensor = layers.Conv2DTranspose(
            filters, 2, strides=2, padding="same", name=f"enlarge{level}"
        )(tensor)
        tensor = layers.Concatenate(name=f"join{level}")([tensor, skips[level]])
        tensor = _block(tensor, settings, level, f"up{level}")
    return keras.Model(image, probabilities(tensor, settings.num_classes), name="MultiResUNet")


def _block(
    tensor: keras.KerasTensor, settings: ModelSettings, level: int, name: str
) -> keras.KerasTensor:
    """Three 3 x 3 convolutions in a row, all of which are kept, beside a 1 x 1 convolution.

    They see 3, 5 and 7 pixels, and hold a sixth, a third and a half of the block's channels.
    """
    width = ALPHA * settings.base_filters * 2**level
    shares = [max(1, int(width * share)) for share in (0.167, 0.333, 0.5)]
    residual = _project(tensor, sum(shares), f"{name}_residual")
    scales: list[keras.KerasTensor] = []
    for index, filters in enumerate(shares):
        tensor = convolution(
            tensor, filters, activation=settings.activation, scale=False, name=f"{name}_{index}"
        )
        scales.append(tensor)
    joined = layers.Concatenate(name=f"{name}_scales")(scales)
    joined = normalize(joined, f"{name}_scales_norm")
    joined = dropout(joined, settings.dropout_at(level), f"{name}_dropout")
    return _merge(residual, joined, settings.activation, name)


def _path(
    tensor: keras.KerasTensor, settings: ModelSettings, level: int, *, length: int
) -> keras.KerasTensor:
    """Residual convolutions from encoder to decoder, more of them the farther apart they are."""
    filters = settings.base_filters * 2**level
    for step in range(length):
        name = f"path{level}_{step}"
        residual = _project(tensor, filters, f"{name}_residual")
        tensor = convolution(
            tensor, filters, activation=settings.activation, scale=False, name=f"{name}_main"
        )
        tensor = _merge(residual, tensor, settings.activation, name)
    return tensor


def _project(tensor: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """A 1 x 1 convolution, normalized."""
    return convolution(tensor, filters, kernel=1, activation="linear", scale=False, name=name)


def _merge(
    residual: keras.KerasTensor, tensor: keras.KerasTensor, activation: str, name: str
) -> keras.KerasTensor:
    tensor = layers.Add(name=f"{name}_sum")([residual, tensor])
    tensor = layers.Activation(activation, name=f"{name}_active")(tensor)
    return normalize(tensor, f"{name}_norm")
