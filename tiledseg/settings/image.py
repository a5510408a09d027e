"""What the network is shown."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tiledseg.settings.section import Section


class ImageSettings(Section):
    """What the network is shown; applied alike in training, inference and the served model."""

    size: Annotated[int, Field(ge=32, le=4096)] = 512
    """Side of a training crop and of the non-tiled input, in pixels."""
    channels: Literal[1, 3] = 3
    """Channels of the network's input."""
    color_space: Literal["rgb", "hsv", "lab", "gray"] = "rgb"
    """Colour space of the network's input."""
    gamma: Annotated[float, Field(gt=0.0, le=5.0)] = 1.0
    """Exponent applied to intensities in [0, 1]; 1 leaves them alone."""
    sharpening: Annotated[float, Field(ge=0.0, le=5.0)] = 0.0
    """Weight of an unsharp mask (sigma 1 px); 0 leaves the image alone."""

    @model_validator(mode="after")
    def _channels_fit_color_space(self) -> Self:
        if (self.color_space == "gray") != (self.channels == 1):
            raise ValueError(
                f"color_space {self.color_space!r} does not go with channels {self.channels}; "
                "use gray with 1 channel, and rgb, hsv or lab with 3"
            )
        return self
