"""Recall at k, the field's number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Recall:
    """Recall at several k. ``queries`` counts those with at least one right place; ``without`` those that have none and are
    left out, as Pitts30k and Tokyo 24/7 are evaluated (Arandjelovic et al., NetVLAD, CVPR 2016)."""

    at: dict[int, float]
    queries: int
    without: int


def recall(ranked: NDArray[np.integer], right: NDArray[np.bool_], ks: Sequence[int] = (1, 5, 10)) -> Recall:
    """Part of the queries that have a right place among their first k.

    Args:
        ranked: int [q, k_max], database rows, best first.
        right: bool [q, n].
    """
    known = right.any(1)
    hits = np.take_along_axis(right, np.asarray(ranked), axis=1)[known]
    at = {k: float(hits[:, :k].any(1).mean()) if len(hits) else float("nan") for k in ks}
    return Recall(at, int(known.sum()), int((~known).sum()))


def rank(queries: NDArray[np.float32], database: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Database rows by falling cosine, int64 [q, k]. Both unit norm, float32 [., d]."""
    import faiss

    index = faiss.IndexFlatIP(database.shape[1])
    index.add(np.ascontiguousarray(database, np.float32))
    return np.asarray(index.search(np.ascontiguousarray(queries, np.float32), min(k, len(database)))[1], np.int64)
