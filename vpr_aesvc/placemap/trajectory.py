"""The TUM trajectory format: a line for each pose, ``stamp x y z qx qy qz qw``; seconds, meters, unit quaternion.

https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free, write_file
from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.trajectory import Stamped
from vpr_aesvc.types import Place, Pose


def write_tum(places: Iterable[Place], path: Path) -> int:
    """Writes the places that have a stamp and a pose, by rising stamp; returns how many.

    Raises:
        VprError: none has both, the path exists, or the disk refuses.
    """
    check_free(path, "trajectory")
    found = sorted(
        ((place.stamp, place.pose) for place in places if place.stamp is not None and place.pose is not None),
        key=lambda one: one[0],
    )
    if not found:
        raise VprError("no place of the map has both a stamp and a pose, so there is no trajectory to write")
    lines = ["# stamp x y z qx qy qz qw"]
    lines += [" ".join([f"{stamp:.9f}", *(f"{number:.9g}" for number in pose.as_tuple())]) for stamp, pose in found]
    write_file(path, ("\n".join(lines) + "\n").encode(), "trajectory")
    return len(found)


def set_trajectory(place_map: PlaceMap, poses: list[Stamped], gap: float) -> tuple[int, int]:
    """Gives each place the pose of the nearest stamp, as after a SLAM back end has written its trajectory.

    Args:
        gap: seconds that a place and a pose may lie apart.

    Returns:
        how many places got a pose, and how many were too far from any.

    Raises:
        VprError: no place lies near a pose in time; nothing was changed.
    """
    stamps = np.array([stamp for stamp, _ in poses])
    new: dict[int, Pose] = {}
    places = place_map.places()
    for place in places.values():
        if place.stamp is None:
            continue
        right = int(np.searchsorted(stamps, place.stamp))
        nearest = min(
            (at for at in (right - 1, right) if 0 <= at < len(stamps)), key=lambda at: abs(stamps[at] - place.stamp)
        )
        if abs(stamps[nearest] - place.stamp) <= gap:
            new[place.id] = poses[nearest][1]
    if not new:
        raise VprError(
            f"{place_map.path}: no place lies within {gap} s of a pose of the trajectory, which spans {stamps[0]:.3f} to {stamps[-1]:.3f}"
        )
    place_map.set_poses(new)
    return len(new), len(places) - len(new)
