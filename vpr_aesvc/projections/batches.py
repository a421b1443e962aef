"""Batches for training: noisy rows beside their clean originals, streamed so that memory does not grow with n squared."""

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
_CLEAN = 0.3  # part of the rows that stay as they are, so that the exact embedding is never forgotten


def steps_for(rows: int, floor: int = 200, epochs: int = 20) -> int:
    """Training steps: ``epochs`` passes, and at least ``floor`` steps for a small map."""
    return max(floor, -(-epochs * rows // BATCH))


def batches(
    data: TrainingData, mean: Array, steps: int, noise: float, seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """``steps`` pairs (changed, clean) of centerd rows, each float32 [b, D] with b at most 1,024.

    A changed row is one of the views of its original where there is one, else the original, plus Gaussian noise of
    ``noise`` times the spread of the embeddings. Every row is met once an epoch.
    """
    import torch

    random = np.random.default_rng(seed)
    rows = len(data.embeddings)
    spread = noise * data.mean_variance**0.5
    order_of_views = np.argsort(data.view_rows, kind="stable")
    first = np.searchsorted(data.view_rows[order_of_views], np.arange(rows))
    count = np.searchsorted(data.view_rows[order_of_views], np.arange(rows), side="right") - first
    order: NDArray[np.int64] = np.empty(0, np.int64)
    chosen: NDArray[np.int64]
    for _ in range(steps):
        if len(order) < min(BATCH, rows):
            order = np.concatenate([order, random.permutation(rows)])
        chosen, order = order[:BATCH], order[BATCH:]
        if rows <= BATCH * 1.5:  # a small map: all of it, every time
            chosen, order = np.arange(rows), np.empty(0, np.int64)
        clean = data.embeddings[chosen]
        changed = clean.copy()
        viewed = (count[chosen] > 0) & (random.random(len(chosen)) > _CLEAN)
        if viewed.any():
            pick = first[chosen[viewed]] + random.integers(0, count[chosen[viewed]])
            changed[viewed] = data.views[order_of_views[pick]]
        changed += spread * random.standard_normal(changed.shape, np.float32)
        yield torch.from_numpy(changed - mean), torch.from_numpy(clean - mean)
