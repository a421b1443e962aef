"""Ground truth: the database frames that are a right answer for each query."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.types import Frame

Rows = NDArray[np.int64]
_BLOCK = 4_000_000  # distances computed at once, to bound memory


@dataclass(frozen=True)
class Tolerance:
    """When a database frame is a right answer: within ``value`` meters in x and y, within ``value`` of the ``index`` in the same
    ``sequence``, or of the same ``category`` (``value`` unused)."""

    by: Literal["meters", "frames", "category"]
    value: float = 0.0

    def __str__(self) -> str:
        if self.by == "category":
            return "of the same category"
        return f"within {self.value:g} {'m' if self.by == 'meters' else 'frames of the same sequence'}"


METERS = Tolerance("meters", 25.0)
"""The field's usual tolerance (NetVLAD, Arandjelovic et al., CVPR 2016)."""
FRAMES = Tolerance("frames", 3.0)
DISTANCES = (1.0, 5.0, 10.0, 25.0)
"""Meters."""
_ASKED = 100  # positions of which the distance to the nearest other is measured
_EXTENT_PER_THRESHOLD = 20  # the default threshold is at most this fraction (1/20) of the extent


@dataclass(frozen=True)
class Positives:
    """The right rows of the database for each of q queries, stored without a q x n table.

    Attributes:
        rows: int64 [total], ascending within a query.
        offsets: int64 [q + 1]: those of query i are ``rows[offsets[i]:offsets[i + 1]]``.
    """

    rows: Rows
    offsets: Rows

    @classmethod
    def of_pairs(cls, queries: Rows, rows: Rows, count: int) -> Positives:
        """From pairs (query, right row) in any order; ``count`` is the number of queries."""
        order = np.lexsort((rows, queries))
        offsets = np.concatenate([[0], np.cumsum(np.bincount(queries, minlength=count))])
        return cls(np.asarray(rows, np.int64)[order], offsets.astype(np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, query: int) -> Rows:
        return self.rows[self.offsets[query] : self.offsets[query + 1]]

    @property
    def counts(self) -> Rows:
        """Right rows of each query, int64 [q]."""
        return np.diff(self.offsets)

    def hits(self, ranked: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which of the proposed rows [q, k] are right: bool [q, k]. A row of -1 (FAISS found none) is not."""
        span = int(max(self.rows.max(initial=0), np.max(ranked, initial=0))) + 2
        keys = np.repeat(np.arange(len(self)), self.counts) * span + self.rows + 1
        proposed = np.arange(len(ranked))[:, None] * span + np.asarray(ranked, np.int64) + 1
        if not len(keys):
            return np.zeros(proposed.shape, np.bool_)
        at = np.minimum(np.searchsorted(keys, proposed), len(keys) - 1)
        return np.asarray((keys[at] == proposed) & (np.asarray(ranked) >= 0))

    def table(self, database: int) -> NDArray[np.bool_]:
        """bool [q, database]; only for small sets."""
        right = np.zeros((len(self), database), np.bool_)
        right[np.repeat(np.arange(len(self)), self.counts), self.rows] = True
        return right

    def of_queries(self, chosen: NDArray[np.integer]) -> Positives:
        """Only these queries, in this order."""
        parts = [self[int(query)] for query in chosen]
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        return Positives(np.concatenate([np.empty(0, np.int64), *parts]), offsets)


def positives(
    queries: Sequence[Frame], database: Sequence[Frame], tolerance: Tolerance | None = None
) -> Positives | None:
    """The right answers; None if the frames do not tell. A frame is never a right answer for its own image file.

    Args:
        tolerance: by default that of ``guess_tolerance``.
    """
    tolerance = tolerance or guess_tolerance([*queries, *database])
    if tolerance is None:
        return None
    is_meters = tolerance.by == "meters"  # then a frame without a pose has no right answer and is none
    for part in (queries, database):
        if not _tells(part, tolerance) and not (is_meters and any(frame.pose is not None for frame in part)):
            return None
    frames = [*queries, *database]
    image, (group, xy) = image_codes(frames), _groups_and_positions(frames, tolerance)
    count, step = len(queries), max(1, _BLOCK // max(1, len(database)))
    pairs = [(np.empty(0, np.int64),) * 2]
    for start in range(0, count, step):
        asked, rest = np.arange(start, min(start + step, count)), slice(count, None)
        east, north = (xy[asked, None, axis] - xy[None, rest, axis] for axis in (0, 1))
        near = np.square(east) + np.square(north) <= tolerance.value**2
        near &= (group[asked, None] == group[None, rest]) & (image[asked, None] != image[None, rest])
        query, row = np.nonzero(near)
        pairs.append((asked[query], row))
    query_rows, rows = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return Positives.of_pairs(query_rows, rows, count)


def guess_tolerance(frames: Sequence[Frame]) -> Tolerance | None:
    """Meters in x and y, in the scale of the frames, if every frame has a pose, else 3 frames of ``index`` in one ``sequence``, else ``category``,
    else meters if most have a pose; None if nothing tells."""
    for tolerance in (METERS, FRAMES, Tolerance("category")):
        if _tells(frames, tolerance):
            return _in_scale(frames) if tolerance is METERS else tolerance
    return _in_scale(frames) if 2 * sum(frame.pose is not None for frame in frames) > len(frames) else None


def default_threshold(positions: NDArray[np.float64], distances: tuple[float, ...] = DISTANCES) -> float:
    """Meters within which a match is right: the largest of the distances that is at most 1/20 of the extent (the diagonal in x and y) of
    these positions [n, 2 or 3], else the smallest."""
    extent = float(np.linalg.norm(np.ptp(positions[:, :2], axis=0)))
    return max((one for one in distances if one <= extent / _EXTENT_PER_THRESHOLD), default=distances[0])


def _in_scale(frames: Sequence[Frame]) -> Tolerance:
    """``default_threshold``, but at least 1.5 times the usual distance to the nearest other position: else most queries would have no right place."""
    xy = np.array([(frame.pose.x, frame.pose.y) for frame in frames if frame.pose])
    threshold = default_threshold(xy)
    places = np.unique(xy, axis=0)
    if threshold == METERS.value or len(places) < 2:
        return Tolerance("meters", threshold)
    asked = places[np.linspace(0, len(places) - 1, min(len(places), _ASKED)).astype(np.int64)]
    apart = np.hypot(*(asked[:, None, axis] - places[None, :, axis] for axis in (0, 1)))
    step = 1.5 * float(np.median(np.partition(apart, 1, axis=1)[:, 1]))  # the nearest is the position itself
    return Tolerance("meters", max(threshold, min((one for one in DISTANCES if one >= step), default=METERS.value)))


def image_codes(frames: Sequence[Frame]) -> Rows:
    """int64 [n]; frames of the same image file have the same number."""
    codes: dict[str, int] = {}
    return np.array(
        [codes.setdefault(f"#{at}" if f.path is None else os.path.abspath(f.path), at) for at, f in enumerate(frames)],  # noqa: PTH100
        np.int64,
    )


def _tells(frames: Sequence[Frame], tolerance: Tolerance) -> bool:
    if tolerance.by == "meters":
        return all(frame.pose is not None for frame in frames)
    if tolerance.by == "frames":
        return all(frame.sequence is not None and frame.index is not None for frame in frames)
    return all(frame.category is not None for frame in frames)


def _groups_and_positions(frames: Sequence[Frame], tolerance: Tolerance) -> tuple[Rows, NDArray[np.float64]]:
    """int64 [n] and float64 [n, 2]: frames of one group are near each other if their positions are."""
    groups: list[Hashable] = [None] * len(frames)
    if tolerance.by == "meters":
        positions = [(f.pose.x, f.pose.y) if f.pose else (np.nan, np.nan) for f in frames]
    elif tolerance.by == "frames":
        groups, positions = [f.sequence for f in frames], [(f.index or 0.0, 0.0) for f in frames]
    else:
        groups, positions = [f.category for f in frames], [(0.0, 0.0)] * len(frames)
    codes = {group: code for code, group in enumerate(dict.fromkeys(groups))}
    return np.array([codes[group] for group in groups], np.int64), np.array(positions, np.float64).reshape(-1, 2)
