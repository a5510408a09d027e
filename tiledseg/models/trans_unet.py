"""TransUNet: a transformer at the bottom of a U-Net.

Chen et al., "TransUNet: Transformers Make Strong Encoders for Medical Image Segmentation",
2021, in its hybrid form R50-ViT-B/16: three stages of a ResNet-50 with group normalization and
standardised kernels (Kolesnikov et al., "Big Transfer", ECCV 2020), a vision transformer on
their answer, and a decoder with three skip connections.
"""

import math

import keras
from keras import layers

from tiledseg.config import ModelSettings
from tiledseg.models.blocks import convolution, dropout, enlarge, image_input, probabilities
from tiledseg.models.layers import PositionEmbedding, StandardizedConv2D

STAGES = (3, 4, 9)
"""Units of the stages at a quarter, an eighth and a sixteenth of the image's size."""
GRID = 14
"""Side of the grid of positions: that of an image of 224 pixels."""


def build_trans_unet(settings: ModelSettings, channels: int) -> keras.Model:
    """Build TransUNet; see ``tiledseg.models.build_model`` for shapes and dtypes."""
    image, tensor = image_input(channels)
    tensor, skips = _residual_stages(tensor, 4 * settings.base_filters)
    tensor = _transformer(tensor, settings)
    base = settings.base_filters
    tensor = _convolve(tensor, 32 * base, settings, "bottom")
    for level in reversed(range(4)):
        tensor = enlarge(tensor, 2, f"enlarge{level}")
        if level:
            tensor = layers.Concatenate(name=f"join{level}")([tensor, skips[level - 1]])
        filters = base * (1, 4, 8, 16)[level]
        for index in (1, 2):
            tensor = _convolve(tensor, filters, settings, f"up{level}_{index}")
    probability = probabilities(tensor, settings.num_classes, kernel=3)
    return keras.Model(image, probability, name="TransUNet")


def _residual_stages(
    tensor: keras.KerasTensor, width: int
) -> tuple[keras.KerasTensor, list[keras.KerasTensor]]:
    """The encoder's answer, and what it has at a half, a quarter and an eighth of the size."""
    tensor = _standardize(tensor, width, 7, 2, "stem")
    tensor = layers.Activation("relu", name="stem")(tensor)
    skips = [tensor]
    tensor = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(tensor)
    for stage, units in enumerate(STAGES):
        for unit in range(units):
            stride = 2 if stage and not unit else 1
            tensor = _unit(tensor, width * 2**stage, stride, f"stage{stage}_{unit}")
        skips.append(tensor)
    return tensor, skips[:-1]


def _unit(tensor: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
    """A bottleneck: narrow, convolve, widen by four, and add to the input."""
    residual = tensor
    if stride != 1 or tensor.shape[-1] != 4 * filters:
        residual = _standardize(
            tensor, 4 * filters, 1, stride, f"{name}_residual", groups=4 * filters
        )
    tensor = _standardize(tensor, filters, 1, 1, f"{name}_narrow")
    tensor = layers.Activation("relu", name=f"{name}_narrow")(tensor)
    tensor = _standardize(tensor, filters, 3, stride, f"{name}_middle")
    tensor = layers.Activation("relu", name=f"{name}_middle")(tensor)
    tensor = _standardize(tensor, 4 * filters, 1, 1, f"{name}_widen")
    tensor = layers.Add(name=f"{name}_sum")([residual, tensor])
    return layers.Activation("relu", name=name)(tensor)


def _standardize(
    tensor: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str, groups: int = 32
) -> keras.KerasTensor:
    """A convolution with standardised kernels, normalized by groups of channels."""
    tensor = StandardizedConv2D(
        filters, kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_conv"
    )(tensor)
    return layers.GroupNormalization(math.gcd(groups, filters), epsilon=1e-6, name=f"{name}_norm")(
        tensor
    )


def _transformer(tensor: keras.KerasTensor, settings: ModelSettings) -> keras.KerasTensor:
    """Attention of every token to all others, (B, H, W, any) to (B, H, W, hidden_size)."""
    hidden, rate, heads = settings.hidden_size, settings.dropout_rate, settings.heads
    tensor = layers.Conv2D(hidden, 1, name="tokens")(tensor)
    tensor = PositionEmbedding(GRID, name="positions")(tensor)
    tensor = dropout(tensor, rate, "positions_dropout")
    for index in range(settings.num_transformer):
        name = f"transformer{index}"
        change = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm1")(tensor)
        change = layers.MultiHeadAttention(
            heads, hidden // heads, attention_axes=(1, 2), name=f"{name}_attention"
        )(change, change)
        tensor = layers.Add(name=f"{name}_attended")([tensor, change])
        change = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm2")(tensor)
        nodes = settings.mlp_nodes or 4 * hidden
        change = layers.Dense(nodes, activation="gelu", name=f"{name}_widen")(change)
        change = dropout(change, rate, f"{name}_dropout1")
        change = layers.Dense(hidden, name=f"{name}_narrow")(change)
        change = dropout(change, rate, f"{name}_dropout2")
        tensor = layers.Add(name=name)([tensor, change])
    return layers.LayerNormalization(epsilon=1e-6, name="transformer_norm")(tensor)


def _convolve(
    tensor: keras.KerasTensor, filters: int, settings: ModelSettings, name: str
) -> keras.KerasTensor:
    return convolution(tensor, filters, activation=settings.activation, name=name)
