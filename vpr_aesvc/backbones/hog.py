"""An embedding without weights: histograms of oriented gradients, and of pairs of them, over an image pyramid.

It needs no download and nothing beyond numpy and OpenCV, so a fresh machine without a network starts with it.
Each pyramid level gives two kinds of histogram:

- *where which edges are*: gradient magnitude by orientation in a small grid of overlapping cells (Dalal & Triggs,
  "Histograms of oriented gradients for human detection", CVPR 2005). A coarse grid on several levels recognizes better
  than a fine grid on one: it forgives a camera that comes back a little to the side;
- *which edges stand next to which*: products of the oriented gradients of two pixels a fixed offset apart, summed over
  the whole image, wherever they are (Kobayashi & Otsu, "Image feature extraction using gradient local
  auto-correlations", ECCV 2008). They carry most of the recognition.

Histograms are power-normalized so that a few strong edges do not outvote the rest (as RootSIFT does: Arandjelovic &
Zisserman, CVPR 2012). Dalal and Triggs' contrast normalization of blocks is left out: it did not help here.
"""

import json
from collections.abc import Sequence

import cv2
import numpy as np

from vpr_aesvc.fingerprint import fingerprint

_VERSION = 1  # raise it with any change to this file that changes a number
_LEVELS = 4  # pyramid levels, each half the size of the one before
_CELLS = 3  # the grid of cells is _CELLS x _CELLS on every level
_CELL_REACH = 1.5  # half-width of a cell's triangular weight, in cell spacings: above 1, so that neighbors overlap
_PAIR_LEVELS = 3  # pairs on the coarsest level add numbers and no recall
_PAIR_OFFSETS = ((0, 2), (2, 0), (2, 2), (2, -2))  # pixels (down, right); 1 apart, two gradients are nearly the same
_PAIR_WEIGHT = 2.0  # length of a level's pair histogram against its grid histogram
_POWER = 0.25  # the fourth root


class HogBackbone:
    """Gradient histograms as an embedding.

    Args:
        side: images are brought to `side` x `side` pixels; a multiple of 8, at least 32. Cost grows with its square.
        orientations: directions told apart over the full circle, at least 2; `dim` grows with its square.

    Attributes:
        spec: the string that opens the backbone with its default parameters.
        dim: length of an embedding: 1,056 with the defaults.
        preprocessing: what is done to an image first, in words.
        fingerprint: 16 hex digits that change whenever the same image would give other numbers.

    Raises:
        ValueError: a parameter is out of range.
    """

    spec = "hog"

    def __init__(self, side: int = 96, orientations: int = 8) -> None:
        if side < 32 or side % 8:
            raise ValueError(f"hog: side must be a multiple of 8 and at least 32, not {side}")
        if orientations < 2:
            raise ValueError(f"hog: orientations must be at least 2, not {orientations}")
        self.side = side
        self.orientations = orientations
        grids = _LEVELS * _CELLS**2 * orientations
        self.dim = grids + _PAIR_LEVELS * len(_PAIR_OFFSETS) * orientations**2
        constants = [_LEVELS, _CELLS, _CELL_REACH, _PAIR_LEVELS, _PAIR_OFFSETS, _PAIR_WEIGHT, _POWER]
        settings = json.dumps(["hog", _VERSION, side, orientations, *constants])
        self.fingerprint = fingerprint(settings)
        self.preprocessing = f"{side} x {side} pixels, stretched, area, gray"
        self._cell_weights = [_cell_weights(side >> level) for level in range(_LEVELS)]

    def embed(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Embed images, each on its own: a batch changes nothing but the number of rows.

        Args:
            images: RGB, uint8 [H, W, 3], each of any size.

        Returns:
            float32 [n, dim], unit norm; zeros for an image of one single color, which has no gradient.

        Raises:
            ValueError: an image is not uint8 [H, W, 3], or is empty.
        """
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
        # OpenCV takes no views with negative strides, which is what BGR[:, :, ::-1] is.
        small = cv2.resize(np.ascontiguousarray(image), (self.side, self.side), interpolation=cv2.INTER_AREA)
        gray: np.ndarray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
        histograms = []
        for level, weights in enumerate(self._cell_weights):
            if level:
                gray = cv2.resize(gray, (self.side >> level, self.side >> level), interpolation=cv2.INTER_AREA)
            maps = oriented_gradients(gray, self.orientations)
            histograms.append(_normalized(weights @ maps @ weights.T))
            if level < _PAIR_LEVELS:
                histograms.append(_PAIR_WEIGHT * _normalized(_pair_histogram(maps)))
        return _unit(np.concatenate(histograms))


def oriented_gradients(gray: np.ndarray, orientations: int) -> np.ndarray:
    """Gradient magnitude, split by direction.

    Args:
        gray: float32 [H, W].
        orientations: number of directions over the full circle.

    Returns:
        float32 [orientations, H, W]. Direction k, in which the image grows brighter, is the angle 2 pi k / orientations
        from right (x) towards down (y); a gradient between two directions is shared by both, linearly.
    """
    dx, dy = cv2.Scharr(gray, cv2.CV_32F, 1, 0), cv2.Scharr(gray, cv2.CV_32F, 0, 1)
    magnitude = np.sqrt(dx * dx + dy * dy).ravel()
    direction = (np.arctan2(dy, dx).ravel() % (2 * np.pi)) * np.float32(orientations / (2 * np.pi))
    lower = direction.astype(np.int32)
    upper_share = magnitude * (direction - lower)
    maps = np.zeros((orientations, gray.size), np.float32)
    pixels = np.arange(gray.size)
    # Rounding can bring an angle up to the full circle, which is direction 0 again: hence both remainders.
    maps[lower % orientations, pixels] = magnitude - upper_share
    maps[(lower + 1) % orientations, pixels] = upper_share
    return maps.reshape(orientations, *gray.shape)


def _cell_weights(size: int) -> np.ndarray:
    """How much each of `size` pixels along an axis counts in each cell: float32 [cells, size], rows sum to 1."""
    pixels = (np.arange(size) + 0.5) * _CELLS / size  # in cell spacings
    centers = np.arange(_CELLS) + 0.5
    weights = np.maximum(0, 1 - np.abs(pixels - centers[:, None]) / _CELL_REACH)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _pair_histogram(maps: np.ndarray) -> np.ndarray:
    """Oriented gradients an offset apart, multiplied and summed: float32 [offsets, orientations, orientations]."""
    orientations, height, width = maps.shape
    sums = []
    for down, right in _PAIR_OFFSETS:
        here = maps[:, : height - down, max(0, -right) : width - max(0, right)]
        there = maps[:, down:, max(0, right) : width + min(0, right)]
        sums.append(here.reshape(orientations, -1) @ there.reshape(orientations, -1).T)
    return np.stack(sums)


def _normalized(histogram: np.ndarray) -> np.ndarray:
    return _unit(histogram.ravel() ** np.float32(_POWER))


def _unit(vector: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(vector)
    return vector / norm if norm > 0 else vector
