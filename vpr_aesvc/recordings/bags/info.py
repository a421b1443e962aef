"""What ``vpr bag info`` tells of a bag: its images, poses, TF and calibration, and what a map would be built from."""

from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.images import image_of
from vpr_aesvc.recordings.bags.camera import find_base_frame, read_intrinsics
from vpr_aesvc.recordings.bags.messages import BagFile, Damaged, Topic, nanoseconds, read_message
from vpr_aesvc.recordings.bags.navsat import NavSatSamples
from vpr_aesvc.recordings.bags.poses import FIXED_FRAMES, pose_of_message
from vpr_aesvc.recordings.bags.reader import open_bag
from vpr_aesvc.recordings.bags.recording import BagRecording
from vpr_aesvc.recordings.bags.stamp_statistics import StampCollector, StampStatistics
from vpr_aesvc.recordings.bags.tf_tree import TfTree
from vpr_aesvc.recordings.bags.topics import (
    CAMERA_INFO,
    COMPRESSED,
    KINDS,
    RAW,
    Frames,
    frames_of,
    in_frames,
    is_static,
)
from vpr_aesvc.recordings.image_messages import coded_size
from vpr_aesvc.recordings.pose_history import PoseSamples
from vpr_aesvc.types import Progress

_TRIED = 50  # images; more than a camera sends before its exposure or its stream is ready


@dataclass
class ImageTopicInfo:
    """``encoding``, ``width`` and ``height`` of the first message; ``frames``: number of messages for each frame id; ``megabits`` per second as
    stored."""

    topic: Topic
    stamps: StampStatistics
    encoding: str = ""
    width: int = 0
    height: int = 0
    frames: dict[str, int] = field(default_factory=dict)
    megabits: float | None = None


@dataclass
class PoseTopicInfo:
    """``traveled``: length of the path in meters; ``extent``: its size along x and y in meters; None without poses. ``unusable``: messages with
    NaN, without a unit quaternion or without a position; ``others``: number of poses in other frames, which are not measured."""

    topic: Topic
    stamps: StampStatistics
    frame: str = ""
    child: str = ""
    unusable: int = 0
    traveled: float | None = None
    extent: tuple[float, float] | None = None
    others: dict[str, int] = field(default_factory=dict)


@dataclass
class TfInfo:
    """``chains``: for each camera frame, the frames from a fixed frame to it; ``moving``: camera frames whose chain moves, so that TF gives
    their pose."""

    frames: list[str]
    chains: dict[str, list[str]]
    moving: list[str]
    unusable: int


@dataclass
class BagInfo:
    """``used``: what a map would be built from, one sentence each; ``problem``: why no map can be built with these options."""

    path: str
    kind: str
    megabytes: float
    start: str
    seconds: float
    damage: str | None
    images: list[ImageTopicInfo]
    poses: list[PoseTopicInfo]
    tf: TfInfo | None
    camera_info: dict[str, str]
    used: list[str] = field(default_factory=list)
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def bag_info(path: Path, options: InputOptions, progress: Progress | None = None) -> BagInfo:
    """Reads the image, pose, TF and camera_info topics once. Damage in the middle is reported in the result, not raised.

    Raises:
        VprError: it is no bag, or it cannot be opened.
    """
    bag = open_bag(path)
    try:
        info = _read(path, bag, progress)
    except Damaged as damage:
        bag.close()
        bag = open_bag(path, damage)
        info = _read(path, bag, progress)
    finally:
        bag.close()
    try:
        recording = BagRecording(path, replace(options, keep_good=True))
        info.problem = _undecodable(recording)
        info.used = [*recording.notes, *(f"left out: {line}" for line in recording.poses.skip_counts.lines())]
    except VprError as error:
        info.problem = str(error)
    return info


def _undecodable(recording: BagRecording) -> str | None:
    """Why none of the first images can be decoded; None if one can."""
    reasons = []
    for frame in islice(recording, _TRIED):
        try:
            image_of(frame)
            return None
        except VprError as error:
            reasons.append(str(error))
    return f"none of the first {len(reasons)} images can be decoded: {next(iter(reasons), 'there is none')}"


def _read(path: Path, bag: BagFile, progress: Progress | None) -> BagInfo:
    types = (RAW, COMPRESSED, CAMERA_INFO, *KINDS)
    readers = {name: _topic_reader(topic) for name, topic in bag.topics.items() if topic.type in types}
    tree = TfTree(1.0)
    total = sum(reader.topic.count for reader in readers.values())
    for number, (topic, received, raw) in enumerate(bag.messages(list(readers)) if readers else (), 1):
        if progress is not None and (number % 100 == 0 or number == total):
            progress(number, total)
        try:
            if KINDS.get(topic.type) == "tf":
                tree.add(read_message(raw, topic.type, topic.ros1), received, is_static(topic))
            else:
                readers[topic.name].add(received, raw)
        except VprError:
            readers[topic.name].unusable += 1
    seconds = (bag.span[1] - bag.span[0]) / 1e9
    images = [one.info(seconds) for one in readers.values() if isinstance(one, _ImageTopic)]
    poses = [one.info() for one in readers.values() if isinstance(one, _PoseTopic) and KINDS[one.topic.type] != "tf"]
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.is_file()]
    return BagInfo(
        path=str(path),
        kind=bag.kind,
        megabytes=sum(file.stat().st_size for file in files) / 1e6,
        start=datetime.fromtimestamp(bag.span[0] / 1e9, timezone.utc).isoformat(timespec="seconds"),
        seconds=seconds,
        damage=bag.damage,
        images=images,
        poses=poses,
        tf=_tf_info(tree, images) if tree.frames else None,
        camera_info={one.topic.name: one.text for one in readers.values() if isinstance(one, _CameraInfoTopic)},
    )


