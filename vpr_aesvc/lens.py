"""Lens distortion: from pixels to bearings, by OpenCV's camera models, which are those of ROS.

https://docs.opencv.org/4.x/d9/d0c/group__calib3d.html and https://docs.opencv.org/4.x/db/d58/group__calib3d__fisheye.html
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

_STEPS, _CONVERGED = 30, 1e-9  # of Newton's method; pixels
_UNDONE = 1e-3  # pixels: a point is undone if it is projected back to where it was
_RING = np.linspace(0.0, 1.0, 256)


def undistorted(pixels: Points, matrix: Points, coefficients: Points, fisheye: bool) -> Points:
    """Pixels [k, 2] -> float64 [k, 2] on the plane one unit ahead. NaN where no point of that plane is seen at the pixel,
    and beyond the angle at which the model folds back, where two points are seen at one pixel. ``matrix``: float64 [3, 3],
    the camera matrix. ``coefficients``: k1, k2, p1, p2, k3, ... of OpenCV, or k1 to k4 of its fisheye model."""
    if not len(pixels):
        return np.empty((0, 2))
    if fisheye:
        found = np.asarray(cv2.fisheye.undistortPoints(pixels[:, None], matrix, coefficients)[:, 0], np.float64)
    else:
        found = _newton(pixels, matrix, coefficients)
    again, _ = _projected(found, matrix, coefficients, fisheye)
    found[~(np.abs(again - pixels).max(axis=1) < _UNDONE)] = np.nan
    angles = np.arctan(np.hypot(*found.T))
    if not np.isnan(angles).all():
        ring = np.nanmax(angles) * _RING  # the angles at which the distance from the center must rise
        along, _ = _projected(np.column_stack([np.tan(ring), np.zeros(len(ring))]), matrix, coefficients, fisheye)
        folds = np.flatnonzero(~(np.diff(along[:, 0]) > 0))
        if len(folds):
            found[angles > ring[folds[0]]] = np.nan
    return found


def _newton(pixels: Points, matrix: Points, coefficients: Points) -> Points:
    """Converges at wide angles too, unlike the fixed-point iteration of OpenCV."""
    xy = (pixels - matrix[:2, 2]) / np.diag(matrix)[:2]
    with np.errstate(all="ignore"):  # where there is no solution
        for _ in range(_STEPS):
            at, jacobian = _projected(xy, matrix, coefficients, fisheye=False)
            error = pixels - at
            if np.abs(error).max() < _CONVERGED:
                break
            by_xy = jacobian.reshape(-1, 2, jacobian.shape[1])[:, :, 3:5]  # columns of the translation
            (a, b), (c, d) = by_xy.transpose(1, 2, 0)
            step = np.column_stack([d * error[:, 0] - b * error[:, 1], a * error[:, 1] - c * error[:, 0]])
            xy = xy + step / (a * d - b * c)[:, None]
    return np.asarray(xy)


def _projected(xy: Points, matrix: Points, coefficients: Points, fisheye: bool) -> tuple[Points, Points]:
    """Pixels [k, 2] of points on the plane one unit ahead, and OpenCV's Jacobian."""
    project = cv2.fisheye.projectPoints if fisheye else cv2.projectPoints
    points = np.column_stack([xy, np.ones(len(xy))])[:, None]
    at, jacobian = project(points, np.zeros(3), np.zeros(3), matrix, coefficients)
    return np.asarray(at, np.float64).reshape(-1, 2), np.asarray(jacobian)
