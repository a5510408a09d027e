"""One axis of an image: windows that cover it, and where their cores meet.

Rows and columns are the same problem; a grid is the product of two axes.
"""

from collections.abc import Sequence
from itertools import pairwise


def cover_axis(length: int, side: int, overlap: int = 0, *, even: bool = True) -> list[int]:
    """Find the origins of the fewest windows that cover an axis and stay inside it.

    Args:
        length: Of the axis, in pixels or any other unit, as all that follows.
        side: Of a window; an axis that is no longer has one window, at 0.
        overlap: Least overlap of neighboring windows, below ``side``.
        even: Spread the windows evenly; else they lie ``side - overlap`` apart, and the last is
            pushed back into the axis.

    Returns:
        Origins in ascending order: the first is 0, the last window ends with the axis.
    """
    if length <= side:
        return [0]
    last, step = length - side, side - overlap
    count = -(-(length - overlap) // step)
    if even:
        return [k * last // (count - 1) for k in range(count)]
    return [min(k * step, last) for k in range(count)]


def divide_axis(length: int, side: int, origins: Sequence[int]) -> list[tuple[int, int]]:
    """Divide an axis into the cores of its windows, in the middle of each overlap.

    Args:
        length: Of the axis.
        side: Of a window.
        origins: Of ``cover_axis``.

    Returns:
        First position of each core, and the one after its last; every position is in one core.
    """
    cuts = [0, *((left + side + right) // 2 for left, right in pairwise(origins)), length]
    return list(pairwise(cuts))
