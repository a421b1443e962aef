"""The poses of a map as a trajectory in TUM's format (``stamp x y z qx qy qz qw``; seconds, meters, unit quaternion), and back.

https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free, write_file
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.trajectory import BODY_AXES, Stamped
from vpr_aesvc.types import Place, Pose


def write_tum(places: Iterable[Place], path: Path) -> int:
    """Writes the places that have a stamp and a pose, by ascending stamp; returns their number. Raises VprError: no place
    has both, the path exists, or the disk refuses."""
    check_free(path, "trajectory")
    poses = sorted(
        ((place.stamp, place.pose) for place in places if place.stamp is not None and place.pose is not None),
        key=lambda stamped: stamped[0],
    )
    if not poses:
        raise VprError("no place of the map has both a stamp and a pose, so there is no trajectory to write")
    lines = [f"{BODY_AXES} stamp x y z qx qy qz qw"]
    lines += [" ".join([f"{stamp:.9f}", *(f"{number:.12g}" for number in pose.as_tuple())]) for stamp, pose in poses]
    write_file(path, ("\n".join(lines) + "\n").encode(), "trajectory")
    return len(poses)


def set_poses_from_trajectory(place_map: OpenMap, trajectory: list[Stamped], max_gap: float) -> tuple[int, int]:
    """Gives each place the pose of the nearest stamp, for example from the trajectory of a SLAM back end. ``trajectory``:
    by ascending stamp. ``max_gap``: seconds allowed between the stamps of a place and a pose. Returns the number of places
    with a new pose, and of those that keep their pose. Raises VprError: no place is within ``max_gap`` of a pose; nothing
    was changed."""
    stamps = np.array([stamp for stamp, _ in trajectory])
    new: dict[int, Pose] = {}
    places = place_map.places()
    for place in places.values():
        if place.stamp is None:
            continue
        nearest = int(np.abs(stamps - place.stamp).argmin())
        if abs(stamps[nearest] - place.stamp) <= max_gap:
            new[place.id] = trajectory[nearest][1]
    if not new:
        found = (
            f"whose stamps are {stamps[0]:.3f} to {stamps[-1]:.3f}; check that both use one clock, or raise --max-gap"
        )
        raise VprError(f"{place_map.path}: no place is within {max_gap} s of a pose of the trajectory, {found}")
    place_map.set_poses(new)
    return len(new), len(places) - len(new)
