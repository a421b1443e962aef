"""Whether probabilities hold, and how labels, where there are some, make them hold better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.similarity.null_model import NullModel

_ISOTONIC = (
    200  # labels; from fewer, steps of any shape would follow their noise, and a logistic curve (Platt, 1999) is fitted
)
_FEWEST = 20
_KNOTS = 64


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram (Niculescu-Mizil and Caruana, 2005), ready to be drawn; NaN where a bin is empty.

    Attributes:
        edges: float64 [b + 1], of the bins, 0 to 1.
        predicted: float64 [b], the mean probability of the matches in each.
        observed: float64 [b], the part of them that is right.
        counts: int64 [b].
        error: the expected calibration error: the mean over matches of their bin's ``|predicted - observed|``. Also perfect probabilities
            have one with few matches: about .07 with 265 matches in 15 bins.
    """

    edges: NDArray[np.float64]
    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    counts: NDArray[np.int64]
    error: float


def reliability(probability: NDArray[np.floating], right: NDArray[np.bool_], bins: int = 15) -> Reliability:
    """Bins of equal width.

    Args:
        probability: [q], of the best match of each query. right: bool [q], whether it is.

    Raises:
        VprError: lengths differ, there are none, or a probability lies outside [0, 1].
    """
    given, correct = np.asarray(probability, np.float64), np.asarray(right, np.bool_)
    _require_pairs(given, correct, 1)
    if not ((given >= 0) & (given <= 1)).all():
        raise VprError("a probability lies between 0 and 1")
    bin_of = np.minimum((given * bins).astype(np.int64), bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):
        predicted = np.bincount(bin_of, given, bins) / counts
        observed = np.bincount(bin_of, correct, bins) / counts
    error = float(np.nansum(np.abs(predicted - observed) * counts) / len(given))
    return Reliability(np.linspace(0, 1, bins + 1), predicted, observed, counts, error)


def refined(null: NullModel, margin: NDArray[np.floating], right: NDArray[np.bool_]) -> NullModel:
    """The same null with its probabilities learned from labels: isotonic regression from 200 of them, else a logistic curve. The labels should hold
    frames from outside the map as often as they will be met; the false-positive rate still comes from the map alone. Needs scikit-learn.

    Args:
        margin: [q], of each labeled query. right: bool [q], whether its best match was right; False for one that is not in the map.

    Raises:
        VprError: fewer than 20 labels, only right or only wrong ones, or scikit-learn is missing.
    """
    value, correct = np.asarray(margin, np.float64), np.asarray(right, np.bool_)
    _require_pairs(value, correct, _FEWEST)
    if correct.all() or not correct.any():
        raise VprError("calibration needs right and wrong matches, found only one kind")
    try:
        from sklearn.isotonic import IsotonicRegression
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise VprError("calibration by labels needs scikit-learn: pip install 'vpr_aesvc[bench]'") from error
    at = np.unique(np.quantile(value, np.linspace(0, 1, _KNOTS)))
    if len(value) >= _ISOTONIC:
        curve = IsotonicRegression(y_min=1 / (len(value) + 2), y_max=1 - 1 / (len(value) + 2), out_of_bounds="clip")
        probability = curve.fit(value, correct).predict(at)
    else:
        x = null.soft_log(np.concatenate([value, at]))[:, None]
        probability = LogisticRegression().fit(x[: len(value)], correct).predict_proba(x[len(value) :])[:, 1]
    knots = tuple((float(one), float(other)) for one, other in zip(at, np.maximum.accumulate(probability), strict=True))
    return null.model_copy(update={"knots": knots})


def _require_pairs(values: NDArray[np.float64], right: NDArray[np.bool_], fewest: int) -> None:
    if values.shape != right.shape or values.ndim != 1 or len(values) < fewest or not np.isfinite(values).all():
        raise VprError(
            f"expected at least {fewest} finite numbers and as many answers, found shapes {values.shape} and {right.shape}"
        )
