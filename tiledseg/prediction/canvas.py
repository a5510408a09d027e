"""The predicted probabilities of an image in 8 bits, and its labels."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from tiledseg.images.canvas import AnyCanvas
from tiledseg.images.writing import quantize_probability
from tiledseg.masks.classes import Labels, labels_of
from tiledseg.tiling.geometry.regions import Region

FOREGROUND = 128
"""The smallest 8-bit probability that is foreground: 0.5."""


class PredictionCanvas:
    """Probabilities of a picture, written in rectangles and read in bands of rows.

    What is never written is background. With one class the mask is where the probability is at
    least ``FOREGROUND``. With several, labels are kept beside the probabilities: in 8 bits two
    classes may be equally probable.

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
        self.probabilities = [new_canvas(f"probability-{output}") for output in range(outputs)]
        self._labels = new_canvas("labels") if outputs > 1 else None

    def write(
        self, region: Region, probability: NDArray[np.float32], inside: NDArray[np.bool_] | None
    ) -> None:
        """Put probabilities (h, w, outputs) into a rectangle; background where not ``inside``.

        Raises:
            OutputError: The disk is full, or fails.
        """
        rounded = quantize_probability(probability)
        if inside is not None:
            rounded *= inside[..., np.newaxis]
        for output, canvas in enumerate(self.probabilities):
            canvas.write(region, rounded[..., output])
        if self._labels is not None:
            labels = labels_of(probability)
            self._labels.write(region, labels if inside is None else labels * inside)

    def label_bands(self) -> Iterator[Labels]:
        """The label of every pixel from the top, 0 where it is background; (h, W) each."""
        if self._labels is not None:
            yield from self._labels.bands()
            return
        for probability in self.probabilities[0].bands():
            yield (probability >= FOREGROUND).view(np.uint8)

    def label_probabilities(self, bands: Iterable[Labels]) -> Iterator[NDArray[np.uint8]]:
        """The probability, 0 to 255, of each pixel's label; with one class, of the foreground."""
        if len(self.probabilities) == 1:
            yield from self.probabilities[0].bands()
            return
        of_classes = zip(*(canvas.bands() for canvas in self.probabilities), strict=True)
        for labels, probabilities in zip(bands, of_classes, strict=True):
            own = np.zeros_like(labels)
            for label, probability in enumerate(probabilities):
                np.copyto(own, probability, where=labels == label)
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
        return self.probabilities if self._labels is None else [*self.probabilities, self._labels]
