"""DeepLabv3+: a pyramid of dilated convolutions on a ResNet-50, and a short decoder.

Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image
Segmentation", ECCV 2018. The mean over the image is projected by itself and added, which is the
same as concatenating it at every pixel and projecting all; without it, outputs depend on their
surroundings only.
"""

import keras
from keras import layers

from tiledseg.config import ModelSettings
from tiledseg.models.blocks import convolution, dropout, enlarge, normalize, to_probabilities
from tiledseg.models.encoders import freeze_first_layers, resnet50_encoder

LOW_LEVEL, LOW_STRIDE = "conv2_block3_out", 4
"""The encoder's layer whose details the decoder takes, and its reduction."""
RATES = (6, 12, 18)
"""Dilations of the pyramid at an output stride of 16 (section 4.1 of the paper)."""


def build_deeplab(settings: ModelSettings, channels: int) -> keras.Model:
    """Build the network; see ``tiledseg.models.build_model`` for shapes and dtypes."""
    encoder = resnet50_encoder(settings, channels)
    freeze_first_layers(encoder, settings.trained_encoder_layers)
    filters = 16 * settings.base_filters
    tensor = _pyramid(encoder.output, settings, filters)
    tensor = dropout(tensor, settings.dropout_rate, "pyramid_dropout")
    tensor = enlarge(tensor, settings.output_stride // LOW_STRIDE, "enlarge")
    details = convolution(
        encoder.get_layer(LOW_LEVEL).output,
        3 * settings.base_filters,
        kernel=1,
        activation=settings.activation,
        name="details",
    )
    tensor = layers.Concatenate(name="join")([tensor, details])
    for index in (1, 2):
        tensor = _separable(tensor, filters, 1, settings.activation, f"decoder{index}")
    tensor = dropout(tensor, settings.dropout_rate, "decoder_dropout")
    logits = layers.Conv2D(settings.num_classes, 1, dtype="float32", name="logits")(tensor)
    logits = enlarge(logits, LOW_STRIDE, "logits_enlarge", dtype="float32")
    return keras.Model(encoder.inputs[0], to_probabilities(logits), name="DeepLabV3Plus")


def _pyramid(tensor: keras.KerasTensor, settings: ModelSettings, filters: int) -> keras.KerasTensor:
    """Dilated convolutions side by side: what is near, far, farther, and the whole image."""
    activation = settings.activation
    near = convolution(tensor, filters, kernel=1, activation=activation, name="pyramid_near")
    branches = [near]
    for rate in RATES:
        dilation = rate * 16 // settings.output_stride
        branches.append(_separable(tensor, filters, dilation, activation, f"pyramid_rate{rate}"))
    joined = layers.Concatenate(name="pyramid_join")(branches)
    projected = layers.Conv2D(filters, 1, use_bias=False, name="pyramid_project")(joined)
    if settings.image_pooling:
        mean = layers.GlobalAveragePooling2D(keepdims=True, name="pyramid_mean")(tensor)
        mean = convolution(mean, filters, kernel=1, activation=activation, name="pyramid_whole")
        mean = layers.Conv2D(filters, 1, use_bias=False, name="pyramid_whole_project")(mean)
        projected = layers.Add(name="pyramid_add")([projected, mean])
    projected = normalize(projected, "pyramid_norm")
    return layers.Activation(activation, name="pyramid")(projected)


def _separable(
    tensor: keras.KerasTensor, filters: int, dilation: int, activation: str, name: str
) -> keras.KerasTensor:
    tensor = layers.SeparableConv2D(
        filters,
        3,
        padding="same",
        dilation_rate=dilation,
        use_bias=False,
        depthwise_initializer="he_normal",
        pointwise_initializer="he_normal",
        name=f"{name}_conv",
    )(tensor)
    tensor = normalize(tensor, f"{name}_norm")
    return layers.Activation(activation, name=name)(tensor)
