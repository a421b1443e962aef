"""How the query's camera stood relative to the candidate's, from matches that a rigid scene explains. Frames: see ``Geometry``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from vpr_aesvc.types import Points

Model = Literal["homography", "fundamental", "essential"]

_STILL_PIXELS = 2.0  # parallax below this, in the median, tells no direction
_EPIPOLAR_PIXELS = 3.0
_AHEAD = 0.9  # of the matches: a physical answer has this many in front of both cameras


@dataclass(frozen=True, eq=False)
class RelativePose:
    """``rotation`` float64 [3, 3] and ``direction`` float64 [3], or None where they are not determined; ``why`` continues a sentence."""

    model: Model
    rotation: Points | None = None
    direction: Points | None = None
    why: str = ""


def relative_pose(here: Points, there: Points, pixel: float, model: Model) -> RelativePose:
    """Args:
    here, there: float64 [m, 2], matched bearings in the query and the candidate: points on the plane one unit ahead.
    pixel: one working pixel on that plane.
    model: what explains the matches, ``homography`` or ``fundamental``.
    """
    turn = _rotation_between(here, there)
    if np.median(_turned_errors(turn, here, there)) < _STILL_PIXELS * pixel:
        return RelativePose(model, turn, None, "; the camera only turned")
    try:
        return _from_plane(here, there) if model == "homography" else _from_depth(here, there, pixel)
    except cv2.error:  # OpenCV asserts on some degenerate input
        return RelativePose(model, why="; the intrinsics do not fit them")


def _from_depth(here: Points, there: Points, pixel: float) -> RelativePose:
    """The essential matrix by five points (Nister, PAMI 2004), within MAGSAC++."""
    essential, mask = cv2.findEssentialMat(
        here, there, np.eye(3), cv2.USAC_MAGSAC, 0.999, _EPIPOLAR_PIXELS * pixel, 1000
    )
    if essential is None or essential.shape != (3, 3) or mask.sum() < len(here) / 2:
        return RelativePose("fundamental", why="; the intrinsics do not fit them")
    inside = int(mask.sum())
    ahead, rotation, translation, _ = cv2.recoverPose(essential, here, there, np.eye(3), mask=mask)
    if ahead < _AHEAD * inside:
        return RelativePose("fundamental", why="; the intrinsics do not fit them")
    return RelativePose("essential", np.asarray(rotation, np.float64), np.asarray(translation, np.float64).ravel())


def _from_plane(here: Points, there: Points) -> RelativePose:
    """The homography taken apart (Malis and Vargas, INRIA 2007). Five points on a plane leave the essential matrix two answers; so does the
    homography, but here one sees whether both are physical, and says nothing then."""
    matrix, _ = cv2.findHomography(here, there, 0)
    if matrix is None:
        return RelativePose("homography", why="; the intrinsics do not fit them")
    _, rotations, translations, normals = cv2.decomposeHomographyMat(matrix, np.eye(3))
    rays = np.column_stack([here, np.ones(len(here))])
    physical: list[tuple[Points, Points]] = []
    for rotation, translation, normal in zip(rotations, translations, normals, strict=True):
        nearness = rays @ normal.ravel()  # above 0 where the plane is in front of the query's camera
        depth_there = (rays @ rotation.T + nearness[:, None] * translation.ravel())[:, 2]
        if np.isfinite(depth_there).all() and np.mean((nearness > 0) & (depth_there > 0)) >= _AHEAD:
            physical.append((np.asarray(rotation, np.float64), translation.ravel() / np.linalg.norm(translation)))
    if len(physical) != 1:
        return RelativePose("homography", why="; how the camera moved before this plane has more than one answer")
    return RelativePose("homography", physical[0][0], physical[0][1])


def _rotation_between(here: Points, there: Points) -> Points:
    """The rotation that best turns the rays [m, 2] of one camera into the other's (Kabsch)."""
    left, _, right = np.linalg.svd(_rays(there).T @ _rays(here))
    return np.asarray(left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right)


def _turned_errors(rotation: Points, here: Points, there: Points) -> Points:
    """How far each turned ray ends from its match, [m], on the plane one unit ahead."""
    turned = _rays(here) @ rotation.T
    ahead = np.maximum(turned[:, 2:], 1e-9)
    return np.asarray(np.linalg.norm(turned[:, :2] / ahead - there, axis=1))


def _rays(bearings: Points) -> Points:
    rays = np.column_stack([bearings, np.ones(len(bearings))])
    return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True))
