"""Fitted methods -> scores of every method at every size. Descriptors are half precision, as a map stores them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.positives import Positives
from vpr_aesvc.evaluation.methods import Describe, Method, describe_in_chunks
from vpr_aesvc.evaluation.metrics import collapse, mean_average_precision, precision_recall, recall, recall_interval
from vpr_aesvc.evaluation.results import GroupResult, MethodResult
from vpr_aesvc.placemap.index import SizedIndex
from vpr_aesvc.runtime import median_ms
from vpr_aesvc.types import Rows, StageProgress

KS = (1, 5, 10, 20)
_MAP_AT = (1, 4, 5, 10, 20)
_TIMED_QUERIES = 50
_HALF = np.float16
_BLOCK = 32_768  # database rows in memory
_Best = NDArray[np.float32]


@dataclass(frozen=True)
class RetrievalTask:
    """What every method has to solve.

    Attributes:
        database, queries: embeddings [n, D], [q, D]; arrays, or ``Shards``, which are read block by block.
        positives: the right database rows of each query.
        image_ids: int64 [q + n], one number per image file, queries first. A database row with the query's own id is not an answer.
        times: time of day of each query where the data set gives it, else empty.
        panoramas: int64 [n], the panorama that each database image was cut from, where the data set gives it.
        embed_ms: median time to embed one image, milliseconds; None where it is unknown.
        encoder: name of what embeds, for reports.
    """

    database: NDArray[np.floating]
    queries: NDArray[np.floating]
    positives: Positives
    image_ids: NDArray[np.int64]
    times: list[str] = field(default_factory=list)
    panoramas: NDArray[np.int64] | None = None
    embed_ms: float | None = None
    encoder: str = ""

    @property
    def own_images(self) -> int:
        """The most database rows that are one query's own image."""
        query_ids, database_ids = self.image_ids[: len(self.queries)], self.image_ids[len(self.queries) :]
        ids, counts = np.unique(database_ids, return_counts=True)
        return int(counts[np.isin(ids, query_ids)].max(initial=0))


@dataclass(frozen=True)
class BestMatches:
    """The best match of each query: database rows int64 [q] and cosines float32 [q]."""

    rows: NDArray[np.int64]
    similarities: NDArray[np.float32]


@dataclass
class EvaluationResult:
    """All scores of a run. ``best`` is by (method, size), ``search_ms`` by size: it is the same for all methods."""

    results: list[MethodResult] = field(default_factory=list)
    groups: list[GroupResult] = field(default_factory=list)
    best: dict[tuple[str, int], BestMatches] = field(default_factory=dict)
    search_ms: dict[int, float] = field(default_factory=dict)


def evaluate(task: RetrievalTask, methods: Sequence[Method], progress: StageProgress | None = None) -> EvaluationResult:
    """Recall, mAP, precision-recall curve and cost of each method at each of its sizes."""
    evaluation = EvaluationResult()
    steps, done = sum(len(method.by_size) for method in methods), 0
    for method in methods:
        describe_ms: dict[int, float | None] = {}  # by projection
        for size, similarities, ranked in _searched(task, method, evaluation.search_ms):
            describe = method.by_size[size]
            if id(describe) not in describe_ms:
                describe_ms[id(describe)] = _describe_ms(task, describe)
            _evaluate_size(task, method, size, similarities, ranked, evaluation, describe_ms[id(describe)])
            done += 1
            if progress:
                progress("evaluating", done, steps)
    return evaluation


def _searched(task: RetrievalTask, method: Method, search_ms: dict[int, float]) -> Iterator[tuple[int, _Best, Rows]]:
    """Each size of the method, with cosines and rows of the best matches of each query. The database is described and searched in
    blocks, for each projection of the method once. New sizes are added to ``search_ms``."""
    depth = max(KS) * (1 if task.panoramas is None else int(np.bincount(task.panoramas).max())) + task.own_images
    sizes_of: dict[int, list[int]] = {}
    for size, describe in method.by_size.items():
        sizes_of.setdefault(id(describe), []).append(size)
    for sizes in sizes_of.values():
        describe = method.by_size[sizes[0]]
        queries = describe_in_chunks(describe, task.queries, _HALF)
        best: dict[int, tuple[_Best, Rows]] = {}
        took = {size: 0.0 for size in sizes if size not in search_ms}
        for first in range(0, len(task.database), _BLOCK):
            index = SizedIndex(describe_in_chunks(describe, task.database[first : first + _BLOCK], _HALF))
            for size in sizes:
                similarities, rows = index.search(queries, depth, size)
                best[size] = _merged(best.get(size), similarities, rows + first, depth)
                if size in took:
                    took[size] += _search_ms(index, queries, size)
                index.forget(size)
        search_ms |= took
        yield from ((size, *best[size]) for size in sorted(sizes))


