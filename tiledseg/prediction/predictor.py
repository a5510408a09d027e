"""From an image to a mask: the one path that evaluation, serving and the pages share.

What is measured is what is served, because all of them call ``Predictor.probability``.
"""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import keras
import numpy as np
from numpy.typing import NDArray

from tiledseg.config.experiment import Experiment, load_experiment
from tiledseg.config.format_version import FORMAT_VERSION, require_format
from tiledseg.config.regular_files import read_json
from tiledseg.errors import ImageError, RegistryError, TilingError
from tiledseg.images.limits import MAX_BYTES
from tiledseg.masks.classes import labels_of, move_threshold
from tiledseg.masks.cleaning import clean_probability
from tiledseg.prediction.model_file import read_network
from tiledseg.prediction.preprocessing import PreprocessedSource, as_color
from tiledseg.tiling.execution.runtimes import Runtime, forward_of
from tiledseg.tiling.execution.single_pass import predict_resized, predict_single_pass
from tiledseg.tiling.execution.streaming import predict_regions
from tiledseg.tiling.execution.tta import average_tta
from tiledseg.tiling.geometry.grid import Grid
from tiledseg.tiling.geometry.plan import Plan, exact_tiling, plan_tiles
from tiledseg.tiling.geometry.regions import (
    ArraySink,
    ArraySource,
    Forward,
    Region,
    RegionSink,
    RegionSource,
)

Mode = Literal["tiled", "resized", "single_pass", "intersection"]
MODES: tuple[Mode, ...] = get_args(Mode)
MODEL_FILE = "model.keras"
EXPERIMENT_FILE = "experiment.yaml"
THRESHOLD_FILE = "threshold.json"
"""Holds the probability from which on a pixel is foreground; 0.5 where there is no such file."""
FORMAT_FILE = "format.json"
"""Holds the version of the form of the folder."""


