"""Which predictions a report shows: an even choice along the queries, every third of them a wrong one while there are any."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vpr_aesvc.datasets.positives import Positives
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.evaluate import Best
from vpr_aesvc.evaluation.report_contents import Prediction
from vpr_aesvc.extraction import image_of
from vpr_aesvc.types import Frame

_SHOWN = 24


def gallery(queries: Sequence[Frame], database: Sequence[Frame], best: Best, right: Positives) -> list[Prediction]:
    """Predictions with their images. Queries without a right place are not chosen, nor are images that cannot be read, such as
    those of embeddings that were computed elsewhere."""
    known = np.flatnonzero(right.counts > 0)
    hits = right.hits(best.rows[:, None])[:, 0]
    wrong = _spread(known[~hits[known]], _SHOWN // 3)
    chosen = np.sort(np.concatenate([wrong, _spread(known[hits[known]], _SHOWN - len(wrong))]))
    found = []
    for at in chosen:
        asked, proposed = queries[at], database[best.rows[at]]
        try:
            images = image_of(asked), image_of(proposed)
        except VprError:
            continue
        found.append(
            Prediction(
                query=images[0],
                match=images[1],
                query_label=asked.label,
                match_label=proposed.label,
                similarity=float(best.similarities[at]),
                right=bool(hits[at]),
                distance=_distance(asked, proposed),
            )
        )
    return found


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    return rows if len(rows) <= count else rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]


def _distance(one: Frame, other: Frame) -> float | None:
    if one.pose is None or other.pose is None:
        return None
    return float(np.hypot(one.pose.x - other.pose.x, one.pose.y - other.pose.y))
