"""Covariance of a match's pose: the spread of the places where the robot may be."""

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.types import Floats, Rows

_MIN_SIGMA = 0.01  # meters and radians: keeps the covariance invertible
_MIN_POSTERIOR = 1e-4  # of the most probable place: places below it do not widen the covariance
_LATERAL = 0.1  # lateral standard deviation, as part of the distance to the next place


def match_covariance(
    poses: Floats, steps: Floats, best: int, near: NDArray[np.bool_], posterior: Floats, probability: float
) -> Floats | None:
    """Covariance of the pose of a match. The weights are the posterior, scaled so that the places near the match have the probability of
    the match.

    Args:
        poses: float64 [n, 7], of all places: x, y, z in meters and a unit quaternion (qx, qy, qz, qw), in the map frame; NaN where
            unknown. steps: float64 [n, 6], from ``pose_steps``.
        best: row of the match. near: bool [n], the rows that count as the same answer.
        posterior: float64 [n], of each place. probability: of the match.

    Returns:
        float64 [6, 6], positive definite: x, y, z in meters and rotations about the map's x, y, z axes in radians. None if the match has
        no pose.
    """
    if not np.isfinite(poses[best]).all():
        return None
    weights = np.where(np.isfinite(poses[:, 0]), posterior, 0.0)
    weights[weights < _MIN_POSTERIOR * weights.max()] = 0
    weights[best] = max(weights[best], _MIN_POSTERIOR)
    near_sum, other_sum = float(weights[near].sum()), float(weights[~near].sum())
    weights[near] *= max(probability, _MIN_POSTERIOR) / near_sum
    if other_sum:
        weights[~near] *= min(1.0, (1 - probability) / other_sum)
    used = (weights > 0) & np.isfinite(poses).all(1)
    shares = weights[used] / weights[used].sum()
    return _second_moment(pose_differences(poses[best], poses[used]), np.nan_to_num(steps[used]), shares)


def _second_moment(offsets: Floats, steps: Floats, shares: Floats) -> Floats:
    """Second moment [6, 6] of a robot at one of k places, offset by ``offsets`` [k, 6] from the match, uniformly distributed along the
    step [k, 6] of the place; ``shares`` [k] sum to 1."""
    moment = np.einsum("k,ki,kj->ij", shares, offsets, offsets)
    moment += np.einsum("k,ki,kj->ij", shares, steps, steps) / 12  # variance of a uniform distribution
    lateral = _LATERAL * float(shares @ np.linalg.norm(steps[:, :3], axis=1))
    return np.asarray(moment + np.diag([lateral**2 + _MIN_SIGMA**2] * 3 + [_MIN_SIGMA**2] * 3))


def pose_steps(poses: Floats, runs: Rows) -> Floats:
    """Pose change from halfway to the previous place to halfway to the next: float64 [n, 6]; NaN where a pose is unknown, 0 for a run of
    one place.

    Args:
        poses: float64 [n, 7], in the order they were driven. runs: int64 [n], the run of each place.
    """
    steps = np.zeros((len(poses), 6))
    if len(poses) < 2:
        return steps
    halves = np.where((runs[1:] == runs[:-1])[:, None], pose_differences(poses[:-1], poses[1:]) / 2, 0.0)
    steps[:-1] += halves
    steps[1:] += halves
    return steps


def pose_differences(start: Floats, end: Floats) -> Floats:
    """From poses [7] or [k, 7] to poses [k, 7]: float64 [k, 6], the translation, and the rotation vector in the map frame."""
    imaginary, real = start[..., 3:6], start[..., 6:]
    v, w = end[:, 3:6], end[:, 6:]
    scalar = w * real + (v * imaginary).sum(-1, keepdims=True)  # of end * conjugate(start)
    vector = real * v - w * imaginary - np.cross(v, imaginary)
    vector = np.where(scalar < 0, -vector, vector)  # the shorter rotation
    length = np.linalg.norm(vector, axis=1, keepdims=True)
    angle = 2 * np.arctan2(length, np.abs(scalar))
    rotation = vector * np.where(length > 1e-9, angle / np.maximum(length, 1e-9), 2.0)
    return np.concatenate([end[:, :3] - start[..., :3], rotation], axis=1)