class Predictor:
    """A network together with the settings that it was trained with.

    Args:
        model: Maps (B, H, W, C) intensities of 0 to 255 to probabilities (B, H, W, K).
        experiment: Its image and tiling sections are applied to every image.
        runtime: What computes, see ``tiling.execution.runtimes.forward_of``. It is loaded at
            the first prediction, and refused then with TilingError if it is not installed.
        threshold: What the network gives from which on a pixel is foreground, for networks of
            one class. Probabilities are moved so that it lies at 0.5 (``move_threshold``).
    """

    def __init__(
        self,
        model: keras.Model,
        experiment: Experiment,
        *,
        runtime: Runtime = "keras",
        threshold: float = 0.5,
    ) -> None:
        self.model = model
        self.experiment = experiment
        self.runtime = runtime
        self.threshold = threshold

    def replace(
        self,
        *,
        experiment: Experiment | None = None,
        runtime: Runtime | None = None,
        threshold: float | None = None,
    ) -> "Predictor":
        """The same network with other settings; what is not given stays."""
        return Predictor(
            self.model,
            experiment or self.experiment,
            runtime=runtime or self.runtime,
            threshold=self.threshold if threshold is None else threshold,
        )

    @classmethod
    def load(cls, folder: Path, *, runtime: Runtime = "keras", name: str = "") -> "Predictor":
        """Read a predictor from a folder that ``save`` wrote.

        Args:
            folder: Holds the network and its settings.
            runtime: What computes.
            name: What the user calls the model, for messages; by default the folder.

        Raises:
            RegistryError: A file is missing or is not a Keras model.
            FormatError: Another version of tiledseg wrote it, in another form.
        """
        experiment_file = folder / EXPERIMENT_FILE
        if experiment_file.is_file():
            require_format(_read_format(folder), f"model {name or folder}")
        experiment = load_experiment(experiment_file)
        path = folder / MODEL_FILE
        try:
            model = read_network(path)
        except OSError as error:
            raise RegistryError(f"{path}: not a usable model: {error.strerror or error}") from error
        except ValueError as error:
            raise RegistryError(f"{path}: not a usable model: {error}") from error
        return cls(model, experiment, runtime=runtime, threshold=_read_threshold(folder))

    @property
    def _forward(self) -> Forward | None:
        """What computes whole windows; None for Keras' own pass, of which the engine knows more."""
        if self.runtime == "keras" and self.experiment.tiling.tta == 1:
            return None
        forward = forward_of(self.model, self.runtime)
        return average_tta(forward, self.experiment.tiling.tta)

    def save(self, folder: Path) -> None:
        """Write the network and what it is used with into an existing folder."""
        self.model.save(folder / MODEL_FILE)
        self.save_settings(folder)

    def save_settings(self, folder: Path) -> None:
        """Write what ``save`` writes beside the network: experiment, threshold, format."""
        (folder / EXPERIMENT_FILE).write_text(self.experiment.to_yaml(), encoding="utf-8")
        (folder / THRESHOLD_FILE).write_text(
            json.dumps({"threshold": self.threshold}), encoding="utf-8"
        )
        (folder / FORMAT_FILE).write_text(json.dumps({"format": FORMAT_VERSION}), encoding="utf-8")

    def probability(
        self,
        image: NDArray[np.uint8],
        mode: Mode = "tiled",
        *,
        on_batch: Callable[[Sequence[int]], object] = lambda _: None,
    ) -> NDArray[np.float32]:
        """Probability of every pixel to be foreground or, with several classes, of each label.

        Args:
            image: RGB (H, W, 3), or gray (H, W) or (H, W, 1); uint8, of any size.
            mode: ``tiled``: tile by tile with a true halo, the same answer as one pass; blended
                tiles where the network or ``tiling.mode`` asks for them.
                ``resized``: the image resized to the network's input, the answer resized back.
                ``single_pass``: one pass at full size, for comparison; needs the memory for it.
                ``intersection``: ``tiled`` where ``resized`` finds an object, too, as the source
                experiments' "bitwise blending" had it; elsewhere ``resized``. For comparison.
            on_batch: Told which tiles are done, see ``predict_regions``.

        Returns:
            Probabilities (H, W, K) float32 in [0, 1].

        Raises:
            ImageError: ``image`` is not uint8 or has a shape that is not an image's.
            TilingError: Unknown mode, or a network that cannot be tiled exactly.
        """
        _require_size(np.shape(image), self.model.output_shape[-1])
        pixels = as_color(image)
        sink = ArraySink(pixels.shape[0], pixels.shape[1], self.model.output_shape[-1])
        self.predict_regions(ArraySource(pixels), sink, mode, on_batch=on_batch)
        tiling = self.experiment.tiling
        return clean_probability(
            sink.values, smallest=tiling.min_object_area, holes=tiling.max_hole_area
        )

    def predict_regions(
        self,
        source: RegionSource,
        sink: RegionSink,
        mode: Mode = "tiled",
        *,
        plan: Plan | None = None,
        finished: frozenset[int] = frozenset(),
        on_batch: Callable[[Sequence[int]], object] = lambda _: None,
    ) -> None:
        """Foreground probability of an image that need not fit into memory.

        Args:
            source: RGB or gray, as it is stored; (H, W, 3) or (H, W, 1).
            sink: Is given probabilities (h, w, K), from a thread of its own.
            mode: See ``probability``. Only ``tiled`` reads and writes piece by piece.
            plan: Of ``plan(H, W)``, where the caller has it already.
            finished: Indices in ``grid(H, W).tiles`` that the sink holds already.
            on_batch: Told which tiles have just been written, from the sink's thread.

        What the sink is given equals what ``probability`` returns, but for
        cleaning: the size of an object or a hole is known when all of it is there.

        Raises:
            ImageError: The image is neither RGB nor gray, or cannot be read.
            TilingError: See ``probability``.
        """
        pixels = PreprocessedSource(source, self.experiment.image)
        height, width, _ = pixels.shape
        if mode == "tiled":
            plan = plan or self.plan(height, width)
            predict_regions(
                self.model,
                pixels,
                _MovedThreshold(sink, self.threshold),
                grid=plan.grid,
                most_pixels=plan.most_pixels,
                finished=finished,
                on_batch=on_batch,
                forward=self._forward,
            )
            return
        everything = (slice(0, height), slice(0, width))
        values = self._at_once(
            pixels.read(everything), "resized" if mode == "intersection" else mode
        )
        values = move_threshold(values, self.threshold)
        if mode == "intersection":
            tiled = ArraySink(height, width, values.shape[-1])
            self.predict_regions(source, tiled)
            values = np.where(to_mask(values)[..., np.newaxis], tiled.values, values)
        sink.write(everything, values)

    def _at_once(self, pixels: NDArray[np.uint8], mode: Mode) -> NDArray[np.float32]:
        if mode == "resized":
            size = self.experiment.image.size
            return predict_resized(self.model, pixels, size, forward=self._forward)
        if mode == "single_pass":
            return predict_single_pass(self.model, pixels, forward=self._forward)
        raise TilingError(f"mode is {mode!r}; use one of {', '.join(MODES)}")

    def grid(self, height: int, width: int) -> Grid:
        """The tiles that mode ``tiled`` cuts an image of this size into.

        Raises:
            TilingError: See ``plan``.
        """
        return self.plan(height, width).grid

    def plan(self, height: int, width: int) -> Plan:
        """How mode ``tiled`` goes about an image of this size, for ``--explain``.

        Raises:
            TilingError: No tile fits, or the network cannot be tiled as the settings ask.
        """
        tiling, size = self.experiment.tiling, self.experiment.image.size
        return plan_tiles(self.model, height, width, tiling, size, self.runtime)

    @property
    def is_exact(self) -> bool:
        """Whether mode ``tiled`` gives the answer of one pass over the whole image."""
        return exact_tiling(self.model, self.experiment.tiling) is not None

    def mask(self, image: NDArray[np.uint8], mode: Mode = "tiled") -> NDArray[np.bool_]:
        """Where there is an object of any class, (H, W) bool; see ``probability``."""
        return to_mask(self.probability(image, mode))


