"""Do no harm: which projection is used is decided on held-out database images, never on queries.

Some database frames are held out and stand in for queries (pseudo-queries). Where the input says which frames are neighbors (poses,
or sequence and index), a held-out frame and a changed view of it must find its neighbors; where it does not, changed views must
find the frame itself. Everything is fitted without the held-out frames. The score is the mean reciprocal rank of the first right
frame, averaged over the sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.positives import METERS, Positives, Tolerance, positives
from vpr_aesvc.projections.artifact import Array, Projection, prefix
from vpr_aesvc.projections.data import MIN_IMAGES, TrainingData
from vpr_aesvc.types import Frame

_EVERY = 5  # one frame in five is held out
_MOST_QUERIES = 500
_MOST_FITTED = 4096  # a trial fit on more would double the training time and choose the same
_MOST_SHOWN = 8192  # database rows that a held-out frame must be told from
_AT_ONCE = 256  # queries compared at once, so that memory does not grow with their number


@dataclass(frozen=True)
class HeldOut:
    """Pseudo-queries against the rest of the database.

    Attributes:
        data: what trial projections are fitted on; holds none of the held-out frames.
        queries: float32 [q, D].
        database: float32 [n', D].
        right: bool [q, n'], every row with at least one True.
        frame: int [q], which held-out frame each query shows. A frame and its views rise and fall together, so uncertainty is
            counted over frames.
        kind: how the pseudo-queries were made, in words.
    """

    data: TrainingData
    queries: Array
    database: Array
    right: NDArray[np.bool_]
    frame: NDArray[np.int64]
    kind: str

    def reciprocal_ranks(self, projection: Projection, sizes: Sequence[int]) -> NDArray[np.float64]:
        """1 / rank of the first right frame, averaged over the sizes and a held-out frame's queries: float64 [held-out frames]."""
        described = projection(self.queries), projection(self.database)
        ranks = np.zeros(len(self.queries))
        for size in sizes:
            queries, database = (prefix(rows, size) for rows in described)
            for at in range(0, len(queries), _AT_ONCE):
                here = slice(at, at + _AT_ONCE)
                similarities, right = queries[here] @ database.T, self.right[here]
                best_right = np.where(right, similarities, -np.inf).max(1, keepdims=True)
                ranks[here] += 1.0 / (1 + ((similarities > best_right) & ~right).sum(1))
        _, frame = np.unique(self.frame, return_inverse=True)
        return np.bincount(frame, ranks) / np.bincount(frame) / len(sizes)

    def score(self, projection: Projection, sizes: Sequence[int]) -> float:
        """Mean reciprocal rank, averaged over the sizes."""
        return float(self.reciprocal_ranks(projection, sizes).mean())


def hold_out(data: TrainingData, frames: Sequence[Frame], seed: int) -> HeldOut | None:
    """Pseudo-queries for these frames, one for each row of ``data``; None where the map is too small to spare any."""
    rows = np.arange(len(data.embeddings))
    # Where only some rows have views (a large map), the held-out frames are among them: their views are asked for too.
    held = (np.unique(data.view_rows) if len(data.views) else rows)[2::_EVERY]
    if len(rows) - len(held) < MIN_IMAGES + 2:
        return None
    random = np.random.default_rng(seed)
    if len(held) > _MOST_QUERIES:
        held = np.sort(random.choice(held, _MOST_QUERIES, replace=False))
    rest = np.setdiff1d(rows, held)
    fitted = rest if len(rest) <= _MOST_FITTED else np.sort(random.choice(rest, _MOST_FITTED, replace=False))
    subset = data.subset(fitted)
    views = np.flatnonzero(np.isin(data.view_rows, held))
    near = _neighbors([frames[row] for row in held], [frames[row] for row in rest], frames)
    if near is not None and (near.counts > 0).sum() >= min(8, len(held)):
        # Another visit may be much like the first or in quite another light: both are asked for.
        shown = _some(len(rest), near.rows, random)
        table = near.table(len(rest))[:, shown]
        right = np.concatenate([table, table[np.searchsorted(held, data.view_rows[views])]])
        queries = np.concatenate([data.embeddings[held], data.views[views]])
        what = (
            "held-out frames" + (" and changed views of them" if len(views) else "") + " that must find their neighbors"
        )
        known = right.any(1)
        frame = np.concatenate([held, data.view_rows[views]])[known]
        kind = f"{len(np.unique(frame))} {what}"
        return HeldOut(subset, queries[known], data.embeddings[rest[shown]], right[known], frame, kind)
    if not len(views):
        return None
    frame = data.view_rows[views]
    shown = _some(len(rows), frame, random)
    right = frame[:, None] == shown[None]
    kind = f"{len(np.unique(frame))} held-out frames, changed views of which must find their original"
    return HeldOut(subset, data.views[views], data.embeddings[shown], right, frame, kind)


def _some(count: int, needed: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """All of ``count`` rows, or of a large map the ``needed`` ones and as many others as make 8,192."""
    if count <= _MOST_SHOWN:
        return np.arange(count)
    others = np.setdiff1d(np.arange(count), needed)
    spare = max(0, _MOST_SHOWN - len(np.unique(needed)))
    return np.union1d(needed, random.choice(others, min(spare, len(others)), replace=False))


def _neighbors(held: list[Frame], rest: list[Frame], frames: Sequence[Frame]) -> Positives | None:
    tolerance = None
    if all(frame.pose is not None for frame in frames):
        # A dense map is asked for the near frames, not for all within the field's 25 m.
        xy = np.array([[f.pose.x, f.pose.y] for f in frames if f.pose])
        steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)
        near = 3 * float(np.median(steps[steps > 0])) if (steps > 0).any() else METERS.value
        tolerance = Tolerance("meters", min(METERS.value, near))
    return positives(held, rest, tolerance)


def is_harmful(held_out: HeldOut, candidate: Projection, raw: Projection) -> bool:
    """True unless the candidate at full size beats the raw embedding by more than two standard errors of the difference: with
    a few held-out frames and several candidates, one of them would often be ahead by one."""
    gain = held_out.reciprocal_ranks(candidate, [candidate.dim_out]) - held_out.reciprocal_ranks(raw, [raw.dim_out])
    return bool(gain.mean() <= 2 * _standard_error(gain))


def is_as_good(held_out: HeldOut, candidate: Projection, best: Projection, sizes: Sequence[int]) -> bool:
    """True where the candidate is within one standard error of the best, averaged over the sizes."""
    behind = held_out.reciprocal_ranks(best, sizes) - held_out.reciprocal_ranks(candidate, sizes)
    return bool(behind.mean() <= _standard_error(behind))


def _standard_error(differences: NDArray[np.float64]) -> float:
    return float(differences.std(ddof=1) / len(differences) ** 0.5)
