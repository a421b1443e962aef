"""The points of the places of a map, measured or triangulated at first use."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vpr_aesvc.depth import depth_at
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.recognition.geometry.depth_points import points_of_depth
from vpr_aesvc.recognition.geometry.local_features import StoredKeypoints
from vpr_aesvc.recognition.geometry.triangulation import (
    MIN_POINTS,
    NO_NEIGHBOR,
    STILL,
    PlacePoints,
    View,
    no_points,
    triangulate,
)
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.pose_covariance import pose_differences
from vpr_aesvc.transforms import OPTICAL, compose, relative_pose, rotation_matrix
from vpr_aesvc.types import FARTHEST, Floats, Pose

_CACHED = 512  # places whose points stay in memory, at most 40 kB each
_WINDOW = 12  # rows along the run on either side, among which neighbors are chosen
_NEIGHBORS = 2  # on either side, each at least twice as far as the one before
_JITTER = (
    1 / 16
)  # of the farthest distance in the window: what is nearer has no parallax, or is another camera of the robot
_MAX_TURN = np.radians(60)


class StoredPoints:
    """Points of the places of a map, by row of the map snapshot."""

    def __init__(self, place_map: OpenMap, snapshot: MapSnapshot, keypoints: StoredKeypoints) -> None:
        self._map, self._snapshot, self._keypoints = place_map, snapshot, keypoints
        self._of_rows = lru_cache(maxsize=_CACHED)(self._triangulate)

    def __getitem__(self, row: int) -> PlacePoints:
        """Raises VprError: the map is damaged."""
        return self._of_rows(row, *self._neighbors(row))

    def clear(self) -> None:
        """Rows have another meaning, or other poses."""
        self._of_rows.cache_clear()

    def triangulate_all(self) -> None:
        """Of a map of up to 512 places: some 30 ms each."""
        if len(self._snapshot) <= _CACHED:
            for row in range(len(self._snapshot)):
                self[row]

    def _neighbors(self, row: int) -> list[int]:
        """Rows along the run: on either side the nearest one, and the next one that is twice as far; also one of the same pose, whose picture shows
        whether the robot stood."""
        first, runs = max(0, row - _WINDOW), self._snapshot.runs
        rows = np.arange(first, min(len(runs), row + _WINDOW + 1))
        rows = rows[runs[rows] == runs[row]]
        steps = pose_differences(self._snapshot.poses[row], self._snapshot.poses[rows])
        distance, turn = np.linalg.norm(steps[:, :3], axis=1), np.linalg.norm(steps[:, 3:], axis=1)
        usable = (turn < _MAX_TURN) & (distance <= FARTHEST)  # False for NaN
        farthest = distance[usable].max(initial=0.0)
        usable &= (distance > _JITTER * farthest) | (distance <= STILL * farthest)
        chosen: list[int] = []
        for side in (np.flatnonzero(rows < row)[::-1], np.flatnonzero(rows > row)):
            farther = side[usable[side]].tolist()
            count = _NEIGHBORS + bool(farther and distance[farther[0]] <= STILL * farthest)
            while farther and count:
                at, count = farther[0], count - 1
                chosen.append(int(rows[at]))
                farther = [one for one in farther if distance[one] > max(1.99 * distance[at], STILL * farthest)]
        return chosen

    def _triangulate(self, row: int, *neighbors: int) -> PlacePoints:
        keypoints = self._keypoints[row]
        if not np.isfinite(self._snapshot.poses[row]).all():
            return no_points(keypoints, "the place has no pose")
        here = self._snapshot.poses[row]
        place = self._view(row, here)
        if place is None:
            return no_points(keypoints, "the map does not know its camera: give it with `vpr map set-camera`")
        depth = depth_at(self._map.thumbnail_jpeg(int(self._snapshot.ids[row])) or b"", place.keypoints.xy)
        if depth is not None and len(measured := points_of_depth(place, depth)) >= MIN_POINTS:
            return measured
        if not neighbors:
            return no_points(keypoints, NO_NEIGHBOR)
        views = [self._view(one, here) for one in neighbors]
        try:
            return triangulate(place, [view for view in views if view is not None])
        except np.linalg.LinAlgError:
            return no_points(keypoints, "the points of the place cannot be triangulated: their equations are singular")

    def _view(self, row: int, place: Floats) -> View | None:
        """A row's picture; None if its camera is unknown."""
        keypoints, here = self._keypoints[row], int(self._snapshot.ids[row])
        camera = self._map.camera_of(self._map.places([here])[here])
        if camera is None:
            return None
        intrinsics, (width, height) = camera
        intrinsics = intrinsics.resized((height, width), (keypoints.height, keypoints.width))
        pose = relative_pose(compose(Pose(*place), OPTICAL), compose(Pose(*self._snapshot.poses[row]), OPTICAL))
        return View(
            keypoints,
            bearings=intrinsics.bearings(keypoints.xy.astype(np.float64), 1.0),
            pixel=1 / intrinsics.fx,
            rotation=rotation_matrix(pose),
            position=np.array([pose.x, pose.y, pose.z]),
        )
