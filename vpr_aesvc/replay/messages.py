"""What a recognition is in ROS messages, made and serialized without ROS: ``rosbags`` knows the standard types."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.onboard.match_image import Image
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.types import Pose

POSE, DIAGNOSTICS = "geometry_msgs/msg/PoseWithCovarianceStamped", "diagnostic_msgs/msg/DiagnosticArray"
COMPRESSED_IMAGE, PATH = "sensor_msgs/msg/CompressedImage", "nav_msgs/msg/Path"
_OK, _WARN = 0, 1


@lru_cache(maxsize=1)
def typestore() -> Any:
    """The message types of ROS 2 Jazzy."""
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_JAZZY)


def nanoseconds(stamp: float) -> int:
    """Of a stamp in seconds. A float of today's seconds tells microseconds apart, not nanoseconds, so it is rounded to those."""
    return round(stamp * 1e6) * 1000


def pose_message(stamp: float, frame_id: str, found: Recognition) -> Any:
    """PoseWithCovarianceStamped of a match with a pose."""
    assert found.pose is not None and found.covariance is not None
    covariance = np.ascontiguousarray(found.covariance, np.float64).reshape(36)
    with_covariance = _make("geometry_msgs/msg/PoseWithCovariance", pose=_pose(found.pose), covariance=covariance)
    return _make(POSE, header=_header(stamp, frame_id), pose=with_covariance)


def diagnostics_message(stamp: float, found: Recognition) -> Any:
    """DiagnosticArray with one status: OK where the match was accepted, else WARN, and why. All values are text."""
    values: dict[str, str] = {
        "accepted": "true" if found.accepted else "false",
        "why": found.why,
        "probability": f"{found.probability:.6f}",
        "false_positive_rate": f"{found.false_positive_rate:.6f}",
        "similarity": "" if found.best is None else f"{found.best.similarity:.6f}",
        "inliers": "" if found.inliers is None else str(found.inliers),
        "place": "" if found.best is None else str(found.best.place.id),
        "lost": f"{found.lost:.6f}",
    }
    if found.message is not None:
        values["message"] = found.message
    status = _make(
        "diagnostic_msgs/msg/DiagnosticStatus",
        level=_OK if found.accepted else _WARN,
        name="vpr: place recognition",
        message=found.why,
        hardware_id="",
        values=[_make("diagnostic_msgs/msg/KeyValue", key=key, value=value) for key, value in values.items()],
    )
    return _make(DIAGNOSTICS, header=_header(stamp, ""), status=[status])


def image_message(stamp: float, frame_id: str, image: Image) -> Any:
    """CompressedImage, JPEG, of RGB uint8 [H, W, 3]."""
    data = np.frombuffer(encode_jpeg(image), np.uint8)
    return _make(COMPRESSED_IMAGE, header=_header(stamp, frame_id), format="jpeg", data=data)


def path_message(frame_id: str, poses: list[tuple[float, Pose]]) -> Any:
    """Path through stamped poses; its own stamp is the last one's."""
    stamped = [
        _make("geometry_msgs/msg/PoseStamped", header=_header(stamp, frame_id), pose=_pose(pose))
        for stamp, pose in poses
    ]
    return _make(PATH, header=_header(poses[-1][0], frame_id), poses=stamped)


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
