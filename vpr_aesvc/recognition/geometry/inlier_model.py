"""What a number of inliers means in one map: its false-positive rate, and the probability that the match is right.

Twenty inliers mean much in a hall of posters and little on stairs that are equal on every floor. So the model is learned from the map
itself, without labels, by ``learn_inlier_model``:

1. Up to 200 places serve as queries. *Absent*: the 5 most similar places are taken from those at least ``far`` away and reranked; the
   inliers of the first are a sample of the null distribution. *Present*: the places within 3 m are candidates as well.
2. False-positive rate of c inliers: with u the 0.8 quantile of the null and s the mean exceedance over u (at least 1),
   ``rate(c) = 0.2 exp(-(c - u) / s)`` for c > u (peaks over threshold; Pickands, 1975), else the empirical rate. It is at least
   1 / (10 n) for n samples: perceptual aliases that they do not contain break the tail fit further out.
3. Probability: a logistic curve over ``log(1 + inliers)``, fitted to both kinds of queries.
"""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, NonNegativeFloat, NonNegativeInt
from pydantic.dataclasses import dataclass

from vpr_aesvc.recognition.geometry.local_features import Keypoints, StoredKeypoints
from vpr_aesvc.recognition.geometry.verification import Geometry, geometric_verdict, rerank, verify
from vpr_aesvc.types import Rows

_QUERIES = 200  # places that serve as queries; each costs at most ten comparisons
_CANDIDATES = 5
MIN_ANSWERS = 20
"""Queries of either kind that the model needs."""
_NEAR = 3.0  # meters, or places along a traverse: nearer places are the same place
_SHARE_ABSENT = 0.1  # part of the frames that are expected to show places outside the map; for the probability only
_TAIL = 0.2
_EXTRAPOLATION = 10


@dataclass(frozen=True, config=ConfigDict(allow_inf_nan=False))
class InlierModel:
    """The inlier model of one map; see the text of the module.

    Attributes:
        absent: inliers of the first candidate of queries whose place was left out, ascending: the null distribution.
        slope, intercept: the probability is ``1 / (1 + exp(-(intercept + slope * log(1 + inliers))))``.
        present: number of queries whose place was in the map.
    """

    absent: Annotated[tuple[NonNegativeInt, ...], Field(min_length=MIN_ANSWERS)]
    slope: NonNegativeFloat
    intercept: float
    present: int

    def probability(self, geometry: Geometry) -> float | None:
        """Probability in (0, 1) that the first candidate is right; None if the key points cannot tell."""
        if geometric_verdict(geometry) == "cannot tell":
            return None
        return float(_sigmoid(self.intercept + self.slope * math.log1p(geometry.inliers)))

    @property
    def min_rate(self) -> float:
        """The smallest false-positive rate that this map can promise, for any number of inliers."""
        return 1 / (_EXTRAPOLATION * len(self.absent))

    def false_positive_rate(self, inliers: int) -> float:
        """Part of the frames of other places, with texture, whose first candidate has at least this many inliers."""
        start, scale = self._tail()
        if inliers > start:
            return max(_TAIL * math.exp(-(inliers - start) / scale), self.min_rate)
        return (1 + sum(count >= inliers for count in self.absent)) / (1 + len(self.absent))

    def _tail(self) -> tuple[float, float]:
        counts = np.array(self.absent, np.float64)
        start = float(np.quantile(counts, 1 - _TAIL))
        above = counts[counts > start] - start
        return start, max(1.0, float(above.mean()) if len(above) else 1.0)


