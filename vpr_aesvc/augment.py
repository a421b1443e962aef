"""Views of an image as another visit might see it: from a little to the side, in other light, with someone in the way."""

from __future__ import annotations

import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

_CORNER = 0.12  # how far a corner may move in, as part of the side: about a meter to the side in a corridor
_LIGHT_GRID = (3, 4)  # the light changes smoothly over the image, as where the sun or a lamp has moved
_LIGHT = 0.4  # standard deviation of the log of the light, part common to the image and part local
_TINT = 0.1  # of the log gain of each color
_PASSERS_BY = 3  # at the most
_PASSER_BY = (0.06, 0.2), (0.15, 0.5)  # width and height, parts of the image's


_VERSION = 1  # raise it with any change to this file that changes a view


def view_seed(label: str, seed: int, k: int) -> tuple[int, int, int, int]:
    """What the random numbers of the ``k``-th view of an image start from: its name, not its place in a list."""
    return _VERSION, seed, zlib.crc32(label.encode("utf-8", "replace")), k


def view_of(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """One view of an RGB uint8 image [H, W, 3], of the same shape. ``random`` decides everything, and first of all how much
    another visit differs: from hardly to very much, evenly."""
    strength = random.uniform()
    view = _moved(image, random).astype(np.float32)
    view *= _light(view.shape[:2], strength, random)
    _put_passers_by(view, round(strength * random.uniform(0, _PASSERS_BY)), random)
    return np.clip(view, 0, 255).astype(np.uint8)


def _moved(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """The corners of a random quadrilateral inside the image become the corners of the view."""
    rows, columns = image.shape[:2]
    inward = random.uniform(0, _CORNER, (4, 2)) * [columns, rows]
    corners = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    source = (corners + np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * inward).astype(np.float32)
    warp = cv2.getPerspectiveTransform(source, corners)
    moved = cv2.warpPerspective(image, warp, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.uint8)


def _light(shape: tuple[int, ...], strength: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Gains float32 [H, W, 3]."""
    field = strength * _LIGHT * (0.7 * random.standard_normal() + 0.7 * random.standard_normal(_LIGHT_GRID))
    smooth = cv2.resize(field.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    tint = strength * _TINT * random.standard_normal(3)
    return np.exp(smooth[:, :, None] + tint[None, None]).astype(np.float32)


def _put_passers_by(view: NDArray[np.float32], count: int, random: np.random.Generator) -> None:
    """Upright ellipses of one color, standing in the lower part of the image."""
    rows, columns = view.shape[:2]
    for _ in range(count):
        width, height = (random.uniform(*span) * side for span, side in zip(_PASSER_BY, (columns, rows), strict=True))
        center = int(random.uniform(0, columns)), int(random.uniform(0.45, 0.85) * rows)
        color = random.uniform(20, 200, 3).tolist()
        cv2.ellipse(view, center, (max(1, int(width / 2)), max(1, int(height / 2))), 0, 0, 360, color, -1)
