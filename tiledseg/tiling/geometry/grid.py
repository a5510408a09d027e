"""Tiles over an image: what to read and what to keep. Pure geometry, no pixels."""

from collections.abc import Iterator
from dataclasses import dataclass

from tiledseg.errors import TilingError
from tiledseg.tiling.geometry.axis import cover_axis, divide_axis


@dataclass(frozen=True)
class Tile:
    """One piece of work: a window to read, and the core of it to keep.

    Along one axis, with halo h at the two cuts inside the image::

        image   |==============================================|
        window            [--h--|------ core ------|--h--]
        kept                    [==================]

    A window that ends where the padded image ends needs no halo there: the
    network's own zero padding is what one pass over the whole image sees too.

    Attributes:
        window: Rows and columns in the padded image, in pixels.
        core: Rows and columns in the image, in pixels.
    """

    window: tuple[slice, slice]
    core: tuple[slice, slice]

    @property
    def core_in_window(self) -> tuple[slice, slice]:
        """Rows and columns of the core, counted from the window's corner, in pixels."""
        rows, columns = (
            slice(core.start - window.start, core.stop - window.start)
            for core, window in zip(self.core, self.window, strict=True)
        )
        return rows, columns


@dataclass(frozen=True)
class Grid:
    """Tiles of one shape whose cores cover every pixel of an image exactly once.

    Attributes:
        tiles: The tiles, row by row.
        tile_shape: Height and width of every window, in pixels.
        padded_shape: Height and width of the image padded to the stride, in pixels.
        image_shape: Height and width of the image, in pixels.
        halo: Context kept on both sides of every cut, in pixels (at least).
        stride: Windows start on multiples of this, in pixels.
    """

    tiles: tuple[Tile, ...]
    tile_shape: tuple[int, int]
    padded_shape: tuple[int, int]
    image_shape: tuple[int, int]
    halo: int
    stride: int

    @property
    def work_ratio(self) -> float:
        """Pixels computed over pixels of the image; 1.0 is the least."""
        computed = len(self.tiles) * self.tile_shape[0] * self.tile_shape[1]
        return computed / (self.image_shape[0] * self.image_shape[1])

    @property
    def seam_rows(self) -> tuple[int, ...]:
        """Rows at which a core begins inside the image; the seam is above them."""
        return self._seams(0)

    @property
    def seam_columns(self) -> tuple[int, ...]:
        """Columns at which a core begins inside the image; the seam is left of them."""
        return self._seams(1)

    def _seams(self, axis: int) -> tuple[int, ...]:
        return tuple(sorted({tile.core[axis].start for tile in self.tiles} - {0}))


@dataclass(frozen=True)
class _Axis:
    """The solution along one axis: equal windows, and their cores."""

    padded: int
    tile: int
    origins: tuple[int, ...]
    cores: tuple[tuple[int, int], ...]

    def spans(self) -> Iterator[tuple[slice, slice]]:
        """The window and the core of each tile, in order."""
        for origin, (start, stop) in zip(self.origins, self.cores, strict=True):
            yield slice(origin, origin + self.tile), slice(start, stop)


def plan_grid(
    height: int, width: int, *, halo: int, stride: int, max_tile: int | tuple[int, int]
) -> Grid:
    """Cover an image with the fewest equal tiles that give the whole-image answer.

    The image is padded at the bottom and the right to multiples of the stride. An
    axis that fits max_tile gets one window. Otherwise the number of windows is the
    least possible, then their length the least that works for that number.

    Args:
        height: Rows of the image, in pixels.
        width: Columns of the image, in pixels.
        halo: Context the network needs around a pixel, in pixels.
        stride: Total stride of the network, in pixels.
        max_tile: Largest side of a window, or height and width, in pixels; counted down to the
            stride.

    Returns:
        The grid; every pixel of the image lies in exactly one core.

    Raises:
        TilingError: If a size is impossible, or max_tile leaves no room for a core
            between two halos.
    """
    _check_sizes(height, width, halo, stride)
    most = max_tile if isinstance(max_tile, tuple) else (max_tile, max_tile)
    rows = _solve_axis("height", height, halo, stride, most[0])
    columns = _solve_axis("width", width, halo, stride, most[1])
    tiles = tuple(
        Tile((row_window, column_window), (row_core, column_core))
        for row_window, row_core in rows.spans()
        for column_window, column_core in columns.spans()
    )
    return Grid(
        tiles=tiles,
        tile_shape=(rows.tile, columns.tile),
        padded_shape=(rows.padded, columns.padded),
        image_shape=(height, width),
        halo=halo,
        stride=stride,
    )


def _check_sizes(height: int, width: int, halo: int, stride: int) -> None:
    if height < 1 or width < 1:
        raise TilingError(f"an image of {height} x {width} pixels has nothing to tile; give 1 x 1")
    if halo < 0 or stride < 1:
        raise TilingError(f"halo {halo} and stride {stride} are no receptive field; use >= 0, >= 1")


def _solve_axis(name: str, length: int, halo: int, stride: int, max_tile: int) -> _Axis:
    """Solve one axis, counting in strides (total, overlap, most, tile)."""
    total = -(-length // stride)
    overlap = -(-2 * halo // stride)
    most = max_tile // stride
    if total <= most:
        return _Axis(total * stride, total * stride, (0,), ((0, length),))
    if most <= overlap:
        needed = (overlap + 1) * stride
        raise TilingError(
            f"the image's {name} of {length} px needs more than one tile, and a tile of "
            f"{max_tile} px has no room for two halos of {halo} px and a stride of {stride} px; "
            f"set tiling.max_tile to {needed} or more, or tiling.mode to blend"
        )
    count = -(-(total - overlap) // (most - overlap))
    tile = -(-(total + (count - 1) * overlap) // count)
    origins = tuple(stride * origin for origin in cover_axis(total, tile, overlap))
    cores = divide_axis(length, tile * stride, origins)
    return _Axis(total * stride, tile * stride, origins, tuple(cores))
