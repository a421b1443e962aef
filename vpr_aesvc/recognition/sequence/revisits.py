"""Places that several passes go through, and belief passed from one pass to the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class Revisits:
    """Which places lie at one spot but on different passes through it. A pass is a stretch of places that follow each other.

    Args:
        spots: int64 [n], the spot of each place, -1 where it is unknown.
        same_run: bool [n - 1], whether each place and the next belong to one run.
    """

    def __init__(self, spots: Rows, same_run: NDArray[np.bool_]) -> None:
        goes_on = same_run & (spots[1:] == spots[:-1])
        self._pass = np.cumsum(np.concatenate([[True], ~goes_on])) - 1
        in_pass = np.bincount(self._pass)
        self._spot = spots[np.flatnonzero(np.concatenate([[True], ~goes_on]))]  # of each pass
        known = self._spot >= 0
        self._spot = np.where(known, self._spot, 0)
        in_spot = np.bincount(self._spot, np.where(known, in_pass, 0))
        others = np.where(known, in_spot[self._spot] - in_pass, 0)
        self._others = np.maximum(others, 1)
        self._alone = others[self._pass] == 0
        self._shares = others > 0

    @property
    def none_shared(self) -> bool:
        return not self._shares.any()

    def spread(self, belief: Floats) -> Floats:
        """Belief [n] of each place spread evenly over the places of the other passes; what has no other pass stays."""
        each = np.where(self._shares, np.bincount(self._pass, belief) / self._others, 0.0)
        whole = np.bincount(self._spot, each)
        return np.where(self._alone, belief, (whole[self._spot] - each)[self._pass])

    def mean(self, values: Floats) -> Floats:
        """The adjoint: for each place the mean of ``values`` [n] over the places of the other passes."""
        sums = np.where(self._shares, np.bincount(self._pass, values), 0.0)
        whole = np.bincount(self._spot, sums)
        return np.where(self._alone, values, ((whole[self._spot] - sums) / self._others)[self._pass])
