"""U²-Net: a U of blocks that are U-shaped themselves.

Qin et al., "U²-Net: Going Deeper with Nested U-Structure for Salient Object Detection",
Pattern Recognition 106, 2020; table 1 has the stages: four that pool inside, and two that
dilate. Another number of them goes on as the table begins. All stages of the decoder and the
last of the encoder predict; a 1 x 1 convolution fuses what they say into the answer.
"""

from dataclasses import dataclass

import keras
from keras import layers

from tiledseg.config import ModelSettings
from tiledseg.models.blocks import (
    convolution,
    dropout,
    enlarge,
    image_input,
    to_probabilities,
)


@dataclass(frozen=True)
class _Stage:
    """One block.

    Attributes:
        depth: Its levels; the paper's L.
        inner: Channels inside it, in quarters of ``base_filters``; the paper's M.
        outer: Channels of its answer, in ``base_filters``.
        dilated: Dilation takes the place of pooling.
    """

    depth: int
    inner: int
    outer: int
    dilated: bool = False


def _encoder(pooled: int) -> list[_Stage]:
    """Stages of the encoder, from the finest, of which so many pool inside."""
    stages = [_Stage(pooled + 3 - level, max(2, 2**level), 2**level) for level in range(pooled)]
    return [*stages, _dilated(pooled), _dilated(pooled)]


def _decoder(pooled: int) -> list[_Stage]:
    """Stages of the decoder, from the finest."""
    stages = [
        _Stage(pooled + 3 - level, 2**level, max(1, 2 ** (level - 1))) for level in range(pooled)
    ]
    return [*stages, _dilated(pooled)]


def _dilated(pooled: int) -> _Stage:
    return _Stage(4, 2**pooled, 2 ** (pooled - 1), dilated=True)


def build_u2net(settings: ModelSettings, channels: int) -> keras.Model:
    """Build U²-Net, or its small twin; see ``tiledseg.models.build_model`` for shapes."""
    image, tensor = image_input(channels)
    encoder, decoder = _encoder(settings.num_stages), _decoder(settings.num_stages)
    encoded: list[keras.KerasTensor] = []
    for level, stage in enumerate(encoder):
        if level:
            tensor = layers.MaxPooling2D(2, name=f"pool{level - 1}")(tensor)
        tensor = _block(tensor, stage, settings, f"down{level}")
        encoded.append(tensor)
    answers = {len(encoder) - 1: tensor}
    for level in reversed(range(len(decoder))):
        tensor = enlarge(tensor, 2, f"enlarge{level}")
        tensor = layers.Concatenate(name=f"join{level}")([tensor, encoded[level]])
        tensor = _block(tensor, decoder[level], settings, f"up{level}")
        answers[level] = tensor
    return keras.Model(image, _fuse(answers, settings.num_classes), name="U2Net")


def _fuse(answers: dict[int, keras.KerasTensor], classes: int) -> keras.KerasTensor:
    """What all levels predict, enlarged and weighed against each other."""
    sides: list[keras.KerasTensor] = []
    for level in sorted(answers):
        side = layers.Conv2D(classes, 3, padding="same", dtype="float32", name=f"side{level}")(
            answers[level]
        )
        sides.append(enlarge(side, 2**level, f"side{level}_enlarge", dtype="float32"))
    joined = layers.Concatenate(dtype="float32", name="sides")(sides)
    logits = layers.Conv2D(classes, 1, dtype="float32", name="logits")(joined)
    return to_probabilities(logits)


def _block(
    tensor: keras.KerasTensor, stage: _Stage, settings: ModelSettings, name: str
) -> keras.KerasTensor:
    """A residual U-block (section 3.1): convolutions down and up again, added to its input."""
    compact = settings.compact
    inner = max(1, (1 if compact else stage.inner) * settings.base_filters // 4)
    outer = (1 if compact else stage.outer) * settings.base_filters

    def convolve(
        tensor: keras.KerasTensor, filters: int, dilation: int, part: str
    ) -> keras.KerasTensor:
        return convolution(
            tensor,
            filters,
            dilation=dilation,
            activation=settings.activation,
            normalization=settings.normalization,
            bias=True,
            name=f"{name}_{part}",
        )

    start = convolve(tensor, outer, 1, "in")
    tensor, skips = start, []
    bottom = stage.depth - 1
    for level in range(bottom):
        if level and not stage.dilated:
            tensor = layers.MaxPooling2D(2, name=f"{name}_pool{level - 1}")(tensor)
        dilation = 2**level if stage.dilated else 1
        tensor = convolve(tensor, inner, dilation, f"down{level}")
        skips.append(tensor)
    tensor = convolve(tensor, inner, 2**bottom if stage.dilated else 2, "bottom")
    for level in reversed(range(bottom)):
        if level < bottom - 1 and not stage.dilated:
            tensor = enlarge(tensor, 2, f"{name}_enlarge{level}")
        tensor = layers.Concatenate(name=f"{name}_join{level}")([tensor, skips[level]])
        dilation = 2**level if stage.dilated else 1
        tensor = convolve(tensor, inner if level else outer, dilation, f"up{level}")
    tensor = dropout(tensor, settings.dropout_rate, f"{name}_dropout")
    return layers.Add(name=f"{name}_sum")([tensor, start])
