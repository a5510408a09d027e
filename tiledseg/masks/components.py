"""Connected components of a mask that comes in bands: whole across their borders.

Each band is labeled by itself (the two passes of Rosenfeld & Pfaltz 1966, with a band in place of
a row). Labels are the nodes of a graph, with an edge where two meet on the line between two bands;
its connected components are those of the mask. A band's own labels are not kept: they are the same
when it is labeled again, so what stays in memory is one line, the edges, and some numbers per
component::

    band 0   . 1 1 . . 2 .        1 and 2 meet 1 of band 1, so all three
             . 1 . . . 2 .        are one component
    -----------------------
    band 1   . 1 1 1 1 1 .
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tiledseg.masks.instances import InstanceLabels, Mask, label_regions

Connectivity = Literal[4, 8]
Edges = NDArray[np.int32]
"""(2, edges), nodes of the graph."""
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
    """Find the connected components of a mask, in one pass over its bands.

    Takes some 25 bytes for each component of a band while it looks, of which half stay.

    Args:
        bands: (h, W) each, from the top; h may differ.
        connectivity: 8 joins pixels that share a side or a corner, 4 a side only.

    Returns:
        The components, numbered as ``label_instances`` numbers those of a mask in memory.
    """
    parts: list[_Part] = []
    edges: list[Edges] = []
    line, start = None, 0
    for band in bands:
        count, own = label_regions(band, connectivity=connectivity)
        top, bottom = (np.where(row > 0, row + start, 0) for row in (own[0], own[-1]))
        at_border = np.zeros(count + 1, np.bool_)
        at_border[own[:, 0]] = at_border[own[:, -1]] = True
        if line is None:
            at_border[own[0]] = True
        else:
            edges.append(_find_edges(line, top, connectivity))
        parts.append(_Part(start, _areas(own, count), at_border))
        line, start = bottom, start + count + 1
    if line is not None:
        parts[-1].at_border[np.maximum(line - parts[-1].start, 0)] = True
    return _number(parts, _find_roots(edges, start), connectivity)


@dataclass(frozen=True)
class _Part:
    """The components of one band; index 0 is its background."""

    start: int
    """Node of label 0; label n is node ``start + n``."""
    areas: NDArray[np.int32]
    at_border: NDArray[np.bool_]


def _find_roots(edges: list[Edges], nodes: int) -> NDArray[np.int32]:
    """Find the smallest node that each node is connected with; (nodes,)."""
    roots = np.arange(nodes, dtype=np.int32)
    if edges:
        # Only labels at lines between bands are in the graph: few of all.
        joined, ends = np.unique(np.concatenate(edges, axis=1), return_inverse=True)
        graph = coo_array((np.ones(ends.shape[1], np.bool_), tuple(ends)), (len(joined),) * 2)
        _, trees = connected_components(graph, directed=False)
        _, firsts = np.unique(trees, return_index=True)
        roots[joined] = joined[firsts[trees]]
    return roots


def _number(parts: list[_Part], roots: NDArray[np.int32], connectivity: Connectivity) -> Components:
    """Number the components in the order of their roots, and add up their parts."""
    # A root is the smallest node of its component, and nodes come in reading order: it holds the
    # component's first pixel.
    is_root = roots == np.arange(len(roots), dtype=np.int32)
    is_root[[part.start for part in parts]] = False
    numbers = np.cumsum(is_root, dtype=np.int32)[roots]
    count = int(numbers.max(initial=0))
    areas, at_border = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.bool_)
    of_bands = []
    for part in parts:
        own = numbers[part.start : part.start + len(part.areas)]
        own[0] = 0
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


def _find_edges(above: NDArray[np.int32], below: NDArray[np.int32], connectivity: int) -> Edges:
    """Nodes that meet where two bands do, each pair once."""
    pairs = [(above, below)]
    if connectivity == 8:
        pairs += [(above[1:], below[:-1]), (above[:-1], below[1:])]
    meeting = [np.stack(pair)[:, (pair[0] > 0) & (pair[1] > 0)] for pair in pairs]
    return np.unique(np.concatenate(meeting, axis=1), axis=1)
