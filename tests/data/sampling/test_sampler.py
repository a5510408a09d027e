import gc
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest

from tiledseg.config.experiment import Experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.pairing import Sample, pair
from tiledseg.data.sampling.sampler import Batch, TileSampler
from tiledseg.data.sampling.validation_tiles import ValidationTiles
from tiledseg.errors import ImageError
from tiledseg.images.writing import write_image, write_mask

DrawDataset = Callable[..., Path]
RECORDED = {"rgb": "b6cf398fc665de5e", "hsv": "ef73bf20eab9c33b"}


def changed(experiment: Experiment, **sections: dict[str, Any]) -> Experiment:
    content = experiment.model_dump()
    for section, keys in sections.items():
        content[section] |= keys
    return Experiment.model_validate(content)


def epoch_of(sampler: TileSampler, epoch: int) -> list[Batch]:
    first = (epoch - sampler.start_epoch) * sampler.steps
    return [sampler[first + index] for index in range(sampler.steps)]


def same(first: Sequence[Batch], second: Sequence[Batch]) -> bool:
    return len(first) == len(second) and all(
        np.array_equal(images, others) and np.array_equal(masks, other_masks)
        for (images, masks), (others, other_masks) in zip(first, second, strict=True)
    )


class TestBatches:
    def test_shapes_and_types(
        self, samples: tuple[Sample, ...], small_experiment: Experiment, cache: PixelCache
    ) -> None:
        sampler = TileSampler(samples, small_experiment, cache)
        images, masks = sampler[0]
        assert sampler.steps == 5
        assert sampler.num_batches is None
        assert images.shape == (2, 32, 32, 3)
        assert masks.shape == (2, 32, 32, 1)
        assert images.dtype == np.uint8
        assert masks.dtype == np.float32
        assert set(np.unique(masks)) <= {0.0, 1.0}

    def test_a_batch_depends_on_seed_epoch_and_index_alone(
        self, samples: tuple[Sample, ...], small_experiment: Experiment, cache: PixelCache
    ) -> None:
        first = epoch_of(TileSampler(samples, small_experiment, cache, workers=0), 3)
        again = TileSampler(samples, small_experiment, cache, workers=0, start_epoch=3)
        assert same([again[index] for index in (4, 0, 2)], [first[index] for index in (4, 0, 2)])
        assert not same(first, epoch_of(again, 4))
        other = changed(small_experiment, training={"seed": 1})
        assert not same(first, epoch_of(TileSampler(samples, other, cache), 3))
        assert not same(first[:1], first[1:2])

    @pytest.mark.parametrize("workers", [1, 4])
    def test_threads_change_nothing(
        self,
        samples: tuple[Sample, ...],
        small_experiment: Experiment,
        cache: PixelCache,
        workers: int,
    ) -> None:
        alone = TileSampler(samples, small_experiment, cache, steps=9, workers=0)
        threaded = TileSampler(samples, small_experiment, cache, steps=9, workers=workers)
        for epoch in (0, 1, 5):
            assert same(epoch_of(threaded, epoch), epoch_of(alone, epoch))
        shuffled = [8, 1, 1, 5, 0]
        assert same([threaded[i] for i in shuffled], [alone[i] for i in shuffled])

    @pytest.mark.parametrize("workers", [0, 1, 4])
    def test_everything_on_and_begun_again_in_the_middle_of_an_epoch(
        self,
        samples: tuple[Sample, ...],
        small_experiment: Experiment,
        cache: PixelCache,
        workers: int,
    ) -> None:
        """A new sampler, of a new session, asked for batch 3 of epoch 2 first."""
        everything = {
            "rotation": 180.0, "scale": 0.3, "shear": 0.2, "elastic": 4.0, "grid_distortion": 0.1,
            "barrel": 0.5, "pincushion": 0.5, "gamma": 0.5, "stain": 0.3, "blur": 2.0,
            "sharpening": 1.0, "noise": 0.1, "jpeg": 60,
        }  # fmt: skip
        experiment = changed(small_experiment, augmentation=everything)
        unbroken = TileSampler(samples, experiment, cache, workers=0)
        expected = [unbroken[2 * unbroken.steps + step] for step in (3, 4, 5)]
        again = TileSampler(samples, experiment, cache, start_epoch=2, workers=workers)
        assert same([again[step] for step in (3, 4, 5)], expected)
        assert not same(expected[:1], expected[1:2])

    def test_batches_of_experiments_from_before_stay_what_they_were(
        self, samples: tuple[Sample, ...], small_experiment: Experiment, cache: PixelCache
    ) -> None:
        """Digests recorded before there was any change but flips and colors."""
        found = {}
        for color_space in ("rgb", "hsv"):
            experiment = changed(small_experiment, image={"color_space": color_space})
            if color_space == "rgb":
                still = dict.fromkeys(
                    ("brightness", "contrast", "color_cast", "hue", "saturation"), 0
                )
                experiment = changed(experiment, augmentation=still)
            digest = hashlib.blake2b(digest_size=8)
            for images, masks in epoch_of(TileSampler(samples, experiment, cache, workers=0), 1):
                digest.update(images.tobytes() + masks.tobytes())
            found[color_space] = digest.hexdigest()
        assert found == RECORDED

    def test_threads_end_with_the_sampler(
        self, samples: tuple[Sample, ...], small_experiment: Experiment, cache: PixelCache
    ) -> None:
        others = set(threading.enumerate())
        sampler = TileSampler(samples, small_experiment, cache, workers=3)
        epoch_of(sampler, 0)
        threads = [
            thread
            for thread in threading.enumerate()
            if thread.name.startswith("tiles") and thread not in others
        ]
        assert threads
        del sampler
        gc.collect()
        for thread in threads:
            thread.join(5)
        assert not any(thread.is_alive() for thread in threads)

    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_fault_in_a_thread_is_told(
        self,
        samples: tuple[Sample, ...],
        small_experiment: Experiment,
        cache: PixelCache,
        workers: int,
    ) -> None:
        sampler = TileSampler(samples, small_experiment, cache, workers=workers)
        for sample in samples:
            sample.image.unlink()
        with pytest.raises(ImageError, match="check that the file exists"):
            epoch_of(sampler, 0)

    def test_no_samples(self, small_experiment: Experiment, cache: PixelCache) -> None:
        for kind in (TileSampler, ValidationTiles):
            with pytest.raises(ValueError, match="at least one sample"):
                kind([], small_experiment, cache)


