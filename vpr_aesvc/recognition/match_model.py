"""What a verified match means in one map: its false-positive rate, and the probability that it is right.

Twenty inliers mean much in a hall of posters and little on stairs that are equal on every floor. So the model is learned from the map
itself (``simulated_runs``), with a prior that was learned once from other maps (``match_prior.json``) and counts more the smaller the map.

1. c: distinctive inliers (``verification.distinctive_inliers``), those that no candidate of another place has. A frame from elsewhere often fits
   several places.
2. False-positive rate of c, for absent frames. Body, rates 1 to 0.2: the empirical ones. Tail: exponential beyond u, the 0.8 quantile but at
   least 8, with unknown scale (peaks over threshold; Pickands, 1975). With a conjugate prior the predictive distribution is Lomax:
   ``0.2 (1 + (c - u) / scale)^-shape``, ``shape = w + k``, ``scale = w * prior scale + k * mean exceedance``, where w is the weight of the prior
   and k the effective number of independent segments (Kish). It is at least ``0.2 / (10 (w + k))``: the tail is not trusted further.
   Places outside the map look more like its places than these like each other: the scale is 1.4 times that of the simulated frames, and the rate
   twice (measured; see docs/recognition.md).
3. With a sequence the rate is divided by ``max(1.5 * posterior, 0.1)``: p-value weighting (Genovese, Roeder and Wasserman, Biometrika 2006),
   which keeps the promised rate as the weights of frames from outside the map average at most 1.
4. Probability: logistic regression over ``log(1 + c)`` and, with a sequence, the log odds of the posterior, for as many frames from inside as from
   outside the map, times ``1 - 0.9 r`` with r the simulated rate of c. The coefficients have a normal prior.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from vpr_aesvc.recognition.simulated_runs import SimulatedAnswer
from vpr_aesvc.types import Floats

_TAIL = 0.2
_QUANTILES = 32  # kept of the body
_EXTRAPOLATION = 10
_OUTSIDE_RATE, _OUTSIDE_SCALE = 2.0, 1.4  # of frames from outside the map, in parts of the simulated ones
_MIN_WEIGHT, _WEIGHT = 0.1, 1.5
_MIN_START = 8.0  # inliers that unrelated images reach
_RIDGE = 0.01  # of the weights by which candidates are ordered, for each frame
_MAX_LOG_ODDS = math.log(1000)


class MatchModel(BaseModel):
    """The model of one map at one descriptor size; see the text of the module.

    Attributes:
        absent, present: number of simulated frames that it was learned from; segments: effective number of segments in the tail.
        body: distinctive inliers that are exceeded at the rates 1 ... 0.2, in equal steps; the last is where the tail begins.
        scale, shape: of the tail.
        ranking: weights of log(1 + inliers) and of the patch score, by which candidates are ordered; None without patches.
        with_sequence: coefficients of log(1 + c), of the log odds of the posterior, and the constant. frame_alone: the same without a sequence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    absent: int = Field(ge=0)
    present: int = Field(ge=0)
    segments: float = Field(ge=0)
    body: tuple[float, ...] = Field(min_length=2)
    scale: float = Field(gt=0)
    shape: float = Field(gt=0)
    with_sequence: tuple[float, float, float]
    frame_alone: tuple[float, float, float]
    ranking: tuple[float, float] | None = None

    @classmethod
    def learn(cls, answers: Sequence[SimulatedAnswer], prior: Mapping[str, Any] | None = None) -> MatchModel:
        """From the simulated answers in a map; there may be none. ``prior``: by default ``match_prior()``."""
        prior = prior or match_prior()
        inliers = np.array([one.inliers for one in answers], np.float64)
        is_absent = np.array([one.is_absent for one in answers], np.bool_)
        right = np.array([one.right for one in answers], np.bool_)
        absent = inliers[is_absent]
        body = (
            np.quantile(absent, np.linspace(0, 1 - _TAIL, _QUANTILES)) if len(absent) else np.linspace(0, _MIN_START, 2)
        )
        body[-1] = max(body[-1], _MIN_START)
        excess = np.maximum(absent - body[-1], 0)
        _, segment = np.unique([one.segment for one in answers if one.is_absent], return_inverse=True)
        sums = np.bincount(segment, excess) if len(absent) else np.zeros(1)
        effective = float(sums.sum() ** 2 / np.square(sums).sum()) if sums.any() else 0.0
        mean = float(excess[excess > 0].mean()) if sums.any() else 0.0
        used = is_absent | right
        curves = [
            _fit(
                np.column_stack([np.log1p(inliers), [_log_odds(posterior) for posterior in posteriors]])[used].reshape(
                    -1, 2
                ),
                right[used],
                np.array(prior["curves"][name]),
                prior["frames"],
            )
            for name, posteriors in (
                ("with_sequence", [one.posterior for one in answers]),
                ("frame_alone", [one.alone for one in answers]),
            )
        ]
        return cls(
            absent=int(is_absent.sum()),
            present=int((~is_absent).sum()),
            segments=round(effective, 2),
            body=tuple(np.maximum.accumulate(body).round(3).tolist()),
            scale=prior["segments"] * prior["scale"] + effective * mean,
            shape=prior["segments"] + effective,
            with_sequence=curves[0],
            frame_alone=curves[1],
            ranking=_fit_ranking([one.candidates for one in answers if not one.is_absent]),
        )

    def line(self) -> str:
        """For the user: what comes from the map, and what from other maps."""
        weight = match_prior()["segments"]
        own = self.segments / (self.segments + weight)
        return (
            f"with key points: {self.min_rate:.2g} for a frame alone, {self.min_rate / _WEIGHT:.2g} with a sequence; learned from {self.absent} frames "
            f"of this map as if they were elsewhere and {self.present} as new ones, {100 * own:.0f} % of the tail from this map, the rest from others"
        )

    @property
    def min_rate(self) -> float:
        """The smallest false-positive rate of a frame alone that this map can promise."""
        return round(_OUTSIDE_RATE * _TAIL / (_EXTRAPOLATION * self.shape), 6)

    def false_positive_rate(self, inliers: float) -> float:
        """Part of the frames from outside the map whose best candidate has at least so many distinctive inliers."""
        return min(1.0, max(self.extrapolated_rate(inliers), self.min_rate))

    def extrapolated_rate(self, inliers: float) -> float:
        """``false_positive_rate``, but not limited to what the map and the prior have shown."""
        return _OUTSIDE_RATE * self._rate(inliers, _OUTSIDE_SCALE * self.scale)

    def _rate(self, inliers: float, scale: float) -> float:
        start = self.body[-1]
        if inliers <= start:
            counts, first = np.unique(self.body, return_index=True)  # all frames have at least the fewest inliers
            return float(np.interp(inliers, counts, np.linspace(1, _TAIL, len(self.body))[first]))
        return _TAIL * (1 + (inliers - start) / scale) ** -self.shape

    def probability(self, inliers: float, posterior: float, sequence: bool) -> float:
        """That the match is right, if the robot is in the map in half of the cases."""
        by_inliers, by_posterior, constant = self.with_sequence if sequence else self.frame_alone
        score = by_inliers * math.log1p(inliers) + by_posterior * _log_odds(posterior) + constant
        return (1 - 0.9 * self._rate(inliers, self.scale)) * (0.5 + 0.5 * math.tanh(0.5 * score))