def _merged(before: tuple[_Best, Rows] | None, similarities: _Best, rows: Rows, depth: int) -> tuple[_Best, Rows]:
    """The best ``depth`` matches of each query, of the blocks before and of a new one."""
    if before is None:
        return similarities, rows
    both, rows = np.concatenate([before[0], similarities], 1), np.concatenate([before[1], rows], 1)
    order = np.argsort(-both, axis=1, kind="stable")[:, :depth]
    return np.take_along_axis(both, order, 1), np.take_along_axis(rows, order, 1)


def _evaluate_size(
    task: RetrievalTask,
    method: Method,
    size: int,
    similarities: _Best,
    ranked: Rows,
    evaluation: EvaluationResult,
    describe_ms: float | None,
) -> None:
    similarities, ranked = _without_own_image(similarities, ranked, task.image_ids)
    ks = [k for k in KS if k <= ranked.shape[1]]
    recalls = recall(ranked, task.positives, ks)
    evaluation.best[method.name, size] = BestMatches(ranked[:, 0], similarities[:, 0])
    evaluation.results.append(
        MethodResult(
            method=method.name,
            size=size,
            recall=recalls.at,
            bytes_per_place=size * np.dtype(_HALF).itemsize,
            interval={k: recall_interval(value, recalls.queries) for k, value in recalls.at.items()},
            map_at={k: mean_average_precision(ranked, task.positives, k) for k in _MAP_AT if k <= ranked.shape[1]},
            curve=precision_recall(similarities[:, 0], task.positives.hits(ranked[:, :1])[:, 0]),
            search_ms=evaluation.search_ms[size],
            seconds=method.seconds,
            describe_ms=describe_ms,
            encoder=task.encoder,
        )
    )
    evaluation.groups += _group_results(task, method.name, size, ranked, ks)


def _group_results(
    task: RetrievalTask, method: str, size: int, ranked: NDArray[np.int64], ks: list[int]
) -> Iterator[GroupResult]:
    """Recall for each time of day, and with the cutouts of one panorama collapsed."""
    for time_of_day in dict.fromkeys(task.times):
        rows = np.flatnonzero(np.array(task.times) == time_of_day)
        group = recall(ranked[rows], task.positives.of_queries(rows), ks)
        yield GroupResult(method, size, time_of_day, group.queries, group.at)
    if task.panoramas is not None:
        group = recall(collapse(ranked, task.panoramas, max(ks)), task.positives, ks)
        yield GroupResult(method, size, "panoramas", group.queries, group.at)


def _without_own_image(
    similarities: NDArray[np.float32], ranked: NDArray[np.int64], image_ids: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Removes each query's own image. All rows lose as many columns as the query that has the most."""
    own = image_ids[len(ranked) + ranked] == image_ids[: len(ranked), None]
    most = int(own.sum(1).max(initial=0))
    if not most:
        return similarities, ranked
    order = np.argsort(own, axis=1, kind="stable")[:, : ranked.shape[1] - most]
    return np.take_along_axis(similarities, order, 1), np.take_along_axis(ranked, order, 1)


def _describe_ms(task: RetrievalTask, describe: Describe) -> float | None:
    """Median time from an image to its descriptor, milliseconds."""
    if task.embed_ms is None:
        return None
    rows = np.asarray(task.queries[:_TIMED_QUERIES], np.float32)
    return task.embed_ms + median_ms(lambda at: describe(rows[at % len(rows)][None]), _TIMED_QUERIES)


def _search_ms(index: SizedIndex, queries: NDArray[np.floating], size: int) -> float:
    """Median time to find the 20 best places of one query, milliseconds."""
    index.search(queries[:1], max(KS), size)
    return median_ms(lambda at: index.search(queries[at % len(queries)][None], max(KS), size), _TIMED_QUERIES)
