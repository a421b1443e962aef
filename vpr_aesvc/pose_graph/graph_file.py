"""Pose graphs and loop closures as files of other programs.

g2o (Kuemmerle et al., ICRA 2011), which GTSAM reads too: https://github.com/RainerKuemmerle/g2o/wiki/File-Format-SLAM-3D
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.files import write_file
from vpr_aesvc.onboard.loop_closure import LoopClosure
from vpr_aesvc.pose_graph.consistency import body_covariance
from vpr_aesvc.pose_graph.odometry import DrivenPlaces
from vpr_aesvc.transforms import relative_pose
from vpr_aesvc.types import Pose

_UPPER = np.triu_indices(6)


def write_g2o(
    path: Path, driven: DrivenPlaces, closures: Sequence[LoopClosure], conflicts: Sequence[str], drift: float
) -> None:
    """A vertex for each place, with its id; an edge from each place to the next of its traverse; an edge for each loop
    closure.

    The information of an edge is in meters and radians, along and about the axes of its second place. Closures with a
    conflict are comments. ``conflicts``: of each closure, see ``find_conflicts``. ``drift``: of the odometry, see
    ``DrivenPlaces.variances``. Raises VprError: the file cannot be written."""
    lines = [f"VERTEX_SE3:QUAT {place.id} {_numbers(place.pose.as_tuple())}" for place in driven.places if place.pose]
    first, second = driven.steps()
    for one, other, variances in zip(first, second, driven.variances(first, second, drift), strict=True):
        start, end = driven.places[one], driven.places[other]
        assert start.pose is not None and end.pose is not None
        lines.append(_edge(start.id, end.id, relative_pose(start.pose, end.pose), np.diag(1 / variances)))
    for closure, conflict in zip(closures, conflicts, strict=True):
        information = np.linalg.inv(body_covariance(closure))
        edge = _edge(closure.from_place, closure.to_place, closure.relative_pose, information)
        lines.append(f"# {conflict}: {edge}" if conflict else edge)
    write_file(path, ("\n".join(lines) + "\n").encode(), "graph")


def write_pairs(path: Path, driven: DrivenPlaces, closures: Iterable[LoopClosure]) -> int:
    """``stamp_from stamp_to x y z qx qy qz qw``: seconds, and the newer camera in the frame of the older, as in TUM's
    format. Returns their number.

    Closures of places without a stamp are left out. Raises VprError: the file cannot be written."""
    lines = ["# body axes: stamp_from stamp_to x y z qx qy qz qw"]
    for closure in closures:
        stamps = driven.stamps[driven.rows([(closure.from_place, closure.to_place)])[0]]
        if np.isfinite(stamps).all():
            lines.append(f"{stamps[0]:.9f} {stamps[1]:.9f} {_numbers(closure.relative_pose.as_tuple())}")
    write_file(path, ("\n".join(lines) + "\n").encode(), "pairs")
    return len(lines) - 1


def _edge(first: int, second: int, relative: Pose, information: NDArray[np.floating]) -> str:
    return f"EDGE_SE3:QUAT {first} {second} {_numbers(relative.as_tuple())} {_numbers(information[_UPPER])}"


def _numbers(numbers: Iterable[float]) -> str:
    return " ".join(f"{number:.9g}" for number in numbers)
