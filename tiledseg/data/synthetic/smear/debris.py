"""What is neither red nor white cell: platelets, smudges, dust, precipitate of the stain."""

from dataclasses import dataclass

import cv2
import numpy as np

from tiledseg.data.synthetic.smear.appearance import Appearance
from tiledseg.data.synthetic.smear.slide import AZURE, DIRT, PLASMA, Slide, cover


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


_BLOTS = (
    _Blot(75, (3.0, 6.5), (2, 3), 0.9, (0.2, 1.1), (0.5, 0.8), (0.0, 0.0)),  # platelet
    _Blot(5, (7.0, 11.0), (2, 4), 1.6, (0.2, 0.7), (0.4, 0.8), (0.0, 0.0)),  # giant platelet
    _Blot(2, (22.0, 50.0), (12, 18), 9.0, (0.10, 0.32), (0.0, 0.4), (0.0, 0.0)),  # smudge
    _Blot(3, (3.0, 14.0), (8, 16), 3.0, (0.0, 0.1), (0.0, 0.0), (0.5, 1.1)),  # brown dust
    _Blot(7, (8.0, 22.0), (9, 18), 3.0, (0.8, 1.8), (0.0, 0.5), (0.0, 0.1)),  # purple dust
)


def add_debris(slide: Slide, look: Appearance) -> None:
    """Add all of it, as much as the slide is dirty."""
    for blot in _BLOTS:
        _add_blots(slide, look, blot)
    _add_precipitate(slide, look)


def _add_blots(slide: Slide, look: Appearance, blot: _Blot) -> None:
    """Add one sort of blots, darkest in the middle."""
    rng = slide.rng
    for center in slide.scatter(blot.number * look.dirt):
        radius, edge = rng.uniform(*blot.radius), rng.uniform(*blot.edge)
        window, dy, dx = slide.window(center, radius * 1.5 + edge + 2 * blot.ragged)
        grain = slide.crop(slide.clumps if edge < 6 else slide.folds, window)
        distance = np.hypot(dy, dx * np.float32(rng.uniform(0.75, 1.35))) - radius
        distance += np.float32(blot.ragged) * grain
        inside = cover(distance, edge)
        core = np.clip(0.4 - distance / radius, 0, 1) * np.clip(0.8 + 0.3 * grain, 0, 1.4)
        slide.add(AZURE, window, inside * core * rng.uniform(*blot.azure))
        slide.add(PLASMA, window, inside * rng.uniform(*blot.plasma))
        slide.add(DIRT, window, inside * rng.uniform(*blot.dirt))


def _add_precipitate(slide: Slide, look: Appearance) -> None:
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
        slide.add(AZURE, window, np.minimum(heap, 1.4))
        slide.add(DIRT, window, np.minimum(heap, 1.4) * 0.2)
