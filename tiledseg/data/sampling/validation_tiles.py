"""Batches for validation: the same tiles in every epoch."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from tiledseg.config.experiment import Experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.pairing import Sample
from tiledseg.data.sampling.crops import grid_origins, read_crop, share_evenly, stack
from tiledseg.data.sampling.sampler import Batch
from tiledseg.masks.classes import foreground


class ValidationTiles(keras.utils.PyDataset):
    """Fixed tiles of validation images, never augmented.

    Each image is covered by a grid of tiles, reflected where they reach beyond its border. At
    most ``training.validation_tiles`` of them are used, shared among images as evenly as it
    goes and spread over each image; the choice depends on nothing but the sizes of the images.

    Args:
        samples: Images and masks.
        experiment: Size, color space, batch size, number of tiles.
        cache: Where decoded pixels are kept.

    Raises:
        ValueError: There are no samples.
        ImageError: A file cannot be read.
        OutputError: The cache cannot be written.
    """

    def __init__(
        self, samples: Sequence[Sample], experiment: Experiment, cache: PixelCache
    ) -> None:
        super().__init__(workers=0)
        if not samples:
            raise ValueError("validation needs at least one sample")
        self._experiment = experiment
        self._cache = cache
        size, most = experiment.image.size, experiment.training.validation_tiles
        shapes = [cache.image(sample.image, experiment.image).shape[:2] for sample in samples]
        grids = [-(-height // size) * -(-width // size) for height, width in shapes]
        self._tiles = [
            (sample, origin)
            for sample, shape, share in zip(samples, shapes, share_evenly(most, grids), strict=True)
            for origin in grid_origins(shape, size, share)
        ]

    def __len__(self) -> int:
        """Batches in one pass."""
        return math.ceil(len(self._tiles) / self._experiment.training.batch_size)

    def __getitem__(self, index: int) -> Batch:
        """The batch at ``index``; the last may be smaller.

        Returns:
            Images (B, size, size, C), uint8, and labels (B, size, size, 1), float32.
        """
        batch_size = self._experiment.training.batch_size
        tiles = self._tiles[index * batch_size : (index + 1) * batch_size]
        return stack([self._tile(sample, origin) for sample, origin in tiles])

    def has_classes(self) -> bool:
        """Whether any tile has a label but the background."""
        return any(foreground(self._labels(sample, origin)).any() for sample, origin in self._tiles)

    def _tile(
        self, sample: Sample, origin: tuple[int, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        experiment = self._experiment
        image = self._cache.image(sample.image, experiment.image)
        return read_crop(image, *origin, experiment.image.size), self._labels(sample, origin)

    def _labels(self, sample: Sample, origin: tuple[int, int]) -> NDArray[np.uint8]:
        experiment = self._experiment
        mask = self._cache.mask(sample.mask, experiment.dataset.foreground_threshold)
        return read_crop(mask, *origin, experiment.image.size)
