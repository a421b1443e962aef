"""ROS 1 bags that the recorder did not close (``.bag.active``), or whose index is damaged, read record by record from their beginning.

A chunk without compression is read up to where the file ends, a compressed one only as a whole.
"""

from bz2 import BZ2Decompressor
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

from lz4.frame import LZ4FrameDecompressor
from rosbags.rosbag1.reader import Header, RecordType, normalize, read_bytes, read_uint32
from rosbags.typesys.msg import normalize_msgtype

_LARGEST = 1 << 28  # bytes of a record or a chunk: above the largest image; more is damage
_DECOMPRESSORS = {"bz2": BZ2Decompressor, "lz4": LZ4FrameDecompressor}
Channel = tuple[str, str, bool]
"""Topic, type in the form of ROS 2, serialized as in ROS 1."""


def read_messages(stream: BinaryIO) -> Iterator[tuple[Channel, int, bytes] | None]:
    """The messages as written: channel, time of reception in nanoseconds, bytes. None tells that all messages were read.

    Raises:
        EOFError: the recorder did not close the file; any other exception: bytes that are no record.
    """
    stream.seek(len(b"#ROSBAG V2.0\n"))
    channels: dict[int, Channel] = {}
    is_complete = False
    for header, data in _records(stream):
        kind = header.get_uint8("op")
        if kind == RecordType.CONNECTION:
            type = Header.read(BytesIO(len(data).to_bytes(4, "little") + data)).get_string("type")
            channels[header.get_uint32("conn")] = normalize(header.get_string("topic")), normalize_msgtype(type), True
        elif kind == RecordType.MSGDATA and header.get_uint32("conn") in channels:
            yield channels[header.get_uint32("conn")], header.get_time("time"), data
        elif kind == RecordType.CHUNK_INFO and not is_complete:  # the index is written after all messages
            is_complete = True
            yield None
    if not is_complete:
        raise EOFError


def _records(stream: BinaryIO) -> Iterator[tuple[Header, bytes]]:
    """Header and data of each record, also of those in a chunk."""
    while prefix := stream.read(4):
        header = Header.read(BytesIO(prefix + stream.read(min(int.from_bytes(prefix, "little"), _LARGEST))))
        kind, size = header.get_uint8("op"), read_uint32(stream)
        coding = header.get_string("compression") if kind == RecordType.CHUNK else ""
        if coding == "none":
            continue  # the records in it come next
        if max(size, header.get_uint32("size") if coding else 0) > _LARGEST:
            raise ValueError(f"a record of {size} bytes")
        data = read_bytes(stream, size)
        if coding:
            yield from _records(BytesIO(_DECOMPRESSORS[coding]().decompress(data, header.get_uint32("size"))))
        else:
            yield header, data
