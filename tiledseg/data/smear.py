"""A stained blood smear, drawn: red cells, nuclei with their mask, and what distracts from them.

Stain absorbs light, it does not cover: every object adds to the amount of each stain at its
pixels, and the image is the light that passes (Beer-Lambert), so overlaps darken as on a slide.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Window = tuple[slice, slice]

_EOSIN, _AZURE, _PLASMA, _DIRT = range(4)  # pink, purple, pale lilac, brown
_GRAIN_SIDE = 512
_STRIP = 512  # rows photographed at once
_MARGIN = 8  # rows around them that the blur reaches


@dataclass(frozen=True)
class _Look:
    """What the slide, its staining and the camera give to all objects of one image."""

    passing: Floats  # light that one unit of each stain lets pass, 0..1; (4 stains, 3 colours)
    lamp: Floats  # light where there is no stain, 0..255; (3 colours,)
    foreground: float  # fraction of the image at which no further white cell is added
    radius: float  # of a typical red cell, in pixels
    spacing: float  # from red cell to red cell, in radii
    disorder: float  # standard deviation of their places, in spacings
    void: float  # no red cells where a cloud of unit variance is below this value
    chain: float  # share of red cells that carry another one on their shoulder
    pallor: float  # of a red cell's centre; 1 is the healthy cell
    dirt: float  # amount of what is neither red nor white cell; 1 is usual
    blur: float  # standard deviation of the optical blur, in pixels
    noise: float  # standard deviation of the sensor's noise in full light, of 255


@dataclass(frozen=True)
class _Kind:
    """One kind of white cell; lengths in pixels, ranges from least to largest."""

    share: float  # relative frequency
    nucleus: tuple[float, float]  # radius
    cytoplasm: tuple[float, float]  # radius of the cell, in radii of the nucleus
    lobes: tuple[int, int]  # 0 is a kidney
    density: float  # stain of the nucleus
    contrast: float  # of its chromatin
    lilac: float  # stain of the cytoplasm
    pink: float  # stain of its granules


@dataclass(frozen=True)
class _Blot:
    """What is neither red nor white cell; lengths in pixels, ranges from least to largest."""

    number: float  # per megapixel
    radius: tuple[float, float]
    edge: tuple[float, float]  # over which it fades
    ragged: float  # straying of its outline
    azure: tuple[float, float]  # amounts of the stains
    plasma: tuple[float, float]
    dirt: tuple[float, float]


_KINDS = (
    _Kind(0.34, (27, 33), (1.15, 1.35), (2, 4), 1.10, 0.20, 0.45, 0.10),  # neutrophil
    _Kind(0.26, (20, 28), (1.10, 1.40), (1, 1), 1.05, 0.18, 0.90, 0.00),  # lymphocyte
    _Kind(0.16, (28, 36), (1.25, 1.50), (0, 0), 0.80, 0.22, 0.85, 0.03),  # monocyte
    _Kind(0.08, (26, 31), (1.25, 1.40), (2, 2), 1.00, 0.18, 0.30, 0.45),  # eosinophil
    _Kind(0.16, (30, 42), (1.10, 1.25), (1, 1), 0.78, 0.13, 1.30, 0.00),  # blast
    _Kind(0.10, (20, 25), (1.50, 1.80), (1, 1), 1.00, 0.24, 2.80, 0.00),  # plasma cell
)

_BLOTS = (
    _Blot(75, (3.0, 6.5), (2, 3), 0.9, (0.2, 1.1), (0.5, 0.8), (0.0, 0.0)),  # platelet
    _Blot(5, (7.0, 11.0), (2, 4), 1.6, (0.2, 0.7), (0.4, 0.8), (0.0, 0.0)),  # giant platelet
    _Blot(2, (22.0, 50.0), (12, 18), 9.0, (0.10, 0.32), (0.0, 0.4), (0.0, 0.0)),  # smudge
    _Blot(3, (3.0, 14.0), (8, 16), 3.0, (0.0, 0.1), (0.0, 0.0), (0.5, 1.1)),  # brown dust
    _Blot(7, (8.0, 22.0), (9, 18), 3.0, (0.8, 1.8), (0.0, 0.5), (0.0, 0.1)),  # purple dust
)


class _Slide:
    """The amounts of stain so far, the mask of nuclei, and how to reach a piece of them."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.rng = rng
        self.size = size
        self.stain = np.zeros((size, size, 4), np.float32)
        self.mask = np.zeros((size, size), np.bool_)
        self.clumps = _grain(rng, 2.4)
        self.folds = _grain(rng, 9.0)

    def window(self, center: Floats, reach: float) -> tuple[Window, Floats, Floats]:
        """The pixels within ``reach`` of (row, column), and their offsets from it."""
        slices, offsets = [], []
        for middle in (float(center[0]), float(center[1])):
            start = min(max(int(middle - reach), 0), self.size)
            stop = max(min(int(middle + reach) + 2, self.size), start)
            slices.append(slice(start, stop))
            offsets.append(np.arange(start, stop, dtype=np.float32) - np.float32(middle))
        return (slices[0], slices[1]), offsets[0][:, None], offsets[1][None, :]

    def crop(self, grain: Floats, window: Window) -> Floats:
        """A random piece of a grain, of the window's shape."""
        height, width = (part.stop - part.start for part in window)
        top, left = self.rng.integers(0, _GRAIN_SIDE - max(height, width), 2)
        return grain[top : top + height, left : left + width]

    def add(self, stain: int, window: Window, amount: NDArray[np.floating[Any]]) -> None:
        """Add stain to the pixels of a window."""
        self.stain[window][..., stain] += amount.astype(np.float32, copy=False)

    def scatter(self, per_megapixel: float) -> Floats:
        """Centres strewn evenly over the slide; (n, 2) rows and columns."""
        count = self.rng.poisson(per_megapixel * self.size**2 / 1e6)
        return self.rng.uniform(0, self.size, (count, 2)).astype(np.float32)


