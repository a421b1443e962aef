"""Two trajectories with different origins: the transform on which most accepted matches agree.

RANSAC (Fischler and Bolles, 1981) over least squares (Umeyama, 1991). A match may be wrong, and a frame is seldom exactly at its place.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.drive import Drive
from vpr_aesvc.types import Floats, Rows

Kind = Literal["se2", "sim3"]
Flags = NDArray[np.bool_]
_SAMPLES = 500
_MIN_INLIERS = 5
_SCALES = (0.01, 100.0)


@dataclass(frozen=True)
class Alignment:
    """``target = scale * rotation @ source + translation``, from the run's frame to the map's.

    Attributes:
        rotation: [3, 3]. translation: [3], meters. scale: 1 for ``se2``.
        pairs: number of matches. inliers: those that agree with it. as_given: those that agree without it.
        tolerance: meters within which a match agrees.
    """

    rotation: Floats
    translation: Floats
    scale: float
    pairs: int
    inliers: int
    as_given: int
    tolerance: float

    def apply(self, positions: Floats) -> Floats:
        """Of positions [n, 3], meters."""
        return np.asarray(self.scale * positions @ self.rotation.T + self.translation)

    @property
    def yaw(self) -> float:
        """Radians, about z."""
        return math.atan2(self.rotation[1, 0], self.rotation[0, 0])

    @property
    def contradicts(self) -> bool:
        """Whether the matches contradict the poses as given."""
        return self.as_given < self.inliers / 2

    def __str__(self) -> str:
        x, y, z = self.translation
        scaled = "" if self.scale == 1 else f", scaled by {self.scale:.4g}"
        return (
            f"{self.inliers} of {self.pairs} accepted matches agree within {self.tolerance:.1f} m on one transform (x {x:.2f}, y {y:.2f}, "
            f"z {z:.2f} m, yaw {math.degrees(self.yaw):.1f} degrees{scaled}); with the poses as given, {self.as_given} agree"
        )


def find_alignment(source: Floats, target: Floats, tolerance: float, kind: Kind = "se2") -> Alignment | None:
    """The transform of most matches; None if fewer than half of them, or than five, agree, or if they lie too near each other.

    Args:
        source, target: [n, 3], positions of the frames and of the matched places, meters.
        tolerance: meters within which a match agrees.
        kind: ``se2`` turns about z and shifts; ``sim3`` turns about any axis, shifts and scales.
    """
    count, dim = len(source), 2 if kind == "se2" else 3
    if count < _MIN_INLIERS:
        return None
    random = np.random.default_rng(0)
    a, b = source[:, :dim], target[:, :dim]
    best: Flags = np.zeros(count, np.bool_)
    for _ in range(_SAMPLES):
        agree = _agreeing(a, b, random.choice(count, dim, replace=False), tolerance)
        best = agree if agree.sum() > best.sum() else best
    for _ in range(3):
        best = _agreeing(a, b, np.flatnonzero(best), tolerance) if best.sum() >= dim else best
    if best.sum() < max(_MIN_INLIERS, count / 2) or not _is_spread(a[best], b[best], tolerance, lines=dim - 1):
        return None
    rotation, scale, shift = _umeyama(a[best], b[best])
    whole, translation = np.eye(3), np.zeros(3)
    whole[:dim, :dim], translation[:dim] = rotation, shift
    if kind == "se2":
        translation[2] = np.median(target[best, 2] - source[best, 2])
    as_given = int((np.linalg.norm(target - source, axis=1) <= tolerance).sum())
    return Alignment(whole, translation, scale, count, int(best.sum()), as_given, tolerance)


def tolerance_of(places: Floats) -> float:
    """Meters within which a match is exact, for places [m, 3] in the order they were passed: 1.5 of the usual step, 1 to 25."""
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    steps = steps[steps > 0]  # False for NaN
    return float(np.clip(1.5 * np.median(steps), 1.0, 25.0)) if len(steps) else 1.0


def matched_positions(drive: Drive) -> tuple[Floats, Floats]:
    """Positions of the frames and of the matched places [n, 3], of the accepted matches of the variant that accepts most."""
    names = drive.frames[0].answers
    accepted = max((drive.column("accepted", name) for name in names), key=lambda flags: int(flags.sum()))
    name = next(name for name in names if np.array_equal(drive.column("accepted", name), accepted))
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
        driven = alignment.scale * frame.driven
        xyz = (float(position[0]), float(position[1]), float(position[2]))
        frames.append(replace(frame, position=xyz, nearest=nearest, driven=driven, answers=answers))
    return replace(drive, frames=frames)


def _agreeing(source: Floats, target: Floats, rows: Rows, tolerance: float) -> Flags:
    """bool [n]: which pairs agree with the transform of some of them."""
    rotation, scale, shift = _umeyama(source[rows], target[rows])
    if not _SCALES[0] <= scale <= _SCALES[1]:
        return np.zeros(len(source), np.bool_)
    return np.asarray(np.linalg.norm(scale * source @ rotation.T + shift - target, axis=1) <= tolerance)


def _umeyama(source: Floats, target: Floats) -> tuple[Floats, float, Floats]:
    """Rotation [d, d], scale (1 in two dimensions) and shift [d] of least squared error."""
    dim = source.shape[1]
    mean, other = source.mean(0), target.mean(0)
    u, values, vt = np.linalg.svd((target - other).T @ (source - mean))
    signs = np.ones(dim)
    signs[-1] = np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0
    rotation = u * signs @ vt
    scale = 1.0 if dim == 2 else float(values @ signs / max(np.square(source - mean).sum(), 1e-12))
    return rotation, scale, other - scale * rotation @ mean


def _is_spread(source: Floats, target: Floats, tolerance: float, lines: int) -> bool:
    """Whether both extend by more than the tolerance, in as many directions as the rotation needs."""
    extents = [
        np.linalg.svd(one - one.mean(0), compute_uv=False)[lines - 1] / math.sqrt(len(one)) for one in (source, target)
    ]
    return bool(min(extents) > (tolerance if lines == 1 else tolerance / 3))
