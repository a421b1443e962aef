"""Conversion between the library's data types and ROS messages."""

import math
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import (
    Point,
    PoseWithCovariance,
    Quaternion,
    TransformStamped,
    Vector3,
)
from geometry_msgs.msg import Pose as PoseMessage
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from vpr_aesvc_msgs.msg import Descriptor, PlaceMatch, PlaceMatches
from vpr_aesvc_msgs.msg import LoopClosure as LoopClosureMessage

from vpr_aesvc.onboard.body_pose import relative_base_pose
from vpr_aesvc.onboard.loop_closure import LoopClosure
from vpr_aesvc.recognition.result import Candidate, Recognition
from vpr_aesvc.transforms import normalized_pose
from vpr_aesvc.types import Intrinsics, Pose


def seconds(stamp: Time) -> float:
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)


def time_message(stamp: float | None) -> Time:
    """``stamp`` in seconds. Zero for None and for a stamp that the message cannot hold."""
    if stamp is None or not 0 <= stamp < 2**31:
        return Time()
    whole = math.floor(stamp)
    return Time(sec=whole, nanosec=min(round(1e9 * (stamp - whole)), 999_999_999))


def pose_of(message: PoseMessage) -> Pose:
    """Raises ValueError if a number is not finite or the orientation is not a unit quaternion."""
    position, turn = message.position, message.orientation
    return normalized_pose(position.x, position.y, position.z, turn.x, turn.y, turn.z, turn.w)


def point_message(pose: Pose) -> Point:
    """The position of a pose. ``float()`` is needed: a ROS message misreads an int in a float field."""
    return Point(x=float(pose.x), y=float(pose.y), z=float(pose.z))


def pose_message(pose: Pose) -> PoseMessage:
    turn = Quaternion(x=float(pose.qx), y=float(pose.qy), z=float(pose.qz), w=float(pose.qw))
    return PoseMessage(position=point_message(pose), orientation=turn)


def match_message(candidate: Candidate) -> PlaceMatch:
    place = candidate.match.place
    geometry = candidate.geometry
    return PlaceMatch(
        place_id=place.id,
        label=place.label,
        traverse=place.traverse,
        stamp=time_message(place.stamp),
        similarity=float(candidate.match.similarity),
        posterior=float(candidate.posterior),
        inliers=-1 if geometry is None else int(geometry.inliers),
        has_pose=place.pose is not None,
        pose=PoseMessage() if place.pose is None else pose_message(place.pose),
    )


def matches_message(header: Header, map_frame: str, camera: str, recognition: Recognition) -> PlaceMatches:
    return PlaceMatches(
        header=header,
        map_frame=map_frame,
        camera=camera,
        accepted=bool(recognition.accepted),
        why=recognition.why,
        probability=float(recognition.probability),
        false_positive_rate=float(recognition.false_positive_rate),
        lost=float(recognition.lost),
        message=recognition.message or "",
        candidates=[match_message(candidate) for candidate in recognition.candidates],
    )


def transform_message(header: Header, child_frame: str, pose: Pose) -> TransformStamped:
    """The pose of ``child_frame`` in the frame of the header."""
    message = TransformStamped(header=header, child_frame_id=child_frame)
    message.transform.translation = Vector3(x=float(pose.x), y=float(pose.y), z=float(pose.z))
    message.transform.rotation = pose_message(pose).orientation
    return message


def with_covariance(pose: Pose, covariance: NDArray[np.float64]) -> PoseWithCovariance:
    return PoseWithCovariance(pose=pose_message(pose), covariance=covariance.ravel().tolist())


def loop_closure_message(
    header: Header, body_frame: str, mounts: tuple[Pose, Pose], closure: LoopClosure
) -> LoopClosureMessage:
    """The constraint between the poses of ``body_frame``.

    Args:
        mounts: poses in ``body_frame`` of the cameras (x forward, y left, z up) of the older and the newer place.
    """
    relative, covariance = relative_base_pose(closure.relative_pose, closure.covariance, mounts)
    return LoopClosureMessage(
        header=header,
        body_frame=body_frame,
        from_place=closure.from_place,
        to_place=closure.to_place,
        from_stamp=time_message(closure.from_stamp),
        probability=float(closure.probability),
        metric=closure.metric,
        relative_pose=with_covariance(relative, covariance),
    )


def descriptor_message(
    header: Header,
    robot: str,
    camera: str,
    place: int,
    family: str,
    sizes: Sequence[int],
    values: NDArray[np.float32],
) -> Descriptor:
    return Descriptor(
        header=header,
        robot=robot,
        camera=camera,
        place_id=place,
        model_family=family,
        sizes=list(sizes),
        values=values.tolist(),
    )


def camera_info_message(intrinsics: Intrinsics, width: int, height: int) -> CameraInfo:
    """Of images that are not rectified, with so many pixels."""
    one = intrinsics
    model = "plumb_bob" if one.distortion_model == "none" else one.distortion_model
    k = [one.fx, 0.0, one.cx, 0.0, one.fy, one.cy, 0.0, 0.0, 1.0]
    d = list(one.distortion) or [0.0] * 5
    return CameraInfo(width=width, height=height, distortion_model=model, d=d, k=k)
