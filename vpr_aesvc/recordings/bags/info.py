"""What ``vpr bag info`` tells of a bag: its images, poses and TF, and what a map would be built from."""

from array import array
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.images import image_of
from vpr_aesvc.recordings.bags.messages import BagFile, Damaged, Topic, nanoseconds, read_message
from vpr_aesvc.recordings.bags.navsat import NavSatSamples
from vpr_aesvc.recordings.bags.poses import pose_of_message
from vpr_aesvc.recordings.bags.reader import open_bag
from vpr_aesvc.recordings.bags.recording import BagRecording
from vpr_aesvc.recordings.bags.tf_tree import TfTree
from vpr_aesvc.recordings.bags.topics import (
    COMPRESSED,
    KINDS,
    RAW,
    Frames,
    frames_of,
    in_frames,
    is_static,
    tf_topics,
)
from vpr_aesvc.recordings.image_messages import coded_size
from vpr_aesvc.recordings.pose_history import PoseSamples
from vpr_aesvc.types import Progress

_TRIED = 50  # images; more than a camera sends before its exposure or its stream is ready


@dataclass
class Stamps:
    """How regularly a topic was recorded. A step is the time between two stamps in a row.

    Attributes:
        rate: messages per second, from the median step; None for fewer than two messages. longest: the longest step, seconds.
        zero: number of stamps that are zero; the time of reception is used instead.
        back, equal: number of stamps before, and equal to, that of the message before.
    """

    rate: float | None
    longest: float | None
    zero: int
    back: int
    equal: int


@dataclass
class ImageTopicInfo:
    """``encoding``, ``width`` and ``height`` of the first message; ``frames``: number of messages for each frame id."""

    topic: Topic
    stamps: Stamps
    encoding: str
    width: int
    height: int
    frames: dict[str, int]


@dataclass
class PoseTopicInfo:
    """``traveled``: length of the path in meters; ``extent``: its size along x and y in meters; None without poses. ``unusable``: messages with
    NaN, without a unit quaternion or without a position; ``others``: number of poses in other frames, which are not measured."""

    topic: Topic
    stamps: Stamps
    frame: str
    child: str
    unusable: int
    others: dict[str, int]
    traveled: float | None = None
    extent: tuple[float, float] | None = None


@dataclass
class BagInfo:
    """``tf``: the frames in TF; ``used``: what a map would be built from, one sentence each; ``problem``: why no map can be built with these
    options."""

    path: str
    kind: str
    megabytes: float
    start: str
    seconds: float
    damage: str | None
    images: list[ImageTopicInfo]
    poses: list[PoseTopicInfo]
    tf: list[str]
    used: list[str] = field(default_factory=list)
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def bag_info(path: Path, options: InputOptions, progress: Progress | None = None) -> BagInfo:
    """Reads the image, pose and TF topics once. Damage in the middle is reported in the result, not raised.

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
    images = {name: _ImageTopic(topic) for name, topic in bag.topics.items() if topic.type in (RAW, COMPRESSED)}
    transforms = {topic.name for topic in tf_topics(bag.topics)}
    poses = {
        name: _PoseTopic(topic) for name, topic in bag.topics.items() if topic.type in KINDS and name not in transforms
    }
    readers: dict[str, _TopicReader] = {**images, **poses}
    names, tree = [*readers, *transforms], TfTree(1.0)
    total = sum(bag.topics[name].count for name in names)
    for number, (topic, received, raw) in enumerate(bag.messages(names) if names else (), 1):
        if progress is not None and (number % 100 == 0 or number == total):
            progress(number, total)
        reader = readers.get(topic.name)
        try:
            message = read_message(raw, topic.type, topic.ros1)
        except VprError:
            if reader is not None:
                reader.unusable += 1
            continue
        if reader is None:
            tree.add(message, received, is_static(topic))
        else:
            reader.add(message, received)
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.is_file()]
    return BagInfo(
        path=str(path),
        kind=bag.kind,
        megabytes=sum(file.stat().st_size for file in files) / 1e6,
        start=datetime.fromtimestamp(bag.span[0] / 1e9, timezone.utc).isoformat(timespec="seconds"),
        seconds=(bag.span[1] - bag.span[0]) / 1e9,
        damage=bag.damage,
        images=[one.info() for one in images.values()],
        poses=[one.info() for one in poses.values()],
        tf=sorted(tree.frames),
    )


class _TopicReader:
    """Collects the stamps of a topic, 8 bytes for each message."""

    def __init__(self, topic: Topic) -> None:
        self.topic, self.unusable = topic, 0
        self._seconds, self._zero = array("d"), 0

    def add(self, message: Any, received: int) -> None:
        """``received``: nanoseconds."""
        stamp = nanoseconds(message.header.stamp)
        self._zero += not stamp
        self._seconds.append((stamp or received) / 1e9)

    def stamps(self) -> Stamps:
        steps = np.diff(np.asarray(self._seconds))
        forward = steps[steps > 0]
        rate = 1 / float(np.median(forward)) if len(forward) else None
        longest = float(forward.max()) if len(forward) else None
        return Stamps(rate, longest, self._zero, int((steps < 0).sum()), int((steps == 0).sum()))


class _ImageTopic(_TopicReader):
    def __init__(self, topic: Topic) -> None:
        super().__init__(topic)
        self._frames: dict[str, int] = {}
        self._format: tuple[str, int, int] | None = None

    def add(self, message: Any, received: int) -> None:
        super().add(message, received)
        frame, _ = frames_of(message)
        self._frames[frame] = self._frames.get(frame, 0) + 1
        if self._format is None and self.topic.type == RAW:
            self._format = str(message.encoding), int(message.width), int(message.height)
        elif self._format is None:
            self._format = str(message.format), *(coded_size(message.data) or (0, 0))

    def info(self) -> ImageTopicInfo:
        return ImageTopicInfo(self.topic, self.stamps(), *(self._format or ("", 0, 0)), self._frames)


class _PoseTopic(_TopicReader):
    def __init__(self, topic: Topic) -> None:
        super().__init__(topic)
        self._samples: dict[Frames, PoseSamples | NavSatSamples] = {}

    def add(self, message: Any, received: int) -> None:
        super().add(message, received)
        is_fix = KINDS[self.topic.type] == "navsat"
        samples = self._samples.setdefault(frames_of(message), NavSatSamples() if is_fix else PoseSamples())
        try:
            if isinstance(samples, NavSatSamples):
                samples.add(self._seconds[-1], received / 1e9, message)
            else:
                samples.add(self._seconds[-1], received / 1e9, pose_of_message(message))
        except ValueError:
            self.unusable += 1

    def info(self) -> PoseTopicInfo:
        frames, samples = max(self._samples.items(), key=lambda one: len(one[1]), default=(("", ""), PoseSamples()))
        if isinstance(samples, NavSatSamples):
            self.unusable += samples.drop_unset()
        others = {in_frames(other): len(one) for other, one in self._samples.items() if other != frames}
        info = PoseTopicInfo(self.topic, self.stamps(), *frames, self.unusable, others)
        if len(samples):
            table = samples.table()[0] if isinstance(samples, NavSatSamples) else samples.table()
            xyz = table[:, 2:5]
            info.traveled = float(np.linalg.norm(np.diff(xyz, axis=0), axis=1).sum())
            info.extent = float(np.ptp(xyz[:, 0])), float(np.ptp(xyz[:, 1]))
        return info
