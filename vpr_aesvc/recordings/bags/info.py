"""What a bag holds that matters here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.bags.camera import guess_base, intrinsics_of
from vpr_aesvc.recordings.bags.messages import BagFile, Damaged, Topic, nanoseconds, peek_header, read_message
from vpr_aesvc.recordings.bags.navsat import NavSatSamples
from vpr_aesvc.recordings.bags.pose_history import PoseSamples
from vpr_aesvc.recordings.bags.poses import FIXED, read_pose
from vpr_aesvc.recordings.bags.reader import open_bag, scan_bag
from vpr_aesvc.recordings.bags.recording import BagRecording
from vpr_aesvc.recordings.bags.stamp_statistics import StampCount, StampFacts
from vpr_aesvc.recordings.bags.tf_tree import TfTree
from vpr_aesvc.recordings.bags.topics import CAMERA_INFO, COMPRESSED, KINDS, RAW, is_static
from vpr_aesvc.recordings.image_messages import coded_size
from vpr_aesvc.recordings.recording import RecordingOptions

Progress = Callable[[int, int], None]


@dataclass
class ImageFacts:
    """An image topic. ``encoding``, ``width`` and ``height`` are of its first message; ``frames`` are the frames that its messages
    name, by how many; ``megabits`` a second, of the messages as they are stored."""

    topic: Topic
    stamps: StampFacts
    encoding: str = ""
    width: int = 0
    height: int = 0
    frames: dict[str, int] = field(default_factory=dict)
    megabits: float | None = None


@dataclass
class PoseFacts:
    """A pose topic. ``traveled`` is the way in meters, ``extent`` the width and depth of the box around it; None without a pose."""

    topic: Topic
    stamps: StampFacts
    frame: str = ""
    child: str = ""
    unusable: int = 0
    traveled: float | None = None
    extent: tuple[float, float] | None = None


@dataclass
class TfFacts:
    """``chains`` says for the frame of each camera what it hangs on, outermost first; ``moving`` are those cameras that thereby move, so
    that TF says where they were."""

    frames: list[str]
    chains: dict[str, list[str]]
    moving: list[str]
    unusable: int


@dataclass
class BagInfo:
    """``used`` is what a map would be built from, in words; ``problem`` is why none can be built without more options."""

    path: str
    kind: str
    megabytes: float
    start: str
    seconds: float
    damage: str | None
    images: list[ImageFacts]
    poses: list[PoseFacts]
    tf: TfFacts | None
    camera_info: dict[str, str]
    used: list[str] = field(default_factory=list)
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def bag_info(path: Path, options: RecordingOptions, progress: Progress | None = None) -> BagInfo:
    """One pass over the topics that matter, and what a map would be built from. Damage is told, not raised.

    Raises:
        VprError: it is no bag, or nothing of it can be read.
    """
    bag = open_bag(path)
    try:
        found = _read(path, bag, progress)
    except Damaged as damage:
        bag.close()
        bag = scan_bag(path, damage)
        found = _read(path, bag, progress)
    finally:
        bag.close()
    try:
        recording = BagRecording(path, replace(options, keep_good=True))
        found.used = recording.notes
    except VprError as error:
        found.problem = str(error)
    return found


def _read(path: Path, bag: BagFile, progress: Progress | None) -> BagInfo:
    wanted = {name: topic for name, topic in bag.topics.items() if topic.type in (RAW, COMPRESSED, CAMERA_INFO, *KINDS)}
    readers = {name: _reader(topic) for name, topic in wanted.items()}
    tree = TfTree(1.0)
    total = sum(topic.count for topic in wanted.values())
    for number, (topic, received, raw) in enumerate(bag.messages(list(wanted)) if wanted else (), 1):
        if progress is not None and (number % 100 == 0 or number == total):
            progress(number, total)
        try:
            if KINDS.get(topic.type) == "tf":
                tree.add(read_message(raw, topic.type, topic.ros1), received, is_static(topic))
            else:
                readers[topic.name].add(received, raw)
        except VprError:
            readers[topic.name].unreadable += 1
    seconds = (bag.span[1] - bag.span[0]) / 1e9
    images = [one.facts(seconds) for one in readers.values() if isinstance(one, _Images)]
    poses = [one.facts() for one in readers.values() if isinstance(one, _Poses) and KINDS[one.topic.type] != "tf"]
    infos = {one.topic.name: one.words for one in readers.values() if isinstance(one, _Infos)}
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
        tf=_tf_facts(tree, images) if tree.frames else None,
        camera_info=infos,
    )


def _tf_facts(tree: TfTree, images: list[ImageFacts]) -> TfFacts:
    chains: dict[str, list[str]] = {}
    moving = []
    for camera in sorted({frame for one in images for frame in one.frames if frame}):
        base = guess_base(tree, camera)
        fixed = next((name for name in FIXED if tree.chain(name, base) is not None), tree.root(base))
        chain = tree.chain(fixed, camera)
        chains[camera] = [] if chain is None else list(chain.frames)
        if chain is not None and chain.constant is None:
            moving.append(camera)
    return TfFacts(sorted(tree.frames), chains, moving, len(tree.skip_counts))


class _Images:
    def __init__(self, topic: Topic) -> None:
        self.topic, self.unreadable = topic, 0
        self._stamps, self._bytes = StampCount(), 0
        self._facts: ImageFacts | None = None
        self._frames: dict[str, int] = {}

    def add(self, received: int, raw: bytes) -> None:
        header = peek_header(raw, self.topic.ros1)
        self._stamps.add(header.stamp, received)
        self._bytes += len(raw)
        self._frames[header.frame] = self._frames.get(header.frame, 0) + 1
        if self._facts is None:
            message = read_message(raw, self.topic.type, self.topic.ros1)
            if self.topic.type == RAW:
                about = str(message.encoding), int(message.width), int(message.height)
            else:
                about = str(message.format), *(coded_size(message.data) or (0, 0))
            self._facts = ImageFacts(self.topic, StampCount().facts(), *about)

    def facts(self, seconds: float) -> ImageFacts:
        rate = self._bytes * 8e-6 / seconds if seconds > 0 and self._bytes else None
        known = self._facts or ImageFacts(self.topic, self._stamps.facts())
        return replace(known, stamps=self._stamps.facts(), frames=self._frames, megabits=rate)


class _Poses:
    def __init__(self, topic: Topic) -> None:
        self.topic, self.unreadable = topic, 0
        self._stamps = StampCount()
        self._poses, self._fixes = PoseSamples(), NavSatSamples()
        self._frame = self._child = ""

    def add(self, received: int, raw: bytes) -> None:
        message = read_message(raw, self.topic.type, self.topic.ros1)
        stamp = nanoseconds(message.header.stamp)
        self._stamps.add(stamp, received)
        self._frame = self._frame or message.header.frame_id.lstrip("/")
        self._child = self._child or getattr(message, "child_frame_id", "").lstrip("/")
        at = (stamp or received) / 1e9, received / 1e9
        try:
            if KINDS[self.topic.type] == "navsat":
                self._fixes.add(*at, message)
            else:
                self._poses.add(*at, read_pose(message))
        except ValueError:
            self.unreadable += 1

    def facts(self) -> PoseFacts:
        table = self._fixes.table()[0] if len(self._fixes) else self._poses.table()
        facts = PoseFacts(self.topic, self._stamps.facts(), self._frame, self._child, self.unreadable)
        if len(table):
            xyz = table[:, 2:5]
            facts.traveled = float(np.linalg.norm(np.diff(xyz, axis=0), axis=1).sum())
            facts.extent = float(np.ptp(xyz[:, 0])), float(np.ptp(xyz[:, 1]))
        return facts


class _Infos:
    def __init__(self, topic: Topic) -> None:
        self.topic, self.unreadable, self.words = topic, 0, "no message that can be read"
        self._read = False

    def add(self, received: int, raw: bytes) -> None:
        if not self._read:
            message = read_message(raw, self.topic.type, self.topic.ros1)
            self.words = f"{message.width} x {message.height}, {intrinsics_of(message, False, None)[1]}"
            self._read = True


def _reader(topic: Topic) -> _Images | _Poses | _Infos:
    if topic.type in (RAW, COMPRESSED):
        return _Images(topic)
    return _Infos(topic) if topic.type == CAMERA_INFO else _Poses(topic)