class _MovedThreshold:
    """Gives a sink probabilities whose threshold lies at 0.5."""

    def __init__(self, sink: RegionSink, threshold: float) -> None:
        self._sink, self._threshold = sink, threshold

    def write(self, region: Region, values: NDArray[np.float32]) -> None:
        """Take the values of a rectangle."""
        self._sink.write(region, move_threshold(values, self._threshold))


def to_mask(probability: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Foreground of probabilities, (H, W) bool.

    Args:
        probability: (H, W, 1), cut at 0.5, or (H, W, K), where another label than the background
            is the most probable.
    """
    return labels_of(probability) > 0


def _require_size(shape: tuple[int, ...], outputs: int) -> None:
    """Refuse an image whose probabilities would not be held in memory."""
    size = math.prod(shape[:2]) * max(3, 4 * outputs)
    if size > MAX_BYTES:
        raise ImageError(
            f"image has shape {shape}, whose probabilities take {size / 1e9:.1f} GB, more than "
            f"{MAX_BYTES / 1e9:.1f}; cut it, or use `tiledseg predict`"
        )


def _read_threshold(folder: Path) -> float:
    path = folder / THRESHOLD_FILE
    try:
        threshold = float(read_json(path)["threshold"])
    except FileNotFoundError:
        return 0.5
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise RegistryError(
            f"{path}: holds no threshold ({error}); fetch the model again"
        ) from None
    if not 0 < threshold < 1:
        raise RegistryError(
            f"{path}: holds the threshold {threshold}, and one lies between 0 and 1"
        )
    return threshold


def _read_format(folder: Path) -> object:
    """The version that stands in a model's folder, or None."""
    try:
        content = read_json(folder / FORMAT_FILE)
    except (OSError, ValueError):
        return None
    return content.get("format") if isinstance(content, dict) else None
