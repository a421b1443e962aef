"""A finished benchmark run -> the contents of its report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.positives import Positives
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.bench import BenchmarkRun
from vpr_aesvc.evaluation.evaluate import BestMatches
from vpr_aesvc.evaluation.methods import Method, describe_in_chunks
from vpr_aesvc.evaluation.recommendation import recommend
from vpr_aesvc.evaluation.results import R1, MethodResult, Prediction, Report
from vpr_aesvc.evaluation.summary import methods_summary
from vpr_aesvc.images import image_of
from vpr_aesvc.projections.artifact import prefix
from vpr_aesvc.types import Floats, Frame, Rows

_PREDICTIONS = 24
_PAIRS, _OTHERS = 1000, 4  # queries whose pairs the histograms of cosines show, other places of each


def benchmark_report(runs: Sequence[BenchmarkRun]) -> Report:
    """The report of the runs of one or more encoders over one data set."""
    results = [one for run in runs for one in run.evaluation.results]
    advice = recommend(runs)
    use = advice.use if advice else max(results, key=lambda one: (R1.value(one) or 0.0, -one.size))
    run = next(run for run in runs if run.task.encoder == use.encoder)
    found = {one.task.encoder: methods_summary(one) for one in runs}
    sentences = found[run.task.encoder]
    if len(runs) > 1:
        sentences = sentences[:1] + [f"{name}: {part}" for name, parts in found.items() for part in parts[1:]]
    shown = [_nearest(run, method, use.size) for method in run.methods]
    predictions = _select_predictions(
        run.queries, run.database, run.evaluation.best[use.method, use.size], run.task.positives
    )
    if predictions:
        sentences.append(f"The predictions below are those of {use.encoder}, {use.method} with {use.size} numbers.")
    return Report(
        title=f"{run.title}: place recognition by descriptor size",
        summary=sentences,
        results=results,
        predictions=predictions,
        notes=protocol_notes(run.protocol),
        groups=run.evaluation.groups,
        advice=advice.sentences() if advice else [],
        use=advice.use if advice else None,
        cosines=_all_cosines(run, shown),
        shown=shown,
    )


def _nearest(run: BenchmarkRun, method: Method, size: int) -> MethodResult:
    """The result of a method at a size, else at its next smaller size, else at its smallest."""
    sizes = sorted(method.by_size)
    chosen = max((one for one in sizes if one <= size), default=sizes[0])
    return next(one for one in run.evaluation.results if (one.method, one.size) == (method.name, chosen))


def _all_cosines(run: BenchmarkRun, shown: Sequence[MethodResult]) -> dict[str, tuple[Floats, Floats]]:
    """By method; empty where one has too few different pairs to compare with."""
    found = {method.name: _cosines(run, method, one.size) for method, one in zip(run.methods, shown, strict=True)}
    return {name: pair for name, pair in found.items() if pair} if all(found.values()) else {}


def _cosines(run: BenchmarkRun, method: Method, size: int) -> tuple[Floats, Floats] | None:
    """Evenly chosen queries, with one right place each and with some random other places each; None if every place is right, or all others are alike."""
    random, positives = np.random.default_rng(0), run.task.positives
    known = np.flatnonzero(positives.counts > 0)
    asked = known[np.linspace(0, len(known) - 1, min(_PAIRS, len(known))).astype(np.int64)]
    right = np.array([random.choice(positives[query]) for query in asked])
    wrong = np.array(
        [
            (query, row)
            for query in asked
            for row in random.integers(0, len(run.database), _OTHERS)
            if row not in positives[query]
        ]
    )

    def cosines(query_rows: Rows, rows: Rows) -> Floats:
        embeddings = run.task.queries[query_rows], run.task.database[rows]
        query, place = (prefix(describe_in_chunks(method.by_size[size], part, np.float32), size) for part in embeddings)
        return np.einsum("nd,nd->n", query, place, dtype=np.float64)

    if not len(wrong):
        return None
    same, different = cosines(asked, right), cosines(*wrong.T)
    if not different.std() > 0:
        return None
    center, spread = float(different.mean()), float(different.std())
    return (same - center) / spread, (different - center) / spread


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
