"""The points that a place and its neighbors along the traverse see, triangulated with the map's relative poses.

A point is its bearing (u, v) in the optical frame of the place's camera, and its inverse depth w: it lies at ``(u, v, 1) / w``. So points that are too
far away for their depth to be known still measure rotations (Civera et al., T-RO 2008). Points and neighbors' poses are adjusted together, with the
map's poses as prior (Triggs et al., 1999). What stays uncertain is noise of each point alone, and errors that the points share because they come from
the poses.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.recognition.geometry.local_features import LONGEST_SIDE, Keypoints
from vpr_aesvc.recognition.geometry.verification import match_keypoints
from vpr_aesvc.types import Floats, Points, Rows

Flags = NDArray[np.bool_]

TRANSLATION_NOISE, ROTATION_NOISE = 0.03, np.radians(0.3)
"""Standard deviations of a neighbor's pose relative to the place: part of their distance, and radians."""
_MIN_MATCHES = 15
MIN_POINTS, MAX_POINTS = 20, 200
_MIN_PARALLAX = 2.0  # pixels, median
_EPIPOLAR_PIXELS = 3.0  # in an image whose longer side is LONGEST_SIDE
_MIN_AGREEMENT = 0.7  # of the matches that fit some fundamental matrix, those that fit the map's poses
_MIN_SHARED = 0.4  # of the matches of a neighbor, those on whose depth most neighbors agree
_MAX_POSE_NOISE = 1.5
STILL = 1e-3  # of the distance of the farthest neighbor: nearer, the map says that the camera stood still
_ROUNDS = 4, 4, 3
_LEAST_POSE_NOISE = 0.05
_MODES = 8
MEDIAN = 1.386  # of a chi square with 2 degrees of freedom
TAIL = 5.7  # variances: the squared error at which the weight is a fourth
_SIGMA = 0.15, 2.0  # least and largest noise of a key point, pixels of the stored picture

NO_NEIGHBOR = "the place has no neighbor with a pose along its traverse"
_TOO_FEW = "the neighbors of the place show too few of its points"
_STANDING = "the map's camera only turned here, or stood still: no parallax between the place and its neighbors"
_CONTRADICTION = "the map's poses contradict the pictures of the place and its neighbors: check odometry, intrinsics and the camera's mounting"
_REASONS = ["", _TOO_FEW, _STANDING, _CONTRADICTION]


@dataclass(frozen=True, eq=False)
class View:
    """A picture of the map.

    Attributes:
        keypoints: k. bearings: float64 [k, 2], on the plane one unit ahead of the camera. pixel: the size of a pixel there.
        rotation, position: float64 [3, 3] and [3], of its optical frame in that of the place.
    """

    keypoints: Keypoints
    bearings: Points
    pixel: float
    rotation: Points
    position: Points


@dataclass(frozen=True, eq=False)
class PlacePoints:
    """k points that a place's camera sees.

    Attributes:
        keypoints: of the place. rows: int64 [k], the key point of each point.
        points: float64 [k, 3], (u, v, w). noise: float64 [k, 3, 3], covariance of each point alone. modes: float32 [k, 3, m], by which all points
            move together for one standard deviation of each error that they share.
        sigma: standard deviation of a key point, on the plane one unit ahead.
        reach: distance of the nearest neighbor that was used.
        pose_noise: float64 [2], of the map's poses as the pictures show it, in units of ``TRANSLATION_NOISE`` and ``ROTATION_NOISE``.
        refusal: why there are no points; empty if there are.
    """

    keypoints: Keypoints = field(repr=False)
    rows: Rows = field(repr=False)
    points: Points = field(repr=False)
    noise: Points = field(repr=False)
    modes: NDArray[np.floating] = field(repr=False)
    sigma: float = 1.0
    reach: float = 0.0
    pose_noise: Floats = field(default_factory=lambda: np.ones(2))
    refusal: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def place_noise(self, meters: float) -> Floats:
        """float64 [6], standard deviations of the place's pose, as a camera so far from it sees it: positions drift on the way, orientations do not."""
        drift = TRANSLATION_NOISE * np.sqrt(self.reach * min(meters, self.reach))
        return np.repeat(self.pose_noise * (drift, ROTATION_NOISE), 3) / np.sqrt(2)  # the other half is the neighbor's

    @cached_property
    def seen_keypoints(self) -> Keypoints:
        """The key point of each point."""
        of = self.keypoints
        return Keypoints(of.xy[self.rows], of.descriptors[self.rows], of.width, of.height, of.kind)


