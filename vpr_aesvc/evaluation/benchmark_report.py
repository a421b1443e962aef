"""A finished benchmark run -> the contents of its report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.positives import Positives
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.bench import BenchmarkRun
from vpr_aesvc.evaluation.evaluate import BestMatches
from vpr_aesvc.evaluation.results import R1, Prediction, Report
from vpr_aesvc.evaluation.summary import methods_summary
from vpr_aesvc.images import image_of
from vpr_aesvc.types import Frame

_PREDICTIONS = 24


def benchmark_report(run: BenchmarkRun) -> Report:
    """The report of a run."""
    results = run.evaluation.results
    best = max(results, key=lambda one: (R1.value(one) or 0.0, -one.size))
    sentences = methods_summary(run)
    predictions = _select_predictions(
        run.queries, run.database, run.evaluation.best[best.method, best.size], run.task.positives
    )
    if predictions:
        sentences.append(f"The predictions below are those of {best.method} with {best.size} numbers.")
    return Report(
        title=f"{run.title}: place recognition by descriptor size",
        summary=sentences,
        results=results,
        predictions=predictions,
        notes=protocol_notes(run.protocol),
        groups=run.evaluation.groups,
    )


def protocol_notes(protocol: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and value of each entry, as text."""

    def text(value: Any) -> str:
        if isinstance(value, dict):
            return "; ".join(f"{name}: {part}" for name, part in value.items() if part != "")
        if isinstance(value, list):
            return f"{len(value)}" + (f", such as {value[0]}" if value else "")
        return ("yes" if value else "no") if isinstance(value, bool) else str(value)

    return [(name.replace("_", " "), text(value)) for name, value in protocol.items()]


def _select_predictions(
    queries: Sequence[Frame], database: Sequence[Frame], best: BestMatches, positives: Positives
) -> list[Prediction]:
    """Predictions with their images, spread evenly over the queries, up to a third of them wrong. Skips queries without a right place and images
    that cannot be read, such as those of given embeddings."""
    known = np.flatnonzero(positives.counts > 0)
    hits = positives.hits(best.rows[:, None])[:, 0]
    wrong = _spread(known[~hits[known]], _PREDICTIONS // 3)
    rows = np.sort(np.concatenate([wrong, _spread(known[hits[known]], _PREDICTIONS - len(wrong))]))
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
