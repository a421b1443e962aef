"""Do two images show the same things, moved alike in the picture?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.projections.artifact import Array


@dataclass(frozen=True)
class PatchMatch:
    """The patches of two images compared.

    Attributes:
        mutual: pairs of patches that are each other's most similar.
        near: those among them that moved alike in the picture, up to a quarter of its sides.
        score: sum of the squared cosines of these, divided by the number of patches: 0 to 1. Candidates are ranked by it.
    """

    mutual: int
    near: int
    score: float


def match_patches(query: Array, place: Array, grid: tuple[int, int]) -> PatchMatch:
    """Compares float32 [h * w, s] and [h * w, s], unit norm, of a ``grid`` of h rows and w columns.

    Mutual pairs vote for their displacement with their squared cosine (Hough). A window of half the picture's sides, which allows for a change of
    scale, is moved over the displacements; the pairs in the best window count.
    """
    cosines = np.asarray(cv2.gemm(query, place, 1.0, None, 0.0, flags=cv2.GEMM_2_T))  # type: ignore[call-overload]
    rows, (cells, window) = np.arange(len(query)), _layout(grid)
    nearest = cosines.argmax(axis=1)
    mutual = rows[(cosines.argmax(axis=0)[nearest] == rows) & (cosines[rows, nearest] > 0)]
    partner = nearest[mutual]
    height, width = 2 * grid[0], 2 * grid[1]
    moved = cells[mutual] - cells[partner] + grid[0] * width + grid[1]
    votes = np.bincount(moved, np.square(cosines[mutual, partner], dtype=np.float64), height * width)
    sums = cv2.boxFilter(votes.reshape(height, width), -1, window, normalize=False, borderType=cv2.BORDER_CONSTANT)
    _, best, _, (x, y) = cv2.minMaxLoc(sums)
    near = (np.abs(moved // width - y) <= window[1] // 2) & (np.abs(moved % width - x) <= window[0] // 2)
    return PatchMatch(len(mutual), int(near.sum()), best / len(query))


@lru_cache(maxsize=8)
def _layout(grid: tuple[int, int]) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """The position of each cell in an array with twice the columns, so that differences are displacements; and the window (width, height), odd."""
    rows, columns = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    return rows * 2 * grid[1] + columns, (grid[1] // 2 | 1, grid[0] // 2 | 1)
