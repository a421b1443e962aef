"""Camera trajectories from files: TUM (``stamp x y z qx qy qz qw``), a table with a header that names these columns, in any order, or
KITTI (one row-major 3 x 4 matrix for each image).

KITTI poses have optical axes (z forward, x right, y down), in the optical frame of the first image. TUM files have no fixed axes: a robot's
odometry has x forward and z up; ORB-SLAM and the ground truth of TUM RGB-D have optical axes. The motion decides: a camera that moves more
along its own z axis than along its x axis has optical axes. The world of optical poses has y down where the camera's y axis is near the
world's y axis, else z up. A file that begins with ``BODY_AXES``, as ``vpr map export`` writes it, is not judged.

https://www.cvlibs.net/datasets/kitti/eval_odometry.php
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.geography import look_like_degrees, may_be_degrees
from vpr_aesvc.pose_columns import PoseColumns, column_names, find_columns
from vpr_aesvc.stamps import UNITS, to_seconds, unit_since_1970
from vpr_aesvc.text import fields_of, hint, read_text, words_of
from vpr_aesvc.transforms import OPTICAL, compose, inverse, pose_of_rotation, rotation_matrix
from vpr_aesvc.types import Pose

BODY_AXES = "# body axes:"
"""The beginning of a file whose poses have x forward, y left, z up."""

Stamped = tuple[float, Pose]
_Line = tuple[int, str]  # its number and what it holds, without a comment

_NUMBER = re.compile(r"[+-]?\.?\d")  # the beginning of one
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


def read_trajectory(path: Path, optical: bool = False, mount: Pose | None = None) -> Trajectory:
    """Reads a file; its header, or the number of columns of its first line, decides the format. ``optical``: the axes of a
    TUM file are known to be optical. ``mount``: of the camera, with body axes, on the body that a TUM file is of. Then no
    axes are judged. Raises VprError: no such file, another format, or a bad line; the message names the line and what was
    found."""
    text = read_text(path)
    header, lines = _read_table(path, text)
    if header is None and len(words_of(lines[0][1])) == 12:
        poses = [compose(compose(OPTICAL, pose), inverse(OPTICAL)) for pose in _read_kitti(path, lines)]
        note = f"trajectory {path.name}: KITTI, of the camera's optical frame"
        return Trajectory("KITTI", poses, None, note)
    stamped, how = _read_stamped(path, header, lines)
    poses = [pose for _, pose in stamped]
    axes = "with body axes, as its first line says"
    if mount is not None:
        poses, axes = [compose(pose, mount) for pose in poses], "of the body, on which the camera's mount is known"
    elif not text.startswith(BODY_AXES):
        poses, axes = with_body_axes(poses, optical)
    return Trajectory("TUM", poses, [stamp for stamp, _ in stamped], f"trajectory {path.name}: TUM, {axes}{how}")


def _read_table(path: Path, text: str) -> tuple[PoseColumns | None, list[_Line]]:
    """The header, and each line that holds something besides a # comment."""
    comments: list[_Line] = []
    lines: list[_Line] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].strip()
        if words and not words.startswith("%"):
            lines.append((number, words))
        elif line.strip() and not lines:
            comments.append((number, line))
    is_header = bool(lines) and not any(map(_NUMBER.match, fields_of(lines[0][1])))
    if is_header:
        comments = [lines.pop(0)]
    count = len(fields_of(lines[0][1])) if lines else 0
    header = None
    for number, line in reversed(comments):
        names = column_names(line)
        names = names if is_header else names[-count:]  # a comment may begin with other words, such as "format:"
        if header is None and (is_header or len(names) == count):
            header = find_columns(names, f"{path}, line {number}")
    if not lines and (header is not None or not is_header):
        raise VprError(f"{path}: holds no pose")
    if header is not None:
        return header, lines
    number, line = comments[0] if is_header else lines[0]
    found = len(fields_of(line) if is_header else words_of(line))
    if is_header or found not in (8, 12):
        raise VprError(
            f"{path}, line {number}: expected a trajectory of 8 numbers a line (TUM: stamp x y z qx qy qz qw) or 12 (KITTI: a 3 x 4 matrix), or "
            f"a header that names stamp, x, y, z, qx, qy, qz and qw; found {found} columns: {line[:80]!r}{hint(line)}"
        )
    return None, lines


def _read_stamped(path: Path, header: PoseColumns | None, lines: list[_Line]) -> tuple[list[Stamped], str]:
    """The poses by ascending stamp, and how the columns were understood: nothing if they are TUM's, in seconds."""
    stamps, poses = [], []
    for number, line in lines:
        words = words_of(line) if header is None else fields_of(line)
        try:
            stamp, *rest = words if header is None else header.pick(words)
            numbers = [float(word) for word in rest]
            length = math.hypot(*numbers[3:])
            if len(numbers) != 7 or not math.isfinite(float(stamp)) or not abs(length - 1) < 0.01:
                raise ValueError
            poses.append(Pose(*numbers[:3], *(part / length for part in numbers[3:])))
            stamps.append(stamp)
        except ValueError:
            columns = "stamp x y z qx qy qz qw" if header is None else f"{header}, {len(header.names)} columns in all,"
            found = f"found {line[:80]!r}{hint(line)}"
            raise VprError(f"{path}, line {number}: expected `{columns}` with a unit quaternion, {found}") from None
    unit = unit_since_1970(stamps, str(path)) or (header and header.unit) or UNITS[0]
    how = "" if header is None or header.is_usual else f", columns as its header names them ({header})"
    how += "" if unit == UNITS[0] else f", stamps in {unit}"
    positions = [(pose.x, pose.y) for pose in poses]
    if look_like_degrees(positions) or may_be_degrees(positions):
        how += f"; positions such as {poses[0].x:g}, {poses[0].y:g} were read as meters, are they degrees?"
    if header is None and _up(poses) < -0.5 and _up([Pose(p.x, p.y, p.z, p.qy, p.qz, p.qw, p.qx) for p in poses]) > 0.5:
        how += "; the quaternions were read as qx qy qz qw and turn the camera upside down: if qw comes first, write a header that names the columns"
    return sorted(zip(to_seconds(stamps, unit), poses, strict=True), key=lambda stamped: stamped[0]), how


def _up(poses: list[Pose]) -> float:
    """The usual share of the poses' own z axis that points up, -1 to 1."""
    return float(np.median([1 - 2 * (pose.qx**2 + pose.qy**2) for pose in poses]))


def _read_kitti(path: Path, lines: list[_Line]) -> list[Pose]:
    poses = []
    for number, line in lines:
        try:
            matrix = np.array([float(word) for word in words_of(line)]).reshape(3, 4)
            rotation = matrix[:, :3]
            if not np.allclose(rotation @ rotation.T, np.eye(3), atol=0.01) or np.linalg.det(rotation) < 0:
                raise ValueError
            poses.append(pose_of_rotation(rotation, *matrix[:, 3].tolist()))
        except ValueError:
            expected = "the 12 numbers of a 3 x 4 matrix with a rotation in it"
            found = f"found {line[:80]!r}{hint(line)}"
            raise VprError(f"{path}, line {number}: expected {expected}, {found}") from None
    return poses


def with_body_axes(poses: list[Pose], optical: bool) -> tuple[list[Pose], str]:
    """The poses with body axes, and the axes they had, in words. ``optical``: they are known to be optical."""
    if not optical and not _moves_along_z(poses):
        return poses, "of the camera or the robot, taken to look along x"
    to_body = inverse(OPTICAL)
    if np.mean([rotation_matrix(pose)[1, 1] for pose in poses]) > 0.7:  # the camera's y axis on the world's
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
