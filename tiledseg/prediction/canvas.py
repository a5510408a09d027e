"""What a network said of every pixel: probabilities in 8 bits, and labels."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from tiledseg.images.canvas import AnyCanvas
from tiledseg.images.writing import quantize_probability
from tiledseg.masks.classes import Labels, labels_of
from tiledseg.tiling.geometry.regions import Region

FOREGROUND = 128
"""The smallest level of probability that is foreground: 0.5 in 8 bits."""


class PredictionCanvas:
    """Probabilities of a picture, written in rectangles and read in bands of rows.

    What is never written is background. Of one class the cut of its levels is the mask. Of
    several, labels are kept beside the levels: in 8 bits two classes may be equally probable.

    Args:
        new_canvas: Makes a canvas of the picture's size, by its name.
        height: Rows, in pixels.
        width: Columns, in pixels.
        outputs: Probabilities per pixel: 1, or one for each label.

    Raises:
        OutputError: A file cannot be made.
    """

    def __init__(
        self, new_canvas: Callable[[str], AnyCanvas], height: int, width: int, outputs: int
    ) -> None:
        self.height, self.width = height, width
        self.levels = [new_canvas(f"probability-{output}") for output in range(outputs)]
        self._labels = new_canvas("labels") if outputs > 1 else None

    def write(
        self, region: Region, probability: NDArray[np.float32], inside: NDArray[np.bool_] | None
    ) -> None:
        """Put probabilities (h, w, outputs) into a rectangle; background where not ``inside``.

        Raises:
            OutputError: The disk is full, or fails.
        """
        levels = quantize_probability(probability)
        labels = labels_of(probability)
        if inside is not None:
            levels *= inside[..., np.newaxis]
            labels *= inside
        for output, canvas in enumerate(self.levels):
            canvas.write(region, levels[..., output])
        if self._labels is not None:
            self._labels.write(region, labels)

    def label_bands(self) -> Iterator[Labels]:
        """The label of every pixel from the top, 0 where it is background; (h, W) each."""
        if self._labels is not None:
            yield from self._labels.bands()
            return
        for levels in self.levels[0].bands():
            yield (levels >= FOREGROUND).view(np.uint8)

    def levels_of(self, bands: Iterable[Labels]) -> Iterator[NDArray[np.uint8]]:
        """How probable the labels of all bands are, 0 to 255; of one class, the foreground is."""
        if len(self.levels) == 1:
            yield from self.levels[0].bands()
            return
        stored = zip(*(canvas.bands() for canvas in self.levels), strict=True)
        for labels, levels in zip(bands, stored, strict=True):
            own = np.zeros_like(labels)
            for label, level in enumerate(levels):
                np.copyto(own, level, where=labels == label)
            yield own

    def sync(self) -> None:
        """Have what was written survive a loss of power."""
        for canvas in self._canvases():
            canvas.sync()

    def close(self) -> None:
        """Close the files; they stay."""
        for canvas in self._canvases():
            canvas.close()

    def _canvases(self) -> list[AnyCanvas]:
        return self.levels if self._labels is None else [*self.levels, self._labels]
