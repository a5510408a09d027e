"""A stained blood smear, drawn: red cells, white cells, what distracts from them, and labels.

Stain absorbs light, it does not cover: every object adds to the amount of each stain at its
pixels, and the image is the light that passes (Beer-Lambert), so overlaps darken as on a slide.
"""

import numpy as np
from numpy.typing import NDArray

from tiledseg.data.synthetic.smear.appearance import draw_appearance
from tiledseg.data.synthetic.smear.camera import photograph
from tiledseg.data.synthetic.smear.debris import add_debris
from tiledseg.data.synthetic.smear.red_cells import add_red_cells
from tiledseg.data.synthetic.smear.slide import NUCLEUS, Slide
from tiledseg.data.synthetic.smear.white_cells import add_white_cells


def draw_smear(seed: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw one field of a stained blood smear and the mask of its nuclei.

    Objects have their size in pixels: a larger image shows more of the slide, not larger cells.

    Args:
        seed: Any integer; the same seed and size give the same field.
        size: Side of the image, in pixels.

    Returns:
        Image, uint8 (size, size, 3) in RGB, and mask, bool (size, size), true on nuclei.
    """
    image, labels = draw_cells(seed, size)
    return image, labels == NUCLEUS


def draw_cells(seed: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw the field of ``draw_smear`` with a label for every pixel.

    Args:
        seed: See ``draw_smear``.
        size: See ``draw_smear``.

    Returns:
        Image, uint8 (size, size, 3) in RGB, and labels, uint8 (size, size): 0 is background, 1
        red cells, 2 the cytoplasm of white cells, 3 their nuclei. Where cells overlap, the
        higher label counts.
    """
    rng = np.random.default_rng(seed % 2**64)
    look = draw_appearance(rng)
    slide = Slide(rng, size)
    occupied = add_white_cells(slide, look)
    add_red_cells(slide, look, occupied)
    add_debris(slide, look)
    return photograph(slide, look), slide.labels
