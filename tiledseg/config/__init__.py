"""The sections of an experiment: every key with its type, default, unit and bounds.

Cross-field checks live here, so that nothing deeper in the package needs them.
"""

from tiledseg.config.augmentation import AugmentationSettings
from tiledseg.config.dataset import DatasetSettings, SplitSettings, SyntheticSettings
from tiledseg.config.evaluation import EvaluationSettings
from tiledseg.config.image import ImageSettings, StainReference
from tiledseg.config.model import ModelSettings
from tiledseg.config.section import PositiveInt, Section
from tiledseg.config.tiling import TilingSettings
from tiledseg.config.tracking import TrackingSettings
from tiledseg.config.training import TrainingSettings

__all__ = [
    "AugmentationSettings",
    "DatasetSettings",
    "EvaluationSettings",
    "ImageSettings",
    "ModelSettings",
    "PositiveInt",
    "Section",
    "SplitSettings",
    "StainReference",
    "SyntheticSettings",
    "TilingSettings",
    "TrackingSettings",
    "TrainingSettings",
]
