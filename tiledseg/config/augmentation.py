"""Random changes to training crops."""

from typing import Annotated

from pydantic import Field

from tiledseg.config.section import Fraction, Section


class AugmentationSettings(Section):
    """Random changes to training crops.

    Amplitudes are drawn evenly from -x to +x, and those that cannot be negative from 0 to x.
    """

    hflip: bool = True
    """Mirror left to right, half of the time."""
    vflip: bool = True
    """Mirror top to bottom, half of the time."""
    quarter_turns: bool = True
    """Turn by 0, 90, 180 or 270 degrees."""
    rotation: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    """Turn by any angle up to this one, in degrees."""
    scale: Annotated[float, Field(ge=0.0, le=0.9)] = 0.0
    """Relative change of magnification."""
    shear: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    """Tangent of the angle by which rows, and columns, are slanted."""
    elastic: Annotated[float, Field(ge=0.0, le=64.0)] = 0.0
    """Elastic deformation: standard deviation of displacements, in pixels of the crop."""
    elastic_smoothness: Annotated[float, Field(ge=4.0, le=256.0)] = 16.0
    """Elastic deformation: sigma of the Gaussian that smooths displacements, in pixels; from
    twice the displacement on, hardly anything folds."""
    grid_distortion: Annotated[float, Field(ge=0.0, le=0.2)] = 0.0
    """Displacement of the nodes of a grid of 5 x 5, as a fraction of the crop's side."""
    barrel: Annotated[float, Field(ge=0.0, le=0.9)] = 0.0
    """Barrel distortion: shrinkage of the way to a lens's center, which grows the center."""
    pincushion: Annotated[float, Field(ge=0.0, le=0.9)] = 0.0
    """Pincushion distortion: lengthening of the way to a lens's center, which shrinks it."""
    lens_radius: Annotated[float, Field(ge=0.05, le=1.0)] = 0.5
    """Barrel and pincushion distortion: radius of the lens, as a fraction of the crop's side."""
    brightness: Fraction = 0.1
    """Change of brightness, as a fraction of full scale."""
    contrast: Annotated[float, Field(ge=0.0, le=0.9)] = 0.1
    """Relative change of contrast about the crop's mean."""
    color_cast: Annotated[float, Field(ge=0.0, le=0.9)] = 0.1
    """Relative change of each channel on its own; RGB images only."""
    hue: Annotated[float, Field(ge=0.0, le=0.5)] = 0.02
    """Change of hue, as a fraction of the color circle; color images only."""
    saturation: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """Relative change of saturation; color images only."""
    stain: Annotated[float, Field(ge=0.0, le=0.9)] = 0.0
    """Relative change of the amount of each stain (hematoxylin, eosin, DAB); color images
    only."""
    gamma: Annotated[float, Field(ge=0.0, le=2.0)] = 0.0
    """Change of the exponent of intensities: from 1 / (1 + x) to 1 + x."""
    blur: Annotated[float, Field(ge=0.0, le=5.0)] = 0.0
    """Sigma of a Gaussian blur, in pixels."""
    sharpening: Annotated[float, Field(ge=0.0, le=5.0)] = 0.0
    """Weight of an unsharp mask (sigma 1 px)."""
    noise: Annotated[float, Field(ge=0.0, le=0.15)] = 0.0
    """Standard deviation of noise, as a fraction of full scale."""
    jpeg: Annotated[int, Field(ge=0, le=95)] = 0
    """Loss of quality by JPEG: quality falls from 100 by up to this much."""
