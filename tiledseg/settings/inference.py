"""Tiled inference, what is measured with it, and what is kept."""

from typing import Annotated, Literal

from pydantic import Field

from tiledseg.settings.section import Section


class TilingSettings(Section):
    """Tiled inference."""

    mode: Literal["exact"] = "exact"
    """exact: halo and stride from the network's graph; the same answer as one whole pass."""
    max_tile: Annotated[int, Field(ge=32, le=16384)] = 1536
    """Largest side of a tile, halo included, in pixels; fitted to the image below it."""
    orientations: Literal[1, 2, 4, 8] = 1
    """Mirror images and turns whose probabilities are averaged (test-time augmentation), for
    tiled and whole inference alike; time grows with their number."""
    smallest_object: Annotated[int, Field(ge=0)] = 0
    """Objects of fewer pixels are none, in tiled and whole inference alike: their probabilities
    are held just under 0.5."""


class EvaluationSettings(Section):
    """What is measured after training."""

    comparison_images: Annotated[int, Field(ge=0)] = 100
    """Most comparison sheets per split."""
    seam_images: Annotated[int, Field(ge=0)] = 1
    """Images per split that are also passed at full size, to measure what tiling changed."""
    seam_megapixels: Annotated[float, Field(ge=0.0)] = 6.0
    """Largest image, in megapixels, that is passed at full size; larger ones need much memory."""


class TrackingSettings(Section):
    """What is kept in the MLflow run."""

    log_images: bool = True
    """Keep copies of the images and truths beside the predictions."""
    register_model: bool = True
    """Register the trained model under the dataset's name."""
