"""The field's numbers, from a ranking and the right answers. Precision and recall come from scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.positives import Positives
from vpr_aesvc.evaluation.results import PrecisionRecall

Ranked = NDArray[np.integer]


@dataclass(frozen=True)
class Recall:
    """Recall at several k. ``queries`` counts those with at least one right place; ``without`` those that have none and are
    left out, as Pitts30k and Tokyo 24/7 are evaluated (Arandjelovic et al., NetVLAD, CVPR 2016)."""

    at: dict[int, float]
    queries: int
    without: int


def recall(ranked: Ranked, right: Positives, ks: Sequence[int] = (1, 5, 10)) -> Recall:
    """Part of the queries that have a right place among their first k.

    Args:
        ranked: int [q, k_max], database rows, best first; -1 where there is none.
    """
    known = right.counts > 0
    hits = right.hits(ranked)[known]
    at = {k: float(hits[:, :k].any(1).mean()) if len(hits) else float("nan") for k in ks}
    return Recall(at, int(known.sum()), int((~known).sum()))


def recall_interval(recall: float, queries: int) -> tuple[float, float]:
    """The 95 % bootstrap interval of a recall over ``queries`` queries. Hits drawn again with replacement are binomial, so the
    percentiles are given exactly rather than by drawing. Neighboring queries of one drive are alike, so the truth is somewhat wider."""
    from scipy.stats import binom

    if not queries or np.isnan(recall):
        return float("nan"), float("nan")
    low, high = binom.ppf([0.025, 0.975], queries, recall) / queries
    return float(low), float(high)


def mean_average_precision(ranked: Ranked, right: Positives, k: int) -> float:
    """mAP@k over the queries that have a right place: the mean over queries of sum(precision at i, for right i <= k) divided by
    min(k, number of right places)."""
    known = right.counts > 0
    if not known.any():
        return float("nan")
    hits = right.hits(ranked)[known, :k]
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return float(((precision * hits).sum(1) / np.minimum(k, right.counts[known])).mean())


def precision_recall(similarities: NDArray[np.floating], correct: NDArray[np.bool_]) -> PrecisionRecall | None:
    """The best match of each query, accepted from some similarity up, as scikit-learn and VPR-Bench count: recall is the part of
    the right best matches that is accepted. None where no best match is right.

    Args:
        similarities: [q], of the best matches.
        correct: bool [q]; False for a query without a right place, whose match is wrong whatever it is.
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    if not correct.any():
        return None
    precision, found, _ = precision_recall_curve(correct, similarities)
    full = found[precision == 1.0].max(initial=0.0)
    area = float(average_precision_score(correct, similarities))
    return PrecisionRecall(precision[::-1], found[::-1], area, float(full))


def collapse(ranked: Ranked, group: NDArray[np.integer], k: int) -> NDArray[np.int64]:
    """Only the best row of each group: Tokyo 24/7 has twelve cutouts of one panorama, and showing one of them is enough.

    Args:
        ranked: int [q, depth], best first, deep enough to hold k groups.
        group: int [n], of each database row.

    Returns:
        int [q, k]; -1 where fewer groups were found.
    """
    kept = np.full((len(ranked), k), -1, np.int64)
    for query, rows in enumerate(ranked):
        rows = rows[rows >= 0]
        _, first = np.unique(group[rows], return_index=True)
        best = rows[np.sort(first)][:k]
        kept[query, : len(best)] = best
    return kept
