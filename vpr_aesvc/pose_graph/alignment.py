"""The transform between two frames on which most pairs of poses agree.

RANSAC (Fischler and Bolles, 1981) over least squares (Umeyama, 1991). Where the rotations of the pairs are known, they count like points five
meters away.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.transforms import compose, cross_matrices, heading, pose_of_rotation, rotation_matrix
from vpr_aesvc.types import Floats, Pose, Rows

Kind = Literal["se2", "se3", "sim3"]
Flags = NDArray[np.bool_]
_SAMPLES = 500
_MIN_INLIERS = 5
_LEVER = 5.0  # meters
_SCALES = (0.01, 100.0)
_LEAST_VARIANCE = 1e-6  # square meters
_MOST_RADIANS, _MOST_SCALE = math.radians(5), 0.1  # standard deviations of a transform that is determined
_UNKNOWNS = {"se2": (0, 1, 2, 5), "se3": (0, 1, 2, 3, 4, 5), "sim3": (0, 1, 2, 3, 4, 5, 6)}


@dataclass(frozen=True)
class Transform:
    """``target = scale * rotation @ source + translation``, with the rotation and the translation (meters) of ``pose``."""

    pose: Pose
    scale: float = 1.0

    def positions(self, positions: Floats) -> Floats:
        """Of positions [n, 3], meters."""
        shift = (self.pose.x, self.pose.y, self.pose.z)
        return np.asarray(self.scale * positions @ rotation_matrix(self.pose).T + shift)

    def moved(self, pose: Pose) -> Pose:
        """A pose of the source frame in the target frame. Raises ValueError if it is too far away."""
        x, y, z, *turn = pose.as_tuple()
        return compose(self.pose, Pose(self.scale * x, self.scale * y, self.scale * z, *turn))


@dataclass(frozen=True, eq=False)
class Alignment:
    """A transform from a source frame to a target frame, and how well it is known.

    Attributes:
        kind: ``se2`` turns about z and shifts, ``se3`` turns about any axis, ``sim3`` also scales.
        covariance: float64 [7, 7], as if the errors of the pairs were independent: the shift of the middle of the pairs (x, y, z in meters), the
            rotation about the axes of the target frame (radians), and the logarithm of the scale; 0 for what is not estimated.
        pairs: number of pairs. inliers: those that agree with it. as_given: those that agree without it.
        tolerance: meters within which a pair agrees. error: median distance of the pairs that agree, meters.
    """

    kind: Kind
    transform: Transform
    covariance: Floats = field(repr=False)
    pairs: int
    inliers: int
    as_given: int
    tolerance: float
    error: float

    @property
    def contradicts(self) -> bool:
        """Whether the pairs contradict the poses as given."""
        return self.as_given < self.inliers / 2

    def __str__(self) -> str:
        pose, scale = self.transform.pose, self.transform.scale
        scaled = f", scale {scale:.4g}" if self.kind == "sim3" else ""
        return (
            f"{self.inliers} of {self.pairs} accepted matches agree within {self.tolerance:.1f} m on one transform (x {pose.x:.2f}, y {pose.y:.2f}, "
            f"z {pose.z:.2f} m, yaw {math.degrees(heading(pose)):.1f} degrees{scaled}); with the poses as given, {self.as_given} agree"
        )

    def uncertainty(self) -> str:
        """The median distance and the standard deviations in words."""
        spread = np.sqrt(np.diag(self.covariance))
        scaled = f", {spread[6]:.2g} of the scale" if self.kind == "sim3" else ""
        return (
            f"median distance of these matches {self.error:.3f} m; standard deviation of the transform: {spread[:3].max():.3f} m in the middle of the "
            f"matches, {math.degrees(spread[3:6].max()):.3f} degrees{scaled}"
        )


def align_poses(
    pairs: Sequence[tuple[Pose, Pose, bool]], tolerance: float, kind: Kind = "se2"
) -> tuple[Alignment, bool]:
    """``find_alignment`` of poses in the source and the target frame, and whether it is from measured poses. The third of a pair tells that the
    target pose was measured. Else only its position counts, and not even that beside five measured ones.
    """
    metric = sum(measured for *_, measured in pairs) >= _MIN_INLIERS
    used = [pair for pair in pairs if pair[2] or not metric]
    starts, ends = [start for start, _, _ in used], [end for _, end, _ in used]
    source, target = (np.array([one.as_tuple()[:3] for one in poses]).reshape(-1, 3) for poses in (starts, ends))
    turns = np.array([rotation_matrix(end) @ rotation_matrix(start).T for start, end, _ in used]) if metric else None
    return find_alignment(source, target, tolerance, kind, turns), metric


def find_alignment(
    source: Floats, target: Floats, tolerance: float, kind: Kind = "se2", turns: Floats | None = None
) -> Alignment:
    """The transform of most pairs. ``source``, ``target``: float64 [n, 3], positions of one thing in both frames, meters.
    ``tolerance``: meters within which a pair agrees. ``turns``: float64 [n, 3, 3], the rotation of each pair from the
    source frame to the target frame, if known. Raises VprError: fewer than five pairs, or fewer than half of them, agree,
    or they do not determine the transform."""
    count = len(source)
    if count < _MIN_INLIERS:
        raise VprError(f"{count} matches are too few for a transform, which needs {_MIN_INLIERS}")
    pairs = _Pairs(source, target, np.zeros((count, 3, 3)) if turns is None else turns, kind)
    random = np.random.default_rng(0)
    best: Flags = np.zeros(count, np.bool_)
    size = 3 if kind != "se2" and turns is None else 2
    for _ in range(_SAMPLES):
        agree = pairs.agreeing(random.choice(count, size, replace=False), tolerance)
        best = agree if agree.sum() > best.sum() else best
    for _ in range(3):
        best = pairs.agreeing(np.flatnonzero(best), tolerance) if best.sum() >= size else best
    inliers = np.flatnonzero(best)
    if len(inliers) < max(_MIN_INLIERS, count / 2):
        found = f"at most {len(inliers)} of them within {tolerance:.1f} m"
        raise VprError(f"the {count} matches do not agree on one transform: {found}")
    rotation, scale, shift = pairs.fit(inliers)
    if kind == "se2":  # the residuals of se2 are horizontal: z of some inliers may be wrong
        rise = target[inliers, 2] - source[inliers, 2]
        shift[2] = rise[np.abs(rise - np.median(rise)) <= tolerance].mean()
    covariance, error = pairs.covariance(inliers, rotation, scale, shift)
    spread = np.sqrt(np.diag(covariance))
    for what, sigma, most in (("rotation", spread[3:6].max(), _MOST_RADIANS), ("scale", spread[6], _MOST_SCALE)):
        if sigma > most:
            open_part = f"do not determine the {what} of a {kind} transform: they lie on a line or too near each other"
            raise VprError(f"the {len(inliers)} matches that agree {open_part}")
    as_given = int((np.linalg.norm(target - source, axis=1) <= tolerance).sum())
    transform = Transform(pose_of_rotation(rotation, *shift.tolist()), scale)
    return Alignment(kind, transform, covariance, count, len(inliers), as_given, tolerance, error)


def tolerance_of(places: Floats) -> float:
    """Meters within which a match is exact, for places [m, 3] in the order they were passed: 1.5 of the usual step, 1 to 25."""
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    steps = steps[steps > 0]  # False for NaN
    return float(np.clip(1.5 * np.median(steps), 1.0, 25.0)) if len(steps) else 1.0


@dataclass(frozen=True, eq=False)
class _Pairs:
    """``turns`` are zero where unknown."""

    source: Floats
    target: Floats
    turns: Floats
    kind: Kind

    def fit(self, rows: Rows) -> tuple[Floats, float, Floats]:
        """Rotation [3, 3], scale and shift [3] of least squared error."""
        a, b = (points[rows] - points[rows].mean(0) for points in (self.source, self.target))
        moment = b.T @ a
        turned = moment + _LEVER**2 * self.turns[rows].sum(0)
        if self.kind == "se2":
            yaw = math.atan2(turned[1, 0] - turned[0, 1], turned[0, 0] + turned[1, 1])
            rotation = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
        else:
            u, _, vt = np.linalg.svd(turned)
            rotation = u * (1, 1, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1) @ vt
        scale = 1.0
        if self.kind == "sim3":
            scale = float(np.clip((rotation * moment).sum() / max(np.square(a).sum(), 1e-12), *_SCALES))
        return rotation, scale, self.target[rows].mean(0) - scale * rotation @ self.source[rows].mean(0)

    def agreeing(self, rows: Rows, tolerance: float) -> Flags:
        """bool [n]: which pairs agree with the transform of some of them."""
        rotation, scale, shift = self.fit(rows)
        errors = scale * self.source @ rotation.T + shift - self.target
        return np.asarray(np.linalg.norm(errors[:, : 2 if self.kind == "se2" else 3], axis=1) <= tolerance)

    def covariance(self, rows: Rows, rotation: Floats, scale: float, shift: Floats) -> tuple[Floats, float]:
        """float64 [7, 7] by linear least squares, and the median distance of the pairs."""
        errors = self.target[rows] - scale * self.source[rows] @ rotation.T - shift
        arms = scale * (self.source[rows] - self.source[rows].mean(0)) @ rotation.T
        jacobian = np.zeros((2, len(rows), 3, 7))  # of the positions and of the rotations
        jacobian[0, :, :, :3] = np.eye(3)
        jacobian[0, :, :, 3:6] = -cross_matrices(arms)
        jacobian[0, :, :, 6] = arms
        jacobian[1, :, :, 3:6] = _LEVER * np.eye(3) * self.turns.any()
        skew = self.turns[rows] @ rotation.T
        turns = _LEVER / 2 * (skew - np.swapaxes(skew, 1, 2))[:, (2, 0, 1), (1, 2, 0)]
        unknowns = list(_UNKNOWNS[self.kind])
        moments = np.einsum("pkim,pkin->pmn", jacobian, jacobian)[:, unknowns][:, :, unknowns]
        freedom = 3 * len(rows) - len(unknowns) / (2 if self.turns.any() else 1)
        variances = [max(float(np.square(one).sum()) / freedom, _LEAST_VARIANCE) for one in (errors, turns)]
        inverse = np.linalg.inv(moments.sum(0) + 1e-9 * np.eye(len(unknowns)))
        covariance = np.zeros((7, 7))
        covariance[np.ix_(unknowns, unknowns)] = inverse @ np.einsum("p,pmn->mn", variances, moments) @ inverse
        covariance[np.ix_(unknowns, unknowns)] += _LEAST_VARIANCE * inverse
        return covariance, float(np.median(np.linalg.norm(errors, axis=1)))