def relief(points: Points, noise: Points) -> float:
    """How far points are from one plane, in standard deviations of their depth: root of the median square. On a plane w is linear in u and v."""
    sigma = np.sqrt(noise[:, 2, 2])
    weighted = np.column_stack([points[:, :2], np.ones(len(points))]) / sigma[:, None]
    plane = np.linalg.lstsq(weighted, points[:, 2] / sigma, rcond=None)[0]
    return float(np.median(np.abs(points[:, 2] / sigma - weighted @ plane)))


def no_points(keypoints: Keypoints, refusal: str) -> PlacePoints:
    """``refusal``: the reason in words."""
    none = np.empty((0, 3))
    return PlacePoints(keypoints, np.empty(0, np.int64), none, none[:, :, None], none[:, :, None], refusal=refusal)


def project(points: Points, rotation: Points, position: Points) -> tuple[Points, Points, Points]:
    """Where a camera sees points.

    Args:
        points: float64 [3, k], (u, v, w). rotation, position: of the camera, as in ``View``.

    Returns:
        bearings [2, k], and their derivatives by the point [2, 3, k] and by the camera's pose [2, 6, k]: position, and rotation about the axes
        of the place.
    """
    w = points[2]
    a, b, c = offset = np.array([points[0], points[1], np.ones_like(w)]) - position[:, None] * w
    seen = rotation.T @ offset
    near = 1 / np.maximum(seen[2], 1e-3)  # a point behind the camera lies far outside
    xy = seen[:2] * near
    by_offset = (rotation.T[:2, :, None] - rotation[:, 2:] * xy[:, None]) * near  # [2, 3, k]
    by_point, by_pose = np.empty((2, 3, len(w))), np.empty((2, 6, len(w)))
    by_point[:, :2], by_point[:, 2] = by_offset[:, :2], -position @ by_offset
    i, j, k = by_offset.transpose(1, 0, 2)
    by_pose[:, :3] = by_offset * -w
    by_pose[:, 3], by_pose[:, 4], by_pose[:, 5] = j * c - k * b, k * a - i * c, i * b - j * a
    return xy, by_point, by_pose


def turned(rotation: Points, vector: Points) -> Points:
    """A rotation [3, 3], turned by a rotation vector [3] of the outer frame."""
    return np.asarray(cv2.Rodrigues(vector)[0] @ rotation)


def finite(pairs: Rows, one: Points, other: Points) -> Rows:
    """The pairs [m, 2] whose bearings are known: of both the distortion can be undone."""
    return pairs[np.isfinite(one[pairs[:, 0]]).all(1) & np.isfinite(other[pairs[:, 1]]).all(1)]


@dataclass(frozen=True, eq=False)
class _Bundle:
    """v neighbors and the k points that they see. ``observed`` float64 [v, k, 2], bearings, where ``seen`` bool [v, k]."""

    views: list[View]
    rows: Rows
    points: Points
    observed: Points
    seen: Flags

    def of(self, chosen: Flags) -> "_Bundle":
        return _Bundle(
            self.views, self.rows[chosen], self.points[chosen], self.observed[:, chosen], self.seen[:, chosen]
        )


