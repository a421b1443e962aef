"""The belief over the places of a map that is too large to hold a number for each."""

from __future__ import annotations

from dataclasses import dataclass

from vpr_aesvc.recognition.row_sets import union, values_at
from vpr_aesvc.types import Floats, Rows


@dataclass(frozen=True)
class SparseBelief:
    """The belief of some places, and one that all the others share.

    Attributes:
        rows: int64 [k], ascending. values: float64 [3, k], their belief by mode.
        rest: float64 [3], the belief of each other place.
        lost: probability of not being in the map.
        count: n, the number of places.
    """

    rows: Rows
    values: Floats
    rest: Floats
    lost: float
    count: int

    def total(self) -> float:
        """The probability of being in the map."""
        return float(self.values.sum() + (self.count - len(self.rows)) * self.rest.sum())

    def grown(self, count: int) -> SparseBelief:
        """In a map that has grown to ``count`` places; the new ones are of the others."""
        rest = self.rest * ((self.count - len(self.rows)) / max(count - len(self.rows), 1))
        return SparseBelief(self.rows, self.values, rest, self.lost, count)

    def including(self, rows: Rows) -> SparseBelief:
        """With numbers of their own for ``rows``, too."""
        both = union(self.rows, rows)
        return SparseBelief(
            both, values_at(self.values, self.rows, both, self.rest[:, None]), self.rest, self.lost, self.count
        )

    def weighted(self, weights: Floats, rest: float) -> SparseBelief:
        """Each place times its weight, ``weights`` [k] of the rows and ``rest`` of the others; normalized."""
        scaled = SparseBelief(self.rows, self.values * weights, self.rest * rest, self.lost, self.count)
        total = scaled.total() + self.lost
        return SparseBelief(self.rows, scaled.values / total, scaled.rest / total, self.lost / total, self.count)
