"""Poses put together: the pose of one frame in another, as quaternion and translation. Meters and radians, right-handed.

A camera's :class:`~vpr_aesvc.types.Pose` has the axes of REP 103's bodies: x where it looks, y to its left, z up. The header of an
image names its *optical* frame: z where it looks, x to the right, y down.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.types import Pose

Quaternion = tuple[float, float, float, float]

HERE = Pose(0.0, 0.0)
OPTICAL = Pose(0.0, 0.0, 0.0, -0.5, 0.5, -0.5, 0.5)
"""The optical frame in the frame of the same camera with a body's axes."""


def compose(first: Pose, second: Pose) -> Pose:
    """``second`` is given in the frame of ``first``; the result is in the frame that ``first`` is given in."""
    x, y, z = rotate(first, (second.x, second.y, second.z))
    return Pose(first.x + x, first.y + y, first.z + z, *_product(_turn(first), _turn(second)))


def inverse(pose: Pose) -> Pose:
    """The pose of the outer frame in this one."""
    back = Pose(0.0, 0.0, 0.0, -pose.qx, -pose.qy, -pose.qz, pose.qw)
    x, y, z = rotate(back, (-pose.x, -pose.y, -pose.z))
    return Pose(x, y, z, *_turn(back))


def between(first: Pose, second: Pose) -> Pose:
    """``second`` in the frame of ``first``, both given in one frame: how one must move to get from the first to the second."""
    return compose(inverse(first), second)


def rotate(pose: Pose, vector: tuple[float, float, float]) -> tuple[float, float, float]:
    """A vector of the pose's own frame, with the axes of the outer one; the translation takes no part."""
    x, y, z = vector
    ux, uy, uz = 2 * (pose.qy * z - pose.qz * y), 2 * (pose.qz * x - pose.qx * z), 2 * (pose.qx * y - pose.qy * x)
    return (
        x + pose.qw * ux + pose.qy * uz - pose.qz * uy,
        y + pose.qw * uy + pose.qz * ux - pose.qx * uz,
        z + pose.qw * uz + pose.qx * uy - pose.qy * ux,
    )


def interpolate(first: Pose, second: Pose, part: float) -> Pose:
    """The pose ``part`` (0 to 1) of the way from one to the other: straight, and by the shorter turn at an even rate (slerp; Shoemake, 1985)."""
    one, other = np.array(_turn(first)), np.array(_turn(second))
    cosine = float(one @ other)
    if cosine < 0:
        other, cosine = -other, -cosine
    angle = math.acos(min(cosine, 1.0))
    if angle < 1e-6:  # the two are one turn; a straight line between them is as good
        turn = (1 - part) * one + part * other
    else:
        turn = (math.sin((1 - part) * angle) * one + math.sin(part * angle) * other) / math.sin(angle)
    place = [(1 - part) * a + part * b for a, b in zip(_place(first), _place(second), strict=True)]
    return Pose(*place, *(turn / np.linalg.norm(turn)).tolist())


def distance(first: Pose, second: Pose) -> float:
    """Meters between the two."""
    return math.dist(_place(first), _place(second))


def angle(first: Pose, second: Pose) -> float:
    """The turn between the two, radians in [0, pi]."""
    cosine = abs(sum(a * b for a, b in zip(_turn(first), _turn(second), strict=True)))
    return 2 * math.acos(min(cosine, 1.0))


def heading(pose: Pose) -> float:
    """Of the x axis on the plane, radians counter-clockwise from the outer x axis."""
    x, y, _ = rotate(pose, (1.0, 0.0, 0.0))
    return math.atan2(y, x)


def unit(x: float, y: float, z: float, qx: float, qy: float, qz: float, qw: float) -> Pose:
    """A pose from numbers as messages and files hold them: the quaternion is brought to unit length.

    Raises:
        ValueError: a number is not finite, or the quaternion is far from any unit one, as where it was left at zero.
    """
    length = math.sqrt(qx * qx + qy * qy + qz * qz + qw * qw)
    if not 0.9 < length < 1.1:  # NaN as well
        raise ValueError(f"an orientation must be a unit quaternion, found ({qx:g}, {qy:g}, {qz:g}, {qw:g})")
    return Pose(x, y, z, qx / length, qy / length, qz / length, qw / length)


def matrix(pose: Pose) -> NDArray[np.float64]:
    """float64 [3, 3], the rotation that takes vectors of the pose's frame to the outer one."""
    columns = [rotate(pose, axis) for axis in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))]
    return np.array(columns).T


def _place(pose: Pose) -> tuple[float, float, float]:
    return pose.x, pose.y, pose.z


def _turn(pose: Pose) -> Quaternion:
    return pose.qx, pose.qy, pose.qz, pose.qw


def _product(a: Quaternion, b: Quaternion) -> Quaternion:
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    q = (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )
    length = math.sqrt(sum(part * part for part in q))  # rounding must not add up over a long chain
    return q[0] / length, q[1] / length, q[2] / length, q[3] / length


def as_body(frame: Pose, optical: bool) -> Pose:
    """A camera's frame with the axes of a body."""
    return compose(frame, inverse(OPTICAL)) if optical else frame


def is_optical(frame: str, in_base: Pose | None) -> bool:
    """Whether the frame that an image names has z where the camera looks: it is called so, or its -y axis points up more than its z
    axis does. Drivers that do not follow REP 103 name the body's frame."""
    if "optical" in frame:
        return True
    if in_base is None:
        return False
    return rotate(in_base, (0.0, -1.0, 0.0))[2] > rotate(in_base, (0.0, 0.0, 1.0))[2] + 1e-6
