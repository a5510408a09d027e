"""Which tiles: fitted to the image, the memory and the network's stride, with the least work."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import keras

from tiledseg.config import TilingSettings
from tiledseg.tiling.execution.memory import PassMemory
from tiledseg.tiling.execution.runtimes import Runtime, check_runtime
from tiledseg.tiling.execution.streaming import windows_at_once
from tiledseg.tiling.geometry.blend import BlendGrid, plan_blend_grid
from tiledseg.tiling.geometry.grid import Grid, plan_grid
from tiledseg.tiling.network.exactness import exact_field, model_field
from tiledseg.tiling.network.receptive_field import ReceptiveField


@dataclass(frozen=True)
class Plan:
    """How an image is going to be predicted, and why so.

    Attributes:
        grid: The tiles.
        why: What decides on the mode, in words.
        memory: Bytes for one pass, estimated; None where the model's graph cannot be read.
        most_pixels: Pixels that may go through the network together; None where
            ``streaming.BATCH_PIXELS`` alone bounds them.
    """

    grid: Grid
    why: str
    memory: int | None
    most_pixels: int | None

    @property
    def mode(self) -> str:
        """``exact`` or ``blend``."""
        return "blend" if isinstance(self.grid, BlendGrid) else "exact"

    def lines(self) -> list[str]:
        """The plan in words, a fact a line."""
        grid = self.grid
        (height, width), (rows, columns) = grid.image_shape, grid.tile_shape
        down, across = len(grid.seam_rows) + 1, len(grid.seam_columns) + 1
        memory = "unknown" if self.memory is None else f"about {self.memory / 1e9:.2f} GB"
        if isinstance(grid, BlendGrid):
            context = f"overlap {2 * grid.halo} px or more, {grid.window_function} window"
        else:
            context = f"halo {grid.halo} px, stride {grid.stride} px"
        return [
            f"mode    {self.mode}: {self.why}",
            f"image   {height} x {width} px",
            f"tiles   {len(grid.tiles)} ({down} x {across}) of {rows} x {columns} px; {context}",
            f"work    {grid.work_ratio:.2f} times the image's pixels",
            f"memory  {memory} for a pass, beside the model",
        ]


def exact_tiling(model: keras.Model, settings: TilingSettings) -> ReceptiveField | None:
    """Halo and stride to tile a model exactly by, or None where its tiles are blended.

    Raises:
        TilingError: ``tiling.mode`` is exact, and the model cannot be tiled so.
    """
    if settings.mode == "exact":
        return model_field(model)
    return exact_field(model) if settings.mode == "auto" else None


def plan_tiles(
    model: keras.Model,
    height: int,
    width: int,
    settings: TilingSettings,
    window: int,
    runtime: Runtime = "keras",
) -> Plan:
    """Choose mode and tiles for an image.

    Args:
        model: (N, H, W, C) -> (N, H, W, K).
        height: Rows of the image, in pixels.
        width: Columns of the image, in pixels.
        settings: Mode, and what bounds the tiles.
        window: Side of the windows that are blended, in pixels; a model of one input size has
            its own.
        runtime: What is going to compute.

    Returns:
        The plan.

    Raises:
        TilingError: No tile fits, the model cannot be tiled as the settings ask,
            ``tiling.memory_gigabytes`` cannot be kept, or the runtime is unknown.
    """
    check_runtime(runtime)
    field = exact_tiling(model, settings)
    memory = PassMemory.of(model, settings.memory_gigabytes, runtime)
    if field is None:
        own_height, own_width = model.input_shape[1:3]
        grid: Grid = plan_blend_grid(
            height,
            width,
            tile_shape=(own_height or window, own_width or window),
            overlap=settings.overlap,
            window_function=settings.window,
        )
        rows, columns = grid.tile_shape
        memory.check(rows * columns, f"a window of {rows} x {columns} px")
        asked = settings.mode == "blend"
        why = "tiling.mode asks for it" if asked else "the network cannot be tiled exactly"
    else:
        grid = _exact_grid(height, width, field, settings.max_tile, memory)
        why = "the same answer as one pass over the whole image"
    at_once = windows_at_once(grid, memory.pixels) * grid.tile_shape[0] * grid.tile_shape[1]
    return Plan(grid, why, memory.per_pixel and memory.per_pixel * at_once, memory.pixels)


def _exact_grid(
    height: int, width: int, field: ReceptiveField, max_tile: int, memory: PassMemory
) -> Grid:
    halo, stride = field.halo, field.stride
    smallest = (-(-2 * halo // stride) + 1) * stride
    # An axis that is shorter than the smallest tile has one window, padded to the stride.
    rows, columns = (min(smallest, -(-length // stride) * stride) for length in (height, width))
    memory.check(rows * columns, f"a tile with halos of {halo} px", ", or tiling.mode to blend")
    most_pixels = memory.largest_tile(max_tile)
    return fit_grid(height, width, halo=halo, stride=stride, most_pixels=most_pixels)


def fit_grid(height: int, width: int, *, halo: int, stride: int, most_pixels: int) -> Grid:
    """Cover an image exactly with tiles of one shape that compute the fewest pixels.

    Sides are chosen together, of all that there are. Long narrow tiles suit long narrow images.

    Args:
        height: Rows of the image, in pixels.
        width: Columns of the image, in pixels.
        halo: Context the network needs around a pixel, in pixels.
        stride: Total stride of the network, in pixels.
        most_pixels: Area of the largest tile, halo included.

    Returns:
        The grid; of two with the same work the one with fewer tiles.

    Raises:
        TilingError: A size is impossible, or no tile of that area has room for its halos.
    """
    overlap, area = -(-2 * halo // stride), most_pixels // stride**2
    ways = [
        (tall * down * wide * across, down * across, tall, wide)
        for tall, down in _splits(-(-height // stride), overlap)
        for wide, across in _splits(-(-width // stride), overlap)
        if tall * wide <= area
    ]
    if not ways:
        return plan_grid(
            height, width, halo=halo, stride=stride, max_tile=math.isqrt(max(most_pixels, 0))
        )
    _, _, tall, wide = min(ways)
    return plan_grid(
        height, width, halo=halo, stride=stride, max_tile=(tall * stride, wide * stride)
    )


def _splits(total: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Sides of windows along an axis that none fewer would cover, and how many; in strides."""
    shortest = total + 1
    for count in range(1, total + 1):
        side = -(-(total + (count - 1) * overlap) // count)
        if count > 1 and side <= overlap:
            return
        if side < shortest:
            shortest = side
            yield side, count
