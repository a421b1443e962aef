"""Answers of one variant of recognition, and which of them are right -> scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.metrics import precision_recall
from vpr_aesvc.evaluation.recognition_ablation import VariantAnswers
from vpr_aesvc.evaluation.results import AcceptedMatches, PrecisionRecall, VariantResult
from vpr_aesvc.recognition.similarity.calibration import reliability

RECALLS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
Flags = NDArray[np.bool_]


def score_variant(
    name: str, answers: VariantAnswers, hits: Flags, known: Flags, similarity_hits: Flags, rate: float
) -> VariantResult:
    """Everything that a report shows of a variant.

    Args:
        hits: bool [q], whether the best match is right.
        known: bool [q], whether the query has a right place.
        similarity_hits: bool [q], ``hits`` of similarity alone, over the same queries.
        rate: requested false-positive rate.
    """
    has_probability = not np.isnan(answers.rates).any()
    return VariantResult(
        name=name,
        recall_at_1=float(hits[known].mean()),
        gained=int((hits & ~similarity_hits).sum()),
        lost=int((similarity_hits & ~hits).sum()),
        curve=acceptance_curve(answers.levels, hits, known),
        at_rate=accepted_matches(answers.accepted(rate), hits, known),
        wrong_at_recall=wrong_at_recall(answers.levels, hits, known),
        reliability=reliability(answers.probabilities, hits) if has_probability else None,
        ms=float(np.median(answers.ms)),
    )


def acceptance_curve(levels: NDArray[np.int64], hits: Flags, known: Flags) -> PrecisionRecall | None:
    """Precision and recall as the acceptance level falls; None where no best match is right. Recall is over the queries that have a right place,
    so that variants with different best matches can be compared. The area is the precision over that recall."""
    curve = precision_recall(levels.astype(np.float64), hits)
    if curve is None:
        return None
    most = float(hits.sum() / known.sum())
    return PrecisionRecall(
        curve.precision, most * curve.recall, most * curve.area, most * curve.recall_at_full_precision
    )


def accepted_matches(accepted: Flags, hits: Flags, known: Flags) -> AcceptedMatches:
    """Counts the accepted matches, bool [q]. The match of a query without a right place is always wrong."""
    right = int((accepted & hits).sum())
    return AcceptedMatches(
        right=right,
        wrong=int(accepted.sum()) - right,
        absent=int((accepted & ~known).sum()),
        recall=float((accepted & hits)[known].mean()),
    )


def wrong_at_recall(
    levels: NDArray[np.int64], hits: Flags, known: Flags, recalls: Sequence[float] = RECALLS
) -> dict[float, int | None]:
    """Recall -> wrong matches accepted when it is first reached, None where it is not. Matches of equal level are accepted together."""
    right, wrong = (np.cumsum(np.bincount(levels, weights)[::-1]) for weights in (hits, ~hits))
    counts: dict[float, int | None] = {}
    for recall in recalls:
        reached = np.flatnonzero(right >= recall * known.sum() - 1e-9)
        counts[recall] = int(wrong[reached[0]]) if len(reached) else None
    return counts
