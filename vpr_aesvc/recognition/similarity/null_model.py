"""Null model of the similarity margin: the false-positive rate of accepting a margin, and the probability that the best place is right.

The null distribution is that of the margins of frames whose place is not in the map, simulated by ``leave_out``. With m a margin:

1. Body, rates 1 to 0.2: quantiles of the simulated margins. Let ``u`` be the 0.8 quantile.
2. Tail, m > u: exponential with unknown scale. With a conjugate prior, whose weight is that of 2 independent segments of the map, the predictive
   distribution is Lomax (Pareto II): ``rate(m) = 0.2 (1 + (m - u) / scale) ^ -shape`` with ``shape = 2 + k`` and
   ``scale = 2 * prior scale + k * mean exceedance``, where k is the effective number of independent segments.
3. Bound: ``rate(m) >= 0.2 / (10 (2 + k))``. Perceptual aliases that the map does not contain break the tail fit further out.

So a map of thirty places accepts little at small rates. If many places were passed twice without known positions, the best place of a
simulated frame is often right. Then twice the gap between the second and the third place replaces the margin: for exponential
tails the k-th gap times k has the same distribution for all k (Rényi, 1953).

The probability is the product of two logistic curves over ``x = log(margin + softening)``: P(best place right | in the map) and
P(in the map), fitted to the simulated present and absent frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from vpr_aesvc.recognition.similarity.leave_out import LeaveOutResult, leave_neighborhood_out
from vpr_aesvc.recognition.similarity.neighborhoods import Neighborhoods
from vpr_aesvc.types import Floats, Rows

IN_MAP = 0.9
"""Prior probability that the place of a frame is in the map."""
_TAIL = 0.2  # upper part of the null that is fitted as a tail
_QUANTILES = 32  # kept of the body
_EXTRAPOLATION = 10  # the tail is trusted down to rates this many times rarer than the segments show
_PRIOR_SEGMENTS = 2.0  # weight of the prior of the tail's scale, ...
_PRIOR_WIDTH = 2.0  # ... which is this many times the scale of the body
_EMPTY_BODY = 2.0  # where the body ends in a map that has nothing to compare
_REVISITED = 1.3  # a first gap this many times larger than twice the second is not chance
_MAX_ITERATIONS = 50
_SOFTENING = 0.1  # of the median margin: smaller differences carry no information


class Logistic(BaseModel):
    """``1 / (1 + exp(-(offset + slope * x)))`` with ``slope >= 0``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    offset: float
    slope: float

    def __call__(self, x: Floats, shift: float = 0.0) -> Floats:
        """``shift`` is added to the log odds; plus or minus infinity gives 1 or 0."""
        log_odds = self.offset + self.slope * x + shift
        return np.asarray(0.5 * (1 + np.tanh(0.5 * log_odds)))


class NullModel(BaseModel):
    """Null model of one map at one descriptor size; see the text of the module. The keys of its JSON are the aliases.

    Attributes:
        places: number of places of the map.
        segments: effective number of independent segments from which the tail was fitted.
        revisited: many places seem to have been passed twice, so the second gaps were used.
        body: margins that are exceeded at the rates 1 ... 0.2, in equal steps; the last is where the tail begins.
        scale, shape: of the tail.
        right: P(best place right | in the map). present: P(in the map) with equal priors. Both over ``log(margin + softening)``.
    """

    # Stored maps call the segments "stretches", and may hold fields that are no longer used.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    places: int = Field(ge=0)
    segments: float = Field(ge=0, alias="stretches")
    revisited: bool
    body: tuple[float, ...] = Field(min_length=2)
    scale: float = Field(gt=0)
    shape: float = Field(gt=0)
    softening: float = Field(gt=0)
    right: Logistic
    present: Logistic

    @classmethod
    def fit(cls, places: Neighborhoods, result: LeaveOutResult | None = None) -> NullModel:
        """Fits the model to a map: about two seconds for 10,000 places on one core. Never fails: an empty map gets the prior.

        Args:
            result: of ``leave_neighborhood_out(places)``, if it is known.
        """
        result = result or leave_neighborhood_out(places)
        first, second = result.gaps[:, 0], 2 * result.gaps[:, 1]
        revisited = _tail_start(first) > _REVISITED * max(_tail_start(second), 1e-3)
        gaps = second if revisited else first
        known = np.isfinite(gaps)
        absent, segments = gaps[known], result.segments[known]
        body = (
            np.quantile(absent, np.linspace(0, 1 - _TAIL, _QUANTILES))
            if len(absent)
            else np.linspace(0, _EMPTY_BODY, 2)
        )
        scale, shape, effective_segments = _fit_tail(absent - body[-1], segments, float(body[-1]))
        softening = max(_SOFTENING * float(np.median(result.present)), 1e-3) if len(result.present) else _EMPTY_BODY
        in_map = np.concatenate([np.ones(len(result.present), np.bool_), np.zeros(len(absent), np.bool_)])
        margins = np.concatenate([result.present, absent])
        return cls(
            places=len(places),
            stretches=round(effective_segments, 2),
            revisited=bool(revisited),
            body=tuple(np.maximum.accumulate(body).round(6).tolist()),
            scale=scale,
            shape=shape,
            softening=softening,
            right=fit_logistic(_log(result.present, softening), result.right),
            present=fit_logistic(_log(margins, softening), in_map, balanced=True),
        )

    @property
    def min_rate(self) -> float:
        """The smallest false-positive rate that this map can promise, for any margin."""
        return _TAIL / (_EXTRAPOLATION * (_PRIOR_SEGMENTS + self.segments))

    def false_positive_rate(self, margin: float | NDArray[np.floating]) -> Floats:
        """Part of the frames from outside the map that reach this margin: from ``min_rate`` to 1, in the shape of ``margin``."""
        value = np.asarray(margin, np.float64)
        body = np.interp(value, self.body, np.linspace(1, _TAIL, len(self.body)))
        excess = np.maximum(value - self.body[-1], 0)
        tail = np.maximum(_TAIL * (1 + excess / self.scale) ** -self.shape, self.min_rate)
        return np.asarray(np.where(excess > 0, tail, body))

    def probability(self, margin: float | NDArray[np.floating], in_map: float = IN_MAP) -> Floats:
        """Probability that the best place is right, in the shape of ``margin``.

        Args:
            in_map: prior probability that the place of the frame is in the map.
        """
        prior = np.log(in_map) - np.log1p(-in_map) if 0 < in_map < 1 else np.inf * np.sign(in_map - 0.5)
        x = _log(np.asarray(margin, np.float64), self.softening)
        return np.asarray(self.right(x) * self.present(x, float(prior)))


