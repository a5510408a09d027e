"""One small network of each architecture, four classes, built once and watched."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest

from tiledseg.config import ModelSettings
from tiledseg.models import build_model

SMALL: dict[str, dict[str, Any]] = {
    "UNet": {"base_filters": 2, "num_layers": 2},
    "AttentionUNet": {"base_filters": 2, "num_layers": 2},
    "SharpUNet": {"base_filters": 2, "num_layers": 2},
    "MultiResUNet": {"base_filters": 2, "num_layers": 2},
    "UNet3Plus": {"base_filters": 2, "num_layers": 2, "deep_supervision": True},
    "U2Net": {"base_filters": 4, "compact": True, "normalization": "none", "dropout_rate": 0.0},
    "EfficientUNet": {"base_filters": 1},
    "DeepLabV3Plus": {"base_filters": 1, "image_pooling": False},
    "SwinUNet": {"embed_dim": 4, "num_heads": 1, "window_size": 3, "patch_size": 2},
    "TransUNet": {"base_filters": 1, "hidden_size": 64, "num_transformer": 1},
}


class Watched(ModelSettings):
    """Settings that remember which of their keys were read."""

    def __getattribute__(self, name: str) -> Any:
        if name in ModelSettings.model_fields:
            READ.setdefault(id(self), set()).add(name)
        return super().__getattribute__(name)


READ: dict[int, set[str]] = {}


@dataclass(frozen=True)
class Small:
    """A small network, and what it says about some images."""

    settings: ModelSettings
    model: keras.Model
    read: frozenset[str]
    images: np.ndarray
    answer: np.ndarray


def answer_of(model: Any, images: np.ndarray) -> np.ndarray:
    """The network's answer in inference."""
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))


@pytest.fixture(scope="session")
def small() -> Callable[[str], Small]:
    """Builds a small network on first use."""

    @cache
    def build(name: str) -> Small:
        keras.utils.set_random_seed(1)
        settings = Watched(architecture=name, num_classes=4, **SMALL[name])
        READ.clear()
        model = build_model(settings, 3)
        read = frozenset(READ[id(settings)])
        sides = (2 * settings.stride, 3 * settings.stride)
        images = np.random.default_rng(3).integers(0, 256, (2, *sides, 3), dtype=np.uint8)
        return Small(settings, model, read, images, answer_of(model, images))

    return build
