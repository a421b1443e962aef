"""Between the library's nouns and ROS messages. No copies of pictures are made here."""

from __future__ import annotations

import math

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, PoseWithCovariance, PoseWithCovarianceStamped, Quaternion
from geometry_msgs.msg import Pose as PoseMessage
from numpy.typing import NDArray
from std_msgs.msg import Header
from vpr_aesvc_msgs.msg import Descriptor, PlaceMatch, PlaceMatches
from vpr_aesvc_msgs.msg import LoopClosure as LoopClosureMessage

from vpr_aesvc.onboard.loop_closure import LoopClosure
from vpr_aesvc.recognition.result import Candidate, Recognition
from vpr_aesvc.transforms import compose, inverse, normalized_pose, rotation_matrix
from vpr_aesvc.types import Pose


def seconds(stamp: Time) -> float:
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)


def time_message(stamp: float | None) -> Time:
    """Zero for None, and for what the message cannot hold."""
    if stamp is None or not 0 <= stamp < 2**31:
        return Time()
    whole = math.floor(stamp)
    return Time(sec=whole, nanosec=min(round(1e9 * (stamp - whole)), 999_999_999))


def pose_of(message: PoseMessage) -> Pose:
    """Raises ValueError where a number is not finite or the orientation is no unit quaternion."""
    place, turn = message.position, message.orientation
    return normalized_pose(place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w)


def point_message(pose: Pose) -> Point:
    """Where a pose is. Numbers are made floats: ROS's messages hold the bits of an int for those of a float."""
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


def matches_message(header: Header, camera: str, found: Recognition) -> PlaceMatches:
    return PlaceMatches(
        header=header,
        camera=camera,
        accepted=bool(found.accepted),
        why=found.why,
        probability=float(found.probability),
        false_positive_rate=float(found.false_positive_rate),
        lost=float(found.lost),
        message=found.message or "",
        candidates=[match_message(candidate) for candidate in found.candidates],
    )


def base_pose_message(header: Header, found: Recognition, camera: Pose) -> PoseWithCovarianceStamped:
    """Where the robot's base is, if the camera stands where the camera of the matched place stood.

    Args:
        header: its frame is the map's.
        camera: the camera (x where it looks) in the robot's base.
    """
    assert found.pose is not None
    base = compose(found.pose, inverse(camera))
    covariance = np.full((6, 6), 0.0) if found.covariance is None else found.covariance.copy()
    # What turns the camera moves the base about it: the arm from the camera to the base, in the map's axes.
    arm = rotation_matrix(found.pose) @ np.array([inverse(camera).x, inverse(camera).y, inverse(camera).z])
    lever = np.eye(6)
    lever[:3, 3:] = -np.array([[0, -arm[2], arm[1]], [arm[2], 0, -arm[0]], [-arm[1], arm[0], 0]])
    message = PoseWithCovarianceStamped(header=header)
    message.pose = with_covariance(base, lever @ covariance @ lever.T)
    return message


def with_covariance(pose: Pose, covariance: NDArray[np.float64]) -> PoseWithCovariance:
    return PoseWithCovariance(pose=pose_message(pose), covariance=covariance.ravel().tolist())


def closure_message(header: Header, found: LoopClosure) -> LoopClosureMessage:
    return LoopClosureMessage(
        header=header,
        from_place=found.first,
        to_place=found.second,
        from_stamp=time_message(found.stamp),
        probability=float(found.probability),
        relative_pose=with_covariance(found.pose, found.covariance),
    )


def descriptor_message(
    header: Header, camera: str, family: str, sizes: tuple[int, ...], values: NDArray[np.float32]
) -> Descriptor:
    return Descriptor(header=header, camera=camera, model_family=family, sizes=list(sizes), values=values.tolist())
