"""Measurement model: the log likelihood ratio of each place from the similarities of one frame, learned from the map without labels.

Let ``s_i`` be the similarity to place i, and c and w the median and 1.4826 times the median absolute deviation of all s. Then

    z_i = min((s_i - c) / w, 12)
    l_i = sharpness * z_i - offset              log of p(s_i | at place i) / p(s_i | elsewhere), as for two normals of equal width
    l_i = l_i - 0.9 max(l_i - log n, 0)         n places cannot show events rarer than 1 / n
    log ratio_i = log(0.95 exp(l_i) + 0.05)     5 % of the frames do not show their place: occlusion, blur, glare
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from vpr_aesvc.errors import VprError
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.recognition.similarity.sampled import SampledSimilarities, StoredDescriptors
from vpr_aesvc.types import Floats, Rows

MIN_PLACES = 20
"""With fewer places the spread of similarities is unknown: all log ratios are 0."""
_MAX_Z = 12.0
_EXCESS = 0.1  # part of the excess over log n that is kept, so that the order of likely places stays
_OUTLIERS = 0.05
_SHARPNESS = np.geomspace(0.7, 5.6, 19)  # candidates
_NEAR = 3  # places on either side that surely show the same
_SAMPLE, _PAIRS = 512, 128


@dataclass(frozen=True, config=ConfigDict(allow_inf_nan=False))
class SimilarityLikelihood:
    """Similarities -> log likelihood ratio of each place against not being in the map; see the text of the module.

    Attributes:
        sharpness: per standard deviation.
        offset: log of the mean of ``exp(sharpness * z)`` over places that a frame does not show.
        change: median of ``change_of`` between neighboring places of the map, 0 to 1.
    """

    sharpness: float
    offset: float
    change: float

    def __call__(self, similarities: NDArray[np.floating] | SampledSimilarities, places: int) -> Floats:
        """Log likelihood ratios float64 [places], or of the rows of ``SampledSimilarities``. Minus infinity, which excludes a place, where
        the similarity is minus infinity and for places beyond the end of ``similarities``.

        Raises:
            VprError: more similarities than places, or a similarity that is NaN or plus infinity.
        """
        weights: Floats | None = None
        if isinstance(similarities, SampledSimilarities):
            weights, similarities = similarities.weights, similarities.values
            places = len(similarities)
        row = np.asarray(similarities)
        row = row if row.dtype == np.float32 else row.astype(np.float64)
        if row.ndim != 1 or len(row) > places:
            raise VprError(f"expected at most {places} similarities, one for each place, found shape {row.shape}")
        if not (row < np.inf).all():
            raise VprError("a similarity is not a finite number; describe the frame with the model of the map")
        allowed = row > -np.inf
        if len(row) == places and allowed.all():
            return self._log_ratio(row, weights)
        log_ratio = np.full(places, -np.inf)
        log_ratio[: len(row)][allowed] = self._log_ratio(row[allowed], None if weights is None else weights[allowed])
        return log_ratio

    def _log_ratio(self, similarities: Floats, weights: Floats | None) -> Floats:
        if len(similarities) < MIN_PLACES:
            return np.zeros(len(similarities))
        center = _median(similarities, weights)
        spread = 1.4826 * _median(np.abs(similarities - similarities.dtype.type(center)), weights)
        scores = np.subtract(similarities, center, dtype=np.float64)
        scores *= self.sharpness / max(spread, 1e-9)
        np.minimum(scores, self.sharpness * _MAX_Z, out=scores)
        scores -= self.offset
        limit = math.log(len(similarities) if weights is None else weights.sum())
        scores -= (1 - _EXCESS) * np.maximum(scores - limit, 0)
        np.exp(scores, out=scores)
        scores *= 1 - _OUTLIERS
        scores += _OUTLIERS
        return np.log(scores, out=scores)


DEFAULT_LIKELIHOOD = SimilarityLikelihood(sharpness=1.0, offset=0.5, change=0.75)


def learn_similarity_likelihood(
    descriptors: NDArray[np.floating] | StoredDescriptors,
    traverses: Sequence[Hashable] | NDArray[np.generic],
    step: Callable[[float], None] = lambda part: None,
) -> SimilarityLikelihood:
    """Fits ``SimilarityLikelihood`` to a map. Up to 512 places serve as frames; their neighbors along the traverse are the right
    answers. The sharpness maximizes the mean log probability of the neighbors among all other places.

    For each frame the most similar other places (7 in a row) are left out: they may be a second pass of the same place. In a map with
    three or more passes the fit is too cautious.

    Args:
        descriptors: float [n, d], unit norm, in the order they were driven. With ``StoredDescriptors`` each frame is compared with the
            most similar places, its neighbors and a sample.
        traverses: the traverse of each.
        step: called often with the part of the work that is done, 0 to 1.

    Returns:
        The default if the map has too few places.
    """
    count = len(descriptors)
    _, traverse = np.unique(np.asarray(traverses), return_inverse=True)
    rows = _sample_rows(count)
    around = rows[:, None] + np.delete(np.arange(-_NEAR, _NEAR + 1), _NEAR)
    around[(around < 0) | (around >= count)] = -1
    around[traverse[around] != traverse[rows][:, None]] = -1
    rows, around = rows[(around >= 0).any(1)], around[(around >= 0).any(1)]
    if len(rows) < MIN_PLACES:
        return DEFAULT_LIKELIHOOD
    if isinstance(descriptors, StoredDescriptors):
        similarities, columns, weights = _compare_some(descriptors, rows, around)
        sample, sampled = descriptors.sample, descriptors[rows] @ descriptors.sampled.T
    else:
        descriptors, sample = unit(descriptors), np.arange(count)
        similarities = sampled = descriptors[rows] @ descriptors.T
        columns, weights = np.broadcast_to(sample, similarities.shape), np.ones((1, 1), np.float32)
    own = columns == rows[:, None]
    similarities[own] = np.inf  # the place itself: the last in order
    center = _medians(similarities, weights)[:, None]
    spread = 1.4826 * _medians(np.abs(similarities - center), weights)[:, None]
    scores = np.minimum((similarities - center) / np.maximum(spread, 1e-9), _MAX_Z)
    scores[own] = -np.inf
    near = np.zeros(scores.shape, np.bool_)
    for offset in around.T:
        near |= columns == offset[:, None]
    right = np.where(near, scores, -np.inf)
    scores[near] = -np.inf
    for query, best in enumerate(scores.argmax(1)):
        scores[query, np.abs(columns[query] - columns[query, best]) <= _NEAR] = -np.inf
    right = np.sort(right, 1)[:, -2 * _NEAR :]
    far_count = np.maximum(((scores > -np.inf) * weights).sum(1, dtype=np.float64), 1)
    fits: list[tuple[float, float, float]] = []
    for sharpness in _SHARPNESS.astype(np.float32):
        step(len(fits) / len(_SHARPNESS))
        near_sum, far_sum = np.exp(sharpness * right).sum(1), (weights * np.exp(sharpness * scores)).sum(1)
        offset = np.median(np.log(far_sum / far_count + 1e-12))
        fits.append((float(np.log(near_sum / (near_sum + far_sum)).mean()), float(sharpness), float(offset)))
    _, best_sharpness, best_offset = max(fits)
    likelihood = SimilarityLikelihood(best_sharpness, best_offset, DEFAULT_LIKELIHOOD.change)
    return replace(likelihood, change=_median_change(likelihood, sampled, sample, rows, traverse))


def _compare_some(
    descriptors: StoredDescriptors, rows: Rows, around: Rows
) -> tuple[NDArray[np.float32], Rows, NDArray[np.float32]]:
    """For each of q rows its similarities to k places, the rows of these, -1 where there are fewer, and their weights, 0 for
    the row itself: [q, k]."""
    found = [
        descriptors.similarities(query).including(np.unique(np.append(near[near >= 0], row)))
        for query, near, row in zip(descriptors[rows], around, rows, strict=True)
    ]
    width = max(len(one.rows) for one in found)
    similarities = np.full((len(rows), width), -np.inf, np.float32)
    columns, weights = np.full((len(rows), width), -1), np.zeros((len(rows), width), np.float32)
    for at, one in enumerate(found):
        similarities[at, : len(one.rows)], columns[at, : len(one.rows)] = one.values, one.rows
        weights[at, : len(one.rows)] = np.where(one.rows == rows[at], 0, one.weights)
    return similarities, columns, weights


class ObservedFrame(NamedTuple):
    """The similarities of a frame, float [m], and its log likelihood ratios, float64 [n]. In a large map both are those of some places; the
    same sample is among them for each frame."""

    similarities: NDArray[np.floating] | SampledSimilarities
    log_ratio: Floats

    @property
    def sample(self) -> tuple[NDArray[np.floating], Floats]:
        """Those of the sample, or of all places."""
        if not isinstance(self.similarities, SampledSimilarities):
            return self.similarities, self.log_ratio
        at = np.searchsorted(self.similarities.rows, self.similarities.places.sample)
        return self.similarities.values[at], self.log_ratio[at]


def change_of(previous: ObservedFrame, current: ObservedFrame) -> float:
    """How much of the similarities is new, 0 to 1: one minus the correlation of the similarities of two consecutive frames, over the
    places that neither frame shows (log ratio at most 0)."""
    (one, one_ratio), (other, other_ratio) = previous.sample, current.sample
    count = min(len(one), len(other))
    unlike = (one_ratio[:count] <= 0) & (other_ratio[:count] <= 0)
    finite = np.isfinite(one[:count]) & np.isfinite(other[:count])
    unlike &= finite
    places = int(np.count_nonzero(unlike))
    if places < MIN_PLACES:
        return 1.0
    rows = (one[:count], other[:count]) if finite.all() else (np.where(finite, row[:count], 0) for row in (one, other))
    first, second = (np.multiply(row, unlike, dtype=np.float64) for row in rows)  # no branch, unlike numpy.where
    mean, other_mean = float(first.sum()) / places, float(second.sum()) / places
    variance = float(first @ first) / places - mean**2, float(second @ second) / places - other_mean**2
    if min(variance) <= 1e-9 * max(mean**2, other_mean**2):  # all similarities are equal
        return 1.0
    covariance = float(first @ second) / places - mean * other_mean
    return min(max(1.0 - covariance / math.sqrt(variance[0] * variance[1]), 0.0), 1.0)


def _median_change(
    likelihood: SimilarityLikelihood, similarities: NDArray[np.float32], columns: Rows, rows: Rows, traverse: Rows
) -> float:
    """The median of ``change_of`` over pairs of a place and the next, their neighbors left out; the columns are similarities to ``columns``."""
    changes = []
    for at in np.flatnonzero((np.diff(rows) == 1) & (traverse[rows][1:] == traverse[rows][:-1]))[:_PAIRS]:
        pair = similarities[at : at + 2].copy()
        pair[:, (columns >= rows[at] - _NEAR) & (columns <= rows[at] + _NEAR + 1)] = -np.inf
        changes.append(change_of(*(ObservedFrame(row, likelihood(row, len(row))) for row in pair)))
    return float(np.clip(np.median(changes), 0.02, 1.0)) if changes else likelihood.change


def _sample_rows(count: int) -> Rows:
    """At most 512 rows, evenly spread over the map in pairs of a place and the next."""
    if count <= _SAMPLE:
        return np.arange(count)
    firsts = np.linspace(0, count - 2, _SAMPLE // 2).astype(np.int64)
    return np.unique(np.concatenate([firsts, firsts + 1]))


def _medians(table: NDArray[np.float32], weights: NDArray[np.floating]) -> NDArray[np.float32]:
    """The upper median of each row without its largest entry; ``weights`` are of the entries, or [1, 1] if they are equal."""
    if weights.size > 1:
        return np.array([_median(row, weight) for row, weight in zip(table, weights, strict=True)], np.float32)
    middle = (table.shape[1] - 1) // 2
    return np.asarray(np.partition(table, middle, axis=1)[:, middle])


def _median(row: Floats, weights: Floats | None = None) -> float:
    """The upper median: one partition, several times faster than ``numpy.median``; with weights, if they are given."""
    if weights is not None:
        order = np.argsort(row)
        below = np.cumsum(weights[order])
        return float(row[order[np.searchsorted(below, below[-1] / 2, side="right")]])
    middle = len(row) // 2
    return float(np.partition(row, middle)[middle])
