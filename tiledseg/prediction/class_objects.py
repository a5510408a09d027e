"""Objects of several classes: cleaned, numbered, measured and outlined class by class."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tiledseg.masks.classes import Labels, class_colors
from tiledseg.masks.instances import Areas, Mask, clean, hole_areas, label_instances, measure
from tiledseg.masks.outlines import geojson


def clean_labels(labels: Labels, *, min_object_area: int = 0, max_hole_area: int = 0) -> Labels:
    """Drop small objects of all classes, then fill small holes in what is left.

    Args:
        labels: (H, W), uint8; 0 is the background.
        min_object_area: Objects of fewer pixels become background; 0 or 1 keeps all.
        max_hole_area: Of a hole in a class, of at most so many pixels, what is background
            becomes that class: also what was an object before it was dropped. A hole in a hole
            is filled with the class next to it. 0 fills nothing.

    Returns:
        (H, W), uint8, in memory of its own.
    """
    if min_object_area <= 1 and max_hole_area <= 0:
        return labels.copy()
    masks = (
        (label, clean(labels == label, min_object_area=min_object_area))
        for label in _classes_in(labels)
    )
    return merge(
        labels.shape, ((label, mask, hole_areas(mask, max_hole_area)) for label, mask in masks)
    )


def merge(shape: tuple[int, ...], classes: Iterable[tuple[int, Mask, Areas]]) -> Labels:
    """Labels of classes that each have a mask, with holes filled where no class is.

    Args:
        shape: Height and width.
        classes: Of each its label, its mask (H, W), and ``objects.hole_areas`` of the mask. Of
            several holes that a pixel lies in it takes the smallest one's class.

    Returns:
        (H, W), uint8.
    """
    labels, fillings = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    smallest = np.zeros(shape, np.uint32)
    for label, mask, areas in classes:
        labels[mask] = label
        closer = (areas > 0) & ((smallest == 0) | (areas < smallest))
        fillings[closer] = label
        smallest[closer] = areas[closer]
    np.copyto(labels, fillings, where=labels == 0)
    return labels


def number_instances(labels: Labels) -> NDArray[np.int32]:
    """Number the objects from 1, class by class, each in reading order; background is 0.

    Pixels belong together where they share a class, and a side or a corner.

    Args:
        labels: (H, W), uint8.

    Returns:
        (H, W), int32.
    """
    numbers = np.zeros(labels.shape, np.int32)
    for label in _classes_in(labels):
        own = label_instances(labels == label)
        numbers[own > 0] = own[own > 0] + numbers.max(initial=0)
    return numbers


def measure_classes(
    numbers: NDArray[np.int32],
    labels: Labels,
    probability: NDArray[np.float32],
    names: Sequence[str],
) -> pd.DataFrame:
    """Measure every object.

    Args:
        numbers: (H, W), of ``number_instances``.
        labels: (H, W), uint8.
        probability: (H, W, K).
        names: Of the labels from 0.

    Returns:
        What ``tiledseg.masks.instances.measured`` gives, with the column ``class`` after ``label``;
        the mean probability is that of the object's class.
    """
    own = np.take_along_axis(probability, labels[..., np.newaxis].astype(np.intp), axis=2)[..., 0]
    table = measure(numbers, own)
    found, firsts = np.unique(numbers, return_index=True)
    classes = labels.ravel()[firsts[found > 0]]
    table.insert(1, "class", [names[label] for label in classes])
    return table


def outline_classes(
    numbers: NDArray[np.int32], table: pd.DataFrame, names: Sequence[str], image: str
) -> dict[str, Any]:
    """Objects as one GeoJSON feature collection, each with its class's name and color.

    Args:
        numbers: (H, W), of ``number_instances``.
        table: Of ``measure_classes``.
        names: Of the labels from 0.
        image: What sets these objects' ids apart from those of other images.
    """
    features = []
    for name, color in zip(names[1:], class_colors(len(names))[1:], strict=True):
        rows = table[table["class"] == name].drop(columns="class")
        features += geojson(numbers, rows, name, image, color)["features"]
    return {"type": "FeatureCollection", "features": features}


def _classes_in(labels: Labels) -> list[int]:
    """Labels that are there, but the background."""
    return [int(label) for label in np.flatnonzero(np.bincount(labels.ravel())) if label]
