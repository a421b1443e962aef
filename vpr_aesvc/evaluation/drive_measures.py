"""Scores of a drive: recall and precision at several distances, the first fix, and the longest interval without a fix."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vpr_aesvc.datasets.positives import DISTANCES, default_threshold
from vpr_aesvc.evaluation.calibration import Reliability, reliability
from vpr_aesvc.evaluation.drive import VARIANTS, Drive, Floats
from vpr_aesvc.evaluation.metrics import precision_recall
from vpr_aesvc.evaluation.results import PrecisionRecall
from vpr_aesvc.transforms import angle
from vpr_aesvc.transforms import distance as distance_between

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Elapsed:
    """Time and distance between two frames: seconds (NaN without stamps) and meters driven."""

    seconds: float
    meters: float


@dataclass(frozen=True)
class FirstFix(Elapsed):
    """Time and distance from the first recognizable frame to the first accepted match, and whether that is right."""

    right: bool


@dataclass(frozen=True)
class PoseErrors:
    """Errors of the poses of accepted matches, each by match.

    Attributes:
        meters, degrees: float64 [n], of the metric poses. place_meters: float64 [n], of the same matches' places.
        without: number of accepted matches without a metric pose.
    """

    meters: Floats
    degrees: Floats
    place_meters: Floats
    without: int

    def summary(self) -> dict[str, float | int]:
        """Median and 90 % of each."""
        numbers: dict[str, float | int] = {"metric_poses": len(self.meters), "without_metric_pose": self.without}
        for name in ("meters", "degrees", "place_meters"):
            median, high = np.quantile(getattr(self, name), (0.5, 0.9)).tolist()
            numbers |= {f"{name}_median": median, f"{name}_90": high}
        return numbers


@dataclass(frozen=True)
class VariantMeasures:
    """Scores of one variant. A frame is recognizable at a distance when a place lies within it.

    Attributes, fractions by distance in meters:
        recall: recognizable frames whose best match lies within the distance.
        precision: accepted matches within the distance; NaN without any.
        accepted_recall: recognizable frames with an accepted match within the distance.

        accepted: number of accepted matches. unjudged: number of others, with places that have no pose.
        first_fix: None without an accepted match. without_fix: longest interval of recognizable frames without a right accepted match. Both
            use ``DriveMeasures.threshold``. gap: the first and the last frame of that interval.
        wait: from a recognizable frame to the next right accepted match, the 0.9 quantile over the frames; infinite where none comes.
        curve: of the best matches, by false-positive rate; None where none is right.
        poses: None without a metric pose of an accepted match.
        reliability: of the probability, over all frames: also those without a place within the distance, whose match is never right.
    """

    recall: dict[float, float]
    precision: dict[float, float]
    accepted_recall: dict[float, float]
    accepted: int
    unjudged: int
    first_fix: FirstFix | None
    without_fix: Elapsed
    gap: tuple[int, int]
    wait: Elapsed
    curve: PrecisionRecall | None
    poses: PoseErrors | None
    reliability: Reliability


@dataclass(frozen=True)
class DriveMeasures:
    """Scores of all variants.

    Attributes:
        threshold: meters within which a match is right, where one distance must be chosen.
        recognizable: distance -> number of frames that have a place within it.
        variants: by name.
    """

    threshold: float
    recognizable: dict[float, int]
    variants: dict[str, VariantMeasures]


def measure_drive(drive: Drive, threshold: float | None = None) -> DriveMeasures:
    """Scores a drive.

    Args:
        threshold: meters within which a match is right. By default the largest of 1, 5, 10 and 25 that is at most 1/20 of the extent of the
            run, at least 1.
    """
    distances = counted_distances(drive)
    if threshold is None:
        threshold = default_threshold(drive.column("position"), distances)
    distances = tuple(sorted({*distances, threshold}))
    nearest = drive.column("nearest")
    recognizable = {distance: int((nearest <= distance).sum()) for distance in distances}
    variants = {variant.name: _measure(drive, variant.name, distances, threshold) for variant in VARIANTS}
    return DriveMeasures(threshold, recognizable, variants)


def counted_distances(drive: Drive) -> tuple[float, ...]:
    """The distances that are meaningful. For loops only those below ``recent_meters``: every frame has a place 25 m back on its own path."""
    if not drive.loops:
        return DISTANCES
    return tuple(distance for distance in DISTANCES if distance < drive.recent_meters) or DISTANCES[:1]


def _measure(drive: Drive, variant: str, distances: tuple[float, ...], threshold: float) -> VariantMeasures:
    nearest, error = drive.column("nearest"), drive.column("error", variant)
    accepted = drive.column("accepted", variant)
    recall, precision, accepted_recall = {}, {}, {}
    for distance in distances:
        recognizable, hit = nearest <= distance, error <= distance
        recall[distance] = _fraction(hit & recognizable, recognizable)
        precision[distance] = _fraction(hit & accepted, accepted)
        accepted_recall[distance] = _fraction(hit & accepted & recognizable, recognizable)
    right, recognizable = error <= threshold, nearest <= threshold
    gap = _longest_gap(drive, accepted & right, recognizable)
    levels = acceptance_levels(drive.column("false_positive_rate", variant), drive.column("probability", variant))
    return VariantMeasures(
        recall=recall,
        precision=precision,
        accepted_recall=accepted_recall,
        accepted=int(accepted.sum()),
        unjudged=drive.unjudged[variant],
        first_fix=_first_fix(drive, accepted, right, recognizable),
        without_fix=_elapsed(drive, drive.times, *gap),
        gap=gap,
        wait=_usual_wait(drive, accepted & right, recognizable),
        curve=precision_recall(levels.astype(np.float64), right),
        poses=_pose_errors(drive, variant),
        reliability=reliability(drive.column("probability", variant), right, bins=10),
    )


def _pose_errors(drive: Drive, variant: str) -> PoseErrors | None:
    accepted = [(frame.pose, frame.answers[variant]) for frame in drive.frames if frame.answers[variant].accepted]
    measured = [(pose, one.metric, one.error) for pose, one in accepted if pose is not None and one.metric is not None]
    if not measured:
        return None
    return PoseErrors(
        meters=np.array([distance_between(pose, metric) for pose, metric, _ in measured]),
        degrees=np.array([math.degrees(angle(pose, metric)) for pose, metric, _ in measured]),
        place_meters=np.array([error for _, _, error in measured]),
        without=len(accepted) - len(measured),
    )


def acceptance_levels(rates: ArrayLike, probabilities: ArrayLike) -> NDArray[np.int64]:
    """int64 [q], highest accepted first: lower false-positive rate first, for equal rates higher probability first."""
    keys = np.column_stack([-np.asarray(rates, np.float64), probabilities])
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _fraction(part: Flags, whole: Flags) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else float("nan")


def _first_fix(drive: Drive, accepted: Flags, right: Flags, recognizable: Flags) -> FirstFix | None:
    if not accepted.any():
        return None
    first = int(np.argmax(accepted))
    start = int(np.argmax(recognizable)) if recognizable.any() else 0
    elapsed = _elapsed(drive, drive.times, min(start, first), first)
    return FirstFix(elapsed.seconds, elapsed.meters, bool(right[first]))


def _longest_gap(drive: Drive, fixed: Flags, recognizable: Flags) -> tuple[int, int]:
    """The frames from the first recognizable one, or a fix, to the next fix or the last recognizable frame."""
    longest, gap, start, times = Elapsed(0.0, 0.0), (0, 0), None, drive.times
    for at in range(len(drive)):
        if not recognizable[at]:
            start = None
            continue
        start = at if start is None else start
        elapsed = _elapsed(drive, times, start, at)
        if (elapsed.meters, elapsed.seconds) > (longest.meters, longest.seconds):
            longest, gap = elapsed, (start, at)
        if fixed[at]:
            start = at
    return gap


def _usual_wait(drive: Drive, fixed: Flags, recognizable: Flags) -> Elapsed:
    rows, fixes = np.flatnonzero(recognizable), np.flatnonzero(fixed)
    if not len(rows):
        return Elapsed(float("inf"), float("inf"))
    following, last = np.searchsorted(fixes, rows), math.ceil(0.9 * len(rows)) - 1
    waits = [np.append(one[fixes], np.inf)[following] - one[rows] for one in (drive.times, drive.column("driven"))]
    return Elapsed(*(float(np.sort(wait)[last]) for wait in waits))


def _elapsed(drive: Drive, times: Floats, first: int, last: int) -> Elapsed:
    return Elapsed(float(times[last] - times[first]), drive.frames[last].driven - drive.frames[first].driven)
