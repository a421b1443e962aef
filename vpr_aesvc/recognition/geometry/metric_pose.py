"""The metric pose of a camera relative to a place of the map: its key points, solved against the points of the place.

P3P within RANSAC begins; Gauss-Newton with the covariance of each point refines; the points that were not
matched are then looked for where the pose puts them.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.recognition.geometry.local_features import Keypoints
from vpr_aesvc.recognition.geometry.triangulation import MEDIAN, TAIL, PlacePoints, finite, project, relief, turned
from vpr_aesvc.recognition.geometry.verification import match_keypoints
from vpr_aesvc.transforms import OPTICAL, compose, pose_of_rotation, rotation_matrix
from vpr_aesvc.types import Floats, Intrinsics, Points, Pose, Rows

_MIN_BEGIN, _MIN_INLIERS = 7, 15  # points that fit one pose, before and after the others are looked for
_RANSAC_PIXELS = 4.0  # these and the others in standard deviations of a key point
_SEARCH = 5.0
_MIN_SHARE = 0.7  # right cameras have .85 and more, with 20 % of difference .56 and less
_LEAST_PIXELS = 0.15
_SPREAD = 0.1, 2.0  # least and most, of the squared errors of this picture's key points
_ROUNDS = 3, 6  # at most, before and after the others are looked for
_SMALL_STEP = 0.1  # in standard deviations of the pose: the last
_RIDGE = 1e-9 * np.eye(6)
_FITS = 9.21  # squared error in standard deviations that 99 of 100 right matches stay below
_MAX_SIGMA = 0.2  # standard deviation of the position, as part of the distance to the nearest neighbor
_MAX_TURN = np.radians(75.0)
_MIN_RELIEF = 1.3  # of points on a plane it is 0.67, and less than 1.1 by chance
_Pose = tuple[Points, Points]  # rotation and position of a camera, as in ``View``


@dataclass(frozen=True, eq=False)
class MetricPose:
    """The pose of the query's camera, measured against points that were triangulated from the matched place and its neighbors.

    Attributes:
        relative_pose: of the query's camera in the frame of the place's camera; both have body axes (x forward, y left, z up), meters.
        covariance: float64 [6, 6] of ``relative_pose``: x, y, z in meters, and rotations in radians, along and about the axes of the place's
            camera. It holds the noise of the pixels and of the map's poses.
        inliers: points that fit. points: points of the place that were matched.
        place_noise: float64 [6], standard deviations of the place's own pose, as ``covariance``.
    """

    relative_pose: Pose
    covariance: Floats = field(repr=False)
    inliers: int
    points: int
    place_noise: Floats = field(default_factory=lambda: np.zeros(6), repr=False)


def solve_metric_pose(
    query: Keypoints, intrinsics: Intrinsics, pairs: Rows, place: PlacePoints, rigid: float = 0.0
) -> MetricPose | str:
    """The metric pose, or the reason why there is none.

    Args:
        intrinsics: in pixels of the query's key points.
        pairs: int64 [m, 2], matched key points of the query and of the place.
        rigid: part of the pairs that fits a rigid model without intrinsics; with intrinsics nearly as many must fit.
    """
    if place.refusal:
        return place.refusal
    bearings = intrinsics.bearings(query.xy.astype(np.float64), 1.0)
    sigma = max(place.sigma, _LEAST_PIXELS / intrinsics.fx)
    point_of = np.full(len(place.keypoints), -1)
    point_of[place.rows] = np.arange(len(place))
    matched = np.column_stack([pairs[:, 0], point_of[pairs[:, 1]]])
    matched = finite(matched[matched[:, 1] >= 0], bearings, place.points)
    pose = _begin(bearings[matched[:, 0]], place.points[matched[:, 1]], place.noise[matched[:, 1]], sigma)
    if pose is None:
        return f"the {len(matched)} matched points of known depth do not fit one pose"
    pose = _refine(pose, bearings, place, matched, sigma, _ROUNDS[0])[:2]
    expected = project(place.points.T, *pose)[0].T
    off = np.linalg.norm(bearings[matched[:, 0]] - expected[matched[:, 1]], axis=1)
    if np.mean(off < _SEARCH * sigma) < _MIN_SHARE * rigid:
        return "few of the points that fit a rigid scene fit one pose: the intrinsics of the camera or of the map are wrong"
    across, down = bearings.T.astype(np.float32)[:, :, None] - expected.T.astype(np.float32)[:, None]
    matched = match_keypoints(query, place.seen_keypoints, across * across + down * down < (_SEARCH * sigma) ** 2)
    if len(matched) < _MIN_INLIERS:
        return f"only {len(matched)} points of the place are seen, fewer than {_MIN_INLIERS}"
    found = _refine(pose, bearings, place, matched, sigma, _ROUNDS[1])
    fits, covariance = _covariance(found, place.modes[matched[:, 1]])
    inliers = int(fits.sum())
    if inliers < _MIN_INLIERS:
        return f"{inliers} of {len(matched)} points fit one pose, fewer than {_MIN_INLIERS}"
    if not np.linalg.norm(cv2.Rodrigues(found.rotation)[0]) < _MAX_TURN:
        return "the camera looks in another direction than the place's"
    if not np.sqrt(np.linalg.eigvalsh(covariance[:3, :3])[-1]) < _MAX_SIGMA * place.reach:
        return "the points that fit lie so that the position stays uncertain"
    if relief(place.points[matched[fits, 1]], place.noise[matched[fits, 1]]) < _MIN_RELIEF:
        return "the points that fit lie on a plane, which more than one pose explains"
    body = rotation_matrix(OPTICAL)
    axes = np.kron(np.eye(2), body)
    return MetricPose(
        pose_of_rotation(body @ found.rotation @ body.T, *(body @ found.position).tolist()),
        axes @ covariance @ axes.T,
        inliers,
        len(matched),
        place.place_noise(float(np.linalg.norm(found.position))),
    )


def pose_in_map(place: Pose, metric: MetricPose) -> tuple[Pose, Floats]:
    """The camera's pose in the map frame, and its covariance [6, 6] along and about the map's axes, with the noise of the place's pose."""
    x, y, z = metric.relative_pose.as_tuple()[:3]
    lever = np.eye(6)
    lever[:3, 3:] = [[0, z, -y], [-z, 0, x], [y, -x, 0]]  # the place's rotation moves the camera
    noise = metric.covariance + lever @ np.diag(metric.place_noise**2) @ lever.T
    turn = np.kron(np.eye(2), rotation_matrix(place))
    return compose(place, metric.relative_pose), turn @ noise @ turn.T


