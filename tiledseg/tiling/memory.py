"""What one pass of a network needs in memory, estimated from its graph."""

from fractions import Fraction
from math import ceil
from typing import Any

from tiledseg.errors import TilingError
from tiledseg.tiling.graph import Step, steps_of
from tiledseg.tiling.reach import POINTWISE, layer_reach

_ANY_SIZE = 2**20
"""An input length, in pixels, for layers whose padding depends on it."""


def bytes_per_pixel(model: Any) -> int | None:
    """Peak memory of a pass over one input pixel, beside the weights.

    Layers are followed in order; a tensor is held until its last use, and a layer that works
    pixel by pixel writes over a source that nobody else needs. What a backend's convolutions
    set aside for themselves is not known here, so that a third is added.

    Args:
        model: A keras.Model.

    Returns:
        Bytes; None for a model without a graph that can be read.
    """
    try:
        steps = steps_of(model)
    except TilingError:
        return None
    last_use = {source: place for place, step in enumerate(steps) for source in step.sources}
    areas: dict[int, Fraction] = {}
    alive: dict[int, Fraction] = {}
    peak = Fraction(0)
    for place, step in enumerate(steps):
        areas[step.result] = _area(step, areas)
        item = 2 if "16" in str(getattr(step.layer, "compute_dtype", "")) else 4
        ending = [source for source in set(step.sources) if last_use[source] == place]
        if type(step.layer) in POINTWISE:
            for source in ending:
                alive.pop(source)
        alive[step.result] = step.channels[1] * item * areas[step.result]
        peak = max(peak, sum(alive.values(), Fraction(0)))
        for source in ending:
            alive.pop(source, None)
    return ceil(peak * 4 / 3)


def _area(step: Step, areas: dict[int, Fraction]) -> Fraction:
    """Pixels of a step's tensor over pixels of the input."""
    if step.layer is None:
        return Fraction(1)
    area = max(areas[source] for source in step.sources)
    try:
        reaches = [layer_reach(step.layer, axis, _ANY_SIZE) for axis in (0, 1)]
    except TilingError:  # a layer that looks around: taken to keep the size
        return area
    for reach in reaches:
        area *= Fraction(reach.up, reach.down)
    return area
