"""Where training crops lie, and reading them: only the crop leaves the disk."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.tiling.geometry.axis import cover_axis

_POINTS_PER_OBJECT = 8


@dataclass(frozen=True)
class Window:
    """A square of an image, and the size at which it is shown.

    Attributes:
        top: First row; may be negative.
        left: First column; may be negative.
        side: Rows and columns of the image.
        size: Rows and columns of the crop.
    """

    top: int
    left: int
    side: int
    size: int


def read_crop(pixels: NDArray[np.uint8], top: int, left: int, side: int) -> NDArray[np.uint8]:
    """Copy a square out of an image; see ``read_region``."""
    return read_region(pixels, top, left, side, side)


def read_region(
    pixels: NDArray[np.uint8], top: int, left: int, height: int, width: int
) -> NDArray[np.uint8]:
    """Copy a rectangle out of an image.

    Beyond the image's border, the part of the rectangle that lies in the image is reflected, as
    often as it takes; nothing else is read from the disk.

    Args:
        pixels: (H, W) or (H, W, C), uint8; may be mapped from disk.
        top: First row; may be negative.
        left: First column; may be negative.
        height: Rows of the rectangle.
        width: Columns of the rectangle.

    Returns:
        (height, width) or (height, width, C), uint8, in memory of its own.

    Raises:
        ValueError: The rectangle does not touch the image.
    """
    rows = slice(max(top, 0), min(top + height, pixels.shape[0]))
    columns = slice(max(left, 0), min(left + width, pixels.shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        raise ValueError(
            f"a crop at ({top}, {left}) of {height} x {width} px misses "
            f"{pixels.shape[0]} x {pixels.shape[1]} pixels"
        )
    crop = np.array(pixels[rows, columns], order="C")
    if crop.shape[:2] == (height, width):
        return crop
    padded = cv2.copyMakeBorder(
        crop,
        rows.start - top,
        top + height - rows.stop,
        columns.start - left,
        left + width - columns.stop,
        cv2.BORDER_REFLECT_101,
    )
    return np.asarray(padded).reshape(height, width, *pixels.shape[2:])


def resize(pixels: NDArray[np.uint8], side: int, *, labels: bool) -> NDArray[np.uint8]:
    """Resize a square crop.

    Args:
        pixels: (h, h) or (h, h, C), uint8.
        side: Rows and columns wanted.
        labels: True for a mask: nearest neighbor, so no new label appears. Otherwise area
            averages where it shrinks, linear interpolation where it grows.

    Returns:
        (side, side) or (side, side, C), uint8.
    """
    if pixels.shape[0] == side:
        return pixels
    shrinks = pixels.shape[0] > side
    # EXACT puts the centers of pixels where linear and area do; plain INTER_NEAREST does not.
    smooth = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    method = cv2.INTER_NEAREST_EXACT if labels else smooth
    changed = cv2.resize(pixels, (side, side), interpolation=method)
    return np.asarray(changed).reshape(side, side, *pixels.shape[2:])


def object_points(mask: NDArray[np.uint8]) -> NDArray[np.int32]:
    """A few pixels of every object, spread evenly over it in reading order.

    Args:
        mask: (H, W), uint8, 0 or 1. Objects are regions connected over sides or corners.

    Returns:
        (objects, 8, 2), int32, rows and columns; an object of fewer than 8 pixels repeats some.
    """
    _, names, stats, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask), connectivity=8
    )
    areas = stats[1:, cv2.CC_STAT_AREA].astype(np.int64)
    if not len(areas):
        return np.empty((0, _POINTS_PER_OBJECT, 2), np.int32)
    foreground = np.flatnonzero(mask)
    by_object = foreground[np.argsort(names.ravel()[foreground], kind="stable")]
    starts = np.cumsum(areas) - areas
    shares = (np.arange(_POINTS_PER_OBJECT) + 0.5) / _POINTS_PER_OBJECT
    picked = by_object[starts[:, np.newaxis] + (areas[:, np.newaxis] * shares).astype(np.int64)]
    return np.stack(np.unravel_index(picked, mask.shape), axis=-1).astype(np.int32)


def crop_origin(
    shape: tuple[int, int], side: int, rng: np.random.Generator, points: NDArray[np.int32] | None
) -> tuple[int, int]:
    """Draw the first row and column of a crop.

    Args:
        shape: Height and width of the image, in pixels.
        side: Side of the crop, in pixels.
        rng: Source of randomness.
        points: Of ``object_points``: the crop is centered on one of them, off by a quarter of
            the side at most, and pushed back into the image. None: anywhere, evenly.

    Returns:
        Row and column; negative where the image is smaller than the crop.
    """
    lowest = [min(0, extent - side) for extent in shape]
    highest = [max(0, extent - side) for extent in shape]
    if points is None or not len(points):
        top, left = (int(rng.integers(a, b + 1)) for a, b in zip(lowest, highest, strict=True))
        return top, left
    point = points[rng.integers(len(points)), rng.integers(points.shape[1])]
    jitter = rng.integers(-(side // 4), side // 4 + 1, size=2)
    top, left = np.clip(point - side // 2 + jitter, lowest, highest).tolist()
    return top, left


def grid_origins(shape: tuple[int, int], side: int, most: int) -> list[tuple[int, int]]:
    """Choose tiles of a grid that covers an image, evenly spread over it.

    Tiles of the last row and column are pushed back into the image, over their neighbors: what
    is mirrored beyond a border would count there as often as what is real.

    Tiles are taken where the points of the R2 sequence fall (Martin Roberts, "The Unreasonable
    Effectiveness of Quasirandom Sequences", 2018), so that a few of them lie apart.

    Args:
        shape: Height and width of the image, in pixels.
        side: Side of a tile, in pixels; a smaller image has one tile, which reaches beyond it.
        most: Tiles wanted; all of the grid if it has fewer.

    Returns:
        First row and column of each tile, in reading order.
    """
    rows, columns = (cover_axis(extent, side, even=False) for extent in shape)
    chosen: dict[tuple[int, int], None] = {}
    step = 0
    while len(chosen) < min(most, len(rows) * len(columns)):
        # Inverse powers of the plastic number, root of x**3 = x + 1.
        y, x = (0.5 + 0.7548776662466927 * step) % 1.0, (0.5 + 0.5698402909980532 * step) % 1.0
        chosen[rows[int(y * len(rows))], columns[int(x * len(columns))]] = None
        step += 1
    return sorted(chosen)


def share_evenly(most: int, available: list[int]) -> list[int]:
    """Share ``most`` items among images that have so many each, as evenly as it goes.

    Where there are fewer items than images, the images that get one are spread evenly.
    """
    shares = [0] * len(available)
    left = min(most, sum(available))
    while left:
        open_ = [index for index, count in enumerate(available) if shares[index] < count]
        step = max(1.0, len(open_) / left)
        for turn in range(min(left, len(open_))):
            shares[open_[int((turn + 0.5) * step)]] += 1
            left -= 1
    return shares


def stack(
    crops: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Make a batch of crops.

    Args:
        crops: Images (s, s, C) and their labels (s, s), uint8.

    Returns:
        Images (B, s, s, C), uint8, and labels (B, s, s, 1), float32.
    """
    images = np.empty((len(crops), *crops[0][0].shape), np.uint8)
    masks = np.empty((len(crops), *crops[0][1].shape, 1), np.float32)
    for index, (image, mask) in enumerate(crops):
        images[index] = image
        masks[index, ..., 0] = mask
    return images, masks
