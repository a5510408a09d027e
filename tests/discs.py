"""Pictures of discs, and which pixels are theirs."""

import cv2
import numpy as np


def draw_discs(number: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Dark discs on a plain bright ground (size, size, 3), uint8, and their mask, bool."""
    rng = np.random.default_rng([number, size])
    mask = np.zeros((size, size), np.uint8)
    for _ in range(3):
        row, column = rng.integers(size // 6, size - size // 6, 2).tolist()
        cv2.circle(mask, (column, row), int(rng.integers(size // 12, size // 6)), 1, cv2.FILLED)
    ground, ink = np.array([235, 220, 225]), np.array([90, 40, 140])
    image = np.where(mask[..., np.newaxis] > 0, ink, ground) + rng.normal(0, 3, (size, size, 1))
    return np.clip(image, 0, 255).astype(np.uint8), mask > 0
