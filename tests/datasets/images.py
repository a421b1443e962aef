"""Small images for tests that look at names and not at pictures."""

from pathlib import Path

import cv2
import numpy as np


def image(path: Path, gray: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((4, 4, 3), gray, np.uint8))
    return path