def _begin(bearings: Points, points: Points, noise: Points, pixel: float) -> _Pose | None:
    """Rotation and position of the camera, by RANSAC, from the points whose depth is known; None if too few fit."""
    known = points[:, 2] > 3 * np.sqrt(noise[:, 2, 2])
    if known.sum() < _MIN_BEGIN:
        return None
    rays = np.column_stack([points[:, :2], np.ones(len(points))])[known]
    try:
        done, vector, shift, inliers = cv2.solvePnPRansac(
            rays / points[known, 2:],
            bearings[known],
            np.eye(3),
            None,
            iterationsCount=100,
            reprojectionError=_RANSAC_PIXELS * pixel,
            confidence=0.999,
            flags=cv2.SOLVEPNP_P3P,
        )
    except cv2.error:  # OpenCV asserts on some degenerate sets of points
        return None
    if not done or inliers is None or len(inliers) < _MIN_BEGIN or not np.isfinite([vector, shift]).all():
        return None
    rotation = np.asarray(cv2.Rodrigues(vector)[0].T, np.float64)
    return rotation, -rotation @ shift.ravel()


class _Fit(NamedTuple):
    """A pose, and of the last round each error of k points with its derivatives: by the camera's pose, by the point, and by the noise of the point.

    Attributes:
        rows: float64 [2, 1 + 6 + 3 + 3, k], in standard deviations. far: float64 [k], squared errors in units of the tail's.
    """

    rotation: Points
    position: Points
    rows: Points
    far: Floats


def _refine(pose: _Pose, bearings: Points, place: PlacePoints, pairs: Rows, sigma: float, rounds: int) -> _Fit:
    """Gauss-Newton with robust weights. The points move within their noise: derivatives at where they were triangulated would take that noise for
    depth, and so for parallax."""
    rotation, position = pose
    observed, known = bearings[pairs[:, 0]].T, place.points[pairs[:, 1]].T
    points, noise = known, place.noise[pairs[:, 1]].T
    rows = np.empty((2, 13, len(pairs)))
    error, by_pose, by_point, gain = rows[:, 0], rows[:, 1:7], rows[:, 7:10], rows[:, 10:]
    for _ in range(rounds):
        seen, by_point[:], by_pose[:] = project(points, rotation, position)
        error[:] = observed - seen - np.einsum("aik,ik->ak", by_point, known - points)
        gain[:] = np.einsum("aik,ijk->ajk", by_point, noise)
        (first, both), (_, second) = np.einsum("aik,bik->abk", gain, by_point)
        first, second = first + sigma**2, second + sigma**2
        # whitened, by the inverse of Cholesky's factor
        rows[0] = (rows[0] - rows[1] * (both / second)) / np.sqrt(first - both**2 / second)
        rows[1] /= np.sqrt(second)
        squared = np.einsum("ak,ak->k", error, error)
        far = squared / (TAIL * min(max(_median(squared) / MEDIAN, _SPREAD[0]), _SPREAD[1]))
        equations = ((by_pose / (1 + far) ** 2) @ rows[:, :7].transpose(0, 2, 1)).sum(0)
        info = equations[:, 1:] + _RIDGE
        moved = np.linalg.solve(info, equations[:, 0])
        rotation, position = turned(rotation, moved[3:]), position + moved[:3]
        points = known + np.einsum("aik,ak->ik", gain, error - moved @ by_pose)
        if moved @ info @ moved < _SMALL_STEP**2:
            break
    return _Fit(rotation, position, rows, far)


def _covariance(fit: _Fit, modes: NDArray[np.floating]) -> tuple[NDArray[np.bool_], Floats]:
    """Which points fit, bool [k], and the covariance [6, 6] of position and rotation: that of an M-estimator (Huber, 1981), and of the errors that the
    points share."""
    far, by_pose, by_point = fit.far, fit.rows[:, 1:7], fit.rows[:, 7:10]
    squared = (fit.rows[:, 0] ** 2).sum(0)
    slope = by_pose / (1 + far) ** 2
    turned_by = np.einsum("aik,kim->akm", by_point, modes)
    shared = np.linalg.solve((slope @ by_pose.transpose(0, 2, 1)).sum(0) + _RIDGE, (slope @ turned_by).sum(0))
    spread = (squared / (1 + far) ** 4).sum() / max(2 * len(squared) - 6, 1) / np.mean((1 - far) / (1 + far) ** 3) ** 2
    alone = np.linalg.inv((by_pose @ by_pose.transpose(0, 2, 1)).sum(0) + _RIDGE)
    return squared < _FITS, max(spread, _SPREAD[0]) * alone + shared @ shared.T


def _median(values: Floats) -> float:
    """Several times faster than numpy's."""
    return float(np.partition(values, len(values) // 2)[len(values) // 2])
