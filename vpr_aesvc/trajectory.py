"""A camera's way from a file: TUM (``stamp x y z qx qy qz qw``) or KITTI (the first three rows of a 4 x 4 matrix for each image).

KITTI's poses are the camera's with its optical axes (z ahead, x right, y down), in those of the first image. TUM's format leaves the axes
open: a robot's estimate has x ahead and z up, ORB-SLAM's and the TUM RGB-D set's ground truth are the optical frame's. Which it is shows in
which way the camera went, as cameras look where they go: more along their own z axis than along x, and it was optical. The world of
optical poses has y down where the camera's y axis lies near the world's, and z up otherwise.

https://www.cvlibs.net/datasets/kitti/eval_odometry.php
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.transforms import OPTICAL, compose, inverse, matrix
from vpr_aesvc.types import Pose

Stamped = tuple[float, Pose]

_STEP = 0.2  # meters between poses that are compared, which jitter does not decide


@dataclass(frozen=True)
class Trajectory:
    """``poses`` of the camera (x where it looks, y left, z up), in the order of the file for KITTI and by rising stamp for TUM.

    Attributes:
        stamps: seconds, one for each pose; None in KITTI's format, which has one pose for each image.
        note: in words, which axes the file's poses were taken to have.
    """

    kind: Literal["TUM", "KITTI"]
    poses: list[Pose]
    stamps: list[float] | None
    note: str


def read_trajectory(path: Path, optical: bool = False) -> Trajectory:
    """Reads the file; its first line tells the format.

    Args:
        optical: a TUM file is known to hold optical axes.

    Raises:
        VprError: no such file, another format, or a line that is not as it must be; the message says which and what was found.
    """
    columns, line, first = _first_line(path)
    if columns == 8:
        stamped = read_tum(path)
        poses, note = _upright([pose for _, pose in stamped], optical)
        return Trajectory("TUM", poses, [stamp for stamp, _ in stamped], f"trajectory {path.name}: TUM, {note}")
    if columns == 12:
        poses = [compose(compose(OPTICAL, pose), inverse(OPTICAL)) for pose in _read_kitti(path)]
        note = f"trajectory {path.name}: KITTI, of the camera's optical frame"
        return Trajectory("KITTI", poses, None, note)
    raise VprError(
        f"{path}, line {line}: expected a trajectory of 8 numbers a line (TUM: stamp x y z qx qy qz qw) or 12 (KITTI: a 3 x 4 matrix), "
        f"found {columns} columns: {first[:80]!r}"
    )


def _first_line(path: Path) -> tuple[int, int, str]:
    try:
        with path.open() as file:
            for number, line in enumerate(file, 1):
                words = line.split("#")[0].replace(",", " ").split()
                if words:
                    return len(words), number, line.strip()
    except (OSError, UnicodeDecodeError) as error:
        raise VprError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    raise VprError(f"{path}: holds no pose")


def _read_kitti(path: Path) -> list[Pose]:
    poses = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words:
            continue
        try:
            rows = np.array([float(word) for word in words]).reshape(3, 4)
            poses.append(_pose_of(rows))
        except ValueError:
            raise VprError(
                f"{path}, line {number}: expected the 12 numbers of a 3 x 4 matrix with a rotation in it, found {line.strip()[:80]!r}"
            ) from None
    return poses


def _pose_of(rows: NDArray[np.float64]) -> Pose:
    """From float64 [3, 4]. Raises ValueError where there is no rotation in it."""
    turn = rows[:, :3]
    if not np.allclose(turn @ turn.T, np.eye(3), atol=0.01) or np.linalg.det(turn) < 0:
        raise ValueError
    vector = cv2.Rodrigues(turn)[0].ravel()  # the axis, as long as the angle
    angle = float(np.linalg.norm(vector))
    qx, qy, qz = (vector / angle * math.sin(angle / 2) if angle else vector).tolist()
    x, y, z = rows[:, 3].tolist()
    return Pose(x, y, z, qx, qy, qz, math.cos(angle / 2))


def _upright(poses: list[Pose], optical: bool) -> tuple[list[Pose], str]:
    """Poses with a body's axes, and in words what they had."""
    if not optical and not _goes_along_z(poses):
        return poses, "of the camera or the robot, taken to look along x"
    back = inverse(OPTICAL)
    down = float(np.mean([matrix(pose)[:, 1] for pose in poses], axis=0)[1])  # the camera's y axis along the world's
    if down > 0.7:
        return [compose(compose(OPTICAL, pose), back) for pose in poses], "of the camera's optical frame, y down"
    return [compose(pose, back) for pose in poses], "of the camera's optical frame"


def _goes_along_z(poses: list[Pose]) -> bool:
    """Whether the way led along the poses' own z axis rather than their x axis."""
    along: NDArray[np.float64] = np.zeros(3)
    last = poses[0]
    for pose in poses[1:]:
        step = np.array([pose.x - last.x, pose.y - last.y, pose.z - last.z])
        if np.linalg.norm(step) >= _STEP:
            along += np.abs(matrix(last).T @ step)
            last = pose
    return bool(along[2] > along[0])


def read_tum(path: Path) -> list[Stamped]:
    """(stamp in seconds, pose) by rising stamp.

    Raises:
        VprError: no such file, or a line that is not eight numbers; the message says which.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise VprError(f"{path}: cannot be read ({error})") from error
    found = []
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].replace(",", " ").split()
        if not words:
            continue
        try:
            stamp, *rest = map(float, words)
            length = math.hypot(*rest[3:])
            if len(rest) != 7 or not math.isfinite(stamp) or not abs(length - 1) < 0.01:
                raise ValueError
            found.append((stamp, Pose(*rest[:3], *(part / length for part in rest[3:]))))
        except ValueError:
            raise VprError(
                f"{path}, line {number}: expected `stamp x y z qx qy qz qw` with a unit quaternion, found {line.strip()[:80]!r}"
            ) from None
    if not found:
        raise VprError(f"{path}: holds no pose")
    return sorted(found, key=lambda one: one[0])
