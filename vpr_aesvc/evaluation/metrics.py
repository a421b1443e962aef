"""Recall at k, the field's number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.positives import Positives


@dataclass(frozen=True)
class Recall:
    """Recall at several k. ``queries`` counts those with at least one right place; ``without`` those that have none and are
    left out, as Pitts30k and Tokyo 24/7 are evaluated (Arandjelovic et al., NetVLAD, CVPR 2016)."""

    at: dict[int, float]
    queries: int
    without: int


def recall(ranked: NDArray[np.integer], right: Positives, ks: Sequence[int] = (1, 5, 10)) -> Recall:
    """Part of the queries that have a right place among their first k.

    Args:
        ranked: int [q, k_max], database rows, best first.
    """
    known = right.counts > 0
    hits = right.hits(ranked)[known]
    at = {k: float(hits[:, :k].any(1).mean()) if len(hits) else float("nan") for k in ks}
    return Recall(at, int(known.sum()), int((~known).sum()))
