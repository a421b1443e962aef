"""Training data of projections, checked before it is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.projections.artifact import unit

MIN_IMAGES = 10


@dataclass(frozen=True)
class TrainingData:
    """Embeddings of database images, and of augmented views of some of them, which simulate another visit.

    Attributes:
        embeddings: float32 [n, D], unit norm.
        views: float32 [m, D], unit norm: embeddings of the images after a change of viewpoint and light; m may be 0.
        view_rows: int64 [m], the row in ``embeddings`` of each view's original.
        ambient: dimension of the original embeddings if ``embeddings`` are coordinates in a subspace; else 0.
    """

    embeddings: NDArray[np.float32]
    views: NDArray[np.float32]
    view_rows: NDArray[np.int64]
    ambient: int = 0

    @classmethod
    def of(
        cls,
        embeddings: NDArray[np.floating],
        views: NDArray[np.floating] | None = None,
        view_rows: NDArray[np.int64] | None = None,
    ) -> TrainingData:
        """Normalizes and checks embeddings.

        Raises:
            VprError: fewer than 10 different rows, or numbers that are not finite.
        """
        rows = np.asarray(embeddings)
        if len(rows) < MIN_IMAGES:
            raise VprError(f"training needs at least {MIN_IMAGES} images, found {len(rows)}")
        if not np.isfinite(rows).all():
            raise VprError(
                "an embedding holds numbers that are not finite; nothing was trained; check the backbone or the embeddings file"
            )
        rows = unit(rows)
        distinct = len(np.unique(np.round(evenly_spaced(rows), 4), axis=0))
        if distinct == 1:
            raise VprError("all images have the same embedding: use different images, or another backbone")
        if distinct < MIN_IMAGES:
            raise VprError(f"training needs at least {MIN_IMAGES} different images, found {distinct} among {len(rows)}")
        if views is None or view_rows is None:
            return cls(rows, np.empty((0, rows.shape[1]), np.float32), np.empty(0, np.int64))
        return cls(rows, unit(views), np.asarray(view_rows, np.int64))

    @property
    def rank(self) -> int:
        """Largest possible rank of the centered rows."""
        return min(len(self.embeddings) - 1, self.embeddings.shape[1])

    @property
    def mean_variance(self) -> float:
        """Variance of the embeddings, averaged over all dimensions of the original embedding space."""
        total = float(np.square(self.embeddings.std(0, dtype=np.float64)).sum())
        return total / (self.ambient or self.embeddings.shape[1])

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
