"""A pass over a window that drops the halo as soon as nothing needs it any more.

A halo is as wide as the deepest layers look around; the last ones, at full size and the dearest,
need a pixel or two of it. On its way up, the network computes ever less of a window::

    window   |=================================|    down, and at the bottom
    2nd      .  |=========================|    .    up, at half the size
    last     .    |=====================|      .    up, at full size
    core              [=============]

How much each layer needs is known from the walk that gives the halo (``receptive_field``). All
windows of a grid are trimmed to the same shapes, from places of their own, so that one compiled
function serves all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tiledseg.backend import compile_application
from tiledseg.errors import TilingError
from tiledseg.tiling.geometry.grid import Grid, Tile
from tiledseg.tiling.geometry.regions import Values, Windows
from tiledseg.tiling.network.graph import Step, steps_of
from tiledseg.tiling.network.layer_footprint import MERGING
from tiledseg.tiling.network.receptive_field import axis_needs

_WORTH = 0.98
"""A shape that would leave more than this share of a window's pixels is not worth a copy."""

Shape = tuple[int, int]


@dataclass(frozen=True)
class Trims:
    """The shapes that a network trims a grid's windows to, from the whole window to the last.

    Attributes:
        shapes: Height and width, in pixels of the window; the first is the window's own.
        margins: For each shape, the pixels around a core that it has room for, at least.
        of_stage: For each stage of the network, the last one first, which shape it computes.
    """

    shapes: tuple[Shape, ...]
    margins: tuple[int, ...]
    of_stage: tuple[int, ...]


class TrimmedPass:
    """A pass over one window of a grid, of which the core is kept."""

    def __init__(self, model: Any, network: "_Network", grid: Grid, trims: Trims) -> None:
        self._grid, self._trims = grid, trims
        dtype = model.inputs[0].dtype

        def apply(batch: Any, starts: Any, shapes: Any, of_stage: Any) -> Any:
            return network.apply(keras.ops.cast(batch, dtype), starts, shapes, of_stage)

        self._compute = compile_application(model, "trimmed", apply)

    def __call__(self, windows: Windows, indices: Sequence[int]) -> list[Values]:
        """See ``WindowPass``."""
        (index,) = indices
        tile = self._grid.tiles[index]
        starts = corners(tile, self._grid, self._trims)
        values = self._compute(windows, starts, self._trims.shapes, self._trims.of_stage)[0]
        rows, columns = (
            slice(core.start - int(start), core.stop - int(start))
            for core, start in zip(tile.core_in_window, starts[-1], strict=True)
        )
        return [values[rows, columns]]


def trim_pass(model: Any, grid: Grid) -> TrimmedPass | None:
    """A pass that computes no more of each window than its core needs.

    Args:
        model: A keras.Model that is tiled exactly, (N, H, W, C) -> (N, H, W, K).
        grid: The tiles of an image.

    Returns:
        The pass, which takes one window at a time, or None where there is nothing to trim: one
        window holds the image, or the network does not grow towards its output.
    """
    if len(grid.tiles) == 1:
        return None
    network = _network(model, grid.stride)
    if network is None:
        return None
    trims = plan_trims(grid, network.margins)
    return None if len(trims.shapes) == 1 else TrimmedPass(model, network, grid, trims)


def plan_trims(grid: Grid, margins: Sequence[int]) -> Trims:
    """The shapes to trim a grid's windows to.

    Args:
        grid: The tiles.
        margins: For each stage of a network, the last one first, the pixels around a core that
            it needs; no stage needs less than the one that follows it.
    """
    shapes, room, of_stage = [grid.tile_shape], [margins[-1]], []
    for margin in reversed(margins):
        spans = [_spans(tile, grid, margin) for tile in grid.tiles]
        height, width = np.diff(spans, axis=2).max(axis=0)[:, 0].tolist()
        if height * width <= _WORTH * shapes[-1][0] * shapes[-1][1]:
            shapes.append((height, width))
            room.append(margin)
        of_stage.append(len(shapes) - 1)
    return Trims(tuple(shapes), tuple(room), tuple(reversed(of_stage)))