def stored_name(size: int) -> str:
    """Of the model in a map. What older maps have learned, ``matches/<size>``, counted all inliers."""
    return f"matches/{size}/distinctive"


def sequence_weight(posterior: float) -> float:
    """Divides a false-positive rate. Smallest for a posterior of 0, 1.5 for a posterior of 1."""
    return max(_WEIGHT * posterior, _MIN_WEIGHT)


MAX_SEQUENCE_WEIGHT = _WEIGHT


@cache
def match_prior() -> dict[str, Any]:
    """``match_prior.json``; the command that made it is in it."""
    prior: dict[str, Any] = json.loads(files(__package__).joinpath("match_prior.json").read_text())
    return prior


def _log_odds(probability: float) -> float:
    return max(-_MAX_LOG_ODDS, min(_MAX_LOG_ODDS, math.log(max(probability, 1e-9) / max(1 - probability, 1e-9))))


def _fit(features: Floats, right: np.ndarray[Any, Any], prior: Floats, frames: float) -> tuple[float, float, float]:
    """Maximum a posteriori logistic regression by Newton's method, both classes with the same total weight.

    Args:
        features: [n, 2]. right: bool [n]. prior: [3], mean of the coefficients.
        frames: the prior weighs as much as so many frames: its precision is theirs, with features of variance 1.
    """
    table = np.column_stack([features, np.ones(len(features))])
    line = prior.astype(np.float64)
    if right.all() or not right.any():
        return float(line[0]), float(line[1]), float(line[2])
    weight = np.where(right, 0.5 / right.sum(), 0.5 / (~right).sum()) * len(right)
    precision = np.full(3, frames / 4)
    for _ in range(50):
        probability = 1 / (1 + np.exp(-table @ line))
        gradient = table.T @ (weight * (right - probability)) - precision * (line - prior)
        curvature = (table * (weight * probability * (1 - probability))[:, None]).T @ table + np.diag(precision)
        step = np.clip(np.linalg.solve(curvature, gradient), -1, 1)
        line += step
        if np.abs(step).max() < 1e-8:
            break
    return max(float(line[0]), 0.0), max(float(line[1]), 0.0), float(line[2])


def _fit_ranking(candidates: Sequence[Sequence[tuple[int, float, bool]]]) -> tuple[float, float] | None:
    """Conditional logit (McFadden, 1974): the weights that give the shown candidates of each frame the largest probability. None if no frame has
    both kinds."""
    useful = [np.array(one, np.float64) for one in candidates if one and 0 < sum(row[2] for row in one) < len(one)]
    if not useful:
        return None
    weights = np.zeros(2)
    for _ in range(50):
        gradient, curvature = -_RIDGE * len(useful) * weights, _RIDGE * len(useful) * np.eye(2)
        for one in useful:
            features = np.column_stack([np.log1p(one[:, 0]), one[:, 1]])
            odds = np.exp(features @ weights - (features @ weights).max())
            given, wanted = odds / odds.sum(), odds * one[:, 2] / (odds @ one[:, 2])
            mean = given @ features
            gradient += (wanted - given) @ features
            curvature += (features * given[:, None]).T @ features - np.outer(mean, mean)
        step = np.clip(np.linalg.solve(curvature, gradient), -2, 2)
        weights += step
        if np.abs(step).max() < 1e-6:
            break
    return max(float(weights[0]), 0.0), max(float(weights[1]), 0.0)
