"""Small images for tests."""

from pathlib import Path

import cv2
import numpy as np


def image(path: Path, gray: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((4, 4, 3), gray, np.uint8))
    return path


def photo(seed, shape=(72, 96, 3)):
    """A picture with many colors."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    large = cv2.resize(small, shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return large if len(shape) == 3 else large[:, :, 0]


def written(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)
    return path
