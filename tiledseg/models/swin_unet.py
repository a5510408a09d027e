"""Swin-Unet: a U-Net of attention within windows.

Cao et al., "Swin-Unet: Unet-like Pure Transformer for Medical Image Segmentation", 2021. Levels
(four, as published) of two blocks, the second of them with shifted windows. A patch that expands
into 2 x 2 or 4 x 4 is a transposed convolution whose kernel is as large as its stride.
"""

import keras
from keras import layers

from tiledseg.config import ModelSettings
from tiledseg.models.blocks import image_input, probabilities
from tiledseg.models.layers import NeighborStack, WindowAttention


def build_swin_unet(settings: ModelSettings, channels: int) -> keras.Model:
    """Build Swin-Unet; see ``tiledseg.models.build_model`` for shapes and dtypes."""
    image, tensor = image_input(channels)
    patch, filters, levels = settings.patch_size, settings.embed_dim, settings.num_stages
    tensor = layers.Conv2D(filters, patch, strides=patch, name="patches")(tensor)
    tensor = _norm(tensor, "patches_norm")
    skips: list[keras.KerasTensor] = []
    for level in range(levels):
        if level:
            skips.append(tensor)
            tensor = _merge(tensor, f"merge{level - 1}")
        tensor = _blocks(tensor, settings, level, f"down{level}")
    tensor = _norm(tensor, "bottom_norm")
    for level in reversed(range(levels - 1)):
        tensor = _expand(tensor, filters * 2**level, 2, f"expand{level}")
        tensor = layers.Concatenate(name=f"join{level}")([tensor, skips[level]])
        tensor = layers.Dense(filters * 2**level, name=f"fuse{level}")(tensor)
        tensor = _blocks(tensor, settings, level, f"up{level}")
    tensor = _norm(tensor, "top_norm")
    tensor = _expand(tensor, filters, patch, "expand")
    return keras.Model(image, probabilities(tensor, settings.num_classes), name="SwinUNet")


def _blocks(
    tensor: keras.KerasTensor, settings: ModelSettings, level: int, name: str
) -> keras.KerasTensor:
    """Two blocks: attention and a perceptron, each added to its input."""
    channels = settings.embed_dim * 2**level
    for index in (0, 1):
        part = f"{name}_{index}"
        change = WindowAttention(
            settings.num_heads * 2**level,
            settings.window_size,
            shifted=index == 1,
            name=f"{part}_attention",
        )(_norm(tensor, f"{part}_norm1"))
        tensor = _add(tensor, change, settings.dropout_rate, f"{part}_attended")
        change = _norm(tensor, f"{part}_norm2")
        nodes = settings.mlp_nodes or 4 * channels
        change = layers.Dense(nodes, activation="gelu", name=f"{part}_widen")(change)
        change = layers.Dense(channels, name=f"{part}_narrow")(change)
        tensor = _add(tensor, change, settings.dropout_rate, part)
    return tensor


def _add(
    tensor: keras.KerasTensor, change: keras.KerasTensor, rate: float, name: str
) -> keras.KerasTensor:
    """The sum; in training, some images go without the change (stochastic depth)."""
    if rate:
        whole = layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{name}_dropout")
        change = whole(change)
    return layers.Add(name=name)([tensor, change])


def _merge(tensor: keras.KerasTensor, name: str) -> keras.KerasTensor:
    channels = tensor.shape[-1]
    tensor = _norm(NeighborStack(name=f"{name}_stack")(tensor), f"{name}_norm")
    return layers.Dense(2 * channels, use_bias=False, name=name)(tensor)


def _expand(tensor: keras.KerasTensor, filters: int, factor: int, name: str) -> keras.KerasTensor:
    tensor = layers.Conv2DTranspose(filters, factor, strides=factor, use_bias=False, name=name)(
        tensor
    )
    return _norm(tensor, f"{name}_norm")


def _norm(tensor: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.LayerNormalization(epsilon=1e-5, name=name)(tensor)
