"""Reliability diagram and expected calibration error of match probabilities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.types import Floats, Rows


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram (Niculescu-Mizil and Caruana, 2005); NaN for empty bins.

    Attributes:
        edges: float64 [b + 1], of the bins, 0 to 1.
        predicted: float64 [b], mean probability of the matches in each bin.
        observed: float64 [b], part of them that is right.
        counts: int64 [b].
        error: expected calibration error: mean over matches of ``|predicted - observed|`` of their bin. It is not 0 even for perfect
            probabilities: about .07 with 265 matches in 15 bins.
    """

    edges: Floats
    predicted: Floats
    observed: Floats
    counts: Rows
    error: float


def reliability(probability: NDArray[np.floating], right: NDArray[np.bool_], bins: int = 15) -> Reliability:
    """Bins of equal width.

    Args:
        probability: [q], of the best match of each query. right: bool [q], whether it is right.

    Raises:
        VprError: lengths differ or are 0, or a probability is not in [0, 1].
    """
    given, correct = np.asarray(probability, np.float64), np.asarray(right, np.bool_)
    if given.shape != correct.shape or given.ndim != 1 or not len(given):
        raise VprError(
            f"expected one probability and one answer per query, found shapes {given.shape} and {correct.shape}"
        )
    if not ((given >= 0) & (given <= 1)).all():
        raise VprError("a probability must be between 0 and 1")
    bin_of = np.minimum((given * bins).astype(np.int64), bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):
        predicted = np.bincount(bin_of, given, bins) / counts
        observed = np.bincount(bin_of, correct, bins) / counts
    error = float(np.nansum(np.abs(predicted - observed) * counts) / len(given))
    return Reliability(np.linspace(0, 1, bins + 1), predicted, observed, counts, error)
