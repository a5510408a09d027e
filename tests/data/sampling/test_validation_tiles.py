import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tiledseg.config.experiment import Experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import load_dataset
from tiledseg.data.pairing import Sample
from tiledseg.data.sampling.validation_tiles import ValidationTiles

DrawDataset = Callable[..., Path]


class TestValidationTiles:
    def test_all_tiles_cover_the_images(
        self, samples: tuple[Sample, ...], small_experiment: Experiment, cache: PixelCache
    ) -> None:
        training = small_experiment.training.model_copy(update={"validation_tiles": 999})
        experiment = small_experiment.model_copy(update={"training": training})
        tiles = ValidationTiles(samples, experiment, cache)
        batches = [tiles[index] for index in range(len(tiles))]
        images = np.concatenate([images for images, _ in batches])
        masks = np.concatenate([masks for _, masks in batches])
        assert len(images) == 3 * 2 * 3
        origins = list(itertools.product((0, 28), (0, 32, 48)))  # the last are pushed back inside
        for index, (sample, (top, left)) in enumerate(itertools.product(samples, origins)):
            rows, columns = slice(top, top + 32), slice(left, left + 32)
            np.testing.assert_array_equal(
                images[index], cache.image(sample.image, experiment.image)[rows, columns]
            )
            np.testing.assert_array_equal(
                masks[index, ..., 0], cache.mask(sample.mask, 127)[rows, columns]
            )

    def test_at_most_so_many_and_the_last_batch_is_smaller(
        self, samples: tuple[Sample, ...], small_experiment: Experiment, cache: PixelCache
    ) -> None:
        tiles = ValidationTiles(samples, small_experiment, cache)
        assert [len(tiles[index][0]) for index in range(len(tiles))] == [2, 2, 2, 1]

    def test_always_the_same(
        self, samples: tuple[Sample, ...], small_experiment: Experiment, cache: PixelCache
    ) -> None:
        first, second = (ValidationTiles(samples, small_experiment, cache) for _ in range(2))
        second.on_epoch_end()
        for index in range(4):
            for one, other in zip(first[index], second[index], strict=True):
                np.testing.assert_array_equal(one, other)

    def test_an_image_smaller_than_a_tile(
        self, draw_dataset: DrawDataset, small_experiment: Experiment, cache: PixelCache
    ) -> None:
        root = draw_dataset("Small", ["a", "b", "c"], shape=(21, 25))
        dataset = load_dataset(small_experiment.dataset, root)
        images, masks = ValidationTiles(dataset.splits["valid"], small_experiment, cache)[0]
        assert images.shape == (1, 32, 32, 3)
        np.testing.assert_array_equal(images[0, 21:, :25], images[0, 19:8:-1, :25])
        np.testing.assert_array_equal(masks[0, 21:, :25], masks[0, 19:8:-1, :25])
