"""Geometric augmentation of a training crop: one coordinate map, applied once.

Flips, turns, scale, shear, lenses and deformations are all maps from a place in the crop to a
place in the image. They are composed at nodes a few pixels apart, enlarged to one coordinate per
pixel, and image and mask are read there: aligned by construction, interpolated once.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.config import AugmentationSettings
from tiledseg.data.preprocessing import to_rgb
from tiledseg.data.sampling.crops import read_region

_STEP = 4
"""Pixels between nodes; deformations have a sigma of that at least."""
_GRID = 5
"""Nodes of the grid distortion along a side."""
_OFF_CENTER = 0.3
"""Most that a lens lies off the center, as a fraction of the crop."""
_ALIASING = 1.3
"""Pixels of the image in one of the crop from which it is smoothed before it is read."""

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]


@dataclass(frozen=True)
class Flips:
    """A mirroring, followed by quarter turns counterclockwise."""

    horizontal: bool
    vertical: bool
    turns: int

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(2, 2): a place (x, y) about the center of the image, from one in the crop."""
        mirror = np.diag([-1.0 if self.horizontal else 1.0, -1.0 if self.vertical else 1.0])
        turn = np.linalg.matrix_power(np.array([[0, -1], [1, 0]]), self.turns)
        return np.asarray(mirror @ turn)


def is_warp(settings: AugmentationSettings) -> bool:
    """True where more is asked for than flips, quarter turns and scale."""
    return any(
        (
            settings.rotation,
            settings.shear,
            settings.elastic,
            settings.grid_distortion,
            settings.barrel,
            settings.pincushion,
        )
    )


