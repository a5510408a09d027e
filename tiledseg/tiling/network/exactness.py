"""Whether a model can be tiled exactly, found out once in its life."""

import logging
from typing import Any
from weakref import WeakKeyDictionary

import keras

from tiledseg.errors import TilingError
from tiledseg.tiling.network.perturbation import verify_receptive_field
from tiledseg.tiling.network.receptive_field import ReceptiveField, receptive_field

_fields: WeakKeyDictionary[Any, ReceptiveField | str] = WeakKeyDictionary()
"""The receptive field of models, or why they cannot be tiled exactly."""

_log = logging.getLogger(__name__)


def model_field(model: keras.Model) -> ReceptiveField:
    """The receptive field of a model, computed and verified once in the model's life.

    Args:
        model: A Functional or Sequential keras.Model with Input((None, None, C)).

    Returns:
        Halo and stride, in pixels.

    Raises:
        TilingError: If the model cannot be tiled exactly.
    """
    field = _field_or_reason(model)
    if isinstance(field, str):
        raise TilingError(field)
    return field


def exact_field(model: keras.Model) -> ReceptiveField | None:
    """The receptive field of a model, or None for one that cannot be tiled exactly.

    Why it cannot is logged once in the model's life.
    """
    known = model in _fields
    field = _field_or_reason(model)
    if isinstance(field, str):
        if not known:
            _log.warning("%s; its tiles are blended instead", field)
        return None
    return field


def _field_or_reason(model: Any) -> ReceptiveField | str:
    if model not in _fields:
        try:
            _fields[model] = _verify_field(model)
        except TilingError as error:
            _fields[model] = str(error)
    return _fields[model]


def _verify_field(model: Any) -> ReceptiveField:
    field = receptive_field(model)
    if model.input_shape[1:3] != (None, None):
        raise TilingError(
            f"model {model.name!r} accepts images of {model.input_shape[1:3]} pixels alone; "
            "build it with Input((None, None, channels))"
        )
    verify_receptive_field(model, field)
    return field
