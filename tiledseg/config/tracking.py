"""What is kept in the MLflow run."""

from typing import Annotated

from pydantic import Field

from tiledseg.config.section import PositiveInt, Section


class TrackingSettings(Section):
    """What is kept in the MLflow run."""

    log_images: bool = True
    """Keep pictures: copies of the images and targets beside the predictions, comparison sheets,
    and the masks of each epoch. Without them a run holds the masks of its evaluation alone."""
    register_model: bool = True
    """Register the trained model under the dataset's name."""
    checkpoints: PositiveInt = 3
    """The best epochs whose networks are kept in the run; the last one, with the state of the
    optimizer, is kept beside them."""
    checkpoint_minutes: Annotated[float, Field(gt=0.0)] = 5.0
    """Minutes of training that a kill may cost at most; long epochs are saved in their middle."""
