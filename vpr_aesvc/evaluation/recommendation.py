"""Which encoder, method and size to use: the fastest and smallest that is within one standard error of the best (Breiman et al., 1984)."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.bench import BenchmarkRun
from vpr_aesvc.evaluation.methods import NAMES, Describe
from vpr_aesvc.evaluation.results import MethodResult
from vpr_aesvc.images import image_of
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.runtime import median_ms

FEW_QUERIES = 30
"""With fewer queries that have a right place, nothing is recommended."""
TIMING_NOISE = 1.2
"""Times that differ by less than this factor count as equal."""
_RESAMPLES, _BLOCK = 1000, 10  # neighboring queries are alike, so they are drawn in blocks
_TRIAL_PLACES, _TIMED = 100, 20
_SIMPLEST = {name: at for at, name in enumerate(NAMES.values())}


@dataclass(frozen=True)
class Recommendation:
    """What to use, and how sure that is.

    Attributes:
        use: the recommended result. best: the one with the highest recall at 1.
        error: standard error of the best's recall at 1.
        same_encoder, same: parts of the redrawn query sets in which the rule chooses the encoder of ``use``, and its size as well.
        recognize_ms: median time to search and recognize a frame whose descriptor is known, milliseconds; None without images.
        places: of the database. map_bytes: of a map file with them; None without images.
    """

    use: MethodResult
    best: MethodResult
    error: float
    same_encoder: float
    same: float
    recognize_ms: float | None
    places: int
    map_bytes: float | None

    def sentences(self) -> list[str]:
        """What to use, what it costs, and how sure that is."""
        use, best, points = self.use, self.best, 100 * (self.best.recall[1] - self.use.recall[1])
        low, high = use.interval[1]
        text = f"Use {use.encoder} with {use.method}, {use.size} numbers: R@1 {use.recall[1]:.3f} ({low:.2f} to {high:.2f})."
        if best is use:
            why = "It is the best that was measured."
        else:
            why = (
                f"The best that was measured, {best.encoder} with {best.method}, {best.size} numbers, is {points:.1f} points ahead; "
                f"one standard error is {100 * self.error:.1f}. Of all within that, this one is the fastest, then the smallest."
            )
        times = [("describe", use.describe_ms), ("search and recognize", self.recognize_ms)]
        known = [(name, ms) for name, ms in times if ms is not None]
        cost = f"{self.places * use.bytes_per_place / 1e6:.2f} MB of descriptors for {self.places} places"
        if self.map_bytes is not None:
            cost += f", in a map of {self.map_bytes / 1e6:.1f} MB with its pictures"
        if known:
            parts = " + ".join(f"{name} {ms:.1f}" for name, ms in known)
            cost = f"{sum(ms for _, ms in known):.0f} ms for a frame on this machine ({parts}), and {cost}"
        sure = (
            f"With the queries drawn anew {_RESAMPLES:,} times, the same encoder is chosen in {100 * self.same_encoder:.0f} %, and the same "
            f"size of it in {100 * self.same:.0f} %."
        )
        return [text, why, f"It takes {cost}.", sure]


def recommend(runs: Sequence[BenchmarkRun]) -> Recommendation | None:
    """What to use among all results of runs over one data set; None where too few queries have a right place.

    Where the time of an encoder is unknown, as of given embeddings, it is chosen only if no timed one is within the standard error.
    """
    results = [one for run in runs for one in run.evaluation.results]
    hits = _hits(runs)
    queries = hits.shape[1]
    if queries < FEW_QUERIES:
        return None
    by_cost = sorted(results, key=lambda one: (one.bytes_per_place, _SIMPLEST.get(one.method, len(NAMES))))
    simplest = np.array([by_cost.index(one) for one in results])
    chosen, best = _choose(results, hits.mean(1), queries, simplest)
    random, encoder, same = np.random.default_rng(0), 0, 0
    use = results[chosen]
    for _ in range(_RESAMPLES):
        starts = random.integers(0, queries, -(-queries // _BLOCK))
        drawn = ((starts[:, None] + np.arange(_BLOCK)) % queries).ravel()[:queries]
        again = results[_choose(results, hits[:, drawn].mean(1), queries, simplest)[0]]
        encoder += again.encoder == use.encoder
        same += (again.encoder, again.size) == (use.encoder, use.size)
    run = next(run for run in runs if run.evaluation.results[0].encoder == use.encoder)
    describe = next(one for one in run.methods if one.name == use.method).by_size[use.size]
    milliseconds, place_bytes = _recognition_cost(run, use, describe) or (None, None)
    return Recommendation(
        use=use,
        best=results[best],
        error=_error(hits[best].mean(), queries),
        same_encoder=encoder / _RESAMPLES,
        same=same / _RESAMPLES,
        recognize_ms=milliseconds,
        places=len(run.database),
        map_bytes=None if place_bytes is None else place_bytes * len(run.database),
    )


def _choose(
    results: Sequence[MethodResult], recall: NDArray[np.float64], queries: int, simplest: NDArray[np.int64]
) -> tuple[int, int]:
    """Rows of the recommended result and of the best one. ``simplest``: rank of each by bytes and method."""
    milliseconds = np.array([np.inf if one.frame_ms is None else one.frame_ms for one in results])
    best = int(recall.argmax())
    within = recall >= recall[best] - _error(recall[best], queries)
    fast = milliseconds <= TIMING_NOISE * milliseconds[within].min()
    return int(np.where(within & fast, simplest, len(recall)).argmin()), best


def _error(recall: float, queries: int) -> float:
    """Standard error."""
    return float(np.sqrt(recall * (1 - recall) / queries))


def _hits(runs: Sequence[BenchmarkRun]) -> NDArray[np.bool_]:
    """bool [results, queries]: whether the best match is right; of the queries with a right place that every encoder could embed."""
    asked = [np.array([frame.label for frame in run.queries]) for run in runs]
    known = [run.task.positives.counts > 0 for run in runs]
    common = set.intersection(*(set(labels[rows]) for labels, rows in zip(asked, known, strict=True)))
    hits = []
    for run, labels, rows in zip(runs, asked, known, strict=True):
        kept = rows & np.isin(labels, list(common))
        for one in run.evaluation.results:
            hits.append(run.task.positives.hits(run.evaluation.best[one.method, one.size].rows[:, None])[kept, 0])
    return np.array(hits)


def _recognition_cost(run: BenchmarkRun, use: MethodResult, describe: Describe) -> tuple[float, float] | None:
    """Median time to search and recognize, milliseconds, and bytes a place of a map file: on a part of the database. None where the images cannot
    be read."""
    places, asked = run.database[:_TRIAL_PLACES], run.queries[:_TIMED]
    try:
        images, queries = ([image_of(frame) for frame in part] for part in (places, asked))
    except VprError:
        return None
    stored, given = (
        describe(np.asarray(rows, np.float32))
        for rows in (run.task.database[:_TRIAL_PLACES], run.task.queries[:_TIMED])
    )
    names = ("model_fingerprint", "model_family", "model_precision", "model_path")
    sizes = sorted({use.size, stored.shape[1]})
    meta = {"dim": str(stored.shape[1]), "sizes": json.dumps(sizes), **dict.fromkeys(names, "trial")}
    with tempfile.TemporaryDirectory() as folder, PlaceMap.create_like(Path(folder) / "trial.vprmap", meta) as trial:
        trial.add([replace(frame, image=None) for frame in places], stored, images)
        recognizer = Recognizer(trial, None, RecognizerSettings(size=use.size, verify_every=1))
        recognizer.prepare()
        frames = [replace(frame, image=image) for frame, image in zip(asked, queries, strict=True)]
        milliseconds = median_ms(lambda at: recognizer.recognize(frames[at], descriptor=given[at]), len(frames))
        trial.close()
        size = (Path(folder) / "trial.vprmap").stat().st_size
    return milliseconds, size / len(places)