def _fit_tail(exceedances: Floats, segments: Rows, start: float) -> tuple[float, float, float]:
    """(scale, shape, effective segments) of the predictive tail. Frames of one segment are correlated, so the number that counts is
    Kish's effective sample size over the sums of the segments."""
    above = exceedances > 0
    _, segment = np.unique(segments[above], return_inverse=True)
    sums = np.bincount(segment, exceedances[above]) if above.any() else np.zeros(0)
    effective = float(sums.sum() ** 2 / np.square(sums).sum()) if len(sums) else 0.0
    mean = float(exceedances[above].mean()) if above.any() else 0.0
    # An exponential distribution exceeds log(1 / 0.2) times its scale at the rate 0.2, where the body ends.
    prior_scale = _PRIOR_WIDTH * max(start, 0.01) / np.log(1 / _TAIL)
    return float(_PRIOR_SEGMENTS * prior_scale + effective * mean), _PRIOR_SEGMENTS + effective, effective


def fit_logistic(x: Floats, true: NDArray[np.bool_], balanced: bool = False) -> Logistic:
    """Newton's method on Platt's targets (Platt, 1999), which keep the slope finite for separable classes. Without data: 0.5 everywhere.

    Args:
        x: [n]. true: bool [n].
        balanced: give both classes the same total weight, so that the curve is a likelihood ratio.
    """
    ones, zeros = int(true.sum()), int((~true).sum())
    if not ones + zeros:
        return Logistic(offset=0.0, slope=0.0)
    target = np.where(true, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    weight = np.where(true, 0.5 / max(ones, 1), 0.5 / max(zeros, 1)) * len(x) if balanced else np.ones(len(x))
    center, spread = float(x.mean()), max(float(x.std()), 1e-9)
    table = np.column_stack([np.ones(len(x)), (x - center) / spread])
    line = np.zeros(2)
    for _ in range(_MAX_ITERATIONS):
        probability = 0.5 * (1 + np.tanh(0.5 * table @ line))
        curvature = (table * (weight * probability * (1 - probability))[:, None]).T @ table + 1e-3 * np.eye(2)
        step = np.linalg.solve(curvature, table.T @ (weight * (target - probability)) - 1e-3 * line)
        line += np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    if line[1] <= 0:  # a decreasing curve is noise: use the mean
        share = float(np.average(target, weights=weight))
        return Logistic(offset=float(np.log(share / (1 - share))), slope=0.0)
    return Logistic(offset=float(line[0] - line[1] * center / spread), slope=float(line[1] / spread))


def _log(margin: Floats, softening: float) -> Floats:
    return np.asarray(np.log(np.maximum(margin, 0) + softening))


def _tail_start(values: Floats) -> float:
    values = values[np.isfinite(values)]
    return float(np.quantile(values, 1 - _TAIL)) if len(values) else 0.0
