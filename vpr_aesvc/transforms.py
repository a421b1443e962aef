"""Rigid transforms: the pose of one frame in another, as translation (meters) and unit quaternion. Frames are right-handed.

A camera's ``Pose`` uses the body axes of REP 103: x forward, y left, z up. The header of a ROS image names the
*optical* frame of the camera: z forward, x right, y down.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.types import Pose

Quaternion = tuple[float, float, float, float]

IDENTITY = Pose(0.0, 0.0)
OPTICAL = Pose(0.0, 0.0, 0.0, -0.5, 0.5, -0.5, 0.5)
"""The optical frame of a camera, given in the frame of the same camera with body axes."""


def compose(first: Pose, second: Pose) -> Pose:
    """Chains A -> B (``first``) and B -> C (``second``) to A -> C: the pose of C in A."""
    x, y, z = rotate(first, (second.x, second.y, second.z))
    return Pose(first.x + x, first.y + y, first.z + z, *_product(first.as_tuple()[3:], second.as_tuple()[3:]))


def inverse(pose: Pose) -> Pose:
    """The pose of the parent frame in this frame."""
    back = Pose(0.0, 0.0, 0.0, -pose.qx, -pose.qy, -pose.qz, pose.qw)
    x, y, z = rotate(back, (-pose.x, -pose.y, -pose.z))
    return Pose(x, y, z, *back.as_tuple()[3:])


def relative_pose(first: Pose, second: Pose) -> Pose:
    """``second`` in the frame of ``first``; both are given in the same frame."""
    return compose(inverse(first), second)


def rotate(pose: Pose, vector: tuple[float, float, float]) -> tuple[float, float, float]:
    """Rotates a vector from the pose's frame to the parent frame. The translation is not added."""
    x, y, z = vector
    ux, uy, uz = 2 * (pose.qy * z - pose.qz * y), 2 * (pose.qz * x - pose.qx * z), 2 * (pose.qx * y - pose.qy * x)
    return (
        x + pose.qw * ux + pose.qy * uz - pose.qz * uy,
        y + pose.qw * uy + pose.qz * ux - pose.qx * uz,
        z + pose.qw * uz + pose.qx * uy - pose.qy * ux,
    )


def interpolate(first: Pose, second: Pose, fraction: float) -> Pose:
    """The pose at ``fraction`` (0 to 1) from first to second: linear in position, slerp in rotation (Shoemake, 1985)."""
    start, end = np.array(first.as_tuple()[3:]), np.array(second.as_tuple()[3:])
    cosine = float(start @ end)
    if cosine < 0:  # q and -q are the same rotation: take the shorter arc
        end, cosine = -end, -cosine
    angle = math.acos(min(cosine, 1.0))
    if angle < 1e-6:  # nearly equal: linear interpolation, as slerp would divide by zero
        rotation = (1 - fraction) * start + fraction * end
    else:
        rotation = (math.sin((1 - fraction) * angle) * start + math.sin(fraction * angle) * end) / math.sin(angle)
    before, after = np.array(first.as_tuple()[:3]), np.array(second.as_tuple()[:3])
    position = (1 - fraction) * before + fraction * after
    return Pose(*position.tolist(), *(rotation / np.linalg.norm(rotation)).tolist())


def distance(first: Pose, second: Pose) -> float:
    """Distance of the two positions in meters."""
    return math.dist(first.as_tuple()[:3], second.as_tuple()[:3])


def angle(first: Pose, second: Pose) -> float:
    """Angle of the rotation between the two, radians in [0, pi]."""
    cosine = abs(sum(a * b for a, b in zip(first.as_tuple()[3:], second.as_tuple()[3:], strict=True)))
    return 2 * math.acos(min(cosine, 1.0))


def heading(pose: Pose) -> float:
    """Direction of the pose's x axis in the parent's xy plane (yaw), radians counter-clockwise from the parent's x axis."""
    x, y, _ = rotate(pose, (1.0, 0.0, 0.0))
    return math.atan2(y, x)


def normalized_pose(x: float, y: float, z: float, qx: float, qy: float, qz: float, qw: float) -> Pose:
    """A pose from the numbers of a message or file; the quaternion is scaled to unit length. Raises ValueError: a number is
    not finite, or the quaternion's length differs from 1 by more than 0.1, as an unset one's does."""
    length = math.sqrt(qx * qx + qy * qy + qz * qz + qw * qw)
    if not 0.9 < length < 1.1:  # also False for NaN
        raise ValueError(f"an orientation must be a unit quaternion, found ({qx:g}, {qy:g}, {qz:g}, {qw:g})")
    return Pose(x, y, z, qx / length, qy / length, qz / length, qw / length)


def pose_from_euler(x: float, y: float, z: float, roll: float, pitch: float, yaw: float) -> Pose:
    """A pose from radians about the fixed axes x, y, z, in this order, as in URDF and ``static_transform_publisher``."""
    about_x = Pose(0.0, 0.0, 0.0, math.sin(roll / 2), 0.0, 0.0, math.cos(roll / 2))
    about_y = Pose(0.0, 0.0, 0.0, 0.0, math.sin(pitch / 2), 0.0, math.cos(pitch / 2))
    return compose(compose(Pose(x, y, z, 0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)), about_y), about_x)


def pose_of_rotation(rotation: NDArray[np.float64], x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Pose:
    """A pose from a rotation matrix, float64 [3, 3], and a position in meters."""
    vector = cv2.Rodrigues(rotation)[0].ravel()  # the rotation axis, scaled to the angle in radians
    angle = float(np.linalg.norm(vector))
    qx, qy, qz = (vector / angle * math.sin(angle / 2) if angle else vector).tolist()
    return Pose(x, y, z, qx, qy, qz, math.cos(angle / 2))


def rotation_matrix(pose: Pose) -> NDArray[np.float64]:
    """float64 [3, 3], from the pose's frame to the parent frame."""
    columns = [rotate(pose, axis) for axis in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))]
    return np.array(columns).T


def cross_matrices(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrices [..., 3, 3] of the cross product with vectors [..., 3]."""
    x, y, z = np.moveaxis(np.asarray(vectors), -1, 0)
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)


def as_body(frame: Pose, optical: bool) -> Pose:
    """The camera's pose with body axes; ``optical`` tells that ``frame`` has optical axes."""
    return compose(frame, inverse(OPTICAL)) if optical else frame


def is_optical(frame: str, in_base: Pose | None) -> bool:
    """Whether an image's frame has optical axes: its name says so, or its -y axis points up more than its z axis.

    The name alone is not enough: some drivers name the body frame in the header, against REP 103.
    """
    if "optical" in frame:
        return True
    if in_base is None:
        return False
    return rotate(in_base, (0.0, -1.0, 0.0))[2] > rotate(in_base, (0.0, 0.0, 1.0))[2] + 1e-6


def _product(a: Quaternion, b: Quaternion) -> Quaternion:
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    q = (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )
    length = math.sqrt(sum(part * part for part in q))  # rounding errors must not add up over a long chain
    return q[0] / length, q[1] / length, q[2] / length, q[3] / length
