"""The stored poses of a map as odometry: relative poses along each traverse, whose covariance follows from a stated drift."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.transforms import rotation_matrix
from vpr_aesvc.types import Floats, Place, Pose, Rows

DRIFT = 0.02
"""Default drift, part of the distance."""
_HEADING = 0.1  # radians of heading error a meter of position error: a drift of 2 % turns by 0.11 degrees a meter
_MIN_METERS, _MIN_RADIANS = 0.005, 0.001  # standard deviations without motion


@dataclass(frozen=True, eq=False)
class DrivenPlaces:
    """The n places of a map that have a pose, in the order they were added.

    Attributes:
        ids: int64 [n], ascending. traverses: int64 [n]. stamps: float64 [n], NaN if unknown.
        poses: float64 [n, 4, 4], of the cameras in the map frame. meters: float64 [n], driven since the start of the traverse.
    """

    places: list[Place]
    ids: Rows
    traverses: Rows
    stamps: Floats
    poses: Floats
    meters: Floats

    @classmethod
    def of(cls, place_map: PlaceMap) -> "DrivenPlaces":
        """Raises VprError if no place has a pose, or the map is damaged."""
        with place_map.arrays() as arrays:
            rows = np.flatnonzero(arrays.alive & np.isfinite(arrays.poses[:, 0]))
            ids, traverses, stamps = arrays.ids[rows], arrays.traverses[rows], arrays.stamps[rows]
            meters = arrays.traveled[rows]
        if not len(ids):
            advice = "add poses with `vpr map import TRAJECTORY.tum MAP`, or build the map from a run with poses"
            raise VprError(f"{place_map.path}: no place has a pose; {advice}")
        places = list(place_map.places(ids).values())
        poses = np.stack([matrix_of(place.pose) for place in places if place.pose is not None])
        return cls(places, ids, traverses, stamps, poses, meters)

    def rows(self, ids: Sequence[tuple[int, int]]) -> Rows:
        """Rows of pairs of places by id, int64 [k, 2]."""
        return np.searchsorted(self.ids, np.array(ids, np.int64).reshape(-1, 2))

    def steps(self) -> tuple[Rows, Rows]:
        """Rows of the places that were mapped one after the other in a traverse, int64 [k] each."""
        order = np.argsort(self.traverses, kind="stable")
        together = self.traverses[order[1:]] == self.traverses[order[:-1]]
        return order[:-1][together], order[1:][together]

    def variances(self, first: Rows, second: Rows, drift: float) -> Floats:
        """float64 [k, 6], of the odometry from the rows ``first`` [k] to ``second`` [k] of one traverse: x, y, z in meters
        and rotations in radians. ``drift``: standard deviation of the position as part of the distance. That of the
        rotation is the same part of the angle turned, and as many radians in fifty meters, which move the end of the way,
        too."""
        meters = np.abs(self.meters[second] - self.meters[first])
        cosines = (np.einsum("kij,kij->k", self.poses[first, :3, :3], self.poses[second, :3, :3]) - 1) / 2
        radians = drift * (np.arccos(np.clip(cosines, -1, 1)) + _HEADING * meters) + _MIN_RADIANS
        position = drift * meters + radians * meters / 2 + _MIN_METERS
        return np.repeat(np.stack([position, radians], axis=1) ** 2, 3, axis=1)


def matrix_of(pose: Pose) -> Floats:
    """float64 [4, 4]."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation_matrix(pose), (pose.x, pose.y, pose.z)
    return matrix


def inverses(poses: Floats) -> Floats:
    """Of float64 [..., 4, 4]."""
    back = np.zeros_like(poses)
    back[..., :3, :3] = np.swapaxes(poses[..., :3, :3], -1, -2)
    back[..., :3, 3:] = -back[..., :3, :3] @ poses[..., :3, 3:]
    back[..., 3, 3] = 1
    return back
