"""Messages of a bag: bytes, and read as objects.

Only message types of ROS's own packages are read. Their layout has not changed since the first ROS 2, so the message definitions that a bag
carries are not used: a bag without definitions, or with a broken definition of a custom message, can be read.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from vpr_aesvc.errors import VprError

_TF = "tf2_msgs/msg/TFMessage"
_SAME_LAYOUT = {"tf/msg/tfMessage": _TF}
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Topic:
    """A topic of a bag. ``type`` in the form of ROS 2 (``sensor_msgs/msg/Image``); ``ros1``: its messages are serialized as in ROS 1."""

    name: str
    type: str
    count: int
    ros1: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.type.replace('/msg/', '/')}, {self.count} message{'' if self.count == 1 else 's'})"


class Damaged(Exception):
    """The rest of a bag cannot be read. The messages before are good."""


class BagFile(Protocol):
    """An open bag.

    Attributes:
        kind: such as ``ROS 2 bag (mcap)``.
        topics: by name.
        span: times of reception of the first and the last message, nanoseconds; (0, 0) in an empty bag.
        damage: why not all of it can be read, with the repair command; None if no damage is known.
    """

    kind: str
    notes: list[str]
    topics: dict[str, Topic]
    span: tuple[int, int]
    damage: str | None

    def messages(self, names: Collection[str]) -> Iterator[tuple[Topic, int, bytes]]:
        """The messages of some topics as recorded: topic, time of reception in nanoseconds, bytes.

        Raises:
            Damaged: the next message cannot be read.
        """
        ...

    def close(self) -> None: ...


def read_message(raw: bytes, type: str, ros1: bool) -> Any:
    """The message as an object of rosbags; numeric arrays are views into ``raw``.

    Raises:
        VprError: the bytes are not a complete message of this type.
    """
    store = _typestore(ros1)
    name = _SAME_LAYOUT.get(type, type)
    try:
        return store.deserialize_ros1(raw, name) if ros1 else store.deserialize_cdr(raw, name)
    except Exception as error:  # the generated code raises any type on bad bytes
        short = type.replace("/msg/", "/")
        raise VprError(f"{len(raw)} bytes that are not a complete {short} message ({error})") from error


def decompress(raw: bytes) -> bytes:
    """A message that the recorder compressed by itself (mode ``message``), unpacked; any other as it is. One that cannot be unpacked becomes
    empty, so that it is counted as unreadable."""
    if raw[:4] != _ZSTD_MAGIC:  # no message begins so: CDR begins with 0, ROS 1 with ``seq``
        return raw
    from zstandard import ZstdDecompressor, ZstdError

    try:
        return ZstdDecompressor().decompressobj().decompress(raw)
    except ZstdError:
        return b""


def nanoseconds(stamp: Any) -> int:
    """A builtin_interfaces/Time in nanoseconds."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


@lru_cache(maxsize=2)
def _typestore(ros1: bool) -> Any:
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)
    if _TF not in store.types:
        store.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", _TF))
    return store
