"""Places that several passes go through, and belief that moves from one pass to the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.types import Floats, Rows


class Revisits:
    """Places that share a grid cell of the map but belong to different passes. A pass is a sequence of consecutive places in one cell.

    Args:
        cells: int64 [n], the grid cell of each place, -1 if its position is unknown.
        same_run: bool [n - 1], True where a place and the next belong to one run.
    """

    def __init__(self, cells: Rows, same_run: NDArray[np.bool_]) -> None:
        continues = same_run & (cells[1:] == cells[:-1])
        self._pass = np.cumsum(np.concatenate([[True], ~continues])) - 1
        places_in_pass = np.bincount(self._pass)
        cell = cells[np.flatnonzero(np.concatenate([[True], ~continues]))]  # of each pass
        known = cell >= 0
        self._cell = np.where(known, cell, 0)
        places_in_cell = np.bincount(self._cell, np.where(known, places_in_pass, 0))
        others = np.where(known, places_in_cell[self._cell] - places_in_pass, 0)
        self._others = np.maximum(others, 1)
        self._has_others = others > 0
        self._single = others[self._pass] == 0

    @property
    def any(self) -> bool:
        return bool(self._has_others.any())

    def spread(self, belief: Floats) -> Floats:
        """Spreads the belief [n] of each place evenly over the places of the other passes. Without another pass it stays."""
        shares = np.where(self._has_others, np.bincount(self._pass, belief) / self._others, 0.0)
        sums = np.bincount(self._cell, shares)
        return np.where(self._single, belief, (sums[self._cell] - shares)[self._pass])

    def mean(self, values: Floats) -> Floats:
        """The adjoint of ``spread``: for each place the mean of ``values`` [n] over the places of the other passes."""
        sums = np.where(self._has_others, np.bincount(self._pass, values), 0.0)
        totals = np.bincount(self._cell, sums)
        return np.where(self._single, values, ((totals[self._cell] - sums) / self._others)[self._pass])
