"""What a slide, its staining and the camera give to all objects of one image."""

from dataclasses import dataclass

import numpy as np

from tiledseg.data.synthetic.smear.slide import Floats


@dataclass(frozen=True)
class Appearance:
    """What the slide, its staining and the camera give to all objects of one image."""

    passing: Floats  # light that one unit of each stain lets pass, 0..1; (4 stains, 3 colors)
    lamp: Floats  # light where there is no stain, 0..255; (3 colors,)
    foreground: float  # fraction of the image at which no further white cell is added
    radius: float  # of a typical red cell, in pixels
    spacing: float  # from red cell to red cell, in radii
    disorder: float  # standard deviation of their places, in spacings
    void: float  # no red cells where a cloud of unit variance is below this value
    chain: float  # share of red cells that carry another one on their shoulder
    pallor: float  # of a red cell's center; 1 is the healthy cell
    dirt: float  # amount of what is neither red nor white cell; 1 is usual
    blur: float  # standard deviation of the optical blur, in pixels
    noise: float  # standard deviation of the sensor's noise in full light, of 255


def draw_appearance(rng: np.random.Generator) -> Appearance:
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
    return Appearance(
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
