"""Views of an image as another visit might see it: a little to the side, tilted, brighter or darker."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_CORNER = 0.12  # how far a corner may move in, as part of the side: about a metre to the side in a corridor
_GAIN = (0.6, 1.5)
_OFFSET = 25.0  # grey levels


def view_of(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """One view of an RGB uint8 image [H, W, 3], of the same shape: the corners of a random quadrilateral inside the image
    become the corners of the view, then brightness changes by a gain and an offset."""
    rows, columns = image.shape[:2]
    inward = random.uniform(0, _CORNER, (4, 2)) * [columns, rows]
    corners = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    source = (corners + signs * inward).astype(np.float32)
    warp = cv2.getPerspectiveTransform(source, corners)
    moved = cv2.warpPerspective(image, warp, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    bright = moved.astype(np.float32) * random.uniform(*_GAIN) + random.uniform(-_OFFSET, _OFFSET)
    return np.clip(bright, 0, 255).astype(np.uint8)
