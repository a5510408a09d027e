"""Connected components of a mask that comes in bands: whole across their borders.

Each band is labeled by itself; labels that meet on the line between two bands are joined in a
disjoint-set forest (Tarjan 1975, path halving; the two passes of Rosenfeld & Pfaltz 1966, with a
band in place of a row). A band's own labels are not kept: they are the same when it is labeled
again, so what stays in memory is one line and some numbers per component::

    band 0   . 1 1 . . 2 .        1 and 2 meet 1 of band 1, so all three
             . 1 . . . 2 .        are one component
    -----------------------
    band 1   . 1 1 1 1 1 .
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tiledseg.masks.instances import InstanceLabels, Mask, label_regions

Connectivity = Literal[4, 8]
_ROWS = 32
"""Rows whose pixels are counted at once."""


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
            yield numbers[label_regions(band, connectivity=self.connectivity)[1]]


def find_components(bands: Iterable[Mask], connectivity: Connectivity = 8) -> Components:
    """Find what belongs together, in one pass over a mask.

    Takes some 25 bytes for each component of a band while it looks, of which half stay.

    Args:
        bands: (h, W) each, from the top; h may differ.
        connectivity: 8 joins pixels that share a side or a corner, 4 a side only.

    Returns:
        The components, numbered as ``label_instances`` numbers those of a mask in memory.
    """
    forest = _Forest()
    parts: list[_Part] = []
    line = None
    for band in bands:
        count, own = label_regions(band, connectivity=connectivity)
        start = forest.grow(count)
        top, bottom = (np.where(row > 0, row + start, 0) for row in (own[0], own[-1]))
        at_border = np.zeros(count + 1, np.bool_)
        at_border[own[:, 0]] = at_border[own[:, -1]] = True
        if line is None:
            at_border[own[0]] = True
        else:
            _join_lines(forest, line, top, connectivity)
        parts.append(_Part(start, _areas(own, count), at_border))
        line = bottom
    if line is not None:
        parts[-1].at_border[np.maximum(line - parts[-1].start, 0)] = True
    return _number(forest, parts, connectivity)


@dataclass(frozen=True)
class _Part:
    """What is known of a band's own components; index 0 is its background."""

    start: int
    """Node of label 0; label n is node ``start + n``."""
    areas: NDArray[np.int32]
    at_border: NDArray[np.bool_]


def _number(forest: "_Forest", parts: list[_Part], connectivity: Connectivity) -> Components:
    """Number the trees of the forest in the order of their roots, and add up their parts."""
    # A root is the smallest node of its tree, and nodes come in reading order: it holds the
    # tree's first pixel.
    numbers = forest.number_trees()
    count = int(numbers.max(initial=0))
    areas, at_border = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.bool_)
    of_bands = []
    for part in parts:
        own = numbers[part.start : part.start + len(part.areas)]
        np.add.at(areas, own, part.areas)
        at_border[own[part.at_border]] = True
        of_bands.append(own)
    areas[0], at_border[0] = 0, False
    return Components(count, areas, at_border, connectivity, tuple(of_bands))


def _areas(labels: InstanceLabels, count: int) -> NDArray[np.int32]:
    """Pixels of each label; a few rows at a time, as counting takes more than the pixels."""
    areas = np.zeros(count + 1, np.int32)
    for top in range(0, len(labels), _ROWS):
        some = np.bincount(labels[top : top + _ROWS].ravel())
        areas[: len(some)] += some.astype(np.int32)
    areas[0] = 0
    return areas


def _join_lines(
    forest: "_Forest", above: NDArray[np.int32], below: NDArray[np.int32], connectivity: int
) -> None:
    pairs = [(above, below)]
    if connectivity == 8:
        pairs += [(above[1:], below[:-1]), (above[:-1], below[1:])]
    for first, second in pairs:
        meet = (first > 0) & (second > 0)
        for a, b in np.unique(np.stack((first[meet], second[meet])), axis=1).T.tolist():
            forest.join(a, b)


class _Forest:
    """Disjoint sets of nodes 0, 1, 2, ...; every node points to one that is not larger.

    Node 0 is the background, and so is the first node of every band.
    """

    def __init__(self) -> None:
        self._parents = array("i")

    def grow(self, count: int) -> int:
        """Add a band's background and so many nodes, each a set of its own.

        Returns:
            The node of the background.
        """
        start = len(self._parents)
        nodes = np.arange(start, start + count + 1, dtype=np.intc)
        nodes[0] = 0
        self._parents.frombytes(nodes.tobytes())
        return start

    def join(self, a: int, b: int) -> None:
        """Make the sets of two nodes one."""
        a, b = self._root(a), self._root(b)
        self._parents[max(a, b)] = min(a, b)

    def number_trees(self) -> NDArray[np.int32]:
        """For every node the rank of its root, from 1 up; 0 for the background."""
        parents = np.frombuffer(self._parents, np.intc)
        while not np.array_equal(above := parents[parents], parents):
            parents = above
        is_root = parents == np.arange(len(parents), dtype=np.intc)
        is_root[:1] = False
        return np.cumsum(is_root, dtype=np.int32)[parents] * (parents > 0)

    def _root(self, node: int) -> int:
        parents = self._parents
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node