def _tf_info(tree: TfTree, images: list[ImageTopicInfo]) -> TfInfo:
    chains: dict[str, list[str]] = {}
    moving = []
    for camera in sorted({frame for one in images for frame in one.frames if frame}):
        base = find_base_frame(tree, camera)
        fixed = next((name for name in FIXED_FRAMES if tree.lookup(name, base) is not None), tree.root(base))
        chain = tree.lookup(fixed, camera)
        chains[camera] = [] if chain is None else list(chain.frames)
        if chain is not None and chain.static_pose is None:
            moving.append(camera)
    return TfInfo(sorted(tree.frames), chains, moving, len(tree.skip_counts))


class _ImageTopic:
    def __init__(self, topic: Topic) -> None:
        self.topic, self.unusable = topic, 0
        self._stamps, self._bytes = StampCollector(), 0
        self._frames: dict[str, int] = {}
        self._format: tuple[str, int, int] | None = None

    def add(self, received: int, raw: bytes) -> None:
        message = read_message(raw, self.topic.type, self.topic.ros1)
        self._stamps.add(nanoseconds(message.header.stamp), received)
        self._bytes += len(raw)
        frame, _ = frames_of(message)
        self._frames[frame] = self._frames.get(frame, 0) + 1
        if self._format is None:
            if self.topic.type == RAW:
                self._format = str(message.encoding), int(message.width), int(message.height)
            else:
                self._format = str(message.format), *(coded_size(message.data) or (0, 0))

    def info(self, seconds: float) -> ImageTopicInfo:
        rate = self._bytes * 8e-6 / seconds if seconds > 0 and self._bytes else None
        format = self._format or ("", 0, 0)
        return ImageTopicInfo(self.topic, self._stamps.statistics(), *format, frames=self._frames, megabits=rate)


class _PoseTopic:
    def __init__(self, topic: Topic) -> None:
        self.topic, self.unusable = topic, 0
        self._stamps = StampCollector()
        self._samples: dict[Frames, PoseSamples | NavSatSamples] = {}

    def add(self, received: int, raw: bytes) -> None:
        message = read_message(raw, self.topic.type, self.topic.ros1)
        stamp = nanoseconds(message.header.stamp)
        self._stamps.add(stamp, received)
        time = (stamp or received) / 1e9, received / 1e9
        is_fix = KINDS[self.topic.type] == "navsat"
        samples = self._samples.setdefault(frames_of(message), NavSatSamples() if is_fix else PoseSamples())
        try:
            if isinstance(samples, NavSatSamples):
                samples.add(*time, message)
            else:
                samples.add(*time, pose_of_message(message))
        except ValueError:
            self.unusable += 1

    def info(self) -> PoseTopicInfo:
        frames, samples = max(self._samples.items(), key=lambda one: len(one[1]), default=(("", ""), PoseSamples()))
        if isinstance(samples, NavSatSamples):
            self.unusable += samples.drop_unset()
        info = PoseTopicInfo(self.topic, self._stamps.statistics(), *frames, self.unusable)
        info.others = {in_frames(other): len(one) for other, one in self._samples.items() if other != frames}
        if len(samples):
            table = samples.table()[0] if isinstance(samples, NavSatSamples) else samples.table()
            xyz = table[:, 2:5]
            info.traveled = float(np.linalg.norm(np.diff(xyz, axis=0), axis=1).sum())
            info.extent = float(np.ptp(xyz[:, 0])), float(np.ptp(xyz[:, 1]))
        return info


class _CameraInfoTopic:
    def __init__(self, topic: Topic) -> None:
        self.topic, self.unusable, self.text = topic, 0, "no message that can be read"
        self._is_read = False

    def add(self, received: int, raw: bytes) -> None:
        if not self._is_read:
            message = read_message(raw, self.topic.type, self.topic.ros1)
            self.text = f"{message.width} x {message.height}, {read_intrinsics(message, False, None)[1]}"
            self._is_read = True


def _topic_reader(topic: Topic) -> _ImageTopic | _PoseTopic | _CameraInfoTopic:
    if topic.type in (RAW, COMPRESSED):
        return _ImageTopic(topic)
    return _CameraInfoTopic(topic) if topic.type == CAMERA_INFO else _PoseTopic(topic)
