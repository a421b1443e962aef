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

    def __call__(self, similarities: NDArray[np.floating], places: int) -> Floats:
        """Log likelihood ratios float64 [places]. Minus infinity, which excludes a place, where the similarity is minus infinity and
        for places beyond the end of ``similarities``.

        Raises:
            VprError: more similarities than places, or a similarity that is NaN or plus infinity.
        """
        row = np.asarray(similarities, float)
        if row.ndim != 1 or len(row) > places:
            raise VprError(f"expected at most {places} similarities, one for each place, found shape {row.shape}")
        if not (row < np.inf).all():
            raise VprError("a similarity is not a finite number; describe the frame with the model of the map")
        allowed = row > -np.inf
        if len(row) == places and allowed.all():
            return self._log_ratio(row)
        log_ratio = np.full(places, -np.inf)
        log_ratio[: len(row)][allowed] = self._log_ratio(row[allowed])
        return log_ratio

    def _log_ratio(self, similarities: Floats) -> Floats:
        if len(similarities) < MIN_PLACES:
            return np.zeros(len(similarities))
        center = _median(similarities)
        spread = 1.4826 * _median(np.abs(similarities - center))
        scores = self.sharpness * np.minimum((similarities - center) / max(spread, 1e-9), _MAX_Z) - self.offset
        limit = math.log(len(similarities))
        scores -= (1 - _EXCESS) * np.maximum(scores - limit, 0)
        return np.asarray(np.log((1 - _OUTLIERS) * np.exp(scores) + _OUTLIERS))


DEFAULT_LIKELIHOOD = SimilarityLikelihood(sharpness=1.0, offset=0.5, change=0.75)


def learn_similarity_likelihood(
    descriptors: NDArray[np.floating],
    traverses: Sequence[Hashable] | NDArray[np.generic],
    step: Callable[[float], None] = lambda part: None,
) -> SimilarityLikelihood:
    """Fits ``SimilarityLikelihood`` to a map. Up to 512 places serve as frames; their neighbors along the traverse are the right
    answers. The sharpness maximizes the mean log probability of the neighbors among all other places.

    For each frame the most similar other places (7 in a row) are left out: they may be a second pass of the same place. In a map with
    three or more passes the fit is too cautious.

    Args:
        descriptors: float [n, d], unit norm, in the order they were driven.
        traverses: the traverse of each.
        step: called often with the part of the work that is done, 0 to 1.

    Returns:
        The default if the map has too few places.
    """
    count = len(descriptors)
    _, traverse = np.unique(np.asarray(traverses), return_inverse=True)
    rows = _sample_rows(count)
    near = (np.abs(rows[:, None] - np.arange(count)) <= _NEAR) & (traverse[rows][:, None] == traverse)
    near[np.arange(len(rows)), rows] = False
    has_neighbor = near.any(1)
    rows, near = rows[has_neighbor], near[has_neighbor]
    if len(rows) < MIN_PLACES:
        return DEFAULT_LIKELIHOOD
    descriptors = unit(descriptors)
    queries = np.arange(len(rows))
    similarities = descriptors[rows] @ descriptors.T
    similarities[queries, rows] = np.inf  # the place itself: the last in order
    center = _medians(similarities)[:, None]
    spread = 1.4826 * _medians(np.abs(similarities - center))[:, None]
    scores = np.minimum((similarities - center) / np.maximum(spread, 1e-9), _MAX_Z)
    scores[queries, rows] = -np.inf
    right = np.where(near, scores, -np.inf)
    scores[near] = -np.inf
    for query, best in enumerate(scores.argmax(1)):
        scores[query, max(best - _NEAR, 0) : best + _NEAR + 1] = -np.inf
    right = np.sort(right, 1)[:, -2 * _NEAR :]
    far_count = np.maximum((scores > -np.inf).sum(1), 1)
    fits: list[tuple[float, float, float]] = []
    for sharpness in _SHARPNESS.astype(np.float32):
        step(len(fits) / len(_SHARPNESS))
        near_sum, far_sum = np.exp(sharpness * right).sum(1), np.exp(sharpness * scores).sum(1)
        offset = np.median(np.log(far_sum / far_count + 1e-12))
        fits.append((float(np.log(near_sum / (near_sum + far_sum)).mean()), float(sharpness), float(offset)))
    _, best_sharpness, best_offset = max(fits)
    likelihood = SimilarityLikelihood(best_sharpness, best_offset, DEFAULT_LIKELIHOOD.change)
    return replace(likelihood, change=_median_change(likelihood, similarities, rows, traverse))


class ObservedFrame(NamedTuple):
    """The similarities of a frame, float [m], and its log likelihood ratios, float64 [n]."""

    similarities: NDArray[np.floating]
    log_ratio: Floats


def change_of(previous: ObservedFrame, current: ObservedFrame) -> float:
    """How much of the similarities is new, 0 to 1: one minus the correlation of the similarities of two consecutive frames, over the
    places that neither frame shows (log ratio at most 0)."""
    one, other = previous.similarities, current.similarities
    count = min(len(one), len(other))
    unlike = (previous.log_ratio[:count] <= 0) & (current.log_ratio[:count] <= 0)
    unlike &= np.isfinite(one[:count]) & np.isfinite(other[:count])
    places = int(np.count_nonzero(unlike))
    if places < MIN_PLACES:
        return 1.0
    first, second = (np.where(unlike, row[:count], np.float64(0)) for row in (one, other))
    mean, other_mean = float(first.sum()) / places, float(second.sum()) / places
    variance = float(first @ first) / places - mean**2, float(second @ second) / places - other_mean**2
    if min(variance) <= 1e-9 * max(mean**2, other_mean**2):  # all similarities are equal
        return 1.0
    covariance = float(first @ second) / places - mean * other_mean
    return min(max(1.0 - covariance / math.sqrt(variance[0] * variance[1]), 0.0), 1.0)


def _median_change(likelihood: SimilarityLikelihood, similarities: Floats, rows: Rows, traverse: Rows) -> float:
    """The median of ``change_of`` over pairs of a place and the next, their neighbors left out."""
    changes = []
    for at in np.flatnonzero((np.diff(rows) == 1) & (traverse[rows][1:] == traverse[rows][:-1]))[:_PAIRS]:
        pair = similarities[at : at + 2].copy()
        pair[:, max(rows[at] - _NEAR, 0) : rows[at] + _NEAR + 2] = -np.inf
        changes.append(change_of(*(ObservedFrame(row, likelihood(row, len(row))) for row in pair)))
    return float(np.clip(np.median(changes), 0.02, 1.0)) if changes else likelihood.change


def _sample_rows(count: int) -> Rows:
    """At most 512 rows, evenly spread over the map in pairs of a place and the next."""
    if count <= _SAMPLE:
        return np.arange(count)
    firsts = np.linspace(0, count - 2, _SAMPLE // 2).astype(np.int64)
    return np.unique(np.concatenate([firsts, firsts + 1]))


def _medians(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """The upper median of each row without its largest entry."""
    middle = (table.shape[1] - 1) // 2
    return np.asarray(np.partition(table, middle, axis=1)[:, middle])


def _median(row: Floats) -> float:
    """The upper median: one partition, several times faster than ``numpy.median``."""
    middle = len(row) // 2
    return float(np.partition(row, middle)[middle])
