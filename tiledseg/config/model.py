"""The network."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tiledseg.config.architectures import ARCHITECTURES
from tiledseg.config.section import Section

Activation = Literal[
    "relu", "leaky_relu", "relu6", "elu", "celu", "selu", "gelu", "silu", "swish", "mish",
    "softplus", "softsign", "hard_silu", "hard_swish", "tanh", "sigmoid", "linear",
]  # fmt: skip

_HEAD_CHANNELS = 64
"""Channels of a head of attention in the published TransUNet."""


class ModelSettings(Section):
    """The network.

    A key that names architectures is read by those alone; with others it stays at its default.
    """

    architecture: Literal[
        "UNet", "AttentionUNet", "MultiResUNet", "UNet3Plus", "EfficientUNet", "DeepLabV3Plus",
        "SwinUNet", "TransUNet", "U2Net", "SharpUNet",
    ] = "UNet"  # fmt: skip
    """Name in the table of architectures; see docs/architectures.md."""
    num_classes: Annotated[int, Field(ge=1, le=255)] = 1
    """1: foreground or not, one probability by a sigmoid. Above 1: so many labels, the background
    included, with probabilities that add up to 1 by a softmax."""
    base_filters: Annotated[int, Field(ge=1, le=256)] = 16
    """All but SwinUNet: filters of the first level, doubled at each deeper level. In
    DeepLabV3Plus and TransUNet, a sixteenth of the decoder's filters."""
    base_kernels: Annotated[int, Field(ge=3, le=15)] = 3
    """UNet, AttentionUNet, SharpUNet: kernel side of the first level, in pixels; two less at each
    deeper level, never under 3."""
    num_layers: Annotated[int, Field(ge=2, le=9)] = 5
    """UNet, AttentionUNet, SharpUNet, MultiResUNet, UNet3Plus: levels, the bridge included."""
    reduction: Literal[1, 2, 4] = 1
    """UNet, AttentionUNet, SharpUNet: factor by which the network reduces the image before its
    first level; probabilities come out at full size. 2 makes everything about four times as fast
    and doubles what a level sees, for objects that are still some 20 pixels wide when reduced."""
    dropout_rate: Annotated[float, Field(ge=0.0, le=0.3)] = 0.02
    """Dropout of the first level, or of the second, see dropout_growth; EfficientUNet,
    DeepLabV3Plus, SwinUNet, TransUNet, U2Net: of every block."""
    dropout_growth: Literal["from_first", "from_second", "none"] = "from_first"
    """UNet, AttentionUNet, SharpUNet, MultiResUNet, UNet3Plus: dropout at deeper levels.
    from_first: dropout_rate times the level's number, from 1; from_second: none at the first level,
    dropout_rate at the second, twice as much at the third; none: the same at every level."""
    dilation: Annotated[int, Field(ge=1, le=8)] = 1
    """UNet, AttentionUNet, SharpUNet: dilation of the first level's convolutions; one less at
    each deeper level, never under 1."""
    normalization: Literal["none", "batch"] = "batch"
    """UNet, AttentionUNet, SharpUNet, UNet3Plus, U2Net: normalization after each convolution."""
    activation: Activation = "relu"
    """All but SwinUNet: activation after each convolution, by its name in Keras; encoders of
    keras.applications and transformers keep their own."""
    deep_supervision: bool = False
    """UNet3Plus: the answer is the mean of what all levels of the decoder predict, so that the
    loss reaches each of them directly."""
    compact: bool = False
    """U2Net: as many filters in every stage, instead of more in deeper ones."""
    efficientnet: Literal["B0", "B1", "B2", "B3", "B4", "B5", "B6", "B7"] = "B0"
    """EfficientUNet: size of the encoder."""
    encoder_weights: str = "none"
    """EfficientUNet, DeepLabV3Plus: where the encoder's weights start: none (drawn at random),
    imagenet (downloaded once), or a file of keras.applications without its top (_notop.h5)."""
    trained_encoder_layers: Annotated[int, Field(ge=0)] | None = None
    """EfficientUNet, DeepLabV3Plus: how many of the encoder's last layers learn; the others keep
    the weights that they start with. null: all of them."""
    output_stride: Literal[8, 16] = 16
    """DeepLabV3Plus: factor by which the encoder reduces the image."""
    image_pooling: bool = True
    """DeepLabV3Plus: the mean over the whole input as one branch of the pyramid, as published;
    without it, tiles are exact."""
    patch_size: Literal[2, 4, 8] = 4
    """SwinUNet: side of the patches that become tokens, in pixels."""
    window_size: Annotated[int, Field(ge=2, le=16)] = 7
    """SwinUNet: side of the windows of attention, in tokens."""
    embed_dim: Annotated[int, Field(ge=4, le=256, multiple_of=4)] = 96
    """SwinUNet: channels of the first level, doubled at each of three deeper ones."""
    num_heads: Annotated[int, Field(ge=1, le=16)] = 3
    """SwinUNet: heads of attention at the first level, doubled at deeper ones."""
    num_stages: Annotated[int, Field(ge=2, le=8)] = 4
    """SwinUNet: levels, the bottom one included. U2Net: stages that pool inside; two stages that
    dilate instead follow them."""
    hidden_size: Annotated[int, Field(ge=64, le=1024)] = 768
    """TransUNet: channels of a token, a multiple of transformer_heads."""
    num_transformer: Annotated[int, Field(ge=1, le=24)] = 12
    """TransUNet: layers of the transformer."""
    transformer_heads: Annotated[int, Field(ge=1, le=32)] | None = None
    """TransUNet: heads of attention. null: one for every 64 channels of a token, as published."""
    mlp_nodes: Annotated[int, Field(ge=4, le=8192)] | None = None
    """SwinUNet, TransUNet: nodes of the perceptron behind each attention, the same at every level.
    null: four times the channels, as published."""

    @model_validator(mode="after")
    def _architecture_reads_what_is_set(self) -> Self:
        chosen = ARCHITECTURES[self.architecture]
        for key, field in type(self).model_fields.items():
            value = getattr(self, key)
            if value != field.default and not chosen.reads(key):
                readers = [name for name, other in ARCHITECTURES.items() if other.reads(key)]
                raise ValueError(
                    f"{key} is {value!r}, but architecture {self.architecture} does not read it "
                    f"({', '.join(readers)} do); remove {key}, or choose another architecture"
                )
        return self

    @model_validator(mode="after")
    def _kernel_is_odd(self) -> Self:
        if self.base_kernels % 2 == 0:
            raise ValueError(f"base_kernels is {self.base_kernels}; use an odd number, 3 to 15")
        return self

    @model_validator(mode="after")
    def _dropout_leaves_something(self) -> Self:
        deepest = self._dropout_factor(self.num_layers - 1)
        drops = self.dropout_rate * deepest >= 1.0
        if drops and ARCHITECTURES[self.architecture].reads("num_layers"):
            raise ValueError(
                f"dropout_rate {self.dropout_rate} with num_layers {self.num_layers} drops "
                f"everything at the bridge; use a rate under {0.9 / deepest:.3f}"
            )
        return self

    @model_validator(mode="after")
    def _heads_share_the_channels(self) -> Self:
        if self.embed_dim % self.num_heads:
            raise ValueError(
                f"embed_dim {self.embed_dim} cannot be shared among num_heads {self.num_heads}; "
                f"use a multiple of {self.num_heads}, or another number of heads"
            )
        return self

    @model_validator(mode="after")
    def _heads_share_a_token(self) -> Self:
        heads = self.transformer_heads
        if self.hidden_size % (heads or _HEAD_CHANNELS):
            wanted = f"transformer_heads {heads}" if heads else f"heads of {_HEAD_CHANNELS}"
            raise ValueError(
                f"hidden_size {self.hidden_size} cannot be shared among {wanted}; use a multiple "
                f"of {heads or _HEAD_CHANNELS}, or set transformer_heads to a divisor"
            )
        return self

    @model_validator(mode="after")
    def _weights_are_named(self) -> Self:
        if not self.encoder_weights.strip():
            raise ValueError("encoder_weights is empty; use none, imagenet, or the path of a file")
        return self

    def dropout_at(self, level: int) -> float:
        """The share that a network with levels drops at one, which counts from 0."""
        return float(self.dropout_rate * self._dropout_factor(level))

    def _dropout_factor(self, level: int) -> int:
        return {"from_first": level + 1, "from_second": level, "none": 1}[self.dropout_growth]

    @property
    def heads(self) -> int:
        """Heads of attention of TransUNet."""
        return self.transformer_heads or self.hidden_size // _HEAD_CHANNELS

    @property
    def stride(self) -> int:
        """Total stride of the network, in pixels: input sides are multiples of it."""
        if ARCHITECTURES[self.architecture].reads("num_layers"):
            return int(self.reduction * 2 ** (self.num_layers - 1))
        if self.architecture == "DeepLabV3Plus":
            return int(self.output_stride)
        if self.architecture == "SwinUNet":
            return int(self.patch_size * 2 ** (self.num_stages - 1))
        if self.architecture == "U2Net":
            return int(2 ** (self.num_stages + 1))
        return ARCHITECTURES[self.architecture].stride

    @property
    def stride_reason(self) -> str:
        """The settings that the stride follows from, in words."""
        if self.architecture in {"UNet", "AttentionUNet", "SharpUNet"}:
            return f"model.num_layers = {self.num_layers} with model.reduction = {self.reduction}"
        decisive = {"DeepLabV3Plus": "output_stride", "U2Net": "num_stages"}
        if self.architecture == "SwinUNet":
            return (
                f"model.architecture = SwinUNet with model.patch_size = {self.patch_size} and "
                f"model.num_stages = {self.num_stages}"
            )
        key = decisive.get(self.architecture)
        if ARCHITECTURES[self.architecture].reads("num_layers"):
            key = "num_layers"
        reason = f"model.architecture = {self.architecture}"
        return f"{reason} with model.{key} = {getattr(self, key)}" if key else reason
