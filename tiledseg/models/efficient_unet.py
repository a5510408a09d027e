"""A U-Net whose encoder is an EfficientNet.

Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019.
The decoder is that of a U-Net; its five levels take the last tensors of the encoder at each
size, those of the widened blocks.
"""

import keras
from keras import layers

from tiledseg.config import ModelSettings
from tiledseg.models.blocks import double_convolution, enlarge, probabilities
from tiledseg.models.encoders import efficientnet_encoder, freeze_first_layers

SKIPS = (
    "block2a_expand_activation",
    "block3a_expand_activation",
    "block4a_expand_activation",
    "block6a_expand_activation",
)
"""Layers of the encoder at a half, a quarter, an eighth and a sixteenth of the image's size."""


def build_efficient_unet(settings: ModelSettings, channels: int) -> keras.Model:
    """Build the network; see ``tiledseg.models.build_model`` for shapes and dtypes."""
    encoder = efficientnet_encoder(settings, channels)
    freeze_first_layers(encoder, settings.trained_encoder_layers)
    tensor = encoder.output
    skips = [None, *(encoder.get_layer(name).output for name in SKIPS)]
    for level in reversed(range(len(skips))):
        tensor = enlarge(tensor, 2, f"enlarge{level}")
        if skips[level] is not None:
            tensor = layers.Concatenate(name=f"join{level}")([tensor, skips[level]])
        tensor = double_convolution(
            tensor,
            settings.base_filters * 2**level,
            activation=settings.activation,
            rate=settings.dropout_rate,
            name=f"up{level}",
        )
    probability = probabilities(tensor, settings.num_classes)
    return keras.Model(encoder.inputs[0], probability, name="EfficientUNet")
