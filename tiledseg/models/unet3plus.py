"""UNet 3+: every level of the decoder sees every level of the encoder below or beside it.

Huang et al., "UNet 3+: A Full-Scale Connected UNet for Medical Image Segmentation", ICASSP
2020. Finer levels are pooled to a level's size, coarser ones enlarged; each gives the filters
of the first level, and all of them are fused.
"""

import keras
from keras import layers

from tiledseg.config import ModelSettings
from tiledseg.models.blocks import (
    convolution,
    dropout,
    enlarge,
    image_input,
    probabilities,
    to_probabilities,
)


def build_unet3plus(settings: ModelSettings, channels: int) -> keras.Model:
    """Build UNet 3+; see ``tiledseg.models.build_model`` for shapes and dtypes."""
    image, tensor = image_input(channels)
    encoded: list[keras.KerasTensor] = []
    for level in range(settings.num_layers):
        if level:
            tensor = layers.MaxPooling2D(2, name=f"pool{level - 1}")(tensor)
        for index in (1, 2):
            filters = settings.base_filters * 2**level
            tensor = _convolution(tensor, filters, settings, f"down{level}_{index}")
        tensor = dropout(tensor, settings.dropout_at(level), f"down{level}_dropout")
        encoded.append(tensor)
    decoded = {settings.num_layers - 1: tensor}
    for level in reversed(range(settings.num_layers - 1)):
        decoded[level] = _fuse(level, encoded, decoded, settings)
    if settings.deep_supervision:
        return keras.Model(image, _average_levels(decoded, settings), name="UNet3Plus")
    probability = probabilities(decoded[0], settings.num_classes, kernel=3)
    return keras.Model(image, probability, name="UNet3Plus")


def _fuse(
    level: int,
    encoded: list[keras.KerasTensor],
    decoded: dict[int, keras.KerasTensor],
    settings: ModelSettings,
) -> keras.KerasTensor:
    """A level of the decoder, from the encoder down to it and the decoder below it."""
    views: list[keras.KerasTensor] = []
    for source in range(settings.num_layers):
        name = f"from{source}to{level}"
        if source < level:
            view = layers.MaxPooling2D(2 ** (level - source), name=f"{name}_pool")(encoded[source])
        elif source == level:
            view = encoded[source]
        else:
            view = enlarge(decoded[source], 2 ** (source - level), f"{name}_enlarge")
        views.append(_convolution(view, settings.base_filters, settings, name))
    joined = layers.Concatenate(name=f"join{level}")(views)
    filters = settings.base_filters * settings.num_layers
    return _convolution(joined, filters, settings, f"up{level}")


def _average_levels(
    decoded: dict[int, keras.KerasTensor], settings: ModelSettings
) -> keras.KerasTensor:
    """Mean of what each level predicts, enlarged to full size.

    A factor and a bias per class follow, which change nothing at first.
    """
    answers: list[keras.KerasTensor] = []
    for level in sorted(decoded):
        logits = layers.Conv2D(
            settings.num_classes, 3, padding="same", dtype="float32", name=f"logits{level}"
        )(decoded[level])
        answers.append(enlarge(logits, 2**level, f"logits{level}_enlarge", dtype="float32"))
    mean = layers.Average(dtype="float32", name="logits_mean")(answers)
    logits = layers.DepthwiseConv2D(
        1, depthwise_initializer="ones", dtype="float32", name="logits"
    )(mean)
    return to_probabilities(logits)


def _convolution(
    tensor: keras.KerasTensor, filters: int, settings: ModelSettings, name: str
) -> keras.KerasTensor:
    """With a bias even where a normalization follows, as in the authors' implementation."""
    return convolution(
        tensor,
        filters,
        activation=settings.activation,
        normalization=settings.normalization,
        bias=True,
        name=name,
    )
