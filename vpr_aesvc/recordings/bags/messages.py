"""Messages of a bag as bytes: their header without the rest, and the whole as an object.

Only messages of ROS' own packages are read. Their layout has been the same since the first ROS 2, so the definitions that a bag
carries are not needed, and one without any, or with one of somebody's own that cannot be parsed, is read like any other.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from vpr_aesvc.errors import VprError

_TF = "tf2_msgs/msg/TFMessage"
_SAME_LAYOUT = {"tf/msg/tfMessage": _TF}


@dataclass(frozen=True)
class Topic:
    """A topic of a bag. ``type`` is written as ROS 2 does (``sensor_msgs/msg/Image``); ``ros1`` says how its messages are coded."""

    name: str
    type: str
    count: int
    ros1: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.type.replace('/msg/', '/')}, {self.count} message{'' if self.count == 1 else 's'})"


@dataclass(frozen=True)
class Header:
    """``stamp`` in nanoseconds; ``frame`` without a leading slash; ``end`` is the offset of the byte after the header."""

    stamp: int
    frame: str
    end: int


def peek_header(raw: bytes, ros1: bool) -> Header:
    """The std_msgs/Header that a message begins with; no other byte is touched.

    Raises:
        VprError: the message is shorter than its header.
    """
    try:
        if ros1:
            seconds, nanoseconds, length = struct.unpack_from("<III", raw, 4)  # after seq
            start, end = 16, 16 + length
        else:
            seconds, nanoseconds, length = struct.unpack_from(_order(raw) + "iII", raw, 4)  # after the encapsulation
            start, end = 16, 16 + length
        if end > len(raw):
            raise VprError(f"the message ends in its header, after {len(raw)} bytes")
        frame = bytes(raw[start:end]).rstrip(b"\0").decode("utf-8", "replace")
    except (struct.error, TypeError) as error:  # TypeError: a row of SQLite that holds no bytes
        raise VprError(f"the message ends in its header, after {len(raw)} bytes") from error
    return Header(seconds * 10**9 + nanoseconds, frame.lstrip("/"), end)


def peek_size(raw: bytes, header: Header, ros1: bool) -> tuple[int, int]:
    """(width, height) of a sensor_msgs/Image.

    Raises:
        VprError: the message is shorter than that.
    """
    at = header.end if ros1 else (header.end + 3) & -4
    try:
        height, width = struct.unpack_from(("<" if ros1 else _order(raw)) + "II", raw, at)
    except (struct.error, TypeError) as error:  # TypeError: a row of SQLite that holds no bytes
        raise VprError(f"the message ends before the size of the image, after {len(raw)} bytes") from error
    return width, height


def read_message(raw: bytes, type: str, ros1: bool) -> Any:
    """The message as rosbags' object; arrays of numbers are views into ``raw``.

    Raises:
        VprError: the bytes are not a whole message of this type.
    """
    store = _typestore(ros1)
    name = _SAME_LAYOUT.get(type, type)
    try:
        return store.deserialize_ros1(raw, name) if ros1 else store.deserialize_cdr(raw, name)
    except Exception as error:  # the generated code meets bad bytes with whatever its next step raises
        short = type.replace("/msg/", "/")
        raise VprError(f"{len(raw)} bytes that are not a whole {short} message ({error})") from error


def nanoseconds(stamp: Any) -> int:
    """Of a builtin_interfaces/Time."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


@lru_cache(maxsize=2)
def _typestore(ros1: bool) -> Any:
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)
    if _TF not in store.types:
        store.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", _TF))
    return store


def _order(raw: bytes) -> str:
    return "<" if len(raw) < 2 or raw[1] & 1 else ">"


class Damaged(Exception):
    """Reading came to bytes that are not what they should be; what was given before them is good."""


class BagFile(Protocol):
    """Attributes:
    kind: in words.
    topics: by name.
    span: nanoseconds, of the first and the last message as they were received; (0, 0) where there is none.
    damage: in words, where it is known from the start that not all can be read.
    """

    kind: str
    topics: dict[str, Topic]
    span: tuple[int, int]
    damage: str | None

    def messages(self, names: Collection[str]) -> Iterator[tuple[Topic, int, bytes]]:
        """The messages of some topics, as recorded: topic, time of reception in nanoseconds, bytes.

        Raises:
            Damaged: in the middle, or at the end.
        """
        ...

    def close(self) -> None: ...


class Record(NamedTuple):
    """One message as a file holds it; ``received`` in nanoseconds, ``type`` as ROS 2 writes it."""

    topic: str
    type: str
    ros1: bool
    received: int
    raw: bytes


def type_name(name: str) -> str:
    """``sensor_msgs/Image`` and ``sensor_msgs/msg/Image`` as the second."""
    package, _, rest = name.partition("/")
    return name if rest.startswith("msg/") else f"{package}/msg/{rest}"
