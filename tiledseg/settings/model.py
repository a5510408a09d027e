"""The network."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tiledseg.settings.section import Section

Activation = Literal[
    "relu", "leaky_relu", "relu6", "elu", "celu", "selu", "gelu", "silu", "swish", "mish",
    "softplus", "softsign", "hard_silu", "hard_swish", "tanh", "sigmoid", "linear",
]  # fmt: skip


class ModelSettings(Section):
    """The network."""

    architecture: Literal["UNet"] = "UNet"
    """Name in the table of architectures."""
    num_classes: Annotated[int, Field(ge=1, le=255)] = 1
    """1: foreground or not, one probability by a sigmoid. Above 1: so many labels, the background
    included, with probabilities that add up to 1 by a softmax."""
    base_filters: Annotated[int, Field(ge=1, le=256)] = 16
    """Filters of the first level, doubled at each deeper level."""
    base_kernels: Annotated[int, Field(ge=3, le=15)] = 3
    """Kernel side of the first level, in pixels; two less at each deeper level, never under 3."""
    num_layers: Annotated[int, Field(ge=2, le=9)] = 5
    """Levels, the bridge included."""
    reduction: Literal[1, 2, 4] = 1
    """Factor by which the network reduces the image before its first level; probabilities come
    out at full size. 2 makes everything about four times as fast and doubles what a level sees,
    for objects that are still some 20 pixels wide when reduced."""
    dropout_rate: Annotated[float, Field(ge=0.0, le=0.3)] = 0.02
    """Dropout of the first level, multiplied by the level's number (from 1) at deeper ones."""
    dilation: Annotated[int, Field(ge=1, le=8)] = 1
    """Dilation of the first level's convolutions; one less at each deeper level, never under 1."""
    normalization: Literal["none", "batch"] = "batch"
    """Normalisation after each convolution."""
    activation: Activation = "relu"
    """Activation after each convolution, by its name in Keras."""

    @model_validator(mode="after")
    def _kernel_is_odd(self) -> Self:
        if self.base_kernels % 2 == 0:
            raise ValueError(f"base_kernels is {self.base_kernels}; use an odd number, 3 to 15")
        return self

    @model_validator(mode="after")
    def _dropout_leaves_something(self) -> Self:
        deepest = self.dropout_rate * self.num_layers
        if deepest >= 1.0:
            raise ValueError(
                f"dropout_rate {self.dropout_rate} times num_layers {self.num_layers} drops "
                f"everything at the bridge; use a rate under {0.9 / self.num_layers:.3f}"
            )
        return self

    @property
    def stride(self) -> int:
        """Total stride of the network, in pixels: input sides are multiples of it."""
        return int(self.reduction * 2 ** (self.num_layers - 1))
