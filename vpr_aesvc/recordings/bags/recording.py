"""A ROS 1 or ROS 2 bag as a recording."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.bags.camera import intrinsics_of
from vpr_aesvc.recordings.bags.images import ImageStream, first_image, size_of
from vpr_aesvc.recordings.bags.messages import BagFile, Damaged, Topic, read_message
from vpr_aesvc.recordings.bags.poses import read_poses
from vpr_aesvc.recordings.bags.reader import open_bag, scan_bag
from vpr_aesvc.recordings.bags.topics import camera_info, camera_of, choose_images, choose_poses
from vpr_aesvc.recordings.image_messages import rgb_of
from vpr_aesvc.recordings.recording import RecordedFrame, RecordingOptions, SkipCounts
from vpr_aesvc.types import Frame, Intrinsics

_KEEP = "--keep-good uses what comes before the damage"


class BagRecording:
    """A :class:`~vpr_aesvc.recordings.recording.Recording` of one camera of a bag. The poses are read when it is opened.

    Labels are the name of the camera's topic, without a ``/compressed`` at its end, and the number of the message on it.

    Raises:
        VprError: it is no bag, it is damaged and ``keep_good`` is not set, it has no images, or the choice of a topic is the user's.
    """

    def __init__(self, path: Path, options: RecordingOptions | None = None) -> None:
        self.path, self.options = path, options or RecordingOptions()
        self.skip_counts = SkipCounts()
        try:
            self._read(open_bag(path))
        except Damaged as damage:  # in the middle, which an index does not tell: read what comes before
            self._read(scan_bag(path, damage))
        self._found = [f"images: {self.topic}", *self.poses.notes, self._about_camera]
        self.notes = list(self._found)

    def _read(self, bag: BagFile) -> None:
        """All but the images."""
        weakref.finalize(self, bag.close)
        self._bag, self.kind = bag, bag.kind
        where = str(self.path)
        if bag.damage is not None and not self.options.keep_good:
            raise VprError(f"{where}: {bag.damage}; {_KEEP}")
        self.topic = choose_images(bag.topics, self.options.image_topic, where)
        choice = choose_poses(bag.topics, self.options.pose_topic, where)
        self.images = self.topic.count
        self._first = first_image(bag, self.topic, where)
        self.poses = read_poses(bag, choice, self._first.frame, self._first.when, self.options, where)
        self.intrinsics, self._about_camera = self._read_intrinsics()

    def frames(self) -> Iterator[RecordedFrame]:
        """From the beginning, as recorded; each call reads the bag anew. Images whose stamp lies up to a second before that of the
        last one are left out; one that lies further back begins anew, as where a clock was set.

        Raises:
            VprError: the bag ends in damage, unless it was opened with ``keep_good``.
        """
        self._begin()
        stream = ImageStream(self._bag, self.topic, self._first, self.skip_counts)
        camera, without = camera_of(self.topic), 0
        try:
            for image in stream:
                pose = self.poses.at(image.stamp, image.received)
                without += pose is None
                label = f"{camera} {image.number:06d}"
                decode = partial(_decode, image.raw, self.topic, f"{self.path}: {label}")
                frame = Frame(label, stamp=image.stamp, pose=pose)
                del image
                yield RecordedFrame(frame, decode)
        except Damaged as damage:
            if not self.options.keep_good:
                raise VprError(f"{self.path}: damaged after {stream.given} images ({damage}); {_KEEP}") from damage
            self.skip_counts.add("the rest of the bag", str(damage))
        else:
            if self._bag.damage is not None:
                self.skip_counts.add("the rest of the bag", self._bag.damage)
        self.notes = [*self._found, *stream.notes()]
        if without and self.poses.base is not None:
            self.notes.append(_without_pose(without, stream, self.poses.base.span))

    def _begin(self) -> None:
        self.skip_counts.counts.clear()
        self.skip_counts.examples.clear()
        self.skip_counts.counts.update(self.poses.skip_counts.counts)
        self.skip_counts.examples.update(
            {reason: list(some) for reason, some in self.poses.skip_counts.examples.items()}
        )

    def _read_intrinsics(self) -> tuple[Intrinsics | None, str]:
        topic = camera_info(self._bag.topics, self.topic)
        if topic is None:
            return None, "no camera_info: the camera's intrinsics are not known"
        for _, _, raw in self._bag.messages([topic.name]):
            rectified = "rect" in camera_of(self.topic).rpartition("/")[2]
            try:
                message = read_message(raw, topic.type, topic.ros1)
            except VprError as error:
                return None, f"{topic.name}: {error}: the camera's intrinsics are not known"
            found, words = intrinsics_of(message, rectified, size_of(self._first))
            return found, f"{words} ({topic.name})"
        return None, f"{topic.name} is empty: the camera's intrinsics are not known"


def _decode(raw: bytes, topic: Topic, name: str) -> NDArray[np.uint8]:
    try:
        message = read_message(raw, topic.type, topic.ros1)
    except VprError as error:
        raise VprError(f"{name}: {error}") from error
    return rgb_of(message, name)


def _without_pose(count: int, stream: ImageStream, poses: tuple[float, float] | None) -> str:
    words = f"{count} of {stream.given} images have no pose: outside the time of the poses, or in a gap"
    if count < stream.given or stream.span is None or poses is None:
        return words
    return f"{words} (poses from {poses[0]:.1f} to {poses[1]:.1f} s, images from {stream.span[0]:.1f} to {stream.span[1]:.1f} s)"
