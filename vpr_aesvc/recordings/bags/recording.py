"""A ROS 1 or ROS 2 bag as a source of frames."""

import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.calibration import read_calibration
from vpr_aesvc.deep_images import NOTE
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.recordings.bags.camera import is_rectified, read_intrinsics
from vpr_aesvc.recordings.bags.images import DepthStream, ImageStream, first_image
from vpr_aesvc.recordings.bags.messages import BagFile, Damaged, read_message
from vpr_aesvc.recordings.bags.poses import PoseReader
from vpr_aesvc.recordings.bags.reader import open_bag
from vpr_aesvc.recordings.bags.topics import aligned_depth, camera_info, camera_of, choose_images, choose_poses
from vpr_aesvc.recordings.image_messages import depth_of, is_deep, rgb_of
from vpr_aesvc.recordings.recording import Recording
from vpr_aesvc.types import Frame, Intrinsics

_KEEP = "or use what comes before the damage with --keep-good"


class BagRecording(Recording):
    """One camera of a bag. The poses are read when it is opened.

    A label is the camera's topic, without ``/compressed``, and the number of the message on it. ``damage``: why not all of it can be read.

    Raises:
        VprError: it is no bag; it is damaged and ``keep_good`` is not set; it has no images; or the user must choose a topic.
    """

    def __init__(self, path: Path, options: InputOptions | None = None) -> None:
        super().__init__(path, options or InputOptions(), "bag")
        try:
            self._open(open_bag(path))
        except Damaged as damage:
            self._open(open_bag(path, damage))
        self._opening_notes = [*self._bag.notes, f"images: {self.topic}", *self.poses.notes, self._camera_note]
        if is_deep(self._first.message):
            self._opening_notes.append(NOTE)
        self.notes = list(self._opening_notes)

    def _open(self, bag: BagFile) -> None:
        """Reads everything but the images."""
        weakref.finalize(self, bag.close)
        self._bag, self.kind, self.damage = bag, bag.kind, bag.damage
        path = str(self.path)
        if bag.damage is not None and not self.options.keep_good:
            raise VprError(f"{path}: {bag.damage}; {_KEEP}")
        self.topic = choose_images(bag, self.options.image_topic, path)
        choice = choose_poses(bag, self.options.pose_topic, path)
        self.images = self.topic.count
        self._first = first_image(bag, self.topic, path)
        self.poses = PoseReader(bag, self._first, self.options, path).read(choice)
        self.image_size = self._first.coded_size()
        self.intrinsics, self._camera_note = self._read_intrinsics()

    def __iter__(self) -> Iterator[Frame]:
        """The frames as recorded; each iteration reads the bag anew. An image is left out if its stamp is up to a second before that of the
        last one. A stamp that is earlier than that means that the clock was set back: the image is kept.

        Raises:
            VprError: the bag is damaged, unless it was opened with ``keep_good``.
        """
        self.skip_counts.clear()
        self.skip_counts.include(self.poses.skip_counts)
        stream = ImageStream(self._bag, self._first, self.skip_counts)
        camera, without_pose, with_depth = camera_of(self.topic), 0, 0
        depth_topic = aligned_depth(self._bag.topics)
        depths = None if depth_topic is None or depth_topic == self.topic else DepthStream(self._bag, depth_topic)
        try:
            for image in stream:
                pose = self.poses.at(image.stamp, image.received)
                without_pose += pose is None
                label = f"{camera} {image.number:06d}"
                decode = partial(_decode, image.message, f"{self.path}: {label}")
                near = None if depths is None else depths.near(image)
                with_depth += near is not None
                depth = None if near is None else partial(depth_of, near, f"{depth_topic}")
                frame = Frame(label, stamp=image.stamp, pose=pose, decode=decode, depth=depth)
                del image, near, depth
                yield frame
        except Damaged as damage:
            if not self.options.keep_good:
                raise VprError(f"{self.path}: damaged after {stream.count} images: {damage}; {_KEEP}") from damage
            self.damage = f"damaged: {damage}"
        if self.damage is not None:
            self.skip_counts.add("the rest of the bag", self.damage)
        self.notes = [*self._opening_notes, *stream.notes()]
        if depths is not None:
            self.notes.append(f"depth: {depth_topic}, for {with_depth} of {stream.count} images")
        if without_pose and self.poses.base is not None:
            self.notes.append(_note_on_missing_poses(without_pose, stream, self.poses.base.span))

    def _read_intrinsics(self) -> tuple[Intrinsics | None, str]:
        if self.options.camera is not None:
            height, width = _decode(self._first.message, f"{self.path}: the first image").shape[:2]
            self.image_size = (width, height)
            return read_calibration(self.options.camera, self.image_size)[::2]
        topic = camera_info(self._bag.topics, self.topic)
        if topic is None:
            return None, "no camera_info: the intrinsics are not known"
        for _, _, raw in self._bag.messages([topic.name]):
            try:
                message = read_message(raw, topic.type, topic.ros1)
            except VprError as error:
                return None, f"{topic.name}: {error}: the intrinsics are not known"
            rectified = is_rectified(camera_of(self.topic))
            self.image_size = self.image_size or (int(message.width), int(message.height))
            intrinsics, note = read_intrinsics(message, rectified, self.image_size)
            return intrinsics, f"{note} ({topic.name})"
        return None, f"{topic.name} is empty: the intrinsics are not known"


def _decode(message: Any, name: str) -> NDArray[np.uint8]:
    try:
        return rgb_of(message, name)
    except VprError as error:
        coding = getattr(message, "format", "")
        raise VprError(f"{error}; its format is {coding!r}") if coding else error from None


def _note_on_missing_poses(count: int, stream: ImageStream, poses: tuple[float, float] | None) -> str:
    note = f"{count} of {stream.count} images have no pose: they lie before the first pose, after the last one, or in a gap (--pose-gap)"
    if count < stream.count or stream.span is None or poses is None:
        return note
    images = f"{stream.span[0]:.1f} to {stream.span[1]:.1f} s"
    return f"{note} (poses from {poses[0]:.1f} to {poses[1]:.1f} s, images from {images})"
