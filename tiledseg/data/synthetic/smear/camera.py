"""The photograph of a slide: the light that its stains let pass, through lens and sensor."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.data.synthetic.smear.appearance import Appearance
from tiledseg.data.synthetic.smear.slide import EOSIN, Slide

_STRIP = 512  # rows photographed at once
_MARGIN = 8  # rows around them that the blur reaches


def photograph(slide: Slide, look: Appearance) -> NDArray[np.uint8]:
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
        stain[..., EOSIN] = 1.5 * np.tanh(stain[..., EOSIN] / 1.5)  # red cells flatten in heaps
        light = np.exp(cv2.transform(stain, absorbance))
        light *= row_lamp[rows, None, None] * column_lamp[:, None] * look.lamp
        noise = rng.standard_normal(light.shape, np.float32) * np.float32(look.noise)
        light += noise * np.sqrt(light / 255 + np.float32(0.05))
        image[rows] = np.clip(light + 0.5, 0, 255)
    return image
