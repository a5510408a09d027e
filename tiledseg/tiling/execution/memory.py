"""What one pass of a network needs in memory, estimated from its graph, and what it may take."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any
from weakref import WeakKeyDictionary

from tiledseg.errors import TilingError
from tiledseg.tiling.execution.runtimes import Runtime
from tiledseg.tiling.network.graph import Step, steps_of
from tiledseg.tiling.network.layer_footprint import POINTWISE, layer_footprint

_ANY_SIZE = 2**20
"""An input length, in pixels, for layers whose padding depends on it."""
_OVERHEAD: dict[Runtime, Fraction] = {"keras": Fraction(5, 3), "openvino": Fraction(7, 6)}
"""What a pass takes over its largest tensors that live together, measured. TensorFlow's buffers
leave gaps; OpenVINO lays out all of them before the pass."""


_peaks: WeakKeyDictionary[Any, Fraction | None] = WeakKeyDictionary()
"""Bytes of the largest tensors of models per input pixel; None for one that cannot be read."""


@dataclass(frozen=True)
class PassMemory:
    """What a pass takes, and the bound that is set for it.

    Attributes:
        per_pixel: See ``bytes_per_pixel``.
        gigabytes: ``tiling.memory_gigabytes``.
        runtime: What computes.
    """

    per_pixel: int | None
    gigabytes: float | None
    runtime: Runtime = "keras"

    @classmethod
    def of(cls, model: Any, gigabytes: float | None, runtime: Runtime = "keras") -> "PassMemory":
        """Of a keras.Model.

        Raises:
            TilingError: A bound is set, and the model's graph cannot be read.
        """
        per_pixel = bytes_per_pixel(model, runtime)
        if per_pixel is None and gigabytes is not None:
            raise TilingError(
                f"tiling.memory_gigabytes is {gigabytes:g}, but the graph of model "
                f"{model.name!r} cannot be read, so that what it needs is not known; "
                "set tiling.memory_gigabytes to null"
            )
        return cls(per_pixel, gigabytes, runtime)

    @property
    def pixels(self) -> int | None:
        """Pixels that may go through the network together; None where no bound is set."""
        if self.per_pixel is None or self.gigabytes is None:
            return None
        return int(self.gigabytes * 1e9 / self.per_pixel)

    def largest_tile(self, max_tile: int) -> int:
        """Pixels of the largest tile: in the memory of a square of ``max_tile`` with Keras."""
        most = int(max_tile**2 * _OVERHEAD["keras"] / _OVERHEAD[self.runtime])
        return most if self.pixels is None else min(most, self.pixels)

    def check(self, least: int, what: str, remedy: str = "") -> None:
        """Refuse a bound that is too low.

        Args:
            least: Pixels that must go through the network together.
            what: Whose pixels they are.
            remedy: What else could be done.

        Raises:
            TilingError: They need more.
        """
        if self.per_pixel is None or self.pixels is None or self.pixels >= least:
            return
        enough = ceil(least * self.per_pixel / 1e7) / 100
        raise TilingError(
            f"tiling.memory_gigabytes is {self.gigabytes:g}, which a pass of {self.pixels} pixels "
            f"fills; {what} needs {least} pixels; set it to {enough:g} or more{remedy}"
        )


def bytes_per_pixel(model: Any, runtime: Runtime = "keras") -> int | None:
    """Peak memory of a pass over one input pixel, beside the weights; found once for a model.

    What convolutions set aside for themselves, and what is lost between buffers, is added as a
    share of its largest tensors.

    Args:
        model: A keras.Model.
        runtime: What computes.

    Returns:
        Bytes; None for a model without a graph that can be read.
    """
    if model not in _peaks:
        _peaks[model] = _peak_of(model)
    peak = _peaks[model]
    return None if peak is None else ceil(peak * _OVERHEAD[runtime])


def _peak_of(model: Any) -> Fraction | None:
    """Bytes per input pixel of the tensors that live together.

    Layers are followed in order; a tensor is held until its last use, and a layer that works
    pixel by pixel writes over a source that nobody else needs.
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
    return peak


def _area(step: Step, areas: dict[int, Fraction]) -> Fraction:
    """Pixels of a step's tensor over pixels of the input."""
    if step.layer is None:
        return Fraction(1)
    area = max(areas[source] for source in step.sources)
    try:
        footprints = [layer_footprint(step.layer, axis, _ANY_SIZE) for axis in (0, 1)]
    except TilingError:  # a layer that looks around: taken to keep the size
        return area
    for footprint in footprints:
        area *= Fraction(footprint.up, footprint.down)
    return area
