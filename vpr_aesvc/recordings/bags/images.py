"""The images of one topic in the order in which they were recorded, not decoded yet."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import SkipCounts
from vpr_aesvc.image_header import coded_size
from vpr_aesvc.recordings.bags.messages import BagFile, Topic, nanoseconds, read_message
from vpr_aesvc.recordings.bags.topics import frames_of
from vpr_aesvc.recordings.pose_history import JUMP

_AHEAD, _BEHIND = 200_000_000, 500_000_000  # nanoseconds of recording around an image, in which its depth is looked for
_DEPTH_GAP = 20_000_000  # between their stamps


@dataclass(frozen=True)
class StampedImage:
    """``number`` counts the messages of the topic from 0; ``stamp`` and ``received`` in seconds."""

    number: int
    stamp: float
    received: float
    message: Any


@dataclass(frozen=True)
class FirstImage:
    """The first readable message of the topic: frame of the camera, (width, height) of a raw image, (stamp, time of reception) in seconds."""

    topic: Topic
    frame: str
    size: tuple[int, int] | None
    time: tuple[float, float]
    message: Any

    def coded_size(self) -> tuple[int, int] | None:
        """(width, height), also of a compressed image; None if only decoding would tell."""
        return coded_size(self.message.data) if self.size is None else self.size


def first_image(bag: BagFile, topic: Topic, path: str) -> FirstImage:
    """
    Raises:
        VprError: no message of the topic can be read.
    """
    for _, received, raw in bag.messages([topic.name]):
        try:
            message = read_message(raw, topic.type, topic.ros1)
        except VprError:
            continue
        stamp = nanoseconds(message.header.stamp) or received
        return FirstImage(topic, frames_of(message)[0], _size(message), (stamp / 1e9, received / 1e9), message)
    raise VprError(f"{path}: no message of image topic {topic} can be read")


def _size(message: Any) -> tuple[int, int] | None:
    """(width, height) of a raw image."""
    return (int(message.width), int(message.height)) if hasattr(message, "width") else None


class ImageStream:
    """Iterates over a topic once. Images that do not belong are added to ``skip_counts``; odd stamps are counted for ``notes``."""

    def __init__(self, bag: BagFile, first: FirstImage, skip_counts: SkipCounts) -> None:
        self._bag, self._first, self._skip_counts = bag, first, skip_counts
        self.count = 0
        self.span: tuple[float, float] | None = None
        self._unstamped = self._repeated = self._jumps = 0

    def __iter__(self) -> Iterator[StampedImage]:
        topic, last = self._first.topic, None
        for number, (_, received, raw) in enumerate(self._bag.messages([topic.name])):
            try:
                message = read_message(raw, topic.type, topic.ros1)
            except VprError as error:
                self._skip_counts.add("images whose message cannot be read", f"number {number}: {error}")
                continue
            if self._is_of_another_camera(number, frames_of(message)[0], _size(message)):
                continue
            own_stamp = nanoseconds(message.header.stamp)
            stamp = own_stamp or received
            if last is not None and stamp < last and last - stamp < JUMP * 1e9:
                seconds = (last - stamp) / 1e9
                self._skip_counts.add("images out of order", f"number {number}, {seconds:.3f} s before the last")
                continue
            if last is not None:
                self._repeated += stamp == last
                self._jumps += stamp < last
            last = stamp
            self._unstamped += not own_stamp
            self.count += 1
            seconds = stamp / 1e9
            first, latest = self.span or (seconds, seconds)
            self.span = min(first, seconds), max(latest, seconds)
            yield StampedImage(number, seconds, received / 1e9, message)

    def _is_of_another_camera(self, number: int, frame: str, size: tuple[int, int] | None) -> bool:
        expected = self._first.size
        if frame != self._first.frame:
            example = f"number {number} of {frame or 'no frame'}, not {self._first.frame or 'none'}"
            self._skip_counts.add("images of another camera on the same topic", example)
        elif size is not None and 0 not in size and expected is not None and size != expected:
            example = f"number {number} of {size[0]} x {size[1]}, not {expected[0]} x {expected[1]}"
            self._skip_counts.add("images of another size on the same topic", example)
        else:
            return False
        return True

    def notes(self) -> list[str]:
        """Odd stamps, one sentence each."""
        notes = []
        if self._unstamped:
            notes.append(
                f"{self._unstamped} of {self.count} images have a stamp of zero: the time of reception is used"
            )
        if self._repeated:
            notes.append(f"images with the same stamp as the one before: {self._repeated}")
        if self._jumps:
            notes.append(f"images whose stamp jumps back: {self._jumps}; the clock was set, or a bag was played again")
        return notes


class DepthStream:
    """The depth images of a topic, read along with the images that they belong to."""

    def __init__(self, bag: BagFile, topic: Topic) -> None:
        self._topic, self._messages = topic, bag.messages([topic.name])
        self._waiting: deque[tuple[int, int, Any]] = deque()  # stamp, time of reception, message
        self._last = -1

    def near(self, image: StampedImage) -> Any | None:
        """The message of the image's time; None if there is none. Images must come in the order in which they were recorded."""
        received, stamp = round(image.received * 1e9), round(image.stamp * 1e9)
        while self._last < received + _AHEAD and (found := next(self._messages, None)) is not None:
            self._last = found[1]
            try:
                message = read_message(found[2], self._topic.type, self._topic.ros1)
            except VprError:
                continue  # its image has no depth, which the recording notes
            self._waiting.append((nanoseconds(message.header.stamp) or found[1], found[1], message))
        while self._waiting and self._waiting[0][1] < received - _BEHIND:
            self._waiting.popleft()
        at, _, message = min(self._waiting, key=lambda one: abs(one[0] - stamp), default=(0, 0, None))
        return message if abs(at - stamp) <= _DEPTH_GAP else None
