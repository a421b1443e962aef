"""Two trajectories with different origins: the turn about z and shift on which most accepted matches agree.

RANSAC (Fischler and Bolles, 1981) over least squares (Umeyama, 1991). A match may be wrong, and a frame is seldom exactly at its place.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.drive import Drive
from vpr_aesvc.types import Floats, Rows

Flags = NDArray[np.bool_]
_SAMPLES = 500
_MIN_INLIERS = 5


@dataclass(frozen=True)
class Alignment:
    """The transform from the run's frame to the map's: a turn about z, then a shift.

    Attributes:
        yaw: radians. translation: [3], meters.
        pairs: number of matches. inliers: those that agree with it. as_given: those that agree without it.
        tolerance: meters within which a match agrees.
    """

    yaw: float
    translation: Floats
    pairs: int
    inliers: int
    as_given: int
    tolerance: float

    def apply(self, positions: Floats) -> Floats:
        """Of positions [n, 3], meters."""
        turned = np.column_stack([positions[:, :2] @ _rotation(self.yaw).T, positions[:, 2]])
        return np.asarray(turned + self.translation)

    @property
    def contradicts(self) -> bool:
        """Whether the matches contradict the poses as given."""
        return self.as_given < self.inliers / 2

    def __str__(self) -> str:
        x, y, z = self.translation
        return (
            f"{self.inliers} of {self.pairs} accepted matches agree within {self.tolerance:.1f} m on one transform (x {x:.2f}, y {y:.2f}, "
            f"z {z:.2f} m, yaw {math.degrees(self.yaw):.1f} degrees); with the poses as given, {self.as_given} agree"
        )


def find_alignment(source: Floats, target: Floats, tolerance: float) -> Alignment | None:
    """The transform of most matches; None if fewer than half of them, or than five, agree, or if they lie too near each other.

    Args:
        source, target: [n, 3], positions of the frames and of the matched places, meters.
        tolerance: meters within which a match agrees.
    """
    count = len(source)
    if count < _MIN_INLIERS:
        return None
    random = np.random.default_rng(0)
    a, b = source[:, :2], target[:, :2]
    best: Flags = np.zeros(count, np.bool_)
    for _ in range(_SAMPLES):
        agree = _agreeing(a, b, random.choice(count, 2, replace=False), tolerance)
        best = agree if agree.sum() > best.sum() else best
    for _ in range(3):
        best = _agreeing(a, b, np.flatnonzero(best), tolerance) if best.sum() >= 2 else best
    if best.sum() < max(_MIN_INLIERS, count / 2) or min(_extent(a[best]), _extent(b[best])) <= tolerance:
        return None
    yaw, shift = _fit(a[best], b[best])
    translation = np.append(shift, np.median(target[best, 2] - source[best, 2]))
    as_given = int((np.linalg.norm(target - source, axis=1) <= tolerance).sum())
    return Alignment(yaw, translation, count, int(best.sum()), as_given, tolerance)


def tolerance_of(places: Floats) -> float:
    """Meters within which a match is exact, for places [m, 3] in the order they were passed: 1.5 of the usual step, 1 to 25."""
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    steps = steps[steps > 0]  # False for NaN
    return float(np.clip(1.5 * np.median(steps), 1.0, 25.0)) if len(steps) else 1.0


def matched_positions(drive: Drive) -> tuple[Floats, Floats]:
    """Positions of the frames and of the matched places [n, 3], of the accepted matches of the variant that accepts most."""
    name = max(drive.frames[0].answers, key=lambda name: int(drive.column("accepted", name).sum()))
    accepted = drive.column("accepted", name)
    return drive.column("position")[accepted], drive.column("position", name)[accepted]


def aligned_drive(drive: Drive, alignment: Alignment) -> Drive:
    """The drive in a map as if its poses had been in the map's frame."""
    places = drive.places[np.isfinite(drive.places[:, 0])]
    frames = []
    for frame, position in zip(drive.frames, alignment.apply(drive.column("position")), strict=True):
        nearest = float(np.linalg.norm(places - position, axis=1).min(initial=np.inf))
        answers = {}
        for name, one in frame.answers.items():
            error = float(np.linalg.norm(position - one.position))
            answers[name] = replace(one, error=np.inf if math.isnan(error) else error)
        xyz = (float(position[0]), float(position[1]), float(position[2]))
        frames.append(replace(frame, position=xyz, nearest=nearest, answers=answers))
    return replace(drive, frames=frames)


def _agreeing(source: Floats, target: Floats, rows: Rows, tolerance: float) -> Flags:
    """bool [n]: which pairs agree with the transform of some of them."""
    yaw, shift = _fit(source[rows], target[rows])
    return np.asarray(np.linalg.norm(source @ _rotation(yaw).T + shift - target, axis=1) <= tolerance)


def _fit(source: Floats, target: Floats) -> tuple[float, Floats]:
    """Yaw and shift [2] of least squared error, for positions [n, 2]."""
    a, b = source - source.mean(0), target - target.mean(0)
    yaw = math.atan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum())
    return yaw, target.mean(0) - _rotation(yaw) @ source.mean(0)


def _rotation(yaw: float) -> Floats:
    return np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])


def _extent(positions: Floats) -> float:
    """Meters, root mean square along the longest direction."""
    return float(np.linalg.norm(positions - positions.mean(0), 2) / math.sqrt(len(positions)))
