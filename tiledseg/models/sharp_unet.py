"""A U-Net whose skip connections are sharpened.

Zunair & Ben Hamza, "Sharp U-Net: Depthwise Convolutional Network for Biomedical Image
Segmentation", Computers in Biology and Medicine 136, 2021: a depthwise convolution with the
fixed kernel of a 3 x 3 Laplacian, which has no weights to learn.
"""

import keras
import numpy as np
from keras import layers

from tiledseg.config import ModelSettings
from tiledseg.models.unet import build_levels, transpose_convolve

LAPLACIAN = np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], np.float32)


def build_sharp_unet(settings: ModelSettings, channels: int) -> keras.Model:
    """Build the Sharp U-Net; see ``tiledseg.models.build_model`` for shapes and dtypes."""
    return build_levels(settings, channels, transpose_convolve, _sharpen)


def _sharpen(skip: keras.KerasTensor, _: keras.KerasTensor, name: str) -> keras.KerasTensor:
    layer = layers.DepthwiseConv2D(3, padding="same", use_bias=False, trainable=False, name=name)
    sharp = layer(skip)
    kernel = np.repeat(LAPLACIAN[:, :, np.newaxis, np.newaxis], skip.shape[-1], axis=2)
    layer.set_weights([kernel])
    return sharp
