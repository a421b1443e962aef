"""What inliers are worth in this map: how often a place that the map lacks would get as many, and how probable a match with so many
is. Learned from the map itself, without labels.

Twenty inliers mean much in a hall of posters and little on stairs that are the same on every floor. So places of the map are asked for
among the other places: once as if the map lacked them, with all that lies around them left out, and once with the places just before
and after them as right answers. The first gives the null: false positives at each count. Both give a logistic curve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.geometry.local_features import Keypoints
from vpr_aesvc.recognition.geometry.reranking import MIN_INLIERS, judge, rerank
from vpr_aesvc.recognition.geometry.verification import Geometry, verify

_FEWEST = 20  # answers; fewer make neither a tail nor a curve
_TAIL = 0.2  # of the null: counts above this upper part are taken to fall off exponentially (peaks over threshold, Pickands 1975)
_BEYOND = 10  # the tail is trusted to so many times rarer than what n answers show, once in n: a twin that they missed does not follow it


@dataclass(frozen=True)
class InlierModel:
    """What inliers are worth in one map.

    Attributes:
        absent: inliers of the first candidate after :func:`rerank` for places that the map was made to lack, ascending.
        slope, intercept: the probability of that candidate is ``1 / (1 + exp(-(intercept + slope * log(1 + inliers))))``.
        present: how many answers with the place in the map there were.
    """

    absent: tuple[int, ...]
    slope: float
    intercept: float
    present: int

    def probability(self, geometry: Geometry) -> float | None:
        """That the first candidate is right, in (0, 1); None where the check cannot tell."""
        if judge(geometry) == "cannot tell":
            return None
        return float(_logistic(self.intercept + self.slope * math.log1p(geometry.inliers)))

    @property
    def least_rate(self) -> float:
        """The smallest false-positive rate that so many answers can promise, whatever the count."""
        return 1 / (_BEYOND * len(self.absent))

    def false_positive_rate(self, inliers: int) -> float:
        """Part of the frames of other places, with texture, whose first candidate would have at least so many inliers."""
        level, scale = self._tail()
        if inliers > level:
            return max(_TAIL * math.exp(-(inliers - level) / scale), self.least_rate)
        return (1 + sum(count >= inliers for count in self.absent)) / (1 + len(self.absent))

    def least_inliers(self, false_positive_rate: float) -> int:
        """From how many inliers on to accept, so that at most this part of the frames of other places is; never fewer than chance
        alone may give. It does not say whether the map can promise that rate: see :attr:`least_rate`.

        Raises:
            VprError: not a rate between 0 and 0.2; above, nearly everything counts.
        """
        if not 0 < false_positive_rate <= _TAIL:
            raise VprError(f"a false positive rate is above 0 and at most {_TAIL}, found {false_positive_rate}")
        level, scale = self._tail()
        return max(MIN_INLIERS, math.ceil(level + scale * math.log(_TAIL / false_positive_rate)))

    def _tail(self) -> tuple[float, float]:
        counts = np.array(self.absent, np.float64)
        level = float(np.quantile(counts, 1 - _TAIL))
        above = counts[counts > level] - level
        return level, max(1.0, float(above.mean()) if len(above) else 1.0)

    def to_json(self) -> dict[str, Any]:
        """A few hundred small numbers, to be kept with the map."""
        return asdict(self)

    @classmethod
    def from_json(cls, numbers: Mapping[str, Any]) -> InlierModel:
        """What :meth:`to_json` gave.

        Raises:
            VprError: a number is missing, not finite or out of range.
        """
        try:
            absent = tuple(sorted(int(count) for count in numbers["absent"]))
            found = cls(absent, float(numbers["slope"]), float(numbers["intercept"]), int(numbers["present"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise VprError(f"what inliers are worth cannot be read ({error}); learn it again from the map") from error
        sound = math.isfinite(found.slope) and math.isfinite(found.intercept) and found.slope >= 0
        if not sound or len(absent) < _FEWEST or absent[0] < 0:
            raise VprError("what inliers are worth cannot be read (a number out of range); learn it again from the map")
        return found


def learn_inlier_model(
    keypoints: Sequence[Keypoints],
    descriptors: NDArray[np.floating],
    where: NDArray[np.floating],
    near: float = 3.0,
    far: float = 20.0,
    sample: int = 200,
    top: int = 5,
    share_absent: float = 0.1,
) -> InlierModel | None:
    """Asks for some places of a map among its others. The same input gives the same answer.

    Args:
        keypoints: of each of the n places.
        descriptors: float [n, d], unit norm.
        where: float [n, p], such that the distance of two rows says whether places are the same: positions in meters, or
            (number of the traverse * 1e6, position along it) where there are none. A map of several laps without poses takes the
            other laps' right answers for wrong ones; then it accepts less than it could.
        near: places up to this apart are the same place.
        far: from here on they show nothing of each other. What lies between is left out.
        sample: how many places to ask for; each costs ``2 * top`` comparisons.
        share_absent: part of the frames, between 0 and 1, that are expected to show places the map lacks; for the probability only.

    Returns:
        None from fewer than 20 answers of either sort: the map is too small, too sparse, or without texture.
    """
    asked = np.sort(np.random.default_rng(0).permutation(len(keypoints))[:sample])
    absent: list[int] = []
    present: list[tuple[int, bool]] = []
    for row in asked:
        distance = np.linalg.norm(where - where[row], axis=1)
        distance[row] = np.nan  # a place is no answer to itself
        ranked = np.argsort(-(descriptors @ descriptors[row]), kind="stable")
        first = _first(keypoints, row, ranked[distance[ranked] >= far][:top])
        if first is not None:
            absent.append(first[1])
        if (distance <= near).any():
            first = _first(keypoints, row, ranked[(distance[ranked] <= near) | (distance[ranked] >= far)][:top])
            if first is not None:
                present.append((first[1], bool(distance[first[0]] <= near)))
    if min(len(absent), len(present)) < _FEWEST:
        return None
    inliers = np.array([count for count, _ in present] + absent)
    right = np.array([found for _, found in present] + [False] * len(absent))
    parts = (1 - share_absent) / len(present), share_absent / len(absent)
    slope, intercept = fit_logistic(inliers, right, np.repeat(parts, (len(present), len(absent))) * len(present))
    return InlierModel(tuple(sorted(absent)), slope, intercept, len(present))


def _first(keypoints: Sequence[Keypoints], row: int, candidates: NDArray[np.int64]) -> tuple[int, int] | None:
    """The candidate that comes first, and its inliers; None where the check cannot tell."""
    found = [verify(keypoints[row], keypoints[at]) for at in candidates]
    if not found:
        return None
    best = rerank(found).order[0]
    return None if judge(found[best]) == "cannot tell" else (int(candidates[best]), found[best].inliers)


def fit_logistic(
    inliers: NDArray[np.integer], right: NDArray[np.bool_], weights: NDArray[np.floating]
) -> tuple[float, float]:
    """Slope and intercept over ``log(1 + inliers)``, from counts [n], whether each was right [n] and how much each counts [n]: Newton's
    method on Platt's smoothed targets (Platt 1999), which stay finite where right and wrong are separable. The slope is never below 0."""
    found, lost = float(weights[right].sum()), float(weights[~right].sum())
    target = np.where(right, (found + 1) / (found + 2), 1 / (lost + 2))
    table = np.column_stack([np.log1p(inliers), np.ones(len(inliers))])
    line = np.zeros(2)
    for _ in range(100):
        chance = _logistic(table @ line)
        uphill = table.T @ (weights * (target - chance))
        curvature = (table * (weights * chance * (1 - chance))[:, None]).T @ table + 1e-6 * np.eye(2)
        step = np.clip(np.linalg.solve(curvature, uphill), -1, 1)
        line += step
        if np.abs(step).max() < 1e-9:
            break
    if line[0] < 0:  # more inliers never mean less: then the count says nothing here
        line = np.array([0.0, math.log((found + 1) / (lost + 1))])
    return float(line[0]), float(line[1])


def _logistic(score: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(score, -30, 30)))
