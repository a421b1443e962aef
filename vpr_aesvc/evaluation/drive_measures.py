"""What a drive is worth in numbers: recall and precision at several distances, time to the first fix, the longest stretch without."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.drive import Answers, Drive
from vpr_aesvc.evaluation.metrics import precision_recall
from vpr_aesvc.evaluation.results import PrecisionRecall

DISTANCES = (1.0, 5.0, 10.0, 25.0)
"""Meters."""
_OF_EXTENT = 20  # what counts as right is at most such a part of what the run covers
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Stretch:
    """Part of a run: seconds (NaN without stamps) and meters driven."""

    seconds: float
    meters: float


@dataclass(frozen=True)
class FirstFix:
    """The first accepted match: how long after the first frame that has a place to be recognized, and whether it is right."""

    after: Stretch
    right: bool


@dataclass(frozen=True)
class FormMeasures:
    """One form.

    Attributes, parts of 1 by distance in meters:
        recall: of the frames that have a place within the distance, those whose best match lies within it.
        precision: of the accepted matches, those within the distance; NaN without any.
        accepted_recall: of the frames that have a place within the distance, those with an accepted match within it.

        accepted: how many matches.
        first_fix: None without an accepted match. without_fix: the longest stretch, with places to be recognized all along, without a right
            accepted match; "right" and "with a place" are within the drive's ``right`` meters.
        curve: of the best matches, accepted from some false-positive rate down; None where none is right.
    """

    recall: dict[float, float]
    precision: dict[float, float]
    accepted_recall: dict[float, float]
    accepted: int
    first_fix: FirstFix | None
    without_fix: Stretch
    curve: PrecisionRecall | None


@dataclass(frozen=True)
class DriveMeasures:
    """``right``: meters within which a match counts as right where one distance must be chosen. ``askable``: frames that have a place within
    each distance. ``forms``: by name."""

    right: float
    askable: dict[float, int]
    forms: dict[str, FormMeasures]


def measure(drive: Drive, right: float | None = None) -> DriveMeasures:
    """Counts a drive.

    Args:
        right: meters within which a match is right; by default the largest of 1, 5, 10 and 25 that is at most a twentieth of what the run
            covers, at least 1.
    """
    distances = distances_of(drive)
    if right is None:
        fitting = [distance for distance in distances if distance <= _extent(drive) / _OF_EXTENT]
        right = max(fitting, default=distances[0])
    distances = tuple(sorted({*distances, right}))
    nearest = np.array(drive.nearest)
    askable = {distance: int((nearest <= distance).sum()) for distance in distances}
    forms = {name: _form(drive, answers, distances, right) for name, answers in drive.answers.items()}
    return DriveMeasures(right, askable, forms)


def distances_of(drive: Drive) -> tuple[float, ...]:
    """Those that mean something. In loops a place within 25 m of every frame lies 25 m back on the way, so that distances up to what is left
    out as recent alone tell a loop from the road just driven."""
    if not drive.loops:
        return DISTANCES
    return tuple(distance for distance in DISTANCES if distance < drive.recent_meters) or DISTANCES[:1]


def _form(drive: Drive, answers: Answers, distances: tuple[float, ...], right: float) -> FormMeasures:
    nearest, error = np.array(drive.nearest), np.array(answers.error)
    accepted = np.array(answers.accepted, bool)
    recall, precision, kept = {}, {}, {}
    for distance in distances:
        askable, hit = nearest <= distance, error <= distance
        recall[distance] = _part(hit & askable, askable)
        precision[distance] = _part(hit & accepted, accepted)
        kept[distance] = _part(hit & accepted & askable, askable)
    return FormMeasures(
        recall,
        precision,
        kept,
        int(accepted.sum()),
        _first_fix(drive, accepted, error <= right, nearest <= right),
        _longest(drive, accepted & (error <= right), nearest <= right),
        _curve(answers, error <= right),
    )


def _part(some: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    return float(some.sum() / of.sum()) if of.any() else float("nan")


def _first_fix(
    drive: Drive, accepted: NDArray[np.bool_], right: NDArray[np.bool_], askable: NDArray[np.bool_]
) -> FirstFix | None:
    if not accepted.any():
        return None
    first = int(np.argmax(accepted))
    start = int(np.argmax(askable)) if askable.any() else 0
    return FirstFix(_between(drive, drive.times, min(start, first), first), bool(right[first]))


def _longest(drive: Drive, fixed: NDArray[np.bool_], askable: NDArray[np.bool_]) -> Stretch:
    """From the first frame of a stretch, or the fix before it, to the fix that ends it or its last frame."""
    best, start, times = Stretch(0.0, 0.0), None, drive.times
    for at in range(len(drive)):
        if not askable[at]:
            start = None
            continue
        start = at if start is None else start
        found = _between(drive, times, start, at)
        if (found.meters, found.seconds) > (best.meters, best.seconds):
            best = found
        if fixed[at]:
            start = at
    return best


def _between(drive: Drive, times: Floats, first: int, last: int) -> Stretch:
    return Stretch(float(times[last] - times[first]), drive.driven[last] - drive.driven[first])


def _curve(answers: Answers, right: NDArray[np.bool_]) -> PrecisionRecall | None:
    """As the false-positive rate that is allowed rises; of equal ones the more probable first."""
    keys = np.column_stack([answers.false_positive_rate, -np.array(answers.probability)])
    ranks = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
    return precision_recall(-ranks.astype(np.float64), right)


def _extent(drive: Drive) -> float:
    """The diagonal of what the run covers, meters."""
    where = np.array(drive.position).reshape(-1, 3)[:, :2]
    return float(np.linalg.norm(np.ptp(where, axis=0))) if len(where) else 0.0
