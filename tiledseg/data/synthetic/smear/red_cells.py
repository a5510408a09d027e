"""Red cells: biconcave discs, hundreds of them, alone, in chains and overlapping."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.data.synthetic.smear.appearance import Appearance
from tiledseg.data.synthetic.smear.slide import EOSIN, PLASMA, RED_CELL, Floats, Slide


def _draw_centers(slide: Slide, look: Appearance, occupied: NDArray[np.bool_]) -> Floats:
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


def add_red_cells(slide: Slide, look: Appearance, occupied: NDArray[np.bool_]) -> None:
    """Add red cells: biconcave discs, some flat, some bluish (young)."""
    rng = slide.rng
    for center in _draw_centers(slide, look, occupied):
        radius = look.radius * rng.normal(1, 0.08)
        window, dy, dx = slide.window(center, radius * 1.35)
        turn, lean = rng.uniform(0, 2 * np.pi), rng.exponential(0.06)
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        u, v = (cos * dx + sin * dy) * (1 + lean), (cos * dy - sin * dx) / (1 + lean)
        angle = np.arctan2(v, u)
        waves = np.abs(rng.normal(0, (0.02, 0.015))).astype(np.float32)
        outline = 1 + waves[0] * np.cos(3 * angle + turn) + waves[1] * np.cos(5 * angle)
        rho = np.hypot(u, v) / (radius * outline)
        slide.mark(RED_CELL, window, rho < 1)
        profile = _biconcave(rho, look.pallor * rng.normal(1, 0.3))
        slide.add(EOSIN, window, profile * rng.normal(1, 0.08))
        if rng.random() < 0.02:
            slide.add(PLASMA, window, profile * rng.uniform(0.4, 1.0))


def _biconcave(rho: Floats, pallor: float) -> Floats:
    """Thickness of a red cell at ``rho`` radii from its center, about 1 at most.

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