def draw_smear(seed: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw one field of a stained blood smear and the mask of its nuclei.

    Objects have their size in pixels: a larger image shows more of the slide, not larger cells.

    Args:
        seed: Any integer; the same seed and size give the same field.
        size: Side of the image, in pixels.

    Returns:
        Image, uint8 (size, size, 3) in RGB, and mask, bool (size, size), true on nuclei.
    """
    rng = np.random.default_rng(seed % 2**64)
    look = _draw_look(rng)
    slide = _Slide(rng, size)
    occupied = _add_white_cells(slide, look)
    _add_red_cells(slide, look, occupied)
    for blot in _BLOTS:
        _add_blots(slide, look, blot)
    _add_precipitate(slide, look)
    return _photograph(slide, look), slide.mask


def _draw_look(rng: np.random.Generator) -> _Look:
    """Choose a slide: its staining, its density, its light."""
    warm, blue = rng.uniform(-1, 1, 2)
    passing = np.array(
        [
            (0.76 + 0.02 * warm, 0.50, 0.56 - 0.05 * warm),
            (0.34 - 0.07 * blue, 0.22, 0.58 + 0.02 * blue),
            (0.80, 0.76, 0.89),
            (0.44, 0.31, 0.24),
        ]
    )
    strength = rng.uniform((0.75, 0.8, 0.7, 0.9), (1.2, 1.15, 1.2, 1.1))[:, None]
    tint = rng.uniform((0.97, 0.95, 0.93), (1.0, 0.99, 1.0))
    return _Look(
        passing=(passing**strength).astype(np.float32),
        lamp=(rng.uniform(222, 248) * tint).astype(np.float32),
        foreground=rng.uniform(0.035, 0.085),
        radius=rng.uniform(19, 25),
        spacing=rng.uniform(2.1, 2.9),
        disorder=rng.uniform(0.15, 0.28),
        void=rng.choice((-4.0, rng.uniform(-1.2, -0.3))),
        chain=rng.uniform(0.0, 0.45),
        pallor=rng.uniform(0.7, 1.3),
        dirt=rng.uniform(0.4, 1.6),
        blur=rng.uniform(0.7, 1.25),
        noise=rng.uniform(1.5, 4.0),
    )


def _grain(rng: np.random.Generator, sigma: float) -> Floats:
    """Noise of unit variance, smooth over ``sigma`` pixels; a square of _GRAIN_SIDE."""
    noise = cv2.GaussianBlur(
        rng.standard_normal((_GRAIN_SIDE, _GRAIN_SIDE), np.float32), (0, 0), sigma
    )
    return np.asarray(noise / noise.std(), np.float32)


def _cover(distance: Floats, edge: float) -> Floats:
    """1 where the signed distance is negative, 0 outside, changing over ``edge`` pixels."""
    ramp = np.clip(0.5 - distance / np.float32(edge), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def _add_white_cells(slide: _Slide, look: _Look) -> NDArray[np.bool_]:
    """Add white cells until nuclei take their share.

    Returns:
        Where red cells cannot lie, at a quarter of the resolution.
    """
    rng, size = slide.rng, slide.size
    occupied = np.zeros((size // 4 + 1, size // 4 + 1), np.uint8)
    shares = np.array([kind.share for kind in _KINDS])
    placed = np.empty((0, 3), np.float32)
    closeness, painted = 1.0, 0
    while painted < look.foreground * size**2:
        kind = _KINDS[rng.choice(len(_KINDS), p=shares / shares.sum())]
        nucleus = rng.uniform(*kind.nucleus)
        radius = nucleus * rng.uniform(*kind.cytoplasm)
        center = rng.uniform(-nucleus, size + nucleus, 2).astype(np.float32)
        gaps = np.hypot(*(placed[:, :2] - center).T) - 0.95 * closeness * (placed[:, 2] + radius)
        if np.any(gaps < 0):
            closeness *= 0.99  # ends the search on a full slide
            continue
        closeness = 1.0
        placed = np.vstack([placed, (*center, radius)]).astype(np.float32)
        painted += _add_white_cell(slide, kind, center, nucleus, radius)
        row, column = (int(part) for part in center / 4)
        cv2.circle(occupied, (column, row), int((radius + 0.5 * look.radius) / 4), 1, -1)
    return occupied > 0


def _add_white_cell(
    slide: _Slide, kind: _Kind, center: Floats, nucleus: float, radius: float
) -> int:
    """Add one white cell; returns the number of pixels its nucleus adds to the mask."""
    rng = slide.rng
    window, dy, dx = slide.window(center, radius * 1.2 + 4)
    clumps, folds = slide.crop(slide.clumps, window), slide.crop(slide.folds, window)
    fine = slide.crop(slide.clumps, window)

    body = np.hypot(dy, dx * np.float32(rng.uniform(0.9, 1.1))) - radius + 1.6 * folds
    plasma = _cover(body, 3.0) * (0.8 + 0.2 * np.clip(fine, -2, 2))
    lobes = int(rng.integers(kind.lobes[0], kind.lobes[1] + 1))
    aside = rng.uniform(-0.6, 0.6, 2).astype(np.float32) * np.float32(radius - nucleus)
    distance = _union(_discs(rng, lobes, nucleus), dy - aside[0], dx - aside[1])
    distance += rng.uniform(0.4, 2.0) * slide.crop(slide.folds, window)
    inside = _cover(distance, 1.6)
    rim = np.exp(-((distance + 2) ** 2) / 6)
    chromatin = 0.92 + kind.contrast * np.clip(clumps, -2, 2) + 0.06 * folds + 0.15 * rim
    if lobes == 1 and nucleus > 29:
        chromatin -= _nucleoli(slide, nucleus, dy, dx)

    tone = rng.uniform(0.75, 1.15)
    slide.add(_AZURE, window, inside * chromatin * kind.density * tone)
    slide.add(_PLASMA, window, plasma * kind.lilac * rng.uniform(0.7, 1.3))
    slide.add(_EOSIN, window, plasma * (1 - inside) * (0.4 + np.clip(fine, 0, 2)) * kind.pink)
    fresh = (distance < 0) & ~slide.mask[window]
    slide.mask[window] |= fresh
    return int(np.count_nonzero(fresh))


def _discs(rng: np.random.Generator, lobes: int, radius: float) -> Floats:
    """A nucleus as a chain of discs; (n, 3) with row, column and radius in pixels."""
    if lobes == 0:  # a kidney
        angle = np.linspace(0, rng.uniform(2.2, 4.2), 9)
        away, radii = np.full(9, 0.52), 0.46 + 0.05 * np.cos(np.linspace(-2.5, 2.5, 9))
    elif lobes == 1:
        angle = rng.uniform(0, 2 * np.pi, 3)
        away, radii = rng.uniform(0.05, 0.22, 3), rng.uniform(0.72, 0.86, 3)
    else:  # lobes ten discs apart, joined by a thread
        knots, link = np.arange(lobes), np.arange(0, lobes - 0.95, 0.1)
        steps = rng.uniform(0.75, 1.2, lobes) * (2.4, 1.7, 1.35)[lobes - 2]
        angle = np.interp(link, knots, np.cumsum(steps))
        away = np.interp(link, knots, rng.uniform(0.42, 0.66, lobes))
        radii = np.full(len(link), rng.uniform(0.12, 0.24))
        for lobe in knots:
            width = rng.uniform(0.30, 0.44) * (1.15 if lobes == 2 else 1.0)
            radii[max(10 * lobe - 1, 0) : 10 * lobe + 2] = width
    angle += rng.uniform(0, 2 * np.pi)
    discs = radius * np.stack([away * np.sin(angle), away * np.cos(angle), radii], 1)
    return discs.astype(np.float32)


def _union(discs: Floats, dy: Floats, dx: Floats) -> Floats:
    """Signed distance to a smooth union of discs, in pixels, by a soft minimum."""
    blend = np.float32(1.5)
    total = np.zeros(np.broadcast_shapes(dy.shape, dx.shape), np.float32)
    for row, column, radius in discs:
        total += np.exp(np.clip((radius - np.hypot(dy - row, dx - column)) / blend, -60, 60))
    return np.asarray(-blend * np.log(total + np.float32(1e-30)), np.float32)


def _nucleoli(slide: _Slide, radius: float, dy: Floats, dx: Floats) -> Floats:
    """Pale round spots of an immature nucleus, as the stain they lack."""
    pale = np.zeros(np.broadcast_shapes(dy.shape, dx.shape), np.float32)
    for _ in range(int(slide.rng.integers(1, 4))):
        row, column = slide.rng.uniform(-0.45, 0.45, 2).astype(np.float32) * np.float32(radius)
        pale += _cover(np.hypot(dy - row, dx - column) - slide.rng.uniform(3, 6), 4.0)
    return np.float32(0.22) * np.minimum(pale, 1)


def _red_centers(slide: _Slide, look: _Look, occupied: NDArray[np.bool_]) -> Floats:
    """Where red cells lie: a disordered honeycomb with gaps, and chains of overlapping cells."""
    rng, step = slide.rng, look.spacing * look.radius
    columns, rows = int(slide.size / step) + 4, int(1.2 * slide.size / step) + 4
    row, column = np.mgrid[-2 : rows - 2, -2 : columns - 2]
    centers = np.stack([row * 0.866, column + 0.5 * (row % 2)], -1).reshape(-1, 2) * step
    centers += rng.normal(0, look.disorder * step, centers.shape)
    coarse = rng.standard_normal((rows // 5 + 3, columns // 5 + 3), np.float32)
    cloud = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC).reshape(-1)
    links = [centers[cloud > look.void]]
    direction = rng.uniform(0, 2 * np.pi, len(links[0]))
    for _ in range(4):
        carried = rng.random(len(links[-1])) < look.chain
        direction = direction[carried] + rng.normal(0, 0.4, carried.sum())
        shift = look.radius * rng.uniform(0.8, 1.7, len(direction))
        shifts = np.stack([shift * np.sin(direction), shift * np.cos(direction)], 1)
        links.append(links[-1][carried] + shifts)
    centers = np.concatenate(links)
    centers = centers[np.all((centers > -30) & (centers < slide.size + 30), axis=1)]
    row, column = np.clip(centers / 4, 0, occupied.shape[0] - 1).T.astype(int)
    return np.asarray(centers[~occupied[row, column]], np.float32)


def _add_red_cells(slide: _Slide, look: _Look, occupied: NDArray[np.bool_]) -> None:
    """Add red cells: biconcave discs, some flat, some bluish (young)."""
    rng = slide.rng
    for center in _red_centers(slide, look, occupied):
        radius = look.radius * rng.normal(1, 0.08)
        window, dy, dx = slide.window(center, radius * 1.35)
        turn, lean = rng.uniform(0, 2 * np.pi), rng.exponential(0.06)
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        u, v = (cos * dx + sin * dy) * (1 + lean), (cos * dy - sin * dx) / (1 + lean)
        angle = np.arctan2(v, u)
        waves = np.abs(rng.normal(0, (0.02, 0.015))).astype(np.float32)
        outline = 1 + waves[0] * np.cos(3 * angle + turn) + waves[1] * np.cos(5 * angle)
        profile = _biconcave(np.hypot(u, v) / (radius * outline), look.pallor * rng.normal(1, 0.3))
        slide.add(_EOSIN, window, profile * rng.normal(1, 0.08))
        if rng.random() < 0.02:
            slide.add(_PLASMA, window, profile * rng.uniform(0.4, 1.0))


def _biconcave(rho: Floats, pallor: float) -> Floats:
    """Thickness of a red cell at ``rho`` radii from its centre, about 1 at most.

    After Evans & Fung 1972 (Microvascular Research 4, 335): the mean cell's polynomial, with the
    round edge pressed flat as in a dried smear; ``pallor`` below 1 fills the dimple. Outside, a
    faint bright fringe: light bent at the edge.
    """
    square = np.minimum(rho * rho, 1)
    dimple = np.float32(0.81 + 1.6 * (1 - np.clip(pallor, 0, 1.4)))
    shape = dimple + 7.83 * square - 4.39 * square * square
    thickness = np.sqrt(np.minimum((1 - square) * 4, 1)) * shape / np.float32(3.7)
    fringe = np.exp(-(((rho - 1.05) / 0.045) ** 2))
    return np.asarray(thickness - np.float32(0.10) * fringe, np.float32)


def _add_blots(slide: _Slide, look: _Look, blot: _Blot) -> None:
    """Add one sort of blots, darkest in the middle."""
    rng = slide.rng
    for center in slide.scatter(blot.number * look.dirt):
        radius, edge = rng.uniform(*blot.radius), rng.uniform(*blot.edge)
        window, dy, dx = slide.window(center, radius * 1.5 + edge + 2 * blot.ragged)
        grain = slide.crop(slide.clumps if edge < 6 else slide.folds, window)
        distance = np.hypot(dy, dx * np.float32(rng.uniform(0.75, 1.35))) - radius
        distance += np.float32(blot.ragged) * grain
        cover = _cover(distance, edge)
        core = np.clip(0.4 - distance / radius, 0, 1) * np.clip(0.8 + 0.3 * grain, 0, 1.4)
        slide.add(_AZURE, window, cover * core * rng.uniform(*blot.azure))
        slide.add(_PLASMA, window, cover * rng.uniform(*blot.plasma))
        slide.add(_DIRT, window, cover * rng.uniform(*blot.dirt))


def _add_precipitate(slide: _Slide, look: _Look) -> None:
    """Add heaps of stain precipitate: many dark purple grains of a pixel or two."""
    for center in slide.scatter(4.0 * look.dirt):
        spread = slide.rng.uniform(4, 22)
        window, dy, dx = slide.window(center, 3 * spread + 6)
        heap = np.zeros((dy.size, dx.size), np.float32)
        if heap.size == 0:
            continue
        shape = slide.rng.normal(0, spread, (int(3 * spread), 2)) * (1.0, slide.rng.uniform(0.3, 1))
        rows, columns = np.round(shape + center - (window[0].start, window[1].start)).astype(int).T
        kept = (rows >= 0) & (rows < dy.size) & (columns >= 0) & (columns < dx.size)
        grains = slide.rng.uniform(1, 14, len(rows)).astype(np.float32)
        np.add.at(heap, (rows[kept], columns[kept]), grains[kept])
        cv2.GaussianBlur(heap, (0, 0), slide.rng.uniform(0.9, 1.6), dst=heap)
        slide.add(_AZURE, window, np.minimum(heap, 1.4))
        slide.add(_DIRT, window, np.minimum(heap, 1.4) * 0.2)


def _photograph(slide: _Slide, look: _Look) -> NDArray[np.uint8]:
    """Send light through the stain: uneven lamp, optical blur, sensor noise; uint8 RGB."""
    rng, size = slide.rng, slide.size
    across = np.linspace(-1, 1, size, dtype=np.float32)
    middle, slope = rng.uniform(-0.3, 0.3, 2), rng.uniform(-0.05, 0.05, 2)
    depth = rng.uniform(0.05, 0.16)
    row_lamp, column_lamp = (
        (1 - slope[axis] * across - depth * (across - middle[axis]) ** 2 / 2).astype(np.float32)
        for axis in (0, 1)
    )
    absorbance = np.log(look.passing).T
    image = np.empty((size, size, 3), np.uint8)
    for start in range(0, size, _STRIP):
        rows = slice(start, min(start + _STRIP, size))
        above = min(start, _MARGIN)
        stain = cv2.GaussianBlur(
            slide.stain[start - above : rows.stop + _MARGIN], (0, 0), look.blur
        )
        stain = stain[above : above + rows.stop - start]
        stain[..., _EOSIN] = 1.5 * np.tanh(stain[..., _EOSIN] / 1.5)  # red cells flatten in heaps
        light = np.exp(cv2.transform(stain, absorbance))
        light *= row_lamp[rows, None, None] * column_lamp[:, None] * look.lamp
        noise = rng.standard_normal(light.shape, np.float32) * np.float32(look.noise)
        light += noise * np.sqrt(light / 255 + np.float32(0.05))
        image[rows] = np.clip(light + 0.5, 0, 255)
    return image