def corners(tile: Tile, grid: Grid, trims: Trims) -> NDArray[np.int32]:
    """Where in a tile's window each shape begins, so that it holds its margin of the core.

    Each lies within the one before, and all begin on the grid's stride: layers that halve and
    double would pair other pixels than in the whole image.

    Returns:
        (shapes, 2) int32, row and column.
    """
    found = np.zeros((len(trims.shapes), 2), np.int32)
    for place in range(1, len(found)):
        room = np.subtract(trims.shapes[place - 1], trims.shapes[place])
        starts = [start for start, _ in _spans(tile, grid, trims.margins[place])]
        found[place] = np.minimum(starts, found[place - 1] + room)
    return found


def _spans(tile: Tile, grid: Grid, margin: int) -> list[tuple[int, int]]:
    """From where to where the core and a margin lie in a tile's window, along each axis."""
    stride, found = grid.stride, []
    for core, length in zip(tile.core_in_window, grid.tile_shape, strict=True):
        start = max(core.start - margin, 0) // stride * stride
        stop = ((core.stop - 1 + margin) // stride + 1) * stride
        found.append((start, min(stop, length)))
    return found


@dataclass(frozen=True)
class _Network:
    """A network's graph, and what each part of it needs around the pixels that are kept.

    Attributes:
        steps: From input to output.
        stages: For each result the number of growing steps between it and the output, at most.
        scales: For each result the pixels of the window per pixel of its own, down and across.
        margins: For each stage the pixels around a core that it needs.
    """

    steps: list[Step]
    stages: dict[int, int]
    scales: dict[int, Shape]
    margins: tuple[int, ...]

    def apply(self, batch: Any, starts: Any, shapes: Any, of_stage: Sequence[int]) -> Any:
        """One pass over a window, in the calls of a Keras backend.

        Args:
            batch: (1, h, w, C).
            starts: (shapes, 2) integers, see ``corners``.
            shapes: (shapes, 2) integers, see ``Trims``.
            of_stage: See ``Trims``.

        Returns:
            (1, height and width of the last shape, K).
        """
        first, *rest = self.steps
        made = {first.result: (batch, 0)}
        trimmed: dict[tuple[int, int], Any] = {}

        def part(source: int, place: int) -> Any:
            whole, before = made[source]
            if before == place:
                return whole
            if (source, place) not in trimmed:
                down, across = self.scales[source]
                row, column = (starts[place][axis] - starts[before][axis] for axis in (0, 1))
                begin = 0, row // down, column // across, 0
                height, width = shapes[place][0] // down, shapes[place][1] // across
                shape = 1, height, width, whole.shape[-1]
                trimmed[source, place] = keras.ops.slice(whole, begin, shape)
            return trimmed[source, place]

        for step in rest:
            place = of_stage[self.stages[step.result]]
            parts = [part(source, place) for source in step.sources]
            answer = step.layer(parts if type(step.layer) in MERGING else parts[0])
            made[step.result] = (answer, place)
        return made[self.steps[-1].result][0]


def _network(model: Any, stride: int) -> _Network | None:
    """A model's graph, if it can be read and its layers applied to parts of their tensors."""
    try:
        steps = steps_of(model)
        needs = [axis_needs(steps, axis, stride) for axis in (0, 1)]
    except TilingError:
        return None
    if needs[0] is None or needs[1] is None or not all(map(_is_known, steps)):
        return None
    rows, columns = needs[0], needs[1]
    growing = rows.growing | columns.growing
    stages = {steps[-1].result: 0}
    for step in reversed(steps):
        stage = stages[step.result] + (step.result in growing)
        for source in step.sources:
            stages[source] = max(stages.get(source, 0), stage)
    margins = [0] * (max(stages.values()) + 1)
    for step in sorted(steps, key=lambda step: stages[step.result]):
        stage = stages[step.result]
        own = max(rows.contexts[step.result], columns.contexts[step.result])
        margins[stage] = max(margins[stage], margins[stage - 1] if stage else 0, own)
    scales = {
        step.result: (rows.scales[step.result], columns.scales[step.result]) for step in steps
    }
    return _Network(steps, stages, scales, tuple(margins))


def _is_known(step: Step) -> bool:
    """Whether a layer reads what its type says.

    A function of somebody's own may look around. Where a halo is kept to the end, that is far
    from the core, and found out by ``perturbation``; a trimmed edge is near it.
    """
    activation = getattr(step.layer, "activation", None)
    module = getattr(activation, "__module__", "")
    return not step.extra and (activation is None or module.startswith("keras."))
