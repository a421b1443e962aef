"""Recognitions as standard ROS messages, made without ROS by the types of ``rosbags``."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.onboard.match_image import Image
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.types import Pose

MAP_FRAME = "map"
_OK, _WARN = 0, 1


@lru_cache(maxsize=1)
def typestore() -> Any:
    """The message types of ROS 2 Jazzy."""
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_JAZZY)


def nanoseconds(stamp: float) -> int:
    """A stamp in seconds -> nanoseconds, rounded to microseconds: a float64 of today's seconds has no finer resolution."""
    return round(stamp * 1e6) * 1000


def pose_message(stamp: float, recognition: Recognition) -> Any:
    """PoseWithCovarianceStamped of a recognition with a pose."""
    assert recognition.pose is not None and recognition.covariance is not None
    covariance = np.ascontiguousarray(recognition.covariance, np.float64).reshape(36)
    with_covariance = _make("geometry_msgs/msg/PoseWithCovariance", pose=_pose(recognition.pose), covariance=covariance)
    return _make("geometry_msgs/msg/PoseWithCovarianceStamped", header=_header(stamp, MAP_FRAME), pose=with_covariance)


def diagnostics_message(stamp: float, recognition: Recognition) -> Any:
    """DiagnosticArray with one status: OK if the match was accepted, else WARN with the reason. All values are strings."""
    values: dict[str, str] = {
        "accepted": "true" if recognition.accepted else "false",
        "why": recognition.why,
        "probability": f"{recognition.probability:.6f}",
        "false_positive_rate": f"{recognition.false_positive_rate:.6f}",
        "similarity": "" if recognition.best is None else f"{recognition.best.similarity:.6f}",
        "inliers": "" if recognition.inliers is None else str(recognition.inliers),
        "place": "" if recognition.best is None else str(recognition.best.place.id),
        "lost": f"{recognition.lost:.6f}",
    }
    if recognition.message is not None:
        values["message"] = recognition.message
    status = _make(
        "diagnostic_msgs/msg/DiagnosticStatus",
        level=_OK if recognition.accepted else _WARN,
        name="vpr: place recognition",
        message=recognition.why,
        hardware_id="",
        values=[_make("diagnostic_msgs/msg/KeyValue", key=key, value=value) for key, value in values.items()],
    )
    return _make("diagnostic_msgs/msg/DiagnosticArray", header=_header(stamp, ""), status=[status])


def image_message(stamp: float, image: Image) -> Any:
    """JPEG CompressedImage of RGB uint8 [H, W, 3]."""
    data = np.frombuffer(encode_jpeg(image), np.uint8)
    return _make("sensor_msgs/msg/CompressedImage", header=_header(stamp, ""), format="jpeg", data=data)


def path_message(poses: list[tuple[float, Pose]]) -> Any:
    """Path through (stamp, pose) pairs; its header has the last stamp."""
    stamped = [
        _make("geometry_msgs/msg/PoseStamped", header=_header(stamp, MAP_FRAME), pose=_pose(pose))
        for stamp, pose in poses
    ]
    return _make("nav_msgs/msg/Path", header=_header(poses[-1][0], MAP_FRAME), poses=stamped)


def _pose(pose: Pose) -> Any:
    return _make(
        "geometry_msgs/msg/Pose",
        position=_make("geometry_msgs/msg/Point", x=pose.x, y=pose.y, z=pose.z),
        orientation=_make("geometry_msgs/msg/Quaternion", x=pose.qx, y=pose.qy, z=pose.qz, w=pose.qw),
    )


def _header(stamp: float, frame_id: str) -> Any:
    sec, nanosec = divmod(nanoseconds(stamp), 1_000_000_000)
    return _make(
        "std_msgs/msg/Header",
        stamp=_make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec),
        frame_id=frame_id,
    )


def _make(name: str, /, **fields: Any) -> Any:
    return typestore().types[name](**fields)
