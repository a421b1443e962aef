"""Relative pose of the query's and the candidate's camera, up to scale, from inlier matches. For the frames see ``Geometry``."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from vpr_aesvc.types import Points

Model = Literal["homography", "fundamental", "essential"]

_MIN_PARALLAX = 2.0  # pixels, median: below, the translation direction is not determined
_EPIPOLAR_PIXELS = 3.0
_MIN_IN_FRONT = 0.9  # part of the matches that must lie in front of both cameras


@dataclass(frozen=True, eq=False)
class RelativePose:
    """``rotation`` float64 [3, 3] and ``direction`` float64 [3], or None if not determined; ``why`` is appended to the reason."""

    model: Model
    rotation: Points | None = None
    direction: Points | None = None
    why: str = ""


def relative_pose(query: Points, candidate: Points, pixel: float, model: Model) -> RelativePose:
    """The relative pose.

    Args:
        query, candidate: float64 [m, 2], bearings of matched points, on the plane at distance 1.
        pixel: the size of one working pixel on that plane.
        model: that explains the matches, ``homography`` or ``fundamental``.
    """
    rotation = _fit_rotation(query, candidate)
    if np.median(_rotation_errors(rotation, query, candidate)) < _MIN_PARALLAX * pixel:
        return RelativePose(model, rotation, None, "; the camera only turned")
    try:
        if model == "homography":
            return _from_homography(query, candidate)
        return _from_essential(query, candidate, pixel)
    except cv2.error:  # OpenCV asserts on some degenerate input
        return RelativePose(model, why="; the intrinsics do not fit the matches")


def _from_essential(query: Points, candidate: Points, pixel: float) -> RelativePose:
    """The essential matrix from five points (Nister, PAMI 2004) within MAGSAC++."""
    essential, mask = cv2.findEssentialMat(
        query, candidate, np.eye(3), cv2.USAC_MAGSAC, 0.999, _EPIPOLAR_PIXELS * pixel, 1000
    )
    if essential is None or essential.shape != (3, 3) or mask.sum() < len(query) / 2:
        return RelativePose("fundamental", why="; the intrinsics do not fit the matches")
    inliers = int(mask.sum())
    in_front, rotation, translation, _ = cv2.recoverPose(essential, query, candidate, np.eye(3), mask=mask)
    if in_front < _MIN_IN_FRONT * inliers:
        return RelativePose("fundamental", why="; the intrinsics do not fit the matches")
    return RelativePose("essential", np.asarray(rotation, np.float64), np.asarray(translation, np.float64).ravel())


def _from_homography(query: Points, candidate: Points) -> RelativePose:
    """Decomposes the homography (Malis and Vargas, INRIA 2007). On a plane both the essential matrix and the homography can have two
    solutions; the decomposition shows whether both are physical, and then none is returned."""
    matrix, _ = cv2.findHomography(query, candidate, 0)
    if matrix is None:
        return RelativePose("homography", why="; the intrinsics do not fit the matches")
    _, rotations, translations, normals = cv2.decomposeHomographyMat(matrix, np.eye(3))
    rays = np.column_stack([query, np.ones(len(query))])
    physical: list[tuple[Points, Points]] = []
    for rotation, translation, normal in zip(rotations, translations, normals, strict=True):
        inverse_depth = rays @ normal.ravel()  # positive if the plane is in front of the query's camera
        candidate_depth = (rays @ rotation.T + inverse_depth[:, None] * translation.ravel())[:, 2]
        in_front = np.mean((inverse_depth > 0) & (candidate_depth > 0))
        if np.isfinite(candidate_depth).all() and in_front >= _MIN_IN_FRONT:
            physical.append((np.asarray(rotation, np.float64), translation.ravel() / np.linalg.norm(translation)))
    if len(physical) != 1:
        return RelativePose("homography", why="; the motion relative to this plane is ambiguous")
    return RelativePose("homography", physical[0][0], physical[0][1])


def _fit_rotation(query: Points, candidate: Points) -> Points:
    """The rotation that best aligns the rays [m, 2] of the query with those of the candidate (Kabsch)."""
    left, _, right = np.linalg.svd(_rays(candidate).T @ _rays(query))
    return np.asarray(left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right)


def _rotation_errors(rotation: Points, query: Points, candidate: Points) -> Points:
    """Distance of each rotated ray from its match, [m], on the plane at distance 1."""
    rotated = _rays(query) @ rotation.T
    depth = np.maximum(rotated[:, 2:], 1e-9)
    return np.asarray(np.linalg.norm(rotated[:, :2] / depth - candidate, axis=1))


def _rays(bearings: Points) -> Points:
    rays = np.column_stack([bearings, np.ones(len(bearings))])
    return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True))
