"""Fitted methods -> numbers: every method at every size, on the descriptors as a map stores them, in half precision."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.positives import Positives
from vpr_aesvc.evaluation.methods import Describe, Method
from vpr_aesvc.evaluation.metrics import collapse, mean_average_precision, precision_recall, recall, recall_interval
from vpr_aesvc.evaluation.results import GroupResult, MethodResult
from vpr_aesvc.placemap.index import SizedIndex

KS = (1, 5, 10, 20)
_MAP_AT = (1, 4, 5, 10, 20)
_CHUNK = 8192
_TIMED = 50  # single queries whose search is timed
_HALF = np.float16


@dataclass(frozen=True)
class Task:
    """What is asked of every method.

    Attributes:
        database, queries: embeddings [n, D], [q, D].
        right: the right rows of each query.
        image: int64 [q + n], a number for each image file, queries first: a database row with the query's own number is no answer.
        times: what time of day each query was taken, where the set says so; else empty.
        panoramas: int64 [n], which panorama each database image was cut from, where the set says so.
    """

    database: NDArray[np.floating]
    queries: NDArray[np.floating]
    right: Positives
    image: NDArray[np.int64]
    times: list[str] = field(default_factory=list)
    panoramas: NDArray[np.int64] | None = None

    @property
    def own_images(self) -> int:
        """The most database rows that are some query's own image."""
        asked, there = self.image[: len(self.queries)], self.image[len(self.queries) :]
        codes, counts = np.unique(there, return_counts=True)
        return int(counts[np.isin(codes, asked)].max(initial=0))


@dataclass(frozen=True)
class Best:
    """The best match of each query: database rows int64 [q] and cosines float32 [q]."""

    rows: NDArray[np.int64]
    similarities: NDArray[np.float32]


@dataclass
class Findings:
    """All numbers of a run. ``best`` is by (method, size)."""

    results: list[MethodResult] = field(default_factory=list)
    groups: list[GroupResult] = field(default_factory=list)
    best: dict[tuple[str, int], Best] = field(default_factory=dict)
    search_ms: dict[int, float] = field(default_factory=dict)  # by size: the method makes no difference


def evaluate(
    task: Task, methods: Sequence[Method], progress: Callable[[str, int, int], None] | None = None
) -> Findings:
    """Recall, mAP, precision and recall, and cost of each method at each of its sizes."""
    findings = Findings()
    steps, done = sum(len(method.by_size) for method in methods), 0
    for method in methods:
        for index, asked, sizes in _described(task, method):
            for size in sizes:
                _measure(task, method, size, index, asked, findings)
                done += 1
                if progress:
                    progress("evaluating", done, steps)
    return findings


def _described(task: Task, method: Method) -> Iterator[tuple[SizedIndex, NDArray[np.float16], list[int]]]:
    """Each projection of the method once, with the sizes it serves."""
    sizes_of: dict[int, list[int]] = {}
    for size, describe in method.by_size.items():
        sizes_of.setdefault(id(describe), []).append(size)
    for sizes in sizes_of.values():
        describe = method.by_size[sizes[0]]
        yield SizedIndex(_describe(describe, task.database)), _describe(describe, task.queries), sorted(sizes)


def _describe(describe: Describe, embeddings: NDArray[np.floating]) -> NDArray[np.float16]:
    """In pieces: no full copy in single precision."""
    parts = [
        describe(np.asarray(embeddings[at : at + _CHUNK], np.float32)).astype(_HALF)
        for at in range(0, len(embeddings), _CHUNK)
    ]
    return np.concatenate(parts)


def _measure(
    task: Task, method: Method, size: int, index: SizedIndex, asked: NDArray[np.float16], findings: Findings
) -> None:
    depth = max(KS) * (1 if task.panoramas is None else int(np.bincount(task.panoramas).max()))
    similarities, ranked = _without_own(*index.search(asked, depth + task.own_images, size), task.image)
    if size not in findings.search_ms:
        findings.search_ms[size] = _search_ms(index, asked, size)
    ks = [k for k in KS if k <= ranked.shape[1]]
    found = recall(ranked, task.right, ks)
    correct = task.right.hits(ranked[:, :1])[:, 0]
    findings.best[method.name, size] = Best(ranked[:, 0], similarities[:, 0])
    findings.results.append(
        MethodResult(
            method=method.name,
            size=size,
            recall=found.at,
            bytes_per_place=size * np.dtype(_HALF).itemsize,
            interval={k: recall_interval(value, found.queries) for k, value in found.at.items()},
            map_at={k: mean_average_precision(ranked, task.right, k) for k in _MAP_AT if k <= ranked.shape[1]},
            curve=precision_recall(similarities[:, 0], correct),
            multiply_adds=method.multiply_adds(size) + size * len(task.database),
            search_ms=findings.search_ms[size],
            seconds=method.seconds,
        )
    )
    for name in dict.fromkeys(task.times):
        chosen = np.flatnonzero(np.array(task.times) == name)
        of_group = recall(ranked[chosen], task.right.of_queries(chosen), ks)
        findings.groups.append(GroupResult(method.name, size, name, of_group.queries, of_group.at))
    if task.panoramas is not None:
        collapsed = recall(collapse(ranked, task.panoramas, max(ks)), task.right, ks)
        findings.groups.append(GroupResult(method.name, size, "panoramas", collapsed.queries, collapsed.at))
    index.forget(size)


def _without_own(
    similarities: NDArray[np.float32], ranked: NDArray[np.int64], image: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Without the query's own image; as many columns fewer for all as the most that any query had."""
    mine = image[len(ranked) + ranked] == image[: len(ranked), None]
    most = int(mine.sum(1).max(initial=0))
    if not most:
        return similarities, ranked
    order = np.argsort(mine, axis=1, kind="stable")[:, : ranked.shape[1] - most]
    return np.take_along_axis(similarities, order, 1), np.take_along_axis(ranked, order, 1)


def _search_ms(index: SizedIndex, asked: NDArray[np.float16], size: int) -> float:
    """Median time to find the twenty best of one query among all places, milliseconds."""
    index.search(asked[:1], max(KS), size)
    taken = []
    for at in range(_TIMED):
        query = asked[at % len(asked)][None]
        start = time.perf_counter()
        index.search(query, max(KS), size)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)) * 1000