def triangulate(place: View, neighbors: list[View]) -> PlacePoints:
    """The points that a place shares with its neighbors, or the reason why there are none. The place's own rotation and position are not used."""
    matches = [
        finite(match_keypoints(place.keypoints, one.keypoints), place.bearings, one.bearings) for one in neighbors
    ]
    still = STILL * max((float(np.linalg.norm(one.position)) for one in neighbors), default=0.0)
    reasons = [_refusal(place, *pair, still) for pair in zip(neighbors, matches, strict=True)]
    used = [at for at, why in enumerate(reasons) if not why]
    if used:  # do they agree on the depths?
        bundle = _initial(place, [neighbors[at] for at in used], [matches[at] for at in used])
        for at, seen in zip(used, bundle.seen, strict=True):
            if seen.sum() < _MIN_SHARED * len(matches[at]):
                reasons[at] = _CONTRADICTION
        used = [at for at, why in enumerate(reasons) if not why]
    if len(used) <= reasons.count(_CONTRADICTION):
        return no_points(place.keypoints, max(reasons, key=_REASONS.index, default=NO_NEIGHBOR))
    views = [neighbors[at] for at in used]
    bundle = _initial(place, views, [matches[at] for at in used])
    if len(bundle.rows) < MIN_POINTS:
        return no_points(place.keypoints, _TOO_FEW)
    adjusted = _adjust(place, bundle, views, np.ones(2), _ROUNDS[0])
    guided = _initial(
        place, adjusted.bundle.views, [_guided(place, view, adjusted.sigma) for view in adjusted.bundle.views]
    )
    adjusted = _adjust(place, guided, views, np.ones(2), _ROUNDS[1])
    if adjusted.pose_noise.max() <= _MAX_POSE_NOISE:
        adjusted = _adjust(place, adjusted.bundle, views, adjusted.pose_noise, _ROUNDS[2], robust=True)
    if adjusted.pose_noise.max() > _MAX_POSE_NOISE:
        return no_points(place.keypoints, _CONTRADICTION)
    if len(adjusted.bundle.rows) < MIN_POINTS:
        return no_points(place.keypoints, _TOO_FEW)
    return adjusted.result(place, views)


def _refusal(place: View, view: View, pairs: Rows, still: float) -> str:
    """Why a neighbor cannot be used; empty if it can. ``still``: the distance below which the map says that the camera did not move."""
    if len(pairs) < _MIN_MATCHES:
        return _TOO_FEW
    one, other = place.bearings[pairs[:, 0]], view.bearings[pairs[:, 1]]
    try:
        tolerance = _EPIPOLAR_PIXELS * view.keypoints.longest_side / LONGEST_SIDE * view.pixel
        _, mask = cv2.findFundamentalMat(one, other, cv2.USAC_MAGSAC, tolerance, maxIters=1000, confidence=0.999)
    except cv2.error:
        return _TOO_FEW
    inliers = np.zeros(len(pairs), np.bool_) if mask is None else mask.ravel().astype(np.bool_)
    if inliers.sum() < _MIN_MATCHES:
        return _TOO_FEW
    far = project(np.vstack([one[inliers].T, np.zeros(inliers.sum())]), view.rotation, view.position)[0]
    if np.median(np.linalg.norm(far.T - other[inliers], axis=1)) < _MIN_PARALLAX * view.pixel:
        return _STANDING
    lines = np.cross(view.position, _rays(one[inliers])) @ view.rotation
    offset = np.abs((lines * _rays(other[inliers])).sum(1)) / np.maximum(np.linalg.norm(lines[:, :2], axis=1), 1e-9)
    agrees = (offset < tolerance + 2 * ROTATION_NOISE) & (_inverse_depths(one[inliers], other[inliers], view) > 0)
    if agrees.mean() >= _MIN_AGREEMENT and np.linalg.norm(view.position) > still:
        return ""
    return _CONTRADICTION if inliers.sum() >= 2 * _MIN_MATCHES else _TOO_FEW


def _inverse_depths(bearings: Points, observed: Points, view: View) -> Floats:
    """Of points [k, 2] of the place that a view observes."""
    ray, step = _rays(bearings) @ view.rotation, view.position @ view.rotation
    rise, slope = ray[:, :2] - observed * ray[:, 2:], step[:2] - observed * step[2]
    return np.asarray((rise * slope).sum(1) / np.maximum((slope**2).sum(1), 1e-18))


def _guided(place: View, view: View, sigma: float) -> Rows:
    """Matches [m, 2] among the pairs that the pose of the view allows."""
    lines = np.cross(view.position, _rays(place.bearings)) @ view.rotation
    lines /= np.maximum(np.linalg.norm(lines[:, :2], axis=1, keepdims=True), 1e-9)
    allowed = np.abs(lines @ _rays(view.bearings).T) < 3 * sigma
    return match_keypoints(place.keypoints, view.keypoints, allowed)


