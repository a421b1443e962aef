"""Mean and covariance of rows, computed in parts: what a closed-form fit needs of embeddings that do not fit in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.types import Floats

CHUNK = 4096  # rows in double precision at once


@dataclass(frozen=True)
class Moments:
    """``count`` rows with this ``mean``, float64 [D], and ``covariance``, their second moment about it, float64 [D, D]."""

    count: int
    mean: Floats
    covariance: Floats

    @classmethod
    def of(cls, rows: NDArray[np.floating]) -> Moments:
        """Of at least one row, [n, D]."""
        return cls.merged(cls._of_chunk(rows[at : at + CHUNK]) for at in range(0, len(rows), CHUNK))

    @classmethod
    def _of_chunk(cls, rows: NDArray[np.floating]) -> Moments:
        mean = rows.mean(0, dtype=np.float64)
        centered = rows - mean
        return cls(len(rows), mean, centered.T @ centered / len(rows))

    @classmethod
    def merged(cls, parts: Iterable[Moments]) -> Moments:
        """The moments of all rows together (Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm", 1979)."""
        remaining = iter(parts)
        first = next(remaining)
        count, mean, covariance = first.count, first.mean, first.covariance
        for part in remaining:
            share = part.count / (count + part.count)
            step = part.mean - mean
            covariance = (1 - share) * covariance + share * (part.covariance + np.outer((1 - share) * step, step))
            mean, count = mean + share * step, count + part.count
        return cls(count, mean, covariance)

    def reduced(self, basis: NDArray[np.floating]) -> Moments:
        """Of the coordinates of the rows in an orthonormal basis [D, r]."""
        return Moments(self.count, self.mean @ basis, basis.T @ self.covariance @ basis)
