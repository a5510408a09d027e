"""What is kept in the MLflow run."""

from tiledseg.config.section import Section


class TrackingSettings(Section):
    """What is kept in the MLflow run."""

    log_images: bool = True
    """Keep copies of the images and targets beside the predictions."""
    register_model: bool = True
    """Register the trained model under the dataset's name."""