def _rays(bearings: Points) -> Points:
    return np.column_stack([bearings, np.ones(len(bearings))])


def _initial(place: View, views: list[View], matches: list[Rows]) -> _Bundle:
    """The matched points with the inverse depth on which most of the views agree."""
    count = len(place.bearings)
    observed, seen = np.zeros((len(views), count, 2)), np.zeros((len(views), count), np.bool_)
    depths = np.zeros((len(views), count))
    tolerances = np.array([_EPIPOLAR_PIXELS * view.pixel + 2 * ROTATION_NOISE for view in views])
    for at, (view, pairs) in enumerate(zip(views, matches, strict=True)):
        observed[at, pairs[:, 0]], seen[at, pairs[:, 0]] = view.bearings[pairs[:, 1]], True
        depths[at] = _inverse_depths(place.bearings, observed[at], view)
    best, agreeing, points = np.full(count, -1.0), np.zeros_like(seen), np.zeros((count, 3))
    for hypothesis in range(len(views)):
        tried = np.column_stack([place.bearings, np.maximum(depths[hypothesis], 0)])
        errors = np.stack(
            [
                np.linalg.norm(project(tried.T, one.rotation, one.position)[0].T - xy, axis=1)
                for one, xy in zip(views, observed, strict=True)
            ]
        )
        fits = seen & (errors < tolerances[:, None])
        score = np.where(fits[hypothesis], (fits * (1 - errors / (2 * tolerances[:, None]))).sum(0), -1)
        better = score > best
        best[better], agreeing[:, better], points[better] = score[better], fits[:, better], tried[better]
    return _Bundle(views, np.arange(count), points, observed, agreeing).of(best > 0)


@dataclass(frozen=True, eq=False)
class _Adjusted:
    """A bundle after adjustment, with the covariance of the poses [6 v, 6 v], that of each point for given poses [k, 3, 3], and how the points follow
    the poses [k, 3, 6 v]."""

    bundle: _Bundle
    sigma: float
    pose_noise: Floats
    poses: Points
    alone: Points
    follows: Points

    def result(self, place: View, neighbors: list[View]) -> PlacePoints:
        variances, axes = np.linalg.eigh(self.poses)
        modes = self.follows @ (axes * np.sqrt(np.maximum(variances, 0)))
        weight = np.einsum("kia,kij,kjb->ab", modes, np.linalg.inv(self.alone), modes)
        modes = modes @ np.linalg.eigh(weight)[1][:, -_MODES:]
        reach = min(float(np.linalg.norm(one.position)) for one in neighbors)
        bundle = self.bundle
        kept = np.sort(np.argsort(-bundle.seen.sum(0), kind="stable")[:MAX_POINTS])  # those that most neighbors see
        return PlacePoints(
            place.keypoints,
            rows=bundle.rows[kept],
            points=bundle.points[kept],
            noise=self.alone[kept],
            modes=modes[kept].astype(np.float32),
            sigma=self.sigma,
            reach=reach,
            pose_noise=self.pose_noise,
        )


