"""Objects of all classes in a picture that comes in bands: numbered, measured, outlined."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tiledseg.config.experiment import Experiment
from tiledseg.masks.classes import Color, class_colors
from tiledseg.masks.cleaning import LabelBands, select_label
from tiledseg.masks.components import find_components
from tiledseg.masks.instances import Measurements
from tiledseg.masks.outlines import Ring, stream_polygons


@dataclass(frozen=True)
class Class:
    """What objects may be."""

    label: int
    name: str
    color: Color


def classes_of(experiment: Experiment) -> list[Class]:
    """What a network finds, the background left out; a single class is named as the dataset."""
    several = experiment.model.num_classes > 1
    names = experiment.class_names[1:] if several else [experiment.dataset.name]
    colors = class_colors(len(names) + 1)[1:]
    return [
        Class(label, name, color)
        for label, (name, color) in enumerate(zip(names, colors, strict=True), start=1)
    ]


class ClassObjects:
    """The objects of each class, numbered from 1 class by class, each in reading order.

    Pixels belong together where they share a class, and a side or a corner.

    Args:
        bands: The label map.
        classes: What its labels stand for.
    """

    def __init__(self, bands: LabelBands, classes: Sequence[Class]) -> None:
        self.bands, self.classes = bands, classes
        self._found = [find_components(select_label(bands, each.label)()) for each in classes]
        self._before = np.cumsum([0, *(found.count for found in self._found)]).tolist()

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self._before[-1])

    @property
    def areas(self) -> NDArray[np.int64]:
        """Pixels of each, in the order of their numbers."""
        return np.concatenate([found.areas[1:] for found in self._found])

    @property
    def area(self) -> int:
        """Pixels of all of them."""
        return int(self.areas.sum())

    def numbers(self) -> Iterator[NDArray[np.int32]]:
        """The number of the object that each pixel belongs to, (h, W) for each band."""
        own = [
            found.labels(select_label(self.bands, each.label)())
            for found, each in zip(self._found, self.classes, strict=True)
        ]
        for parts in zip(*own, strict=True):
            numbers = np.zeros_like(parts[0])
            for part, before in zip(parts, self._before, strict=False):
                numbers += np.where(part > 0, part + before, 0).astype(np.int32)
            yield numbers

    def measure(self, probabilities: Iterator[NDArray[np.uint8]]) -> pd.DataFrame:
        """Measure every object, as ``masks.instances.measure`` does.

        Args:
            probabilities: For each band the probability of its labels, 0 to 255.

        Returns:
            With a column ``class`` where there is more than one.
        """
        measurements, top = Measurements(self.count), 0
        for numbers, probability in zip(self.numbers(), probabilities, strict=True):
            measurements.add(numbers, probability.astype(np.float32) / np.float32(255), top)
            top += len(numbers)
        table = measurements.table()
        if len(self.classes) > 1:
            names = [each.name for each in self.classes]
            table.insert(1, "class", np.repeat(names, [found.count for found in self._found]))
        return table

    def outlines(self) -> Iterator[tuple[Class, int, list[list[Ring]]]]:
        """Class, number and polygons of every object."""
        for each, found, before in zip(self.classes, self._found, self._before, strict=False):
            mask = select_label(self.bands, each.label)
            regions = find_components(mask(), connectivity=4)
            pairs = zip(found.labels(mask()), regions.labels(mask()), strict=True)
            for number, pieces in stream_polygons(pairs):
                yield each, number + before, pieces
