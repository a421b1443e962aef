"""Training batches: noisy rows and their clean originals, streamed, so that memory does not grow with n squared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.projections.artifact import Array
from vpr_aesvc.projections.data import TrainingData

if TYPE_CHECKING:
    import torch

BATCH = 1024
_CLEAN = 0.3  # fraction of the rows that keep the original embedding instead of a view


def steps_for(rows: int, floor: int, epochs: int) -> int:
    """Training steps: ``epochs`` epochs, but at least ``floor`` steps (small maps)."""
    return max(floor, -(-epochs * rows // BATCH))


def batches(
    data: TrainingData, mean: Array, steps: int, shrinkage: tuple[float, float], seed: int, size: int = BATCH
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """``steps`` pairs (augmented, clean) of centered rows, each float32 [b, D]. Every row occurs once an epoch.

    An augmented row is another visit as ``linear.whitening`` assumes it: the original, the change to one of its views (for 70 % of the rows
    that have views) times the square root of ``view``, and Gaussian noise of variance ``isotropic`` times that of the embeddings.

    Args:
        shrinkage: (isotropic, view).
        size: b; data of up to 1,536 rows is one batch.
    """
    import torch

    random = np.random.default_rng(seed)
    rows = len(data.embeddings)
    sigma, change = (shrinkage[0] * data.mean_variance) ** 0.5, shrinkage[1] ** 0.5
    order_of_views = np.argsort(data.view_rows, kind="stable")
    first = np.searchsorted(data.view_rows[order_of_views], np.arange(rows))
    count = np.searchsorted(data.view_rows[order_of_views], np.arange(rows), side="right") - first
    order: NDArray[np.int64] = np.empty(0, np.int64)
    chosen: NDArray[np.int64]
    for _ in range(steps):
        if len(order) < min(size, rows):
            order = np.concatenate([order, random.permutation(rows)])
        chosen, order = order[:size], order[size:]
        if rows <= BATCH * 1.5:  # a small map: every batch holds all rows
            chosen, order = np.arange(rows), np.empty(0, np.int64)
        clean = data.embeddings[chosen]
        augmented = clean.copy()
        viewed = (count[chosen] > 0) & (random.random(len(chosen)) > _CLEAN)
        if viewed.any():
            pick = first[chosen[viewed]] + random.integers(0, count[chosen[viewed]])
            augmented[viewed] += np.float32(change) * (data.views[order_of_views[pick]] - clean[viewed])
        if sigma:
            augmented += sigma * random.standard_normal(augmented.shape, np.float32)
        yield torch.from_numpy(augmented - mean), torch.from_numpy(clean - mean)
