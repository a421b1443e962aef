"""Retrieval metrics from a ranking and the right rows. Precision and recall come from scikit-learn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.positives import Positives
from vpr_aesvc.evaluation.results import PrecisionRecall

Ranked = NDArray[np.integer]


@dataclass(frozen=True)
class Recall:
    """Recall at several k. ``queries`` counts those with at least one right place. ``without`` counts the others; they are left out, as in the
    evaluation of Pitts30k and Tokyo 24/7 (Arandjelovic et al., NetVLAD, CVPR 2016)."""

    at: dict[int, float]
    queries: int
    without: int


def recall(ranked: Ranked, positives: Positives, ks: Sequence[int] = (1, 5, 10)) -> Recall:
    """Fraction of the queries that have a right place among their first k.

    Args:
        ranked: int [q, k_max], database rows, best first; -1 for no row.
    """
    known = positives.counts > 0
    hits = positives.hits(ranked)[known]
    at = {k: float(hits[:, :k].any(1).mean()) if len(hits) else float("nan") for k in ks}
    return Recall(at, int(known.sum()), int((~known).sum()))


def recall_interval(recall: float, queries: int) -> tuple[float, float]:
    """The 95 % bootstrap interval of a recall over ``queries`` queries. Resampled hits are binomial, so the percentiles are computed exactly,
    without resampling. Neighboring queries of one drive are correlated: the true interval is somewhat wider."""
    from scipy.stats import binom

    if not queries or np.isnan(recall):
        return float("nan"), float("nan")
    low, high = binom.ppf([0.025, 0.975], queries, recall) / queries
    return float(low), float(high)


def mean_average_precision(ranked: Ranked, positives: Positives, k: int) -> float:
    """mAP@k over the queries that have a right place: the mean of sum(precision at rank i, for right i <= k) / min(k, number of right places)."""
    known = positives.counts > 0
    if not known.any():
        return float("nan")
    hits = positives.hits(ranked)[known, :k]
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return float(((precision * hits).sum(1) / np.minimum(k, positives.counts[known])).mean())


def precision_recall(similarities: NDArray[np.floating], correct: NDArray[np.bool_]) -> PrecisionRecall | None:
    """Precision and recall of the best matches by similarity threshold, counted as in scikit-learn and VPR-Bench: recall is the fraction of the
    right best matches that is accepted. None where no best match is right.

    Args:
        similarities: [q], of the best matches.
        correct: bool [q]; always False for a query without a right place.
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    if not correct.any():
        return None
    precision, recalls, _ = precision_recall_curve(correct, similarities)
    full = recalls[precision == 1.0].max(initial=0.0)
    area = float(average_precision_score(correct, similarities))
    return PrecisionRecall(precision[::-1], recalls[::-1], area, float(full))


def collapse(ranked: Ranked, group: NDArray[np.integer], k: int) -> NDArray[np.int64]:
    """Keeps only the best row of each group. Tokyo 24/7 has twelve cutouts per panorama; one of them counts.

    Args:
        ranked: int [q, depth], best first, deep enough to hold k groups.
        group: int [n], the group of each database row.

    Returns:
        int [q, k]; -1 where there are fewer groups.
    """
    kept = np.full((len(ranked), k), -1, np.int64)
    for query, rows in enumerate(ranked):
        rows = rows[rows >= 0]
        _, first = np.unique(group[rows], return_index=True)
        best = rows[np.sort(first)][:k]
        kept[query, : len(best)] = best
    return kept