def learn_inlier_model(
    keypoints: Sequence[Keypoints] | StoredKeypoints,
    descriptors: NDArray[np.floating],
    positions: NDArray[np.floating],
    far: float = 20.0,
    step: Callable[[float], None] = lambda part: None,
    queries: Rows | None = None,
) -> InlierModel | None:
    """Learns the model from a map. Deterministic.

    Args:
        keypoints: of each of the n places.
        descriptors: float [n, d], unit norm.
        positions: float [n, p], such that the distance of two rows says whether they are the same place: meters in the map frame, or
            (1e6 * number of the traverse, index along it) without poses. In a map of several laps without poses the other laps count
            as wrong answers; it then accepts less than it could.
        far: from this distance on, two places show nothing of each other.
        step: called often with the part of the work that is done, 0 to 1.
        queries: int64 [q], the places that serve as queries; by default ``sample_queries``.

    Returns:
        None with fewer than 20 answers of either kind: the map is too small, too sparse, or without texture.
    """
    queries = sample_queries(len(keypoints)) if queries is None else queries
    absent: list[int] = []
    present: list[tuple[int, bool]] = []
    for done, row in enumerate(queries):
        step(done / len(queries))
        distance = np.linalg.norm(positions - positions[row], axis=1)
        distance[row] = np.nan  # excludes the place itself
        ranked = np.argsort(-(descriptors @ descriptors[row]), kind="stable")
        is_near, is_far = distance[ranked] <= _NEAR, distance[ranked] >= far
        first = _first_candidate(keypoints, row, ranked[is_far][:_CANDIDATES])
        if first is not None:
            absent.append(first[1])
        if is_near.any():
            first = _first_candidate(keypoints, row, ranked[is_near | is_far][:_CANDIDATES])
            if first is not None:
                present.append((first[1], bool(distance[first[0]] <= _NEAR)))
    if min(len(absent), len(present)) < MIN_ANSWERS:
        return None
    inliers = np.array([count for count, _ in present] + absent)
    right = np.array([ok for _, ok in present] + [False] * len(absent))
    shares = (1 - _SHARE_ABSENT) / len(present), _SHARE_ABSENT / len(absent)
    weights = np.repeat(shares, (len(present), len(absent))) * len(present)
    slope, intercept = fit_inlier_curve(inliers, right, weights)
    return InlierModel(tuple(sorted(absent)), slope, intercept, len(present))


def sample_queries(count: int) -> Rows:
    """Up to 200 of ``count`` places, ascending."""
    return np.sort(np.random.default_rng(0).permutation(count)[:_QUERIES])


def _first_candidate(
    keypoints: Sequence[Keypoints] | StoredKeypoints, row: int, candidates: Rows
) -> tuple[int, int] | None:
    """Row and inliers of the first candidate after reranking; None if the key points cannot tell."""
    geometries = [verify(keypoints[row], keypoints[at]) for at in candidates]
    if not geometries:
        return None
    best = rerank(geometries)[0]
    cannot_tell = geometric_verdict(geometries[best]) == "cannot tell"
    return None if cannot_tell else (int(candidates[best]), geometries[best].inliers)


def fit_inlier_curve(
    inliers: NDArray[np.integer], right: NDArray[np.bool_], weights: NDArray[np.floating]
) -> tuple[float, float]:
    """Slope (at least 0) and intercept of a logistic curve over ``log(1 + inliers)``: weighted Newton's method on Platt's targets (Platt,
    1999). Unlike ``fit_logistic`` the classes have real-valued weights and there is no prior.

    Args:
        inliers: int [n]. right: bool [n]. weights: float [n].
    """
    right_weight, wrong_weight = float(weights[right].sum()), float(weights[~right].sum())
    target = np.where(right, (right_weight + 1) / (right_weight + 2), 1 / (wrong_weight + 2))
    table = np.column_stack([np.log1p(inliers), np.ones(len(inliers))])
    line = np.zeros(2)
    for _ in range(100):
        probability = _sigmoid(table @ line)
        gradient = table.T @ (weights * (target - probability))
        curvature = (table * (weights * probability * (1 - probability))[:, None]).T @ table + 1e-6 * np.eye(2)
        step = np.clip(np.linalg.solve(curvature, gradient), -1, 1)
        line += step
        if np.abs(step).max() < 1e-9:
            break
    if line[0] < 0:  # a decreasing curve is noise: use the mean
        line = np.array([0.0, math.log((right_weight + 1) / (wrong_weight + 1))])
    return float(line[0]), float(line[1])


def _sigmoid(score: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(score, -30, 30)))
