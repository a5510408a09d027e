"""What is measured after training."""

from typing import Annotated

from pydantic import Field

from tiledseg.config.section import Section


class EvaluationSettings(Section):
    """What is measured after training."""

    comparison_images: Annotated[int, Field(ge=0)] = 100
    """Most comparison sheets per split."""
    seam_images: Annotated[int, Field(ge=0)] = 1
    """Images per split that are also passed at full size, to measure what tiling changed."""
    seam_megapixels: Annotated[float, Field(ge=0.0)] = 6.0
    """Largest image, in megapixels, that is passed at full size; larger ones need much memory."""
