"""Connected components of a mask that comes in bands: whole across their borders.

Each band is labelled by itself; labels that meet on the line between two bands are joined in a
disjoint-set forest (Tarjan 1975, path halving; the two passes of Rosenfeld & Pfaltz 1966, with a
band in place of a row). A band's own labels are not kept: they are the same when it is labelled
again, so what stays in memory is one line and some numbers per component::

    band 0   . 1 1 . . 2 .        1 and 2 meet 1 of band 1, so all three
             . 1 . . . 2 .        are one component
    -----------------------
    band 1   . 1 1 1 1 1 .
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.objects import InstanceLabels, Mask

Connectivity = Literal[4, 8]
_ROWS = 32
"""Rows that are measured at once."""


@dataclass(frozen=True)
class Components:
    """The components of a mask, numbered from 1 in reading order; 0 is the rest.

    Attributes:
        count: How many there are.
        areas: (count + 1,) int64, pixels of each; 0 at index 0.
        at_border: (count + 1,) bool, whether it touches the border of the image.
        connectivity: 8 where pixels that share a corner belong together, else 4.
    """

    count: int
    areas: NDArray[np.int64]
    at_border: NDArray[np.bool_]
    connectivity: Connectivity
    _numbers: tuple[NDArray[np.int32], ...]
    """Of each band, from its own labels to the numbers."""

    def labels(self, bands: Iterable[Mask]) -> Iterator[InstanceLabels]:
        """The numbers of every pixel, band by band.

        Args:
            bands: The same bands (h, W) that the components were found in.

        Yields:
            (h, W) int32 for each band.
        """
        for numbers, band in zip(self._numbers, bands, strict=True):
            yield numbers[_own_labels(band, self.connectivity)[1]]


def find_components(bands: Iterable[Mask], connectivity: Connectivity = 8) -> Components:
    """Find what belongs together, in one pass over a mask.

    Args:
        bands: (h, W) each, from the top; h may differ.
        connectivity: 8 joins pixels that share a side or a corner, 4 a side only.

    Returns:
        The components, numbered as ``objects.labelled`` numbers those of a mask in memory.
    """
    forest = _Forest()
    counts: list[int] = []
    areas, borders = [np.zeros(1, np.int64)], [np.zeros(1, np.bool_)]
    firsts, line, start, pixels = [np.zeros(1, np.int64)], None, 1, 0
    for band in bands:
        count, own = _own_labels(band, connectivity)
        top, bottom = (
            np.where(row > 0, row.astype(np.int64) + (start - 1), 0) for row in (own[0], own[-1])
        )
        forest.grow(count)
        at_border = np.zeros(count + 1, np.bool_)
        at_border[own[:, 0]] = at_border[own[:, -1]] = True
        if line is None:
            at_border[own[0]] = True
        else:
            _join_lines(forest, line, top, connectivity)
        sizes, places = _measured(own, count)
        areas.append(sizes[1:])
        borders.append(at_border[1:])
        firsts.append(places[1:] + pixels)
        counts.append(count)
        line, start, pixels = bottom, start + count, pixels + band.size
    touched = np.concatenate(borders)
    if line is not None:
        touched[line] = True
    roots = forest.roots()
    return _numbered(roots, np.concatenate(areas), touched, np.concatenate(firsts), counts,
                     connectivity)  # fmt: skip


def _numbered(
    roots: NDArray[np.int64],
    areas: NDArray[np.int64],
    touched: NDArray[np.bool_],
    firsts: NDArray[np.int64],
    counts: list[int],
    connectivity: Connectivity,
) -> Components:
    """Number the trees of the forest by their first pixels; node 0 is what belongs to none."""
    # Bands come from the top, so the smallest node of a tree holds its first pixel or one of
    # the same band: the smallest first pixel over all nodes decides.
    earliest = np.full(len(roots), np.iinfo(np.int64).max)
    np.minimum.at(earliest, roots[1:], firsts[1:])
    own = np.unique(roots[1:])
    order = own[np.argsort(earliest[own], kind="stable")]
    names = np.zeros(len(roots), np.int32)
    names[order] = np.arange(1, len(order) + 1)
    numbers = names[roots]
    numbers[0] = 0
    total, border = np.zeros(len(order) + 1, np.int64), np.zeros(len(order) + 1, np.bool_)
    np.add.at(total, numbers[1:], areas[1:])
    border[numbers[1:][touched[1:]]] = True
    ends = np.cumsum([1, *counts])
    of_bands = tuple(
        np.concatenate(([0], numbers[end - count : end])).astype(np.int32)
        for count, end in zip(counts, ends[1:], strict=True)
    )
    return Components(len(order), total, border, connectivity, of_bands)


def _own_labels(band: Mask, connectivity: Connectivity) -> tuple[int, InstanceLabels]:
    """How many components a band has by itself, and their labels, 1 and up."""
    count, labels = cv2.connectedComponents(
        band.astype(np.uint8), connectivity=connectivity, ltype=cv2.CV_32S
    )
    return count - 1, np.asarray(labels, np.int32)


def _measured(labels: InstanceLabels, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each label its pixels, and the index of its first pixel in reading order.

    A few rows at a time, from the last: the indices of all pixels take more than the pixels.
    """
    areas, firsts = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    for top in reversed(range(0, len(labels), _ROWS)):
        some = labels[top : top + _ROWS].ravel()
        areas += np.bincount(some, minlength=count + 1)
        place = np.flatnonzero(some)[::-1]
        # of several, the last assigned stays: the first pixel
        firsts[some[place]] = place + top * labels.shape[1]
    return areas, firsts


def _join_lines(
    forest: "_Forest", above: NDArray[np.int64], below: NDArray[np.int64], connectivity: int
) -> None:
    pairs = [(above, below)]
    if connectivity == 8:
        pairs += [(above[1:], below[:-1]), (above[:-1], below[1:])]
    for first, second in pairs:
        meet = (first > 0) & (second > 0)
        for a, b in np.unique(np.stack((first[meet], second[meet])), axis=1).T.tolist():
            forest.join(a, b)


class _Forest:
    """Disjoint sets over 0, 1, 2, ...; every node points to one that is not larger."""

    def __init__(self) -> None:
        self._parents = [0]

    def grow(self, count: int) -> None:
        """Add so many nodes, each a set of its own."""
        self._parents.extend(range(len(self._parents), len(self._parents) + count))

    def join(self, a: int, b: int) -> None:
        """Make the sets of two nodes one."""
        a, b = self._root(a), self._root(b)
        self._parents[max(a, b)] = min(a, b)

    def roots(self) -> NDArray[np.int64]:
        """The root of every node."""
        parents = np.asarray(self._parents, np.int64)
        while True:
            above = parents[parents]
            if np.array_equal(above, parents):
                return parents
            parents = above

    def _root(self, node: int) -> int:
        parents = self._parents
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node
