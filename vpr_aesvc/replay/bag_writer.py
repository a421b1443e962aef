"""Writes the recognitions of a run as a ROS 2 bag of standard messages, for viewers such as Foxglove and RViz. Needs no ROS: ``rosbags`` has the types."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free, new_folder
from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.onboard.match_image import Image, match_image
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.types import Frame, Pose

Storage = Literal["mcap", "sqlite3"]
_Results = Iterable[tuple[Frame, Recognition]]
POSE_TOPIC, DIAGNOSTICS_TOPIC, IMAGE_TOPIC = "/vpr/pose", "/vpr/diagnostics", "/vpr/match_image/compressed"
MAP_FRAME = "map"
_OK, _WARN = 0, 1
_STAMP_LIMIT = 2.0**31  # seconds: builtin_interfaces/Time has 32 bits
_VERSION: Literal[8] = 8  # of the bag's metadata: the newest that every distribution since Humble reads


@dataclass
class ReplayCounts:
    """``poses``: pose messages written. ``without_pose``: accepted matches of places without a pose."""

    frames: int = 0
    accepted: int = 0
    poses: int = 0
    without_pose: int = 0


def write_replay(
    results: _Results, place_map: OpenMap, output: Path, storage: Storage = "mcap", images: bool = True
) -> ReplayCounts:
    """Writes the bag (a folder) under a temporary name and renames it when it is complete. Needs constant memory.
    ``results``: frames with images and stamps, in order, and their recognitions. ``images``: also write the match images.
    Raises VprError: the output exists or cannot be written, or a frame has no stamp that ROS can represent."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    check_free(output, "bag")
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    with new_folder(output, "bag") as folder:
        bag = folder / output.name  # the file in the bag is named after its folder
        with Writer(bag, version=_VERSION, storage_plugin=plugin) as writer:
            counts = _write_messages(_BagTopics(writer), results, place_map, images)
        if not counts.frames:
            raise VprError("the recording has no readable image, so there is no bag to write")
        for file in list(bag.iterdir()):
            file.rename(folder / file.name)
        bag.rmdir()
    return counts


class _BagTopics:
    """Writes messages and creates each topic at its first message."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._connections: dict[str, Any] = {}

    def write(self, topic: str, stamp: float, message: Any) -> None:
        store, kind = typestore(), message.__msgtype__
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=store)
        data = store.serialize_cdr(message, kind)
        self._writer.write(self._connections[topic], nanoseconds(stamp), data)


def _write_messages(topics: _BagTopics, results: _Results, place_map: OpenMap, images: bool) -> ReplayCounts:
    counts = ReplayCounts()
    for frame, recognition in results:
        stamp = _checked_stamp(frame)
        counts.frames += 1
        counts.accepted += recognition.accepted
        topics.write(DIAGNOSTICS_TOPIC, stamp, diagnostics_message(stamp, recognition))
        if recognition.accepted and recognition.pose is None:
            counts.without_pose += 1
        elif recognition.accepted and recognition.pose is not None:
            counts.poses += 1
            topics.write(POSE_TOPIC, stamp, pose_message(stamp, recognition))
        if images and frame.image is not None:
            stored = None if recognition.best is None else place_map.thumbnail(recognition.best.place.id)
            drawn = match_image(frame.image, stored, recognition)
            topics.write(IMAGE_TOPIC, stamp, image_message(stamp, drawn))
    return counts


def _checked_stamp(frame: Frame) -> float:
    if frame.stamp is None:
        raise VprError(f"{frame.label}: has no stamp, and a bag needs one for every message")
    if not 0 <= frame.stamp < _STAMP_LIMIT:
        limit = f"a ROS stamp must be from 0 to {_STAMP_LIMIT:.0f} s"
        raise VprError(f"{frame.label}: its stamp is {frame.stamp:.3f} s; {limit}")
    return frame.stamp


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
    if recognition.metric is not None:
        values["metric_pose"] = f"{recognition.metric.inliers} points"
    elif recognition.metric_refusal:
        values["metric_pose"] = f"none: {recognition.metric_refusal}"
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


def _pose(pose: Pose) -> Any:
    position = _make("geometry_msgs/msg/Point", x=pose.x, y=pose.y, z=pose.z)
    orientation = _make("geometry_msgs/msg/Quaternion", x=pose.qx, y=pose.qy, z=pose.qz, w=pose.qw)
    return _make("geometry_msgs/msg/Pose", position=position, orientation=orientation)


def _header(stamp: float, frame_id: str) -> Any:
    sec, nanosec = divmod(nanoseconds(stamp), 1_000_000_000)
    time = _make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
    return _make("std_msgs/msg/Header", stamp=time, frame_id=frame_id)


def _make(name: str, /, **fields: Any) -> Any:
    return typestore().types[name](**fields)
