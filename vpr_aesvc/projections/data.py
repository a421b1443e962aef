"""Training data of projections, checked before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.backbones.shards import Shards
from vpr_aesvc.errors import VprError
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.projections.moments import CHUNK, Moments

MIN_IMAGES = 10
MAX_ROWS = 100_000
"""Rows in memory, for the choice among projections and for students. The closed form has the moments of all rows."""
One = TypeVar("One")


@dataclass(frozen=True)
class TrainingData:
    """Embeddings of database images, and of augmented views of some of them, which simulate another visit.

    Attributes:
        embeddings: float32 [n, D], unit norm.
        views: float32 [m, D], unit norm: embeddings of the images after a change of viewpoint and light; m may be 0.
        view_rows: int64 [m], the row in ``embeddings`` of each view's original.
        ambient: dimension of the original embeddings if ``embeddings`` are coordinates in a subspace; else 0.
        whole: moments of all rows; None if those are ``embeddings``.
        sampled: int64 [n], which of all rows are in ``embeddings``; None for all of them.
    """

    embeddings: NDArray[np.float32]
    views: NDArray[np.float32]
    view_rows: NDArray[np.int64]
    ambient: int = 0
    whole: Moments | None = None
    sampled: NDArray[np.int64] | None = None

    @classmethod
    def of(
        cls,
        embeddings: NDArray[np.floating] | Shards,
        views: NDArray[np.floating] | None = None,
        view_rows: NDArray[np.int64] | None = None,
        whole: Moments | None = None,
    ) -> TrainingData:
        """Normalizes and checks embeddings. Of more than 100,000 rows it keeps the moments and a sample: evenly spaced rows, and those that
        have views.

        Args:
            embeddings: an array, or ``Shards``, of which only the sample is read if ``whole`` is given.
            whole: the moments of all rows, if they are known; the rows are normalized then.

        Raises:
            VprError: fewer than 10 different rows, or numbers that are not finite.
        """
        count, sampled, normalized = len(embeddings), None, whole is not None
        if count < MIN_IMAGES:
            raise VprError(f"training needs at least {MIN_IMAGES} images, found {count}")
        if count > MAX_ROWS:
            needed = np.unique(np.empty(0, np.int64) if view_rows is None else view_rows)
            spaced = np.linspace(0, count - 1, MAX_ROWS - len(needed)).astype(np.int64)
            sampled = np.union1d(spaced, needed)
            chunks = (unit(embeddings[at : at + CHUNK]) for at in range(0, count, CHUNK))
            whole = whole or Moments.merged(map(Moments.of, chunks))
        rows = embeddings[:] if sampled is None else embeddings[sampled]
        if not np.isfinite(rows).all() or (whole is not None and not np.isfinite(whole.mean).all()):
            raise VprError(
                "an embedding holds numbers that are not finite; nothing was trained; check the backbone or the embeddings file"
            )
        rows = rows if normalized else unit(rows)
        distinct = len(np.unique(np.round(evenly_spaced(rows), 4), axis=0))
        if distinct == 1:
            raise VprError("all images have the same embedding: use different images, or another backbone")
        if distinct < MIN_IMAGES:
            raise VprError(f"training needs at least {MIN_IMAGES} different images, found {distinct} among {count}")
        if views is None or view_rows is None:
            views, view_rows = np.empty((0, rows.shape[1]), np.float32), np.empty(0, np.int64)
        own = np.asarray(view_rows, np.int64) if sampled is None else np.searchsorted(sampled, view_rows)
        return cls(rows, unit(views), own, whole=whole, sampled=sampled)

    def of_sample(self, items: Sequence[One]) -> Sequence[One]:
        """Of one item for each of all rows, those of ``embeddings``."""
        return items if self.sampled is None else [items[row] for row in self.sampled.tolist()]

    @cached_property
    def moments(self) -> Moments:
        """Of all rows."""
        return self.whole or Moments.of(self.embeddings)

    @property
    def rank(self) -> int:
        """Largest possible rank of the centered rows."""
        return min((self.whole.count if self.whole else len(self.embeddings)) - 1, self.embeddings.shape[1])

    @property
    def mean_variance(self) -> float:
        """Variance of the embeddings, averaged over all dimensions of the original embedding space."""
        return float(np.trace(self.moments.covariance)) / (self.ambient or self.embeddings.shape[1])

    def sample(self) -> NDArray[np.float32]:
        """At most 4,096 evenly spaced rows, for measurements in constant memory."""
        return evenly_spaced(self.embeddings)

    def subset(self, rows: NDArray[np.int64]) -> TrainingData:
        """These rows, in this order, with their views."""
        new_row = np.full(len(self.embeddings), -1, np.int64)
        new_row[rows] = np.arange(len(rows))
        kept = new_row[self.view_rows] >= 0
        return TrainingData(self.embeddings[rows], self.views[kept], new_row[self.view_rows[kept]], self.ambient)


def evenly_spaced(rows: NDArray[np.float32], max_rows: int = 4096) -> NDArray[np.float32]:
    """At most ``max_rows`` evenly spaced rows, in order."""
    return rows if len(rows) <= max_rows else rows[np.linspace(0, len(rows) - 1, max_rows).astype(np.int64)]
