"""How visible are the seams: tiled against whole, and gradients on seam lines."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import TilingError
from tiledseg.masks.classes import labels_of


class SeamLines(Protocol):
    """Where tiles meet; every ``Grid`` knows."""

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of the image, in pixels."""

    @property
    def seam_rows(self) -> Sequence[int]:
        """First rows of tiles' cores, but for 0."""

    @property
    def seam_columns(self) -> Sequence[int]:
        """First columns of tiles' cores, but for 0."""


def seam_gradient_ratio(probability: NDArray[np.floating], grid: SeamLines) -> float:
    """Compare the gradient across seams with the gradient elsewhere.

    The gradient is the absolute difference of neighboring pixels, averaged over
    channels. Differences between the two sides of a seam, along rows and along
    columns, form one mean; all other neighbors form the other.

    Args:
        probability: Float array (H, W) or (H, W, K).
        grid: The grid that the probability was computed with.

    Returns:
        Mean across seams over mean elsewhere. 1.0 means that the seams are like any
        other place, and is also given when there are no seams or no gradient at all;
        infinity when there is a gradient at seams alone.

    Raises:
        TilingError: If the probability is not of the grid's image.
    """
    seam_sum, seam_count, other_sum, other_count = _gradients(probability, grid)
    if seam_count == 0 or other_count == 0:
        return 1.0
    return _ratio(seam_sum / seam_count, other_sum / other_count)


def seam_gradient_against_single_pass(
    tiled: NDArray[np.floating], whole: NDArray[np.floating], grid: SeamLines
) -> float:
    """Compare the gradient across seams with that of one whole pass at the same places.

    Objects that happen to lie on a seam, which sway ``seam_gradient_ratio`` where they are few,
    are in both.

    Args:
        tiled: Float array (H, W) or (H, W, K).
        whole: Array of the same shape.
        grid: Where the tiles of ``tiled`` meet.

    Returns:
        Mean across seams over mean there in ``resized``. 1.0 means that there is nothing to be
        seen of the seams; infinity that there is a gradient in ``tiled`` alone.

    Raises:
        TilingError: If the shapes differ, or are not those of the grid's image.
    """
    _check_same_shape(tiled, whole)
    return _ratio(_gradients(tiled, grid)[0], _gradients(whole, grid)[0])


def max_difference(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Largest absolute difference of two predictions.

    Args:
        a: Float array of any shape.
        b: Float array of the same shape.

    Returns:
        The largest absolute difference; NaN if either holds NaN.

    Raises:
        TilingError: If the shapes differ.
    """
    _check_same_shape(a, b)
    return float(np.abs(a - b).max())


def count_flipped_labels(a: NDArray[np.floating], b: NDArray[np.floating]) -> int:
    """Count the pixels whose label differs: cut at 0.5 (and up), or the most probable of several.

    Args:
        a: Probabilities (H, W) or (H, W, K).
        b: Probabilities of the same shape.

    Returns:
        Number of pixels.

    Raises:
        TilingError: If the shapes differ.
    """
    _check_same_shape(a, b)
    if a.ndim == 2:
        a, b = a[..., np.newaxis], b[..., np.newaxis]
    return int(np.count_nonzero(labels_of(a) != labels_of(b)))


def _gradients(probability: NDArray[np.floating], grid: SeamLines) -> NDArray[np.float64]:
    """Sum and count of the differences across seams, then of all others."""
    if probability.shape[:2] != grid.image_shape:
        raise TilingError(
            f"the probability is {probability.shape[:2]} pixels, the grid's image "
            f"{grid.image_shape}; give the grid that the probability was computed with"
        )
    height, width = grid.image_shape
    parts = [
        _split(_line_gradients(probability, 0), grid.seam_rows, width),
        _split(_line_gradients(probability, 1), grid.seam_columns, height),
    ]
    return np.asarray(np.sum(parts, axis=0), np.float64)


def _ratio(seams: float, others: float) -> float:
    if seams == others:
        return 1.0
    return float(seams / others) if others else float("inf")


def _line_gradients(probability: NDArray[np.floating], axis: int) -> NDArray[np.float64]:
    """Mean absolute difference between each line along an axis and the one before it."""
    others = tuple(other for other in range(probability.ndim) if other != axis)
    differences = np.abs(np.diff(probability, axis=axis))
    return np.asarray(differences.mean(axis=others, dtype=np.float64))


def _split(
    gradients: NDArray[np.float64], seams: Sequence[int], pixels: int
) -> tuple[float, int, float, int]:
    """Sum and count of the differences across seams, then of all others."""
    at_seam = np.zeros(len(gradients), np.bool_)
    at_seam[np.asarray(seams, np.intp) - 1] = True
    across = int(at_seam.sum())
    return (
        float(gradients[at_seam].sum()) * pixels,
        across * pixels,
        float(gradients[~at_seam].sum()) * pixels,
        (len(gradients) - across) * pixels,
    )


def _check_same_shape(a: NDArray[np.floating], b: NDArray[np.floating]) -> None:
    if a.shape != b.shape:
        raise TilingError(f"shapes {a.shape} and {b.shape} differ; compare the same image")
