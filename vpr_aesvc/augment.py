"""Augmented views of an image, which simulate another visit: another viewpoint, other light, people in the image."""

import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

_CORNER = 0.12  # largest shift of a corner, as a fraction of the side: about one meter to the side in a corridor
_LIGHT_GRID = (3, 4)  # control points of the light: it changes smoothly, as when the sun or a lamp moves
_LIGHT = 0.4  # standard deviation of the log gain, half global and half local
_TINT = 0.1  # standard deviation of the log gain of each color
_MAX_OCCLUSIONS = 3
_OCCLUSION_WIDTH, _OCCLUSION_HEIGHT = (0.06, 0.2), (0.15, 0.5)  # fractions of the image's width and height
_VERSION = 1  # increase it with every change that changes a view


def view_seed(label: str, seed: int, k: int) -> tuple[int, int, int, int]:
    """The random seed of the ``k``-th view of an image. It depends on the image's label, not on its position in a list."""
    return _VERSION, seed, zlib.crc32(label.encode("utf-8", "replace")), k


def make_view(image: NDArray[np.uint8], label: str, seed: int = 0, k: int = 0) -> NDArray[np.uint8]:
    """The ``k``-th view of the RGB uint8 image [H, W, 3] with this label, of the same shape. Its strength is uniform between no and full change."""
    random = np.random.default_rng(view_seed(label, seed, k))
    strength = random.uniform()
    view = _warped(image, random).astype(np.float32)
    view *= _light(view.shape[:2], strength, random)
    _draw_occlusions(view, round(strength * random.uniform(0, _MAX_OCCLUSIONS)), random)
    return np.clip(view, 0, 255).astype(np.uint8)


def _warped(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """A random perspective warp: a quadrilateral inside the image fills the view."""
    rows, columns = image.shape[:2]
    inward = random.uniform(0, _CORNER, (4, 2)) * [columns, rows]
    corners = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    source = (corners + np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * inward).astype(np.float32)
    warp = cv2.getPerspectiveTransform(source, corners)
    warped = cv2.warpPerspective(image, warp, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(warped, np.uint8)


def _light(shape: tuple[int, ...], strength: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Gains float32 [H, W, 3]."""
    field = strength * _LIGHT * (0.7 * random.standard_normal() + 0.7 * random.standard_normal(_LIGHT_GRID))
    smooth = cv2.resize(field.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    tint = strength * _TINT * random.standard_normal(3)
    return np.exp(smooth[:, :, None] + tint[None, None]).astype(np.float32)


def _draw_occlusions(view: NDArray[np.float32], count: int, random: np.random.Generator) -> None:
    """Draws upright ellipses of one color in the lower part of the image, in place of people."""
    rows, columns = view.shape[:2]
    for _ in range(count):
        width, height = random.uniform(*_OCCLUSION_WIDTH) * columns, random.uniform(*_OCCLUSION_HEIGHT) * rows
        center = int(random.uniform(0, columns)), int(random.uniform(0.45, 0.85) * rows)
        color = random.uniform(20, 200, 3).tolist()
        cv2.ellipse(view, center, (max(1, int(width / 2)), max(1, int(height / 2))), 0, 0, 360, color, -1)
