"""Non-decreasing logistic curves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from vpr_aesvc.types import Floats

_MAX_ITERATIONS = 50


class Logistic(BaseModel):
    """``1 / (1 + exp(-(offset + slope * x)))`` with ``slope >= 0``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    offset: float
    slope: float

    def __call__(self, x: Floats, shift: float = 0.0) -> Floats:
        """``shift`` is added to the log odds; plus or minus infinity gives 1 or 0."""
        log_odds = self.offset + self.slope * x + shift
        return np.asarray(0.5 * (1 + np.tanh(0.5 * log_odds)))


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
