"""An embedding without weights: histograms of oriented gradients, and of pairs of them, over an image pyramid.

It needs only numpy and OpenCV and no download. Each pyramid level gives two histograms:

- a grid histogram: gradient magnitude by orientation in a grid of overlapping cells (Dalal & Triggs, "Histograms of oriented
  gradients for human detection", CVPR 2005). A coarse grid on several levels gave better recall than a fine grid on one
  level: it tolerates a lateral offset of the camera;
- a pair histogram: products of the oriented gradients of two pixels at a fixed offset, summed over the image (Kobayashi & Otsu,
  "Image feature extraction using gradient local auto-correlations", ECCV 2008). It contributes most of the recall.

Histograms are power-normalized so that a few strong edges do not dominate (as in RootSIFT: Arandjelovic & Zisserman, CVPR
2012). The block normalization of Dalal and Triggs is left out: it did not improve recall here.
"""

import json
from collections.abc import Sequence

import cv2
import numpy as np

from vpr_aesvc.fingerprint import fingerprint

_VERSION = 1  # increase it with every change that changes an embedding
_SIDE = 96  # images are resized to _SIDE x _SIDE pixels, a multiple of 8; cost grows with its square
_ORIENTATIONS = 8  # gradient directions over the full circle; `dim` grows with its square
_LEVELS = 4  # pyramid levels, each half the size of the one before
_CELLS = 3  # the grid of cells is _CELLS x _CELLS on every level
_CELL_REACH = 1.5  # half-width of a cell's triangular weight, in cell spacings: above 1, so neighbors overlap
_PAIR_LEVELS = 3  # pairs on the coarsest level do not improve recall
_PAIR_OFFSETS = ((0, 2), (2, 0), (2, 2), (2, -2))  # pixels (down, right); at offset 1, two gradients are nearly equal
_PAIR_WEIGHT = 2.0  # norm of a level's pair histogram relative to its grid histogram
_POWER = 0.25  # the fourth root


class HogBackbone:
    """Gradient histograms as an embedding.

    Attributes:
        spec: the string that opens the backbone.
        dim: length of an embedding: 1,056.
    """

    spec = "hog"

    def __init__(self) -> None:
        grids = _LEVELS * _CELLS**2 * _ORIENTATIONS
        self.dim = grids + _PAIR_LEVELS * len(_PAIR_OFFSETS) * _ORIENTATIONS**2
        constants = [_LEVELS, _CELLS, _CELL_REACH, _PAIR_LEVELS, _PAIR_OFFSETS, _PAIR_WEIGHT, _POWER]
        settings = json.dumps(["hog", _VERSION, _SIDE, _ORIENTATIONS, *constants])
        self.fingerprint = fingerprint(settings)
        self.preprocessing = f"{_SIDE} x {_SIDE} pixels, stretched, area, gray"
        self._cell_weights = [_cell_weights(_SIDE >> level) for level in range(_LEVELS)]

    def embed(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Embeds images independently of each other. ``images``: RGB, uint8 [H, W, 3], each of any size. Returns float32
        [n, dim], unit norm; zeros for an image of a single color, which has no gradient. Raises ValueError: an image is not
        uint8 [H, W, 3], or is empty."""
        embeddings = np.zeros((len(images), self.dim), np.float32)
        for row, image in enumerate(images):
            if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                found = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
                raise ValueError(f"hog: image {row} must be RGB uint8 [H, W, 3], found {found}")
            if image.size == 0:
                raise ValueError(f"hog: image {row} is empty: {list(image.shape)}")
            embeddings[row] = self._embed_one(image)
        return embeddings

    def _embed_one(self, image: np.ndarray) -> np.ndarray:
        # OpenCV rejects arrays with negative strides, such as BGR[:, :, ::-1].
        small = cv2.resize(np.ascontiguousarray(image), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        gray: np.ndarray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
        histograms = []
        for level, weights in enumerate(self._cell_weights):
            if level:
                gray = cv2.resize(gray, (_SIDE >> level, _SIDE >> level), interpolation=cv2.INTER_AREA)
            maps = oriented_gradients(gray, _ORIENTATIONS)
            histograms.append(_normalized(weights @ maps @ weights.T))
            if level < _PAIR_LEVELS:
                histograms.append(_PAIR_WEIGHT * _normalized(_pair_histogram(maps)))
        return _unit(np.concatenate(histograms))


def oriented_gradients(gray: np.ndarray, orientations: int) -> np.ndarray:
    """Gradient magnitude, split by direction. ``gray``: float32 [H, W]. ``orientations``: number of directions over the
    full circle. Returns float32 [orientations, H, W]. Direction k is the angle 2 pi k / orientations of the gradient, from
    right (x) towards down (y). A gradient between two directions is split between them linearly."""
    dx, dy = cv2.Scharr(gray, cv2.CV_32F, 1, 0), cv2.Scharr(gray, cv2.CV_32F, 0, 1)
    magnitude = np.sqrt(dx * dx + dy * dy).ravel()
    direction = (np.arctan2(dy, dx).ravel() % (2 * np.pi)) * np.float32(orientations / (2 * np.pi))
    lower = direction.astype(np.int32)
    upper_share = magnitude * (direction - lower)
    maps = np.zeros((orientations, gray.size), np.float32)
    pixels = np.arange(gray.size)
    # Rounding can raise an angle to the full circle, which is direction 0: hence both modulo operations.
    maps[lower % orientations, pixels] = magnitude - upper_share
    maps[(lower + 1) % orientations, pixels] = upper_share
    return maps.reshape(orientations, *gray.shape)


def _cell_weights(size: int) -> np.ndarray:
    """Weight of each of `size` pixels along an axis in each cell: float32 [cells, size], rows sum to 1."""
    pixels = (np.arange(size) + 0.5) * _CELLS / size  # in cell spacings
    centers = np.arange(_CELLS) + 0.5
    weights = np.maximum(0, 1 - np.abs(pixels - centers[:, None]) / _CELL_REACH)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _pair_histogram(maps: np.ndarray) -> np.ndarray:
    """Products of oriented gradients at each offset, summed: float32 [offsets, orientations, orientations]."""
    orientations, height, width = maps.shape
    sums = []
    for down, right in _PAIR_OFFSETS:
        first = maps[:, : height - down, max(0, -right) : width - max(0, right)]
        second = maps[:, down:, max(0, right) : width + min(0, right)]
        sums.append(first.reshape(orientations, -1) @ second.reshape(orientations, -1).T)
    return np.stack(sums)


def _normalized(histogram: np.ndarray) -> np.ndarray:
    return _unit(histogram.ravel() ** np.float32(_POWER))


def _unit(vector: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(vector)
    return vector / norm if norm > 0 else vector
