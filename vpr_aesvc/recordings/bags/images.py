"""The images of one topic in the order in which they were recorded, still coded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.bags.messages import BagFile, Topic, peek_header, peek_size, read_message
from vpr_aesvc.recordings.bags.pose_history import JUMP
from vpr_aesvc.recordings.bags.topics import RAW
from vpr_aesvc.recordings.image_messages import coded_size
from vpr_aesvc.recordings.recording import SkipCounts


@dataclass(frozen=True)
class StampedImage:
    """``number`` counts the messages of the topic from 0; ``stamp`` and ``received`` in seconds; ``raw`` is the whole message."""

    number: int
    stamp: float
    received: float
    raw: bytes


@dataclass(frozen=True)
class FirstImage:
    """The first message of the topic that can be read: the camera's frame, its size if the message is not compressed, and when."""

    topic: Topic
    frame: str
    size: tuple[int, int] | None
    when: tuple[float, float]
    raw: bytes


def first_image(bag: BagFile, topic: Topic, where: str) -> FirstImage:
    """Raises VprError where the topic has no message that can be read."""
    for _, received, raw in bag.messages([topic.name]):
        try:
            header = peek_header(raw, topic.ros1)
            size = peek_size(raw, header, topic.ros1) if topic.type == RAW else None
        except VprError:
            continue
        stamp = header.stamp or received
        return FirstImage(topic, header.frame, size, (stamp / 1e9, received / 1e9), raw)
    raise VprError(f"{where}: image topic {topic} holds no message that can be read")


def size_of(first: FirstImage) -> tuple[int, int] | None:
    """(width, height) of the images, also of compressed ones; None where it cannot be told without decoding."""
    if first.size is not None:
        return first.size
    try:
        return coded_size(read_message(first.raw, first.topic.type, first.topic.ros1).data)
    except VprError:
        return None


class ImageStream:
    """Iterates over a topic once, and counts what is odd about it."""

    def __init__(self, bag: BagFile, topic: Topic, first: FirstImage, skip_counts: SkipCounts) -> None:
        self._bag, self._topic, self._first, self._left_out = bag, topic, first, skip_counts
        self.given = 0
        self.span: tuple[float, float] | None = None
        self.unstamped = 0
        self.repeated = 0
        self.jumps = 0

    def __iter__(self) -> Iterator[StampedImage]:
        raw_images = self._topic.type == RAW
        ros1 = self._topic.ros1
        last: int | None = None
        for number, (_, received, raw) in enumerate(self._bag.messages([self._topic.name])):
            try:
                header = peek_header(raw, ros1)
                size = peek_size(raw, header, ros1) if raw_images else None
            except VprError as error:
                self._left_out.add("images whose message cannot be read", f"number {number}: {error}")
                continue
            if header.frame != self._first.frame:
                named = f"number {number} of {header.frame or 'no frame'}, not {self._first.frame or 'none'}"
                self._left_out.add("images of another camera on the same topic", named)
                continue
            if size is not None and 0 not in size and size != self._first.size and self._first.size is not None:
                self._left_out.add(
                    "images of another size on the same topic",
                    f"number {number} of {size[0]} x {size[1]}, not {self._first.size[0]} x {self._first.size[1]}",
                )
                continue
            stamp = header.stamp or received
            if last is not None and stamp <= last:
                if stamp == last:
                    self.repeated += 1
                elif last - stamp < JUMP * 1e9:
                    back = (last - stamp) / 1e9
                    self._left_out.add("images out of order", f"number {number}, {back:.3f} s before the last")
                    continue
                else:
                    self.jumps += 1
            last = stamp
            self.unstamped += not header.stamp
            self.given += 1
            seconds = stamp / 1e9
            self.span = (
                (seconds, seconds) if self.span is None else (min(self.span[0], seconds), max(self.span[1], seconds))
            )
            yield StampedImage(number, seconds, received / 1e9, raw)

    def notes(self) -> list[str]:
        """What is odd, in words."""
        words = []
        if self.unstamped:
            words.append(
                f"{self.unstamped} of {self.given} images have a stamp of zero: the time of reception was used"
            )
        if self.repeated:
            words.append(f"images with the stamp of the one before: {self.repeated}")
        if self.jumps:
            words.append(f"jumps of the images' clock backward: {self.jumps}; it was set, or a bag was played again")
        return words