def _adjust(
    place: View, bundle: _Bundle, priors: list[View], pose_noise: Floats, rounds: int, robust: bool = False
) -> _Adjusted:
    """Gauss-Newton on points and neighbors' poses; observations that do not fit are left out.

    Args:
        priors: the neighbors with the poses of the map. pose_noise: of these, in units of ``TRANSLATION_NOISE`` and ``ROTATION_NOISE``.
        robust: key points have heavy tails: they are weighted as Geman and McClure (1987) do. That would hide poses that contradict the pictures.
    """
    views, points, count = list(bundle.views), bundle.points.copy(), 6 * len(bundle.views)
    noise = np.concatenate(
        [[TRANSLATION_NOISE * np.linalg.norm(one.position)] * 3 + [ROTATION_NOISE] * 3 for one in priors]
    )
    prior_weight = 1 / (np.tile(np.repeat(pose_noise, 3), len(views)) * noise) ** 2
    own = place.bearings[bundle.rows]
    sigma, seen = place.pixel, bundle.seen
    for step in range(rounds + 1):
        pull = np.concatenate(
            [
                [*(one.position - was.position), *_rotation_vector(one.rotation @ was.rotation.T)]
                for one, was in zip(views, priors, strict=True)
            ]
        )
        pose_info, pose_slope = np.diag(prior_weight), -prior_weight * pull
        point_info = np.zeros((len(points), 3, 3))
        point_info[:, 0, 0] = point_info[:, 1, 1] = 1 / sigma**2
        point_info[:, 2, 2] = 1e-9
        point_slope = np.zeros((len(points), 3))
        point_slope[:, :2] = (own - points[:, :2]) / sigma**2
        cross = np.zeros((len(points), 3, count))
        squares = [((own - points[:, :2]) ** 2).sum(1)]
        for at, view in enumerate(views):
            bearings, by_point, by_pose = project(points.T, view.rotation, view.position)
            error = bundle.observed[at] - bearings.T
            squared = (error**2).sum(1)
            squares.append(squared)
            far = squared / sigma**2
            tail = (1 + far / TAIL) ** 2 if robust else 1 + far / 4 if step < rounds // 2 else 1  # first Cauchy's
            weight = seen[at] / sigma**2 / tail
            part = slice(6 * at, 6 * at + 6)
            point_info += np.einsum("k,aik,ajk->kij", weight, by_point, by_point)
            point_slope += np.einsum("k,aik,ka->ki", weight, by_point, error)
            cross[:, :, part] = np.einsum("k,aik,ajk->kij", weight, by_point, by_pose)
            pose_info[part, part] += np.einsum("k,aik,ajk->ij", weight, by_pose, by_pose)
            pose_slope[part] += np.einsum("k,aik,ka->i", weight, by_pose, error)
        alone = np.linalg.inv(point_info)
        follows = -alone @ cross
        reduced = pose_info + np.einsum("kia,kib->ab", cross, follows)
        poses = np.linalg.inv(reduced)
        if step == rounds:
            break
        moved = poses @ (pose_slope + np.einsum("kia,ki->a", follows, point_slope))
        points += np.einsum("kij,kj->ki", alone, point_slope) + follows @ moved
        views = [
            replace(view, rotation=turned(view.rotation, part[3:]), position=view.position + part[:3])
            for view, part in zip(views, moved.reshape(-1, 6), strict=True)
        ]
        errors = np.stack(squares)
        seen = bundle.seen & (errors[1:] < (3 * max(sigma, place.pixel / 2)) ** 2) if step else seen
        used = seen.any(0)
        freedom = (
            2 * seen.sum() - used.sum() - count
        )  # each point has two numbers of its own picture, and three unknowns
        fitted = errors[np.vstack([used, seen])]
        total = 2 * np.median(fitted) / MEDIAN * len(fitted) if robust else fitted.sum()
        sigma = float(np.clip(np.sqrt(total / max(freedom, 1)), *(np.array(_SIGMA) * place.pixel)))
    left = np.diag(poses) * prior_weight  # part of the prior's variance that the pictures leave
    surprise, shows = pull**2 * prior_weight - left * (1 - left), (1 - left) ** 2
    surprise, shows = (one.reshape(-1, 2, 3).sum((0, 2)) for one in (surprise, shows))
    shown = np.maximum(pose_noise * np.sqrt(np.maximum(surprise, 0) / np.maximum(shows, 0.5)), _LEAST_POSE_NOISE)
    spread, nearest = np.sqrt(alone[:, 2, 2]), min(float(np.linalg.norm(one.position)) for one in priors)
    known = seen.any(0) & (points[:, 2] > -2 * spread) & (spread * nearest < 1)
    kept = _Bundle(views, bundle.rows, points, bundle.observed, seen).of(known)
    return _Adjusted(kept, sigma, shown, poses, alone[known], follows[known])


def _rotation_vector(rotation: Points) -> Floats:
    return np.asarray(cv2.Rodrigues(rotation)[0].ravel())
