"""Random changes to training crops."""

from typing import Annotated

from pydantic import Field

from tiledseg.settings.section import Fraction, Section


class AugmentationSettings(Section):
    """Random changes to training crops; amplitudes are drawn evenly from -x to +x."""

    hflip: bool = True
    """Mirror left to right, half of the time."""
    vflip: bool = True
    """Mirror top to bottom, half of the time."""
    quarter_turns: bool = True
    """Turn by 0, 90, 180 or 270 degrees."""
    scale: Annotated[float, Field(ge=0.0, le=0.9)] = 0.0
    """Relative change of magnification."""
    brightness: Fraction = 0.1
    """Change of brightness, as a fraction of full scale."""
    contrast: Annotated[float, Field(ge=0.0, le=0.9)] = 0.1
    """Relative change of contrast about the crop's mean."""
    color_cast: Annotated[float, Field(ge=0.0, le=0.9)] = 0.1
    """Relative change of each channel on its own; RGB images only."""
    hue: Annotated[float, Field(ge=0.0, le=0.5)] = 0.02
    """Change of hue, as a fraction of the colour circle; colour images only."""
    saturation: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """Relative change of saturation; colour images only."""
