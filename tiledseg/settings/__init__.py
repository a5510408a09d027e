"""The sections of an experiment: every key with its type, default, unit and bounds.

Cross-field checks live here, so that nothing deeper in the package needs them.
"""

from tiledseg.settings.augmentation import AugmentationSettings
from tiledseg.settings.dataset import DatasetSettings, SplitSettings, SyntheticSettings
from tiledseg.settings.image import ImageSettings, StainReference
from tiledseg.settings.inference import EvaluationSettings, TilingSettings, TrackingSettings
from tiledseg.settings.model import ModelSettings
from tiledseg.settings.section import PositiveInt, Section
from tiledseg.settings.training import TrainingSettings

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
