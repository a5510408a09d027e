"""White cells: nuclei of many shapes, which are the foreground, in their cytoplasm."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.data.synthetic.smear.appearance import Appearance
from tiledseg.data.synthetic.smear.slide import (
    AZURE,
    CYTOPLASM,
    EOSIN,
    NUCLEUS,
    PLASMA,
    Floats,
    Slide,
    cover,
)


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


_KINDS = (
    _Kind(0.34, (27, 33), (1.15, 1.35), (2, 4), 1.10, 0.20, 0.45, 0.10),  # neutrophil
    _Kind(0.26, (20, 28), (1.10, 1.40), (1, 1), 1.05, 0.18, 0.90, 0.00),  # lymphocyte
    _Kind(0.16, (28, 36), (1.25, 1.50), (0, 0), 0.80, 0.22, 0.85, 0.03),  # monocyte
    _Kind(0.08, (26, 31), (1.25, 1.40), (2, 2), 1.00, 0.18, 0.30, 0.45),  # eosinophil
    _Kind(0.16, (30, 42), (1.10, 1.25), (1, 1), 0.78, 0.13, 1.30, 0.00),  # blast
    _Kind(0.10, (20, 25), (1.50, 1.80), (1, 1), 1.00, 0.24, 2.80, 0.00),  # plasma cell
)


def add_white_cells(slide: Slide, look: Appearance) -> NDArray[np.bool_]:
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
    slide: Slide, kind: _Kind, center: Floats, nucleus: float, radius: float
) -> int:
    """Add one white cell; returns the number of pixels its nucleus adds to those of nuclei."""
    rng = slide.rng
    window, dy, dx = slide.window(center, radius * 1.2 + 4)
    clumps, folds = slide.crop(slide.clumps, window), slide.crop(slide.folds, window)
    fine = slide.crop(slide.clumps, window)

    body = np.hypot(dy, dx * np.float32(rng.uniform(0.9, 1.1))) - radius + 1.6 * folds
    plasma = cover(body, 3.0) * (0.8 + 0.2 * np.clip(fine, -2, 2))
    lobes = int(rng.integers(kind.lobes[0], kind.lobes[1] + 1))
    aside = rng.uniform(-0.6, 0.6, 2).astype(np.float32) * np.float32(radius - nucleus)
    distance = _union(_discs(rng, lobes, nucleus), dy - aside[0], dx - aside[1])
    distance += rng.uniform(0.4, 2.0) * slide.crop(slide.folds, window)
    inside = cover(distance, 1.6)
    rim = np.exp(-((distance + 2) ** 2) / 6)
    chromatin = 0.92 + kind.contrast * np.clip(clumps, -2, 2) + 0.06 * folds + 0.15 * rim
    if lobes == 1 and nucleus > 29:
        chromatin -= _nucleoli(slide, nucleus, dy, dx)

    tone = rng.uniform(0.75, 1.15)
    slide.add(AZURE, window, inside * chromatin * kind.density * tone)
    slide.add(PLASMA, window, plasma * kind.lilac * rng.uniform(0.7, 1.3))
    slide.add(EOSIN, window, plasma * (1 - inside) * (0.4 + np.clip(fine, 0, 2)) * kind.pink)
    slide.mark(CYTOPLASM, window, body < 0)
    return slide.mark(NUCLEUS, window, distance < 0)


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


def _nucleoli(slide: Slide, radius: float, dy: Floats, dx: Floats) -> Floats:
    """Pale round spots of an immature nucleus, as the stain they lack."""
    pale = np.zeros(np.broadcast_shapes(dy.shape, dx.shape), np.float32)
    for _ in range(int(slide.rng.integers(1, 4))):
        row, column = slide.rng.uniform(-0.45, 0.45, 2).astype(np.float32) * np.float32(radius)
        pale += cover(np.hypot(dy - row, dx - column) - slide.rng.uniform(3, 6), 4.0)
    return np.float32(0.22) * np.minimum(pale, 1)
