"""Do no harm: held-out database images decide which projection is used, never the queries.

Every fifth database frame is held out and serves as a pseudo-query. If the input defines neighbors (poses, or sequence and index), a
held-out frame and its augmented views must find its neighbors; else the augmented views must find the frame itself. Trial projections
are fitted without the held-out frames. The score is the mean reciprocal rank of the first positive, averaged over the sizes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.positives import METERS, Positives, Tolerance, positives
from vpr_aesvc.projections.artifact import Array, Projection, prefix
from vpr_aesvc.projections.data import MIN_IMAGES, TrainingData
from vpr_aesvc.projections.neighbor_pooling import follows, pooled
from vpr_aesvc.types import Frame

_EVERY = 5  # one frame in five is held out
_MAX_HELD_OUT = 400
_MAX_FITTED = 4096  # rows of a trial fit: more would double the training time for the same choice
_MAX_DATABASE = 4096  # database rows that a pseudo-query is compared with
_MIN_FRAMES, _MAX_LOSS = 60, 0.01  # to recommend a size: held-out frames, and mean reciprocal rank lost
_CHUNK = 256  # queries compared at once, for constant memory


@dataclass(frozen=True)
class HeldOut:
    """Pseudo-queries against the rest of the database.

    Attributes:
        data: training data of trial projections, without the held-out frames.
        queries: float32 [q, D].
        database: float32 [n', D].
        positives: bool [q, n'], every row with at least one True.
        frame: int64 [q], the held-out frame of each query. A frame and its views are correlated, so uncertainty is computed over frames.
        kind: describes the pseudo-queries, for people.
        follows: bool [n'], which rows of ``database`` follow the one before them along a drive (``vpr_aesvc.projections.neighbor_pooling``).
        has_neighbors: the positives are other frames, not the queries' originals.
    """

    data: TrainingData
    queries: Array
    database: Array
    positives: NDArray[np.bool_]
    frame: NDArray[np.int64]
    kind: str
    follows: NDArray[np.bool_]
    has_neighbors: bool

    def reciprocal_ranks(
        self, projection: Projection, sizes: Sequence[int], neighbor_weight: float = 0.0
    ) -> NDArray[np.float64]:
        """1 / rank of the first positive, averaged over the queries of a held-out frame: float64 [held-out frames, sizes].

        Args:
            neighbor_weight: weight of the neighbors along the drive in the descriptors of ``database``.
        """
        described = projection(self.queries), projection(self.database)
        if neighbor_weight:
            described = described[0], pooled(described[1], self.follows, neighbor_weight)
        ranks = np.zeros((len(self.queries), len(sizes)))
        by_size = [[prefix(rows, size) for rows in described] for size in sizes]
        for at in range(0, len(ranks), _CHUNK):
            query, positive = np.nonzero(self.positives[at : at + _CHUNK])  # sorted by query; every query has one
            first = np.searchsorted(query, np.arange(len(ranks[at : at + _CHUNK])))
            for column, (queries, database) in enumerate(by_size):
                similarities = queries[at : at + _CHUNK] @ database.T
                best = np.maximum.reduceat(similarities[query, positive], first)
                ranks[at : at + _CHUNK, column] = 1.0 / (1 + (similarities > best[:, None]).sum(1))
        _, frame, views = np.unique(self.frame, return_inverse=True, return_counts=True)
        sums = np.zeros((len(views), len(sizes)))
        np.add.at(sums, frame, ranks)
        return np.asarray(sums / views[:, None])

    def score(self, projection: Projection, sizes: Sequence[int]) -> float:
        """Mean reciprocal rank, averaged over the sizes."""
        return float(self.reciprocal_ranks(projection, sizes).mean())

    def harmed_sizes(self, projection: Projection, raw: Projection, sizes: Sequence[int]) -> list[int]:
        """The sizes at which a projection ranks worse than as many numbers of the raw embedding, by more than two standard errors."""
        behind = self.reciprocal_ranks(raw, sizes) - self.reciprocal_ranks(projection, sizes)
        return [size for size, one in zip(sizes, behind.T, strict=True) if is_above_zero(one)]


def is_above_zero(gains: NDArray[np.float64], errors: float = 2.0) -> bool:
    """Whether the mean of some frames' gains is above zero by more than ``errors`` standard errors."""
    return bool(gains.mean() > errors * gains.std(ddof=1) / len(gains) ** 0.5)


def smallest_size(ranks: NDArray[np.float64]) -> int | None:
    """Column of the smallest size that loses at most .01 of the best size's mean reciprocal rank, with two standard errors to spare; None for
    fewer than 60 frames. One standard error below the best, as `vpr bench` allows, lost up to .11 of R@1 on maps of an indoor set (benchmarks/small_maps.py).

    Args:
        ranks: ``HeldOut.reciprocal_ranks``, float64 [held-out frames, sizes].
    """
    if len(ranks) < _MIN_FRAMES:
        return None
    losses = ranks[:, [ranks.mean(0).argmax()]] - ranks
    highest = losses.mean(0) + 2 * losses.std(0, ddof=1) / len(losses) ** 0.5
    return int((highest <= _MAX_LOSS).argmax())


def hold_out(data: TrainingData, frames: Sequence[Frame], seed: int) -> HeldOut | None:
    """Pseudo-queries from ``frames``, which belong to the rows of ``data``; None if the map is too small."""
    rows = np.arange(len(data.embeddings))
    # If only some rows have views (a large map), only those are held out, as their views are needed.
    held = (np.unique(data.view_rows) if len(data.views) else rows)[2::_EVERY]
    if len(rows) - len(held) < MIN_IMAGES + 2:
        return None
    random = np.random.default_rng(seed)
    if len(held) > _MAX_HELD_OUT:
        held = np.sort(random.choice(held, _MAX_HELD_OUT, replace=False))
    rest = np.setdiff1d(rows, held)
    fitted = rest if len(rest) <= _MAX_FITTED else np.sort(random.choice(rest, _MAX_FITTED, replace=False))
    subset = data.subset(fitted)
    views = np.flatnonzero(np.isin(data.view_rows, held))
    near = _neighbors([frames[int(row)] for row in held], [frames[int(row)] for row in rest], frames)
    if near is not None and (near.counts > 0).sum() >= min(8, len(held)):
        # Another visit may look alike or very different: the frames themselves and their views are queries.
        compared = _subsample(len(rest), near.rows, random)
        table = near.table(len(rest))[:, compared]
        is_positive = np.concatenate([table, table[np.searchsorted(held, data.view_rows[views])]])
        queries = np.concatenate([data.embeddings[held], data.views[views]])
        what = (
            "held-out frames"
            + (" and augmented views of them" if len(views) else "")
            + " that must find their neighbors"
        )
        answerable = is_positive.any(1)
        frame = np.concatenate([held, data.view_rows[views]])[answerable]
        kind = f"{len(np.unique(frame))} {what}"
        along = follows([frames[int(row)] for row in rest[compared]])
        database = data.embeddings[rest[compared]]
        return HeldOut(subset, queries[answerable], database, is_positive[answerable], frame, kind, along, True)
    if not len(views):
        return None
    frame = data.view_rows[views]
    compared = _subsample(len(rows), frame, random)
    is_positive = frame[:, None] == compared[None]
    kind = f"{len(np.unique(frame))} held-out frames, augmented views of which must find their original"
    along = np.zeros(len(compared), np.bool_)
    return HeldOut(subset, data.views[views], data.embeddings[compared], is_positive, frame, kind, along, False)


def _subsample(count: int, needed: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """All rows 0 to ``count`` - 1; of more than 4,096 rows the ``needed`` ones and random others, 4,096 in total."""
    if count <= _MAX_DATABASE:
        return np.arange(count)
    others = np.setdiff1d(np.arange(count), needed)
    spare = max(0, _MAX_DATABASE - len(np.unique(needed)))
    return np.union1d(needed, random.choice(others, min(spare, len(others)), replace=False))


def _neighbors(held: list[Frame], rest: list[Frame], frames: Sequence[Frame]) -> Positives | None:
    tolerance = None
    if all(frame.pose is not None for frame in frames):
        # In a dense map, neighbors are the nearest frames, not all frames within the usual 25 m.
        xy = np.array([[f.pose.x, f.pose.y] for f in frames if f.pose])
        steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)
        near = 3 * float(np.median(steps[steps > 0])) if (steps > 0).any() else METERS.value
        tolerance = Tolerance("meters", min(METERS.value, near))
    return positives(held, rest, tolerance)
