"""How uncertain the pose of a match is: the spread of the places where the robot may be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_LEAST = 0.01  # meters and radians, standard deviation: below, a covariance could not be inverted
_LEAST_POSTERIOR = 1e-4  # of the likeliest place: what has less does not widen a pose
_ASIDE = 0.1  # of the distance to the next place: how far aside the robot drives


def match_covariance(
    poses: Floats, steps: Floats, best: int, near: NDArray[np.bool_], posterior: Floats, probability: float
) -> Floats | None:
    """Of the pose of a match, over the posterior, in which the places near the match have the probability of the match.

    Args:
        poses: float64 [n, 7], of all places, NaN where unknown. steps: float64 [n, 6], along the way.
        best: row of the match. near: bool [n], the rows that are the same answer.
        posterior: float64 [n], of each place. probability: of the match.

    Returns:
        float64 [6, 6] as :func:`pose_covariance` gives it; None where the match has no pose.
    """
    if not np.isfinite(poses[best]).all():
        return None
    weights = np.where(np.isfinite(poses[:, 0]), posterior, 0.0)
    weights[weights < _LEAST_POSTERIOR * weights.max()] = 0
    weights[best] = max(weights[best], _LEAST_POSTERIOR)
    here, elsewhere = float(weights[near].sum()), float(weights[~near].sum())
    weights[near] *= max(probability, _LEAST_POSTERIOR) / here
    if elsewhere:
        weights[~near] *= min(1.0, (1 - probability) / elsewhere)
    chosen = np.flatnonzero(weights)
    return pose_covariance(poses[best], poses[chosen], steps[chosen], weights[chosen])


def pose_covariance(pose: Floats, poses: Floats, steps: Floats, weights: Floats) -> Floats:
    """The second moment about ``pose`` of a robot that is near one of the places, somewhere between it and its neighbors.

    Args:
        pose: float64 [7], x, y, z in meters and a unit quaternion (qx, qy, qz, qw), in the map frame.
        poses: float64 [k, 7], of the places; rows with NaN are left out.
        steps: float64 [k, 6], how the pose changes over a place's stretch of the way: :func:`steps_along`.
        weights: float64 [k], how probable each is; any sum above 0.

    Returns:
        float64 [6, 6], positive definite: x, y, z and rotations about the map's x, y, z axes.
    """
    known = np.isfinite(poses).all(1) & (weights > 0)
    away, share = differences(pose, poses[known]), weights[known] / weights[known].sum()
    stretch = np.nan_to_num(steps[known])
    spread = np.einsum("k,ki,kj->ij", share, away, away)
    spread += np.einsum("k,ki,kj->ij", share, stretch, stretch) / 12  # evenly likely along its stretch
    aside = _ASIDE * float(share @ np.linalg.norm(stretch[:, :3], axis=1))
    return np.asarray(spread + np.diag([aside**2 + _LEAST**2] * 3 + [_LEAST**2] * 3))


def steps_along(poses: Floats, runs: NDArray[np.int64]) -> Floats:
    """From half way to the place before to half way to the one after, float64 [n, 6]; NaN where a pose is unknown, 0 where a run has one place.

    Args:
        poses: float64 [n, 7], in the order they were driven. runs: int64 [n]; places with equal numbers were driven in one go.
    """
    steps = np.zeros((len(poses), 6))
    if len(poses) < 2:
        return steps
    between = np.where((runs[1:] == runs[:-1])[:, None], differences(poses[:-1], poses[1:]) / 2, 0.0)
    steps[:-1] += between
    steps[1:] += between
    return steps


def differences(start: Floats, end: Floats) -> Floats:
    """What leads from poses [7] or [k, 7] to poses [k, 7], float64 [k, 6]: the translation, and the rotation vector in the map frame."""
    imaginary, real = start[..., 3:6], start[..., 6:]
    v, w = end[:, 3:6], end[:, 6:]
    scalar = w * real + (v * imaginary).sum(-1, keepdims=True)  # of end * conjugate(start)
    vector = real * v - w * imaginary - np.cross(v, imaginary)
    vector = np.where(scalar < 0, -vector, vector)  # the short way round
    length = np.linalg.norm(vector, axis=1, keepdims=True)
    angle = 2 * np.arctan2(length, np.abs(scalar))
    turned = vector * np.where(length > 1e-9, angle / np.maximum(length, 1e-9), 2.0)
    return np.concatenate([end[:, :3] - start[..., :3], turned], axis=1)
