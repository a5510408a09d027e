"""Which training images the network finds hard."""

# ruff: noqa: ARG002 - Keras chooses the arguments of its callbacks.

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tiledseg.backend import compile_forward
from tiledseg.config.experiment import Experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.pairing import Sample
from tiledseg.data.sampling.crops import crop_origin, object_points, read_crop, stack
from tiledseg.data.sampling.sampler import TileSampler
from tiledseg.masks.classes import foreground
from tiledseg.training.losses import make_loss

CROPS = 2
"""Of each image: one around an object, one anywhere."""


class HardExamples(keras.callbacks.Callback):
    """Tells a sampler after every epoch what the loss is on each of its images.

    It is measured on crops that stay the same through a training, without augmentation, by the
    network as it is saved, so that a resumed training measures what the first one did.

    Args:
        sampler: Draws the training crops.
        samples: Its images.
        experiment: All settings.
        cache: Decoded images.
    """

    def __init__(
        self,
        sampler: TileSampler,
        samples: Sequence[Sample],
        experiment: Experiment,
        cache: PixelCache,
    ) -> None:
        super().__init__()
        self._sampler, self._samples = sampler, samples
        self._experiment, self._cache = experiment, cache
        self._loss = make_loss(experiment.training)
        self._origins = [self._draw_origins(number) for number in range(len(samples))]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measure for the next epoch."""
        self.measure(self.model, epoch + 1)

    def measure(self, model: keras.Model, epoch: int) -> None:
        """Tell the sampler the losses that count in an epoch, counted from 0."""
        forward = compile_forward(model)
        losses = []
        step = self._experiment.training.batch_size
        for first in range(0, len(self._samples), step):
            crops = [
                crop
                for number in range(first, min(first + step, len(self._samples)))
                for crop in self._crops(number)
            ]
            images, labels = stack(crops)
            predicted = forward(images)
            losses += [
                float(self._loss(labels[at : at + CROPS], predicted[at : at + CROPS]))
                for at in range(0, len(crops), CROPS)
            ]
        self._sampler.set_losses(epoch, np.maximum(losses, 0.0))

    def _crops(self, number: int) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        experiment, sample = self._experiment, self._samples[number]
        image = self._cache.image(sample.image, experiment.image)
        mask, size = self._mask(number), experiment.image.size
        origins = self._origins[number]
        return [(read_crop(image, *at, size), read_crop(mask, *at, size)) for at in origins]

    def _draw_origins(self, number: int) -> list[tuple[int, int]]:
        training, size = self._experiment.training, self._experiment.image.size
        mask = self._mask(number)
        rng = np.random.default_rng([training.seed, number])
        points = object_points(foreground(mask).view(np.uint8))
        return [crop_origin(mask.shape, size, rng, at) for at in (points, None)]

    def _mask(self, number: int) -> NDArray[np.uint8]:
        return self._cache.mask(
            self._samples[number].mask, self._experiment.dataset.foreground_threshold
        )
