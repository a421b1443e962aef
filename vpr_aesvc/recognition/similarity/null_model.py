"""What a match is worth, from the map alone: the false-positive rate of accepting it, and the probability that it is right.

The null is the margin (:mod:`neighborhoods`) of a frame whose place the map does not have: frames of the map whose own surroundings are hidden
(:mod:`rehearsal`) show it. It is the difference, or gap, between the two largest of many scores. Extreme-value theory knows such gaps: for
tails that fall exponentially, the k-th largest less the next, times k, has one distribution for all k (Rényi, 1953). So where places were driven
past twice, and the best place of a hidden frame is often the same place after all, twice the *second* gap stands in for the first.

The body of the null is kept as quantiles. Beyond its largest fifth it is an exponential tail whose scale is not known exactly:
with a conjugate prior the predictive distribution is Lomax (Pareto II), heavier the fewer *independent* stretches of the map have spoken.
A map of thirty places therefore accepts little at small rates, and says so by its threshold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.logistic import Logistic, fit_logistic
from vpr_aesvc.recognition.similarity.leave_out import LeaveOutResult, leave_neighborhood_out
from vpr_aesvc.recognition.similarity.neighborhoods import Neighborhoods

IN_MAP = 0.9
"""How probable it is, before a frame is looked at, that its place is in the map, unless the user knows better."""
_TAIL = 0.2
_LEVELS = 32  # quantiles kept of the body
_BEYOND = 10  # the tail is trusted to so many times rarer than the stretches of the map show: a twin that they miss does not follow it
_PRIOR_STRETCHES = 2.0  # what is believed of the tail counts as much as this many stretches of the map, ...
_PRIOR_WIDTH = 2.0  # ... and is a scale this much larger than the body's
_NO_BODY = 2.0  # where the body ends, in a map that has nothing to compare
_REVISITED = 1.3  # first gaps this much larger than twice the second are not chance
_GROWN = 1.25
_SOFTENING = 0.1  # part of the usual margin below which differences say nothing


class NullModel(BaseModel):
    """What margin is worth on one map at one size; see the module's text. Small and plain: ``model_dump()`` goes into a file as JSON, and
    :meth:`from_dict` reads it.

    Attributes:
        places: how many the map had.
        stretches: how many independent stretches of it the tail was learned from.
        revisited: whether many places seem to have been driven past twice, so that the second gaps were used.
        body: margin exceeded at the rates 1 ... 0.2, in equal steps; the last is where the tail begins.
        scale, shape: of the tail.
        right: P(best place is right), for a frame in the map, against log(margin + softening): odds go with a power of the margin.
        present: P(in the map) likewise, where that is as probable as not beforehand.
        knots: (margin, probability) from labels, where there were some; used in place of the two curves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    places: int = Field(ge=0)
    stretches: float = Field(ge=0)
    revisited: bool
    body: tuple[float, ...] = Field(min_length=2)
    scale: float = Field(gt=0)
    shape: float = Field(gt=0)
    softening: float = Field(gt=0)
    right: Logistic
    present: Logistic
    knots: tuple[tuple[float, float], ...] = ()

    @classmethod
    def fit(cls, places: Neighborhoods) -> NullModel:
        """Learns from the map alone, in about two seconds for 10,000 places (one core). Never fails: an empty map gets the prior."""
        found = leave_neighborhood_out(places)
        first, second = found.gaps[:, 0], 2 * found.gaps[:, 1]
        revisited = _upper(first) > _REVISITED * max(_upper(second), 1e-3)
        gaps = second if revisited else first
        null, groups = _finite(gaps), found.groups[np.isfinite(gaps)]
        body = np.quantile(null, np.linspace(0, 1 - _TAIL, _LEVELS)) if len(null) else np.linspace(0, _NO_BODY, 2)
        scale, shape, stretches = _tail(null - body[-1], groups, float(body[-1]))
        softening = max(_SOFTENING * float(np.median(found.present)), 1e-3) if len(found.present) else _NO_BODY
        right, present = _curves(found, null, softening)
        return cls(
            places=len(places),
            stretches=round(stretches, 2),
            revisited=bool(revisited),
            body=tuple(np.maximum.accumulate(body).round(6).tolist()),
            scale=scale,
            shape=shape,
            softening=softening,
            right=right,
            present=present,
        )

    @classmethod
    def from_dict(cls, data: object) -> NullModel:
        """What ``model_dump()`` gave.

        Raises:
            VprError: something else.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise VprError(f"the map's null model is damaged ({where}: {first['msg']}); fit it again") from error

    @property
    def least_rate(self) -> float:
        """The smallest false-positive rate that this map can promise, whatever the margin. The fifth of it that makes the tail counts as its
        stretches and those of the prior."""
        return _TAIL / (_BEYOND * (_PRIOR_STRETCHES + self.stretches))

    def false_positive_rate(self, margin: float | NDArray[np.floating]) -> NDArray[np.float64]:
        """Part of the frames from outside the map that reach this margin: from ``least_rate`` to 1, of the shape given."""
        value = np.asarray(margin, np.float64)
        body = np.interp(value, self.body, np.linspace(1, _TAIL, len(self.body)))
        beyond = np.maximum(value - self.body[-1], 0)
        tail = np.maximum(_TAIL * (1 + beyond / self.scale) ** -self.shape, self.least_rate)
        return np.asarray(np.where(beyond > 0, tail, body))

    def threshold(self, false_positive_rate: float) -> float:
        """The margin from which to accept; infinite where this map cannot promise that rate. It may also be more than any frame can reach.

        Raises:
            VprError: the rate is not between 0 and 1.
        """
        if not 0 < false_positive_rate <= 1:
            raise VprError(f"a false-positive rate lies above 0 and at most at 1, found {false_positive_rate}")
        if false_positive_rate < self.least_rate:
            return float("inf")
        if false_positive_rate >= _TAIL:
            rates = np.linspace(1, _TAIL, len(self.body))
            return float(np.interp(-false_positive_rate, -rates, self.body))
        return self.body[-1] + self.scale * float((false_positive_rate / _TAIL) ** (-1 / self.shape) - 1)

    def probability(self, margin: float | NDArray[np.floating], in_map: float = IN_MAP) -> NDArray[np.float64]:
        """Probability that the best place is right, of the shape given.

        Args:
            in_map: probability that the frame's place is in the map at all, before the frame is looked at.
        """
        value = np.asarray(margin, np.float64)
        if self.knots:
            at, known = np.array(self.knots).T
            return np.asarray(np.interp(value, at, known))
        before = np.log(in_map) - np.log1p(-in_map) if 0 < in_map < 1 else np.inf * np.sign(in_map - 0.5)
        x = self.soft_log(value)
        return np.asarray(self.right(x) * self.present(x, float(before)))

    def soft_log(self, margin: float | NDArray[np.floating]) -> NDArray[np.float64]:
        """What the log odds are linear in."""
        return _log(np.asarray(margin, np.float64), self.softening)

    def is_stale(self, places: int) -> bool:
        """Whether the map has grown by more than a quarter since, or lost places."""
        return places > _GROWN * self.places or places < self.places


def _tail(exceedances: NDArray[np.float64], groups: NDArray[np.int64], start: float) -> tuple[float, float, float]:
    """(scale, shape, independent stretches) of the predictive tail. Frames of one stretch say nearly the same, so the number that counts is
    Kish's effective one over the stretches' sums."""
    above = exceedances > 0
    _, group = np.unique(groups[above], return_inverse=True)
    sums = np.bincount(group, exceedances[above]) if above.any() else np.zeros(0)
    stretches = float(sums.sum() ** 2 / np.square(sums).sum()) if len(sums) else 0.0
    mean = float(exceedances[above].mean()) if above.any() else 0.0
    shape = _PRIOR_STRETCHES + stretches
    believed = (
        _PRIOR_WIDTH * max(start, 0.01) / np.log(1 / _TAIL)
    )  # an exponential body ends at log(1 / tail) times its scale
    return float(_PRIOR_STRETCHES * believed + stretches * mean), shape, stretches


def _curves(found: LeaveOutResult, absent: NDArray[np.float64], softening: float) -> tuple[Logistic, Logistic]:
    right = fit_logistic(_log(found.present, softening), found.right)
    known = np.concatenate([np.ones(len(found.present), np.bool_), np.zeros(len(absent), np.bool_)])
    present = fit_logistic(_log(np.concatenate([found.present, absent]), softening), known, balanced=True)
    return right, present


def _log(margin: NDArray[np.float64], softening: float) -> NDArray[np.float64]:
    return np.asarray(np.log(np.maximum(margin, 0) + softening))


def _upper(values: NDArray[np.float64]) -> float:
    values = _finite(values)
    return float(np.quantile(values, 1 - _TAIL)) if len(values) else 0.0


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values)]