class TestCrops:
    @pytest.mark.parametrize("scale", [0.0, 0.5])
    @pytest.mark.parametrize("shape", [(60, 80), (20, 50), (7, 9)])
    def test_image_and_mask_agree(
        self, tmp_path: Path, small_experiment: Experiment, scale: float, shape: tuple[int, int]
    ) -> None:
        """The image is its own mask, so they must stay equal whatever is cropped and turned."""
        mask = np.zeros(shape, np.uint8)
        cv2.circle(mask, (shape[1] // 2, shape[0] // 3), min(shape) // 3, 255, -1)
        cv2.imwrite(str(tmp_path / "a.png"), mask)
        sample = Sample("a", tmp_path / "a.png", tmp_path / "a.png")
        still = {
            "brightness": 0,
            "contrast": 0,
            "hue": 0,
            "saturation": 0,
            "color_cast": 0,
            "scale": scale,
        }
        experiment = changed(small_experiment, augmentation=still)
        sampler = TileSampler([sample], experiment, PixelCache(tmp_path / "c"), steps=30)
        agreement = [
            np.mean((images[..., :1] > 127) == masks) for images, masks in epoch_of(sampler, 0)
        ]
        assert min(agreement) == 1.0 if scale == 0.0 else np.mean(agreement) > 0.9

    @pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
    def test_foreground_fraction(
        self, tmp_path: Path, small_experiment: Experiment, cache: PixelCache, fraction: float
    ) -> None:
        """One small object far from where a crop is likely to fall by chance."""
        mask = np.zeros((600, 600), np.uint8)
        mask[500:504, 77:81] = 255
        cv2.imwrite(str(tmp_path / "a.png"), mask)
        sample = Sample("a", tmp_path / "a.png", tmp_path / "a.png")
        training = {"foreground_fraction": fraction, "batch_size": 50}
        experiment = changed(small_experiment, training=training)
        sampler = TileSampler([sample], experiment, cache, steps=8)
        hits = [bool(mask.any()) for _, masks in epoch_of(sampler, 0) for mask in masks]
        assert np.mean(hits) == pytest.approx(fraction, abs=0.08 if fraction < 1 else 0.0)

    @pytest.mark.parametrize("fraction", [0.0, 0.4, 1.0])
    def test_hard_negative_fraction(
        self, tmp_path: Path, small_experiment: Experiment, cache: PixelCache, fraction: float
    ) -> None:
        """One spot of dirt in the second of two images, dark as the objects of both."""
        samples = []
        for name, dirt in (("clean", False), ("dirty", True)):
            image, mask = np.full((600, 600), 255, np.uint8), np.zeros((600, 600), np.uint8)
            cv2.circle(image, (80, 80), 14, 0, -1)
            cv2.circle(mask, (80, 80), 14, 255, -1)
            if dirt:
                cv2.circle(image, (500, 480), 14, 0, -1)
            for kind, pixels in (("image", image), ("mask", mask)):
                cv2.imwrite(str(tmp_path / f"{name}_{kind}.png"), pixels)
            samples.append(
                Sample(name, tmp_path / f"{name}_image.png", tmp_path / f"{name}_mask.png")
            )
        experiment = changed(
            small_experiment,
            training={
                "foreground_fraction": 0.0,
                "hard_negative_fraction": fraction,
                "batch_size": 50,
            },
            augmentation=dict.fromkeys(("brightness", "contrast", "color_cast"), 0),
        )
        batches = epoch_of(TileSampler(samples, experiment, cache, steps=8), 0)
        dirt = [
            bool((image < 60).any() and not mask.any())
            for images, masks in batches
            for image, mask in zip(images, masks, strict=True)
        ]
        assert np.mean(dirt) == pytest.approx(fraction, abs=0.08 if fraction < 1 else 0.0)

    def test_without_hard_negatives_those_crops_lie_anywhere(
        self, samples: tuple[Sample, ...], small_experiment: Experiment, cache: PixelCache
    ) -> None:
        training = {"foreground_fraction": 0.0, "hard_negative_fraction": 1.0}
        experiment = changed(small_experiment, training=training)
        images, _ = TileSampler(samples[:1], experiment, cache)[0]
        assert images.shape == (2, 32, 32, 3)

    def test_objects_of_all_sizes_are_as_likely(
        self, tmp_path: Path, small_experiment: Experiment, cache: PixelCache
    ) -> None:
        mask = np.zeros((400, 400), np.uint8)
        mask[50:54, 50:54], mask[200:380, 200:380] = 255, 255
        cv2.imwrite(str(tmp_path / "a.png"), mask)
        sample = Sample("a", tmp_path / "a.png", tmp_path / "a.png")
        training = {"foreground_fraction": 1.0, "batch_size": 50}
        sampler = TileSampler(
            [sample], changed(small_experiment, training=training), cache, steps=8
        )
        small = [mask.sum() == 16 for _, masks in epoch_of(sampler, 0) for mask in masks]
        assert np.mean(small) == pytest.approx(0.5, abs=0.1)

    def test_classes_are_as_likely_however_rare(
        self, tmp_path: Path, small_experiment: Experiment, cache: PixelCache
    ) -> None:
        """Class 1 has twenty objects in each of four images, class 2 one object in one image."""
        samples = []
        for number in range(4):
            mask = np.zeros((400, 400), np.uint8)
            for column in range(20):
                mask[40:46, 20 * column : 20 * column + 6] = 1
            if number == 3:
                mask[300:306, 200:206] = 2
            path = tmp_path / f"{number}.png"
            cv2.imwrite(str(path), mask)
            samples.append(Sample(str(number), path, path))
        experiment = changed(
            small_experiment,
            dataset={"mask_form": "labels", "classes": ["background", "common", "rare"]},
            model={"num_classes": 3},
            training={"foreground_fraction": 1.0, "batch_size": 50},
        )
        sampler = TileSampler(samples, experiment, cache, steps=8, workers=0)
        rare = [bool((mask == 2).any()) for _, masks in epoch_of(sampler, 0) for mask in masks]
        common = [bool((mask == 1).any()) for _, masks in epoch_of(sampler, 0) for mask in masks]
        assert np.mean(rare) == pytest.approx(0.5, abs=0.1)
        assert np.mean(common) == pytest.approx(0.5, abs=0.1)

    def test_images_are_chosen_evenly_whatever_their_size(
        self, tmp_path: Path, small_experiment: Experiment, cache: PixelCache
    ) -> None:
        samples = []
        for value, side in ((0, 40), (1, 80)):
            path = tmp_path / f"{value}.png"
            cv2.imwrite(str(path), np.full((side, side), 255 * value, np.uint8))
            samples.append(Sample(str(value), path, path))
        experiment = changed(small_experiment, training={"batch_size": 50})
        sampler = TileSampler(samples, experiment, cache, steps=10)
        large = [mask.mean() for _, masks in epoch_of(sampler, 0) for mask in masks]
        assert np.mean(large) == pytest.approx(0.5, abs=0.06)

    def test_scale_changes_the_magnification(
        self, tmp_path: Path, small_experiment: Experiment, cache: PixelCache
    ) -> None:
        mask = np.zeros((400, 400), np.uint8)
        mask[196:204, 196:204] = 255
        cv2.imwrite(str(tmp_path / "a.png"), mask)
        sample = Sample("a", tmp_path / "a.png", tmp_path / "a.png")
        experiment = changed(
            small_experiment,
            augmentation={"scale": 0.5},
            training={"foreground_fraction": 1.0, "batch_size": 50},
        )
        images, masks = TileSampler([sample], experiment, cache)[0]
        assert images.shape == (50, 32, 32, 3)
        sides = np.sqrt(masks.sum(axis=(1, 2, 3)))
        assert 3.5 <= sides.min() < 5.5
        assert 10.5 < sides.max() <= 12.5

    def test_gray(
        self, samples: tuple[Sample, ...], small_experiment: Experiment, cache: PixelCache
    ) -> None:
        experiment = changed(small_experiment, image={"channels": 1, "color_space": "gray"})
        assert TileSampler(samples, experiment, cache)[0][0].shape == (2, 32, 32, 1)


class _Total(keras.layers.Layer):
    """Something of a batch that tells it from the others, as a prediction."""

    def call(self, images: Any) -> Any:
        return keras.ops.mean(keras.ops.cast(images, "float32"), axis=(1, 2, 3))[:, None]


class _Prediction(keras.losses.Loss):
    """The prediction itself, so that the loss of a batch is the mean of its images."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return y_pred


class _Record(keras.callbacks.Callback):
    """Keeps the running mean of the loss after every batch: one number per batch drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[list[float]] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.epochs.append([])

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None
        self.epochs[-1].append(float(logs["loss"]))


def record_fit(
    samples: Sequence[Sample],
    experiment: Experiment,
    cache: PixelCache,
    workers: int,
    start: int = 0,
    built: bool = False,
) -> list[list[float]]:
    """What ``fit`` is shown from epoch ``start`` to epoch 4."""
    sampler = TileSampler(samples, experiment, cache, start_epoch=start, workers=workers)
    inputs = keras.Input((32, 32, 3), dtype="uint8")
    model = keras.Model(inputs, _Total()(inputs))
    model.compile(loss=_Prediction(), optimizer="sgd")
    if built:
        model.evaluate(*sampler[0], verbose=0)
    record = _Record()
    tiles = ValidationTiles(samples, experiment, cache)
    model.fit(
        sampler,
        steps_per_epoch=sampler.steps,
        initial_epoch=start,
        epochs=4,
        validation_data=tiles,
        callbacks=[record],
        shuffle=False,
        verbose=0,
    )
    return record.epochs


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
class TestFit:
    def test_an_epoch_is_drawn_with_its_own_number(
        self, samples: tuple[Sample, ...], small_experiment: Experiment, cache: PixelCache
    ) -> None:
        shown = record_fit(samples, small_experiment, cache, workers=0)
        sampler = TileSampler(samples, small_experiment, cache, workers=0)
        for epoch, losses in enumerate(shown):
            means = [images.mean() for images, _ in epoch_of(sampler, epoch)]
            np.testing.assert_allclose(losses, np.cumsum(means) / np.arange(1, 6), rtol=1e-4)

    @pytest.mark.parametrize("workers", [1, 4])
    @pytest.mark.parametrize("built", [False, True])
    def test_workers_change_nothing(
        self,
        samples: tuple[Sample, ...],
        small_experiment: Experiment,
        cache: PixelCache,
        workers: int,
        built: bool,
    ) -> None:
        """Also not when the model is built already, which spares Keras an abandoned pass."""
        alone = record_fit(samples, small_experiment, cache, workers=0)
        assert record_fit(samples, small_experiment, cache, workers, built=built) == alone
        assert len({tuple(losses) for losses in alone}) == 4

    @pytest.mark.parametrize("workers", [0, 4])
    def test_a_resumed_training_sees_what_an_unbroken_one_does(
        self,
        samples: tuple[Sample, ...],
        small_experiment: Experiment,
        cache: PixelCache,
        workers: int,
    ) -> None:
        unbroken = record_fit(samples, small_experiment, cache, workers)
        assert record_fit(samples, small_experiment, cache, workers, start=2) == unbroken[2:]

    def test_the_same_under_jax(
        self, samples: tuple[Sample, ...], small_experiment: Experiment, cache: PixelCache
    ) -> None:
        pytest.importorskip("jax")
        settings = small_experiment.dataset
        shown = record_fit(samples, small_experiment, cache, workers=2)
        root = samples[0].image.parents[3]
        code = (
            "import sys; from pathlib import Path; from test_sampler import *; "
            "e = Experiment.model_validate_json(sys.argv[1]); "
            "s = pair(Path(sys.argv[2])); c = PixelCache(Path(sys.argv[3])); "
            "print(record_fit(s, e, c, workers=2))"
        )
        found = subprocess.run(
            [
                sys.executable,
                "-c",
                code,
                small_experiment.model_dump_json(),
                str(root / settings.name / "train"),
                str(cache.folder),
            ],
            env=os.environ
            | {
                "KERAS_BACKEND": "jax",
                "JAX_PLATFORMS": "cpu",
                "PYTHONPATH": str(Path(__file__).parent),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        losses = np.array(eval(found.stdout.splitlines()[-1]))
        np.testing.assert_allclose(losses, shown, rtol=1e-4)


class TestHardImages:
    """Images of one brightness each, so that a crop tells where it comes from."""

    LEVELS = (120, 20, 220)
    """As their files are sorted."""

    @pytest.fixture
    def plain(self, tmp_path: Path) -> tuple[Sample, ...]:
        for level in self.LEVELS:
            mask = np.zeros((60, 80), bool)
            mask[20:30, 20:30] = True
            write_image(tmp_path / "images" / f"{level}.png", np.full((60, 80, 3), level, np.uint8))
            write_mask(tmp_path / "masks" / f"{level}.png", mask)
        return pair(tmp_path)

    def shares(self, sampler: TileSampler, epoch: int) -> list[float]:
        crops = np.concatenate([images for images, _ in epoch_of(sampler, epoch)])
        means = crops.mean(axis=(1, 2, 3))
        nearest = np.abs(means[:, np.newaxis] - np.array(self.LEVELS)).argmin(axis=1)
        return [float((nearest == index).mean()) for index in range(3)]

    @pytest.mark.parametrize("foreground", [0.0, 1.0])
    def test_are_seen_as_often_as_their_losses_say(
        self,
        plain: tuple[Sample, ...],
        small_experiment: Experiment,
        cache: PixelCache,
        foreground: float,
    ) -> None:
        training = {"hard_example_fraction": 0.6, "foreground_fraction": foreground}
        experiment = changed(small_experiment, training=training)
        sampler = TileSampler(plain, experiment, cache, steps=300, workers=0)
        assert self.shares(sampler, 0) == pytest.approx([1 / 3] * 3, abs=0.06)
        sampler.set_losses(1, np.array([0.0, 1.0, 3.0]))
        expected = [0.4 / 3, 0.4 / 3 + 0.15, 0.4 / 3 + 0.45]
        assert self.shares(sampler, 1) == pytest.approx(expected, abs=0.06)
        sampler.set_losses(2, np.zeros(3))
        assert self.shares(sampler, 2) == pytest.approx([1 / 3] * 3, abs=0.06)

    @pytest.mark.parametrize("workers", [0, 2])
    def test_an_epochs_batches_wait_for_its_losses(
        self,
        plain: tuple[Sample, ...],
        small_experiment: Experiment,
        cache: PixelCache,
        workers: int,
    ) -> None:
        experiment = changed(small_experiment, training={"hard_example_fraction": 1.0})
        sampler = TileSampler(plain, experiment, cache, workers=workers)
        epoch_of(sampler, 0)
        drawn: list[Batch] = []
        thread = threading.Thread(target=lambda: drawn.append(sampler[sampler.steps]))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        sampler.set_losses(1, np.array([0.0, 0.0, 1.0]))
        thread.join(60)
        assert drawn[0][0].mean() == pytest.approx(220, abs=15)

    def test_nobody_waits_when_the_training_has_ended(
        self, plain: tuple[Sample, ...], small_experiment: Experiment, cache: PixelCache
    ) -> None:
        experiment = changed(small_experiment, training={"hard_example_fraction": 1.0})
        sampler = TileSampler(plain, experiment, cache, workers=2)
        thread = threading.Thread(target=lambda: sampler[sampler.steps])
        thread.start()
        sampler.close()
        thread.join(60)
        assert not thread.is_alive()
