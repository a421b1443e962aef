"""Selects the predictions that a report shows: spread evenly over the queries, up to a third of them wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.positives import Positives
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.evaluate import BestMatches
from vpr_aesvc.evaluation.report_contents import Prediction
from vpr_aesvc.images import image_of
from vpr_aesvc.types import Frame

_COUNT = 24


def select_predictions(
    queries: Sequence[Frame], database: Sequence[Frame], best: BestMatches, positives: Positives
) -> list[Prediction]:
    """Predictions with their images. Skips queries without a right place and images that cannot be read, such as those of given embeddings."""
    known = np.flatnonzero(positives.counts > 0)
    hits = positives.hits(best.rows[:, None])[:, 0]
    wrong = _spread(known[~hits[known]], _COUNT // 3)
    rows = np.sort(np.concatenate([wrong, _spread(known[hits[known]], _COUNT - len(wrong))]))
    predictions = []
    for row in rows:
        query, match = queries[row], database[best.rows[row]]
        try:
            query_image, match_image = image_of(query), image_of(match)
        except VprError:
            continue
        predictions.append(
            Prediction(
                query=query_image,
                match=match_image,
                query_label=query.label,
                match_label=match.label,
                similarity=float(best.similarities[row]),
                right=bool(hits[row]),
                distance=_distance(query, match),
            )
        )
    return predictions


def _spread(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return rows if len(rows) <= count else rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]


def _distance(first: Frame, second: Frame) -> float | None:
    if first.pose is None or second.pose is None:
        return None
    return float(np.hypot(first.pose.x - second.pose.x, first.pose.y - second.pose.y))
