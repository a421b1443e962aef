"""Recognitions of a run -> a ROS 2 bag of standard messages, which any viewer shows beside the run's own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
from vpr_aesvc.onboard.match_image import match_image
from vpr_aesvc.replay import messages as messages
from vpr_aesvc.types import Frame, Pose

if TYPE_CHECKING:
    from vpr_aesvc.placemap import PlaceMap
    from vpr_aesvc.recognition.result import Recognition

Storage = Literal["mcap", "sqlite3"]
POSE_TOPIC, DIAGNOSTICS_TOPIC = "/vpr/pose", "/vpr/diagnostics"
IMAGE_TOPIC, PATH_TOPIC = "/vpr/match_image/compressed", "/vpr/path"
MAP_FRAME = "map"
_LATEST = 2.0**31  # seconds, which builtin_interfaces/Time counts in 32 bits
_VERSION: Literal[8] = 8  # of the bag's metadata: the newest that all distributions since Humble read


@dataclass
class Replayed:
    """How many messages were written. ``without_pose`` counts accepted matches of places that have no pose."""

    frames: int = 0
    accepted: int = 0
    poses: int = 0
    without_pose: int = 0


def write_replay(
    answers: Iterable[tuple[Frame, Recognition]],
    place_map: PlaceMap,
    output: Path,
    storage: Storage = "mcap",
    images: bool = True,
    path: bool = False,
) -> Replayed:
    """Writes the bag (a folder) beside its final name and renames it: whole or not at all. Frames in, messages out; nothing is kept
    but the poses of the path.

    Args:
        answers: frames with images and stamps, in order, and what was recognized in them.
        images: also the side-by-side pictures.
        path: also the way through all accepted poses, one message at the first of them.

    Raises:
        VprError: the output exists, the disk refuses, or a frame has no stamp that ROS can hold.
    """
    from rosbags.rosbag2 import StoragePlugin, Writer

    check_free(output, "bag")
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    # The bag's file is named after its folder, so that the folder has its name already, in another one.
    try:
        beside = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.absolute().parent))
        try:
            partial = beside / output.name
            with Writer(partial, version=_VERSION, storage_plugin=plugin) as writer:
                done = _write(_Topics(writer), answers, place_map, images, path)
            if not done.frames:
                raise VprError("the recording holds no image that can be read, so there is no bag to write")
            partial.rename(output)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise VprError(f"{output}: the bag cannot be written ({error.strerror or error})") from error
    return done


class _Topics:
    """Topics of a bag, begun when the first message comes."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._known: dict[str, Any] = {}

    def write(self, topic: str, kind: str, stamp: float, message: Any) -> None:
        store = messages.typestore()
        if topic not in self._known:
            self._known[topic] = self._writer.add_connection(topic, kind, typestore=store)
        self._writer.write(self._known[topic], messages.nanoseconds(stamp), store.serialize_cdr(message, kind))


def _write(
    topics: _Topics,
    answers: Iterable[tuple[Frame, Recognition]],
    place_map: PlaceMap,
    images: bool,
    path: bool,
) -> Replayed:
    done = Replayed()
    way: list[tuple[float, Pose]] = []
    for frame, found in answers:
        if frame.stamp is None:
            raise VprError(f"{frame.label}: has no stamp, and a bag orders its messages by them")
        if not 0 <= frame.stamp < _LATEST:
            raise VprError(
                f"{frame.label}: its stamp is {frame.stamp:.3f}, and one of ROS holds 0 to {_LATEST:.0f} seconds"
            )
        done.frames += 1
        done.accepted += found.accepted
        topics.write(
            DIAGNOSTICS_TOPIC, messages.DIAGNOSTICS, frame.stamp, messages.diagnostics_message(frame.stamp, found)
        )
        if found.accepted and found.pose is None:
            done.without_pose += 1
        elif found.accepted and found.pose is not None:
            done.poses += 1
            topics.write(POSE_TOPIC, messages.POSE, frame.stamp, messages.pose_message(frame.stamp, MAP_FRAME, found))
            if path:
                way.append((frame.stamp, found.pose))
        if images and frame.image is not None:
            place = None if found.best is None else place_map.thumbnail(found.best.place.id)
            drawn = messages.image_message(frame.stamp, "", match_image(frame.image, place, found))
            topics.write(IMAGE_TOPIC, messages.COMPRESSED_IMAGE, frame.stamp, drawn)
    if way:  # recorded at the beginning, so that a viewer shows it all along
        topics.write(PATH_TOPIC, messages.PATH, way[0][0], messages.path_message(MAP_FRAME, way))
    return done
