"""Orientations: what is turned for the network is turned back for the answer."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tiledseg.tiling.execution.tta import ORIENTATIONS, average_tta

WINDOWS = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)


def identity(windows: NDArray[np.uint8]) -> NDArray[np.float32]:
    return windows.astype(np.float32)


@pytest.mark.parametrize("orientations", [1, 2, 4, 8])
def test_identity_gives_the_windows_back(orientations: int) -> None:
    answer = average_tta(identity, orientations)(WINDOWS)
    assert answer.dtype == np.float32
    assert np.array_equal(answer, WINDOWS)


def test_every_orientation_is_seen_once() -> None:
    seen = []

    def remember(windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append((windows.shape, windows.tobytes()))
        return identity(windows)

    average_tta(remember, 8)(WINDOWS)
    assert len(set(seen)) == len(seen) == len(ORIENTATIONS) == 8
    assert all(shape == WINDOWS.shape for shape, _ in seen[:4]), "half turns keep the shape"


@pytest.mark.parametrize("orientations", [2, 4, 8])
def test_the_answer_turns_with_the_image(orientations: int) -> None:
    def lopsided(windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        ramp = np.arange(windows.shape[2], dtype=np.float32)[:, np.newaxis]
        return windows * (1 + ramp)

    turning = average_tta(lopsided, orientations)
    plain, mirrored = turning(WINDOWS), turning(np.ascontiguousarray(WINDOWS[:, :, ::-1]))
    assert np.allclose(mirrored[:, :, ::-1], plain)
    assert not np.allclose(lopsided(WINDOWS), plain)
