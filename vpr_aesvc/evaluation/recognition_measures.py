"""Answers of one form of recognition, and which of them are right -> numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.metrics import precision_recall
from vpr_aesvc.evaluation.recognition_ablation import Answers
from vpr_aesvc.evaluation.results import AcceptedMatches, PartResult, PrecisionRecall
from vpr_aesvc.recognition.similarity.calibration import reliability

RECALLS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
Flags = NDArray[np.bool_]


def measure_part(name: str, answers: Answers, hits: Flags, known: Flags, before: Flags, rate: float) -> PartResult:
    """All that a report says of a form.

    Args:
        hits: bool [q], whether the best match is right.
        known: bool [q], whether the query has a right place.
        before: bool [q], ``hits`` of similarity alone, over the same queries.
        rate: the false-positive rate that is asked for.
    """
    promises = not np.isnan(answers.rates).any()
    return PartResult(
        name=name,
        recall_at_1=float(hits[known].mean()),
        gained=int((hits & ~before).sum()),
        lost=int((before & ~hits).sum()),
        curve=accept_curve(answers.levels, hits, known),
        at_rate=accepted_matches(answers.accepted(rate), hits, known),
        wrong_at_recall=wrong_at_recall(answers.levels, hits, known),
        reliability=reliability(answers.probabilities, hits) if promises else None,
        ms=float(np.median(answers.ms)),
    )


def accept_curve(levels: NDArray[np.int64], hits: Flags, known: Flags) -> PrecisionRecall | None:
    """Precision and recall as the level falls; None where no best match is right. Recall is the part of the queries with a right place
    whose accepted match is right, so that forms with other best matches can be compared; the area is the precision over that recall."""
    found = precision_recall(levels.astype(np.float64), hits)
    if found is None:
        return None
    most = float(hits.sum() / known.sum())
    return PrecisionRecall(
        found.precision, most * found.recall, most * found.area, most * found.recall_at_full_precision
    )


def accepted_matches(accepted: Flags, hits: Flags, known: Flags) -> AcceptedMatches:
    """Counts among the accepted, bool [q]. The match of a query without a right place is wrong whatever it is."""
    right = int((accepted & hits).sum())
    return AcceptedMatches(
        right, int(accepted.sum()) - right, int((accepted & ~known).sum()), float((accepted & hits)[known].mean())
    )


def wrong_at_recall(
    levels: NDArray[np.int64], hits: Flags, known: Flags, recalls: Sequence[float] = RECALLS
) -> dict[float, int | None]:
    """How many wrong matches are accepted where a recall is first reached; None where it never is. Matches of one level are accepted
    together."""
    right, wrong = (np.cumsum(np.bincount(levels, weights)[::-1]) for weights in (hits, ~hits))
    found: dict[float, int | None] = {}
    for recall in recalls:
        enough = np.flatnonzero(right >= recall * known.sum() - 1e-9)
        found[recall] = int(wrong[enough[0]]) if len(enough) else None
    return found
