"""What one frame's similarities say about each place: a likelihood ratio, learned from the map without labels."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.projections.artifact import unit

Floats = NDArray[np.float64]
Similarities = NDArray[np.floating]
MIN_PLACES = 20
"""With fewer places nothing can be said of how similar places usually are: a frame is no likelihood."""
_MOST = 12.0  # standard deviations; beyond, more similarity says no more
_BEYOND = 0.1  # of what exceeds the bound is kept, so that the likeliest of several likely places stays so
_POOR = 0.05  # of all frames show nothing of the place they were taken at: someone in the way, blur, glare
_SHARPNESS = np.geomspace(0.7, 5.6, 19)
_NEAR = 3  # places either side that surely show the same
_SAMPLE, _PAIRS = 512, 128


@dataclass(frozen=True)
class SparseRow:
    """The similarities of a frame to the places that a search returned.

    Attributes:
        rows: int [k], of the map. values: float32 [k], their similarities.
        floor: the similarity to take for every other place.
    """

    rows: NDArray[np.integer]
    values: Similarities
    floor: float


@dataclass(frozen=True)
class SimilarityLikelihood:
    """Similarities -> log likelihood ratio of each place against being nowhere in the map.

    The similarities of other places scatter about the frame's median with a spread that its median absolute deviation tells. In units of that
    spread a place's likelihood grows by the exponential of ``sharpness`` times its similarity, as it does for two normal
    distributions of one width. Two bounds keep one frame from deciding alone: a map of n places has not shown what happens less often
    than once in n, so a ratio hardly exceeds n; and some frames show nothing of where they were taken.

    Attributes:
        sharpness: per standard deviation.
        offset: the logarithm of the mean ratio, before scaling, over places that a frame does not show; after scaling it is one.
        center, spread: of the similarities of unlike places; used where a row holds only the best.
        change: how much of what a frame says about other places usually changes from one place of the map to the next, 0 to 1.
    """

    sharpness: float = 1.0
    offset: float = 0.5
    center: float = 0.0
    spread: float = 0.1
    change: float = 0.75

    def __call__(self, similarities: Similarities | SparseRow, places: int) -> Floats:
        """Log likelihood ratios float64 [places]; minus infinity where a similarity is, or where the row ends before the map does:
        such places are left out of the search.

        Raises:
            VprError: more similarities than places, a row that is not in the map, or a similarity that is not a number.
        """
        row = _dense(similarities, places) if isinstance(similarities, SparseRow) else np.asarray(similarities, float)
        if row.ndim != 1 or len(row) > places:
            raise VprError(f"expected at most {places} similarities, one for each place, found shape {row.shape}")
        if not (row < np.inf).all():
            raise VprError("a similarity is not a finite number; was the frame described by the model of the map?")
        allowed = row > -np.inf
        sparse = isinstance(similarities, SparseRow)
        if len(row) == places and allowed.all():
            return self._log_ratio(row, sparse)
        log_ratio = np.full(places, -np.inf)
        log_ratio[: len(row)][allowed] = self._log_ratio(row[allowed], sparse)
        return log_ratio

    def _log_ratio(self, seen: Floats, sparse: bool) -> Floats:
        if len(seen) < MIN_PLACES:
            return np.zeros(len(seen))
        center, spread = (self.center, self.spread) if sparse else _center_and_spread(seen)
        scores = self.sharpness * np.minimum((seen - center) / max(spread, 1e-9), _MOST) - self.offset
        most = math.log(len(seen))
        scores -= (1 - _BEYOND) * np.maximum(scores - most, 0)
        return np.asarray(np.log((1 - _POOR) * np.exp(scores) + _POOR))


def learn_similarity_likelihood(
    descriptors: NDArray[np.floating], traverses: Sequence[Hashable] | NDArray[np.generic]
) -> SimilarityLikelihood:
    """Fits :class:`SimilarityLikelihood` on a map alone. Each of some places is taken for a frame: the sharpness is that which gives its
    neighbors along the traverse the greatest likelihood among all other places, the offset what the others have. The stretch that is most
    like it elsewhere is left out, as it may be the same place, passed a second time; a map that passes a place more often makes this cautious.

    Args:
        descriptors: float [n, d], unit norm, in the order they were driven.
        traverses: the traverse of each.

    Returns:
        the defaults where the map has too few places.
    """
    count = len(descriptors)
    codes: dict[Hashable, int] = {}
    code = np.array([codes.setdefault(name, len(codes)) for name in traverses], np.int64)
    rows = _pairs_of_rows(count)
    near = (np.abs(rows[:, None] - np.arange(count)) <= _NEAR) & (code[rows][:, None] == code)
    near[np.arange(len(rows)), rows] = False
    kept = near.any(1)
    rows, near = rows[kept], near[kept]
    if len(rows) < MIN_PLACES:
        return SimilarityLikelihood()
    rest = unit(descriptors)
    asked = np.arange(len(rows))
    table = rest[rows] @ rest.T
    table[asked, rows] = np.inf  # a place is no answer to itself, and the last in order
    center = _medians(table)[:, None]
    spread = 1.4826 * _medians(np.abs(table - center))[:, None]
    scores = np.minimum((table - center) / np.maximum(spread, 1e-9), _MOST)
    scores[asked, rows] = -np.inf
    right = np.where(near, scores, -np.inf)
    scores[near] = -np.inf
    for at, alike in enumerate(scores.argmax(1)):
        scores[at, max(alike - _NEAR, 0) : alike + _NEAR + 1] = -np.inf
    right = np.sort(right, 1)[:, -2 * _NEAR :]
    far = np.maximum((scores > -np.inf).sum(1), 1)
    found = []
    for sharpness in _SHARPNESS.astype(np.float32):
        ratio, others = np.exp(sharpness * right).sum(1), np.exp(sharpness * scores).sum(1)
        offset = np.median(np.log(others / far + 1e-12))
        found.append((float(np.log(ratio / (ratio + others)).mean()), float(sharpness), float(offset)))
    _, sharpness, offset = max(found)
    found_on = SimilarityLikelihood(sharpness, offset, float(np.median(center)), float(np.median(spread)))
    return replace(found_on, change=_usual_change(found_on, table, rows, code))


def _medians(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each row, its last in order left out: the upper median, as of a frame."""
    middle = (table.shape[1] - 1) // 2
    return np.asarray(np.partition(table, middle, axis=1)[:, middle])


