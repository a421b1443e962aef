"""Rising logistic curves, fitted without a dependency."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

_STEPS = 50


class Logistic(BaseModel):
    """``1 / (1 + exp(-(offset + slope * x)))``; the slope is not negative."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    offset: float
    slope: float

    def __call__(self, x: NDArray[np.float64], shift: float = 0.0) -> NDArray[np.float64]:
        """``shift`` is added to the log odds; infinite ones make certainty."""
        odds = self.offset + self.slope * x + shift
        return np.asarray(0.5 * (1 + np.tanh(0.5 * odds)))


def fit_logistic(x: NDArray[np.float64], true: NDArray[np.bool_], balanced: bool = False) -> Logistic:
    """By Newton's method to Platt's targets (Platt, 1999), which stay finite where the classes can be told apart wholly, and are one half
    where there is nothing to learn from.

    Args:
        x: [n]. true: bool [n].
        balanced: both classes weigh the same, so that the curve is a likelihood ratio and not a matter of their numbers.
    """
    ones, zeros = int(true.sum()), int((~true).sum())
    if not ones + zeros:
        return Logistic(offset=0.0, slope=0.0)
    target = np.where(true, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    weight = np.where(true, 0.5 / max(ones, 1), 0.5 / max(zeros, 1)) * len(x) if balanced else np.ones(len(x))
    center, spread = float(x.mean()), max(float(x.std()), 1e-9)
    table = np.column_stack([np.ones(len(x)), (x - center) / spread])
    line = np.zeros(2)
    for _ in range(_STEPS):
        chance = 0.5 * (1 + np.tanh(0.5 * table @ line))
        curvature = (table * (weight * chance * (1 - chance))[:, None]).T @ table + 1e-3 * np.eye(2)
        step = np.linalg.solve(curvature, table.T @ (weight * (target - chance)) - 1e-3 * line)
        line += np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    if line[1] <= 0:  # more evidence is never less: then it says nothing here
        share = float(np.average(target, weights=weight))
        return Logistic(offset=float(np.log(share / (1 - share))), slope=0.0)
    return Logistic(offset=float(line[0] - line[1] * center / spread), slope=float(line[1] / spread))
