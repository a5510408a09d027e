"""Batches for training.

A training batch is a pure function of (seed, epoch, index). Threads only fetch it earlier, and a
training that is resumed draws what an uninterrupted one would have drawn.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import keras
import numpy as np
from numpy.typing import NDArray

from tiledseg.config.experiment import Experiment
from tiledseg.data.augmentation.augment import augment
from tiledseg.data.cache import PixelCache
from tiledseg.data.pairing import Sample
from tiledseg.data.sampling.crops import (
    Window,
    crop_origin,
    object_points,
    stack,
)
from tiledseg.data.sampling.hard_negatives import ColorContrast
from tiledseg.masks.classes import count_values, foreground

Batch = tuple[NDArray[np.uint8], NDArray[np.float32]]
_BATCHES_AHEAD = 2
"""Batches in preparation beyond one per thread."""


class TileSampler(keras.utils.PyDataset):
    """Random, augmented crops of whole images.

    Images are chosen evenly, whatever their size, as scores are averaged over images. A fraction
    of crops (``training.foreground_fraction``) is centered on an object chosen evenly among those
    of the image; another (``training.hard_negative_fraction``) on a place with the colors of
    objects where there is none, of an image that has such places; the rest lies anywhere. Only
    the crop is read.

    Where masks hold several classes, the object's class is drawn first, evenly, and then an image
    that holds it: rare classes are seen as often as common ones.

    With ``training.hard_example_fraction``, that fraction of images is chosen in proportion to the
    losses that ``set_losses`` was told. Batches of an epoch wait for its losses, so that they do
    not depend on how far ahead they are drawn.

    The stream has no end, and an epoch is ``steps`` batches of it: give ``fit`` the same number
    as ``steps_per_epoch``. Keras makes a new TensorFlow iterator for every pass over a finite
    dataset, and to take the old one down takes TensorFlow up to 20 seconds (seen in 2.21, where
    it waits for its tuning thread).

    Keras is given no workers: its own enqueuer keeps batches of an abandoned pass (it makes one
    to build a model) and delivers them in the first epoch. The threads are here instead.

    Args:
        samples: Images and masks to draw from.
        experiment: Size, color space, augmentation, seed, batch size, workers.
        cache: Where decoded pixels are kept.
        steps: Batches of an epoch; by default ``training.steps_per_epoch``.
        start_epoch: Epochs already trained, when resuming.
        workers: Threads that prepare batches; by default ``training.workers``. With 0, batches
            are drawn when they are asked for.

    Raises:
        ValueError: There are no samples.
        ImageError: A file cannot be read.
        OutputError: The cache cannot be written.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        experiment: Experiment,
        cache: PixelCache,
        *,
        steps: int | None = None,
        start_epoch: int = 0,
        workers: int | None = None,
    ) -> None:
        super().__init__(workers=0)
        if not samples:
            raise ValueError("a sampler needs at least one sample")
        self.start_epoch = start_epoch
        self.steps = experiment.training.steps_per_epoch if steps is None else steps
        self._samples = tuple(samples)
        self._experiment = experiment
        self._cache = cache
        self._shapes = [self._image(index).shape[:2] for index in range(len(self._samples))]
        self._points: dict[tuple[int, int | None], NDArray[np.int32]] = {}
        self._images_by_class = self._find_images_by_class()
        self._hard_negatives = self._find_hard_negatives()
        self._threads = experiment.training.workers if workers is None else workers
        self._pool = ThreadPoolExecutor(self._threads, "tiles") if self._threads else None
        self._ahead: dict[int, Future[Batch]] = {}
        self._lock = threading.Lock()
        self._hard_example_fraction = experiment.training.hard_example_fraction
        self._losses: dict[int, NDArray[np.float64]] = {}
        self._losses_changed = threading.Condition()
        self._closed = False

    @property
    def num_batches(self) -> None:
        """None: the stream has no end."""
        return None

    def __getitem__(self, index: int) -> Batch:
        """The batch at ``index``, counted from the beginning of ``start_epoch``.

        Returns:
            Images (B, size, size, C), uint8, and labels (B, size, size, 1), float32.
        """
        if self._pool is None:
            return self._draw_batch(index)
        return self._take_batch(self._pool, index).result()

    def set_losses(self, epoch: int, losses: NDArray[np.float64]) -> None:
        """Say how hard images are in an epoch, counted from 0; the first one needs none.

        Args:
            epoch: In which these losses count.
            losses: (samples,), not negative.
        """
        with self._losses_changed:
            self._losses = {epoch: losses}
            self._losses_changed.notify_all()

    def close(self) -> None:
        """Have nobody wait for losses any more: the training has ended."""
        with self._losses_changed:
            self._closed = True
            self._losses_changed.notify_all()

    def _losses_in(self, epoch: int) -> NDArray[np.float64] | None:
        """The losses that count in an epoch, or None where all images are alike."""
        if not self._hard_example_fraction or not epoch:
            return None
        with self._losses_changed:
            self._losses_changed.wait_for(lambda: self._closed or epoch in self._losses)
            return self._losses.get(epoch)

    def _take_batch(self, pool: ThreadPoolExecutor, index: int) -> Future[Batch]:
        """Take a batch out of those in preparation, and have the following ones started."""
        with self._lock:
            wanted = range(index, index + self._threads + _BATCHES_AHEAD + 1)
            for stale in self._ahead.keys() - wanted:
                self._ahead.pop(stale).cancel()
            for following in wanted:
                if following not in self._ahead:
                    self._ahead[following] = pool.submit(self._draw_batch, following)
            return self._ahead.pop(index)

    def _draw_batch(self, index: int) -> Batch:
        training = self._experiment.training
        epoch, step = divmod(index, self.steps)
        rng = np.random.default_rng([training.seed, self.start_epoch + epoch, step])
        losses = self._losses_in(self.start_epoch + epoch)
        return stack([self._draw_crop(rng, losses) for _ in range(training.batch_size)])

    def _draw_crop(
        self, rng: np.random.Generator, losses: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        experiment = self._experiment
        size, scale = experiment.image.size, experiment.augmentation.scale
        side = max(1, round(size / (1.0 + float(rng.uniform(-scale, scale)))))
        chosen, points = self._draw_center(rng, losses)
        top, left = crop_origin(self._shapes[chosen], side, rng, points)
        return augment(
            self._image(chosen),
            self._mask(chosen),
            rng,
            experiment.augmentation,
            experiment.image.color_space,
            Window(top, left, side, size),
        )

    def _draw_center(
        self, rng: np.random.Generator, losses: NDArray[np.float64] | None
    ) -> tuple[int, NDArray[np.int32] | None]:
        """An image, and the points of which one is to be in the crop; None for anywhere."""
        training = self._experiment.training
        kind = rng.random()
        if kind < training.foreground_fraction:
            return self._draw_object_center(rng, losses)
        if (
            self._hard_negatives
            and kind < training.foreground_fraction + training.hard_negative_fraction
        ):
            chosen = self._draw_image(rng, list(self._hard_negatives), losses)
            return chosen, self._hard_negatives[chosen]
        return self._draw_image(rng, range(len(self._samples)), losses), None

    def _draw_image(
        self, rng: np.random.Generator, images: Sequence[int], losses: NDArray[np.float64] | None
    ) -> int:
        """One of some images; of those with losses a hard one more often."""
        if losses is not None and rng.random() < self._hard_example_fraction:
            weights = losses[list(images)]
            if weights.sum() > 0:
                return int(rng.choice(images, p=weights / weights.sum()))
        return images[int(rng.integers(len(images)))]

    def _find_hard_negatives(self) -> dict[int, NDArray[np.int32]]:
        """Images that have look-alikes, with the points of those."""
        if not self._experiment.training.hard_negative_fraction:
            return {}
        images = range(len(self._samples))
        contrast = ColorContrast((self._image(index), self._mask(index)) for index in images)
        points = (
            (index, contrast.points(self._image(index), self._mask(index))) for index in images
        )
        return {index: found for index, found in points if len(found)}

    def _draw_object_center(
        self, rng: np.random.Generator, losses: NDArray[np.float64] | None
    ) -> tuple[int, NDArray[np.int32]]:
        if not self._images_by_class:
            chosen = self._draw_image(rng, range(len(self._samples)), losses)
            return chosen, self._points_of(chosen, None)
        label = list(self._images_by_class)[int(rng.integers(len(self._images_by_class)))]
        chosen = self._draw_image(rng, self._images_by_class[label], losses)
        return chosen, self._points_of(chosen, label)

    def _find_images_by_class(self) -> dict[int, list[int]]:
        """The images that hold each class; empty where there is but one."""
        dataset = self._experiment.dataset
        if not dataset.holds_labels or not self._experiment.training.foreground_fraction:
            return {}
        holders: dict[int, list[int]] = {}
        for index in range(len(self._samples)):
            present = count_values(self._mask(index))
            for label in range(1, len(dataset.classes)):
                if present[label]:
                    holders.setdefault(label, []).append(index)
        return {label: holders[label] for label in sorted(holders)} if len(holders) > 1 else {}

    def _points_of(self, index: int, label: int | None) -> NDArray[np.int32]:
        """Found once per mask; two threads may both find them, and find the same."""
        key = index, label
        if key not in self._points:
            objects = self._objects(index) if label is None else self._mask(index) == label
            self._points[key] = object_points(objects.view(np.uint8))
        return self._points[key]

    def _image(self, index: int) -> NDArray[np.uint8]:
        return self._cache.image(self._samples[index].image, self._experiment.image)

    def _mask(self, index: int) -> NDArray[np.uint8]:
        return self._cache.mask(
            self._samples[index].mask, self._experiment.dataset.foreground_threshold
        )

    def _objects(self, index: int) -> NDArray[np.uint8]:
        """1 where there is an object of any class."""
        return foreground(self._mask(index)).view(np.uint8)