def _pairs_of_rows(count: int) -> NDArray[np.int64]:
    """At most ``_SAMPLE`` rows, evenly spread over the map in pairs of one place and the next."""
    if count <= _SAMPLE:
        return np.arange(count)
    firsts = np.linspace(0, count - 2, _SAMPLE // 2).astype(np.int64)
    return np.unique(np.concatenate([firsts, firsts + 1]))


@dataclass(frozen=True)
class Seen:
    """A frame's similarities, as they came, and the log likelihood ratios float64 [n] made of them."""

    similarities: Similarities | SparseRow
    log_ratio: Floats


def change_of(before: Seen, now: Seen) -> float:
    """How much of what a frame says about places that it does not show is new, 0 to 1: one less the correlation of its similarities with
    those of the frame before, over the places that neither speaks for. Of the best alone, the part that were not among the best before.
    """
    one, other = before.similarities, now.similarities
    if isinstance(one, SparseRow) or isinstance(other, SparseRow):
        if not (isinstance(one, SparseRow) and isinstance(other, SparseRow)) or not len(other.rows):
            return 1.0
        return 1.0 - float(np.isin(other.rows, one.rows).mean())
    count = min(len(one), len(other))
    unlike = (before.log_ratio[:count] <= 0) & (now.log_ratio[:count] <= 0)
    unlike &= np.isfinite(one[:count]) & np.isfinite(other[:count])
    places = int(np.count_nonzero(unlike))
    if places < MIN_PLACES:
        return 1.0
    first, second = (np.where(unlike, row[:count], np.float64(0)) for row in (one, other))
    mean, other_mean = float(first.sum()) / places, float(second.sum()) / places
    variance = float(first @ first) / places - mean**2, float(second @ second) / places - other_mean**2
    if min(variance) <= 1e-9 * max(mean**2, other_mean**2):  # all alike: nothing to compare
        return 1.0
    together = float(first @ second) / places - mean * other_mean
    return min(max(1.0 - together / math.sqrt(variance[0] * variance[1]), 0.0), 1.0)


def _usual_change(
    likelihood: SimilarityLikelihood, table: Floats, rows: NDArray[np.int64], code: NDArray[np.int64]
) -> float:
    """The median over pairs of a place and the next one. Both and their neighbors are left out of the rows that are compared."""
    found = []
    for at in np.flatnonzero((np.diff(rows) == 1) & (code[rows][1:] == code[rows][:-1]))[:_PAIRS]:
        pair = table[at : at + 2].copy()
        pair[:, max(rows[at] - _NEAR, 0) : rows[at] + _NEAR + 2] = -np.inf
        found.append(change_of(*(Seen(row, likelihood(row, len(row))) for row in pair)))
    return float(np.clip(np.median(found), 0.02, 1.0)) if found else likelihood.change


def _dense(sparse: SparseRow, places: int) -> Floats:
    rows, values = np.asarray(sparse.rows, np.int64), np.asarray(sparse.values, np.float64)
    if rows.shape != values.shape or (len(rows) and (rows.min() < 0 or rows.max() >= places)):
        raise VprError(
            f"expected as many similarities as rows, all rows below {places}, found {rows.shape}, {values.shape}"
        )
    row = np.full(places, float(sparse.floor))
    row[rows] = values
    return row


def _center_and_spread(row: Floats) -> tuple[float, float]:
    """Median and 1.4826 times the median absolute deviation, the standard deviation of a normal distribution."""
    center = _median(row)
    return center, 1.4826 * _median(np.abs(row - center))


def _median(row: Floats) -> float:
    """The upper median: one partition, where numpy's takes several times as long."""
    middle = len(row) // 2
    return float(np.partition(row, middle)[middle])