def draw_map(
    shape: tuple[int, int],
    zoom: float,
    flips: Flips,
    rng: np.random.Generator,
    settings: AugmentationSettings,
) -> Map:
    """Draw the map of one crop.

    Args:
        shape: Rows and columns of the crop.
        zoom: Pixels of the image in one of the crop.
        flips: Already drawn.
        rng: Source of randomness.
        settings: Which changes, and how large.

    Returns:
        (nodes, nodes, 2), float32: column and row of the image for each node, counted from the
        center of what is shown. Nodes are the centers of squares of 4 pixels' side; one row and
        column of them lies around the crop, or two.
    """
    angle, *slants = rng.uniform(-1.0, 1.0, 3).tolist()
    centers = rng.uniform(-_OFF_CENTER, _OFF_CENTER, (2, 2)) * (shape[1], shape[0])
    *strengths, displacement = (
        rng.random(3) * (settings.barrel, -settings.pincushion, settings.elastic)
    ).tolist()
    rows, columns = (
        ((np.arange(-1, -(-extent // _STEP) + 1) + 0.5) * _STEP - extent / 2) for extent in shape
    )
    x, y = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    radius = settings.lens_radius * min(shape)
    for center, strength in zip(centers.tolist(), strengths, strict=True):
        if strength:
            x, y = _through_lens(x, y, center, strength, radius)
    nodes = np.asarray(cv2.merge([x, y]), np.float32)
    if settings.grid_distortion:
        most = settings.grid_distortion * min(shape)
        grid = rng.uniform(-most, most, (_GRID, _GRID, 2)).astype(np.float32)
        nodes += cv2.resize(grid, nodes.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    if settings.elastic:
        smoothness = settings.elastic_smoothness
        nodes += displacement * _elastic(nodes.shape[:2], smoothness, rng)
    turned = np.deg2rad(angle * settings.rotation)
    rotation = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
    along, across = (settings.shear * slant for slant in slants)
    matrix = zoom * flips.matrix @ rotation @ np.array([[1.0, along], [across, 1.0]])
    return np.asarray(cv2.transform(nodes, matrix.astype(np.float32)))


def read_warped(
    image: Pixels,
    mask: Pixels,
    nodes: Map,
    center: tuple[float, float],
    shape: tuple[int, int],
    zoom: float,
    color_space: str,
) -> tuple[Pixels, Pixels]:
    """Read an image and its mask where a map says.

    Args:
        image: (H, W, C), uint8; may be mapped from disk: only what is shown is read.
        mask: (H, W), uint8; any labels.
        nodes: Of ``draw_map``.
        center: Row and column of the image that the map counts from.
        shape: As for ``draw_map``.
        zoom: As for ``draw_map``.
        color_space: That of the image.

    Returns:
        (h, w, C), uint8, interpolated between pixels, in RGB (or gray): half-way between two
        hues lies another, between their colors a mixture. And (h, w), uint8, of the nearest
        pixel. Beyond its border the image is reflected.
    """
    # A small image may lie beside the crop's middle: what is read touches it all the same.
    left, width = _span(nodes[..., 0], center[1], mask.shape[1])
    top, height = _span(nodes[..., 1], center[0], mask.shape[0])
    region = to_rgb(read_region(image, top, left, height, width), color_space)
    if zoom > _ALIASING:
        smooth = cv2.GaussianBlur(region, (0, 0), 0.5 * float(np.sqrt(zoom**2 - 1.0)))
        region = np.asarray(smooth).reshape(region.shape)
    labels = read_region(mask, top, left, height, width)
    from_corner = np.array((center[1] - left, center[0] - top), np.float32)
    places = _per_pixel(nodes + from_corner, shape)
    return _interpolate(region, places), np.asarray(
        cv2.remap(labels, places, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101)
    )


def _span(nodes: Map, center: float, extent: int) -> tuple[int, int]:
    """First row or column to read, and how many, for neighbors of every place between nodes."""
    first = min(math.floor(center + float(nodes.min())), extent - 1)
    return first, max(math.ceil(center + float(nodes.max())) + 2, 1) - first


def _per_pixel(nodes: Map, shape: tuple[int, int]) -> Map:
    """Columns and rows for every pixel of a crop, (h, w, 2), linear between nodes."""
    # cv2.resize puts a node's center where the _STEP pixels that come of it have theirs.
    full = cv2.resize(nodes, (nodes.shape[1] * _STEP, nodes.shape[0] * _STEP))
    return np.asarray(full[_STEP : _STEP + shape[0], _STEP : _STEP + shape[1]], np.float32)


def _interpolate(region: Pixels, places: Map) -> Pixels:
    color = region.shape[2] == 3
    # OpenCV reads four channels twice as fast as three.
    given = cv2.cvtColor(region, cv2.COLOR_RGB2RGBA) if color else region
    read = cv2.remap(given, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    if color:
        return np.asarray(cv2.cvtColor(read, cv2.COLOR_RGBA2RGB))
    return np.asarray(read).reshape(*read.shape[:2], 1)


def _through_lens(
    x: Map, y: Map, center: list[float], strength: float, radius: float
) -> tuple[Map, Map]:
    """The way to the center times 1 - strength (1 - d^2 / radius^2)^2, inside the radius.

    It and its slope go over into the surroundings without a step, and for strengths between -1
    and 1 it grows with the distance d, so that nothing folds.
    """
    across, along = x - np.float32(center[0]), y - np.float32(center[1])
    inside = 1.0 - (across * across + along * along) * np.float32(1.0 / radius**2)
    np.maximum(inside, 0.0, out=inside)
    change = np.float32(strength) * inside * inside
    return x - change * across, y - change * along


def _elastic(shape: tuple[int, int], smoothness: float, rng: np.random.Generator) -> Map:
    """White noise, smoothed, of standard deviation 1; drawn no finer than it will be smooth.

    Simard et al., "Best practices for convolutional neural networks applied to visual document
    analysis", ICDAR 2003.
    """
    spacing = max(1.0, smoothness / (2 * _STEP))
    coarse = tuple(int(extent / spacing) + 2 for extent in shape)
    sigma = smoothness / _STEP / spacing
    kernel = cv2.getGaussianKernel(2 * int(3.0 * sigma + 0.5) + 1, sigma, cv2.CV_32F)
    field = cv2.sepFilter2D(
        rng.standard_normal((*coarse, 2), dtype=np.float32), cv2.CV_32F, kernel, kernel
    )
    field *= np.float32(1.0 / float((kernel**2).sum()))
    return np.asarray(cv2.resize(field, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)
