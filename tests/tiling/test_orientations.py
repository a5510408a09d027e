"""Orientations: what is turned for the network is turned back for the answer."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tiledseg.tiling.orientations import ORIENTATIONS, predict_oriented

IMAGE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def identity(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return image.astype(np.float32)


@pytest.mark.parametrize("orientations", [1, 2, 4, 8])
def test_identity_gives_the_image_back(orientations: int) -> None:
    answer = predict_oriented(identity, IMAGE, orientations)
    assert answer.dtype == np.float32
    assert np.array_equal(answer, IMAGE)


def test_every_orientation_is_seen_once() -> None:
    seen = []

    def remember(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append((image.shape, image.tobytes()))
        return identity(image)

    predict_oriented(remember, IMAGE, 8)
    assert len(set(seen)) == len(seen) == len(ORIENTATIONS) == 8
    assert all(shape == IMAGE.shape for shape, _ in seen[:4]), "half turns keep the shape"


@pytest.mark.parametrize("orientations", [2, 4, 8])
def test_the_answer_turns_with_the_image(orientations: int) -> None:
    def lopsided(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        ramp = np.arange(image.shape[1], dtype=np.float32)[np.newaxis, :, np.newaxis]
        return image * (1 + ramp)

    plain = predict_oriented(lopsided, IMAGE, orientations)
    mirrored = predict_oriented(lopsided, np.ascontiguousarray(IMAGE[:, ::-1]), orientations)
    assert np.allclose(mirrored[:, ::-1], plain)
    assert not np.allclose(lopsided(IMAGE), plain)
