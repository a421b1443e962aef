"""Camera trajectories from files: TUM (``stamp x y z qx qy qz qw``) or KITTI (one row-major 3 x 4 matrix for each image).

KITTI poses have optical axes (z forward, x right, y down), in the optical frame of the first image. TUM files have no fixed axes: a robot's
odometry has x forward and z up; ORB-SLAM and the ground truth of TUM RGB-D have optical axes. The motion decides: a camera that moves more
along its own z axis than along its x axis has optical axes. The world of optical poses has y down where the camera's y axis is near the
world's y axis, else z up.

https://www.cvlibs.net/datasets/kitti/eval_odometry.php
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.transforms import OPTICAL, compose, inverse, rotation_matrix
from vpr_aesvc.types import Pose

Stamped = tuple[float, Pose]

_STEP = 0.2  # meters between compared poses: longer than jitter


@dataclass(frozen=True)
class Trajectory:
    """``poses`` of the camera with body axes (x forward, y left, z up): KITTI in file order, TUM by ascending stamp.

    Attributes:
        stamps: seconds, one for each pose; None for KITTI, which has one pose for each image.
        note: a sentence for the user: the format, and the axes that the file's poses were taken to have.
    """

    kind: Literal["TUM", "KITTI"]
    poses: list[Pose]
    stamps: list[float] | None
    note: str


def read_trajectory(path: Path, optical: bool = False) -> Trajectory:
    """Reads a file; the number of columns of its first line decides the format.

    Args:
        optical: the axes of a TUM file are known to be optical.

    Raises:
        VprError: no such file, another format, or a bad line; the message names the line and what was found.
    """
    number, line, words = next(_lines(path))
    if len(words) == 8:
        stamped = read_tum(path)
        poses, axes = _with_body_axes([pose for _, pose in stamped], optical)
        return Trajectory("TUM", poses, [stamp for stamp, _ in stamped], f"trajectory {path.name}: TUM, {axes}")
    if len(words) == 12:
        poses = [compose(compose(OPTICAL, pose), inverse(OPTICAL)) for pose in _read_kitti(path)]
        note = f"trajectory {path.name}: KITTI, of the camera's optical frame"
        return Trajectory("KITTI", poses, None, note)
    raise VprError(
        f"{path}, line {number}: expected a trajectory of 8 numbers a line (TUM: stamp x y z qx qy qz qw) or 12 (KITTI: a 3 x 4 matrix), "
        f"found {len(words)} columns: {line[:80]!r}"
    )


def read_tum(path: Path) -> list[Stamped]:
    """(stamp in seconds, pose as in the file), by ascending stamp.

    Raises:
        VprError: no such file, no pose in it, or a line that is not eight numbers; the message names the line.
    """
    poses = []
    for number, line, words in _lines(path):
        try:
            stamp, *rest = map(float, words)
            length = math.hypot(*rest[3:])
            if len(rest) != 7 or not math.isfinite(stamp) or not abs(length - 1) < 0.01:
                raise ValueError
            poses.append((stamp, Pose(*rest[:3], *(part / length for part in rest[3:]))))
        except ValueError:
            raise VprError(
                f"{path}, line {number}: expected `stamp x y z qx qy qz qw` with a unit quaternion, found {line[:80]!r}"
            ) from None
    return sorted(poses, key=lambda stamped: stamped[0])


def _lines(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """(line number, line, its words) of each line that holds something besides a # comment; commas separate words too."""
    is_empty = True
    try:
        with path.open() as file:
            for number, line in enumerate(file, 1):
                words = line.split("#")[0].replace(",", " ").split()
                if words:
                    is_empty = False
                    yield number, line.strip(), words
    except (OSError, UnicodeDecodeError) as error:
        raise VprError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if is_empty:
        raise VprError(f"{path}: holds no pose")


def _read_kitti(path: Path) -> list[Pose]:
    poses = []
    for number, line, words in _lines(path):
        try:
            poses.append(_pose_of_matrix(np.array([float(word) for word in words]).reshape(3, 4)))
        except ValueError:
            raise VprError(
                f"{path}, line {number}: expected the 12 numbers of a 3 x 4 matrix with a rotation in it, found {line[:80]!r}"
            ) from None
    return poses


def _pose_of_matrix(matrix: NDArray[np.float64]) -> Pose:
    """From float64 [3, 4]. Raises ValueError where the left [3, 3] is not a rotation."""
    rotation = matrix[:, :3]
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=0.01) or np.linalg.det(rotation) < 0:
        raise ValueError
    vector = cv2.Rodrigues(rotation)[0].ravel()  # the rotation axis, scaled to the angle in radians
    angle = float(np.linalg.norm(vector))
    qx, qy, qz = (vector / angle * math.sin(angle / 2) if angle else vector).tolist()
    x, y, z = matrix[:, 3].tolist()
    return Pose(x, y, z, qx, qy, qz, math.cos(angle / 2))


def _with_body_axes(poses: list[Pose], optical: bool) -> tuple[list[Pose], str]:
    """The poses with body axes, and the axes they had, in words."""
    if not optical and not _moves_along_z(poses):
        return poses, "of the camera or the robot, taken to look along x"
    to_body = inverse(OPTICAL)
    down = float(
        np.mean([rotation_matrix(pose)[:, 1] for pose in poses], axis=0)[1]
    )  # camera's y axis on the world's y axis
    if down > 0.7:
        return [compose(compose(OPTICAL, pose), to_body) for pose in poses], "of the camera's optical frame, y down"
    return [compose(pose, to_body) for pose in poses], "of the camera's optical frame"


def _moves_along_z(poses: list[Pose]) -> bool:
    """Whether the motion is more along the poses' own z axis than along their x axis."""
    along: NDArray[np.float64] = np.zeros(3)
    last = poses[0]
    for pose in poses[1:]:
        step = np.array([pose.x - last.x, pose.y - last.y, pose.z - last.z])
        if np.linalg.norm(step) >= _STEP:
            along += np.abs(rotation_matrix(last).T @ step)
            last = pose
    return bool(along[2] > along[0])
