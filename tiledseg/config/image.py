"""What the network is shown."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tiledseg.config.section import Section


def numbers_in(text: str) -> tuple[float, ...]:
    """Numbers with spaces between.

    Raises:
        ValueError: Something else stands there.
    """
    return tuple(float(number) for number in text.split())


class StainReference(Section):
    """What stain normalization makes of images: numbers in text, as in '0.56 0.72 0.41'."""

    hematoxylin: str = "0.5626 0.7201 0.4062"
    """Macenko: optical density of the first stain in red, green and blue."""
    eosin: str = "0.2159 0.8012 0.5581"
    """Macenko: optical density of the second stain in red, green and blue."""
    densities: str = "1.9705 1.0308"
    """Macenko: amount of each stain that 99 of 100 stained pixels stay under."""
    lab_mean: str = "160 156 112"
    """Reinhard: mean of stained pixels in CIELAB, 8 bits; by default of the H&E slide
    TCGA-A2-A3XS-DX1."""
    lab_spread: str = "45 16 13"
    """Reinhard: standard deviation of stained pixels in CIELAB, 8 bits; more than 0."""

    @field_validator("*")
    @classmethod
    def _lists_numbers(cls, text: str, info: object) -> str:
        name = getattr(info, "field_name", "")
        wanted = 2 if name == "densities" else 3
        try:
            numbers = numbers_in(text)
        except ValueError:
            numbers = ()
        if len(numbers) != wanted or not all(0.0 <= number <= 255.0 for number in numbers):
            raise ValueError(f"{text!r} is not {wanted} numbers from 0 to 255 with spaces between")
        positive = all(numbers) if name in {"densities", "lab_spread"} else any(numbers)
        if not positive:
            raise ValueError(f"{text!r} has a 0 where an amount must be more than 0")
        return text

    @model_validator(mode="after")
    def _stains_differ(self) -> Self:
        first, second = numbers_in(self.hematoxylin), numbers_in(self.eosin)
        if all(a * second[0] == first[0] * b for a, b in zip(first, second, strict=True)):
            raise ValueError(
                f"hematoxylin ({self.hematoxylin}) and eosin ({self.eosin}) have one color; "
                "give two stains"
            )
        return self


class ImageSettings(Section):
    """What the network is shown; applied alike in training, inference and the served model."""

    size: Annotated[int, Field(ge=32, le=4096)] = 512
    """Side of a training crop and of the non-tiled input, in pixels."""
    channels: Literal[1, 3] = 3
    """Channels of the network's input."""
    color_space: Literal["rgb", "hsv", "lab", "gray"] = "rgb"
    """Color space of the network's input."""
    bit_depth: Annotated[int, Field(ge=8, le=16)] | None = None
    """Bits that values of 16-bit files make use of, such as 12 of a camera; none: all 16, or
    those that the file declares."""
    gamma: Annotated[float, Field(gt=0.0, le=5.0)] = 1.0
    """Exponent applied to intensities in [0, 1]; 1 leaves them alone."""
    sharpening: Annotated[float, Field(ge=0.0, le=5.0)] = 0.0
    """Weight of an unsharp mask (sigma 1 px); 0 leaves the image alone."""
    stain: Literal["none", "macenko", "reinhard"] = "none"
    """Stain normalization of color images, before all else; images without stain are left
    alone."""
    stain_reference: StainReference = StainReference()
    """What stain normalization makes of images."""

    @model_validator(mode="after")
    def _channels_fit_color_space(self) -> Self:
        if (self.color_space == "gray") != (self.channels == 1):
            raise ValueError(
                f"color_space {self.color_space!r} does not go with channels {self.channels}; "
                "use gray with 1 channel, and rgb, hsv or lab with 3"
            )
        return self
