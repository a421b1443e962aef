"""Writes the recognitions of a run as a ROS 2 bag of standard messages, for viewers such as Foxglove and RViz."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free, new_folder
from vpr_aesvc.onboard.match_image import match_image
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.replay import messages
from vpr_aesvc.types import Frame, Pose

Storage = Literal["mcap", "sqlite3"]
POSE_TOPIC, DIAGNOSTICS_TOPIC = "/vpr/pose", "/vpr/diagnostics"
IMAGE_TOPIC, PATH_TOPIC = "/vpr/match_image/compressed", "/vpr/path"
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
    results: Iterable[tuple[Frame, Recognition]],
    place_map: PlaceMap,
    output: Path,
    storage: Storage = "mcap",
    images: bool = True,
    path: bool = False,
) -> ReplayCounts:
    """Writes the bag (a folder) under a temporary name and renames it when it is complete. Needs constant memory, except for the path.

    Args:
        results: frames with images and stamps, in order, and their recognitions.
        images: also write the match images.
        path: also write the trajectory of all accepted poses, as one message with the stamp of the first.

    Raises:
        VprError: the output exists or cannot be written, or a frame has no stamp that ROS can represent.
    """
    from rosbags.rosbag2 import StoragePlugin, Writer

    check_free(output, "bag")
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    with new_folder(output, "bag") as folder:
        bag = folder / output.name  # the file in the bag is named after its folder
        with Writer(bag, version=_VERSION, storage_plugin=plugin) as writer:
            counts = _write_messages(_BagTopics(writer), results, place_map, images, path)
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
        store, kind = messages.typestore(), message.__msgtype__
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=store)
        data = store.serialize_cdr(message, kind)
        self._writer.write(self._connections[topic], messages.nanoseconds(stamp), data)


def _write_messages(
    topics: _BagTopics,
    results: Iterable[tuple[Frame, Recognition]],
    place_map: PlaceMap,
    images: bool,
    path: bool,
) -> ReplayCounts:
    counts = ReplayCounts()
    trajectory: list[tuple[float, Pose]] = []
    for frame, recognition in results:
        stamp = _checked_stamp(frame)
        counts.frames += 1
        counts.accepted += recognition.accepted
        topics.write(DIAGNOSTICS_TOPIC, stamp, messages.diagnostics_message(stamp, recognition))
        if recognition.accepted and recognition.pose is None:
            counts.without_pose += 1
        elif recognition.accepted and recognition.pose is not None:
            counts.poses += 1
            topics.write(POSE_TOPIC, stamp, messages.pose_message(stamp, recognition))
            if path:
                trajectory.append((stamp, recognition.pose))
        if images and frame.image is not None:
            stored = None if recognition.best is None else place_map.thumbnail(recognition.best.place.id)
            drawn = match_image(frame.image, stored, recognition)
            topics.write(IMAGE_TOPIC, stamp, messages.image_message(stamp, drawn))
    if trajectory:  # with the first stamp, so that a viewer shows it from the start
        topics.write(PATH_TOPIC, trajectory[0][0], messages.path_message(trajectory))
    return counts


def _checked_stamp(frame: Frame) -> float:
    if frame.stamp is None:
        raise VprError(f"{frame.label}: has no stamp, and a bag needs one for every message")
    if not 0 <= frame.stamp < _STAMP_LIMIT:
        raise VprError(
            f"{frame.label}: its stamp is {frame.stamp:.3f} s; a ROS stamp must be from 0 to {_STAMP_LIMIT:.0f} s"
        )
    return frame.stamp
