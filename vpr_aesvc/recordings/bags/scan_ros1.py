"""The messages of a ROS 1 bag in the order in which they were written, without its index: of a recorder that was cut off.

Format 2.0, http://wiki.ros.org/Bags/Format/2.0: records of a header (fields ``name=value``) and data; chunks hold records.
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from vpr_aesvc.recordings.bags.messages import Damaged, Record, type_name

_MAGIC = b"#ROSBAG V2.0\n"
_MESSAGE, _CHUNK, _CONNECTION = 2, 5, 7
_LONGEST_HEADER = 1 << 20


def ros1_records(file: Path) -> Iterator[Record]:
    """Raises Damaged where a record is cut off or is none, and where the index is missing that a finished bag has at its end."""
    with file.open("rb") as stream:
        try:
            if stream.read(len(_MAGIC)) != _MAGIC:
                raise ValueError("not a ROS 1 bag of version 2.0")
            indexed = False
            topics: dict[int, tuple[str, str]] = {}
            for fields, data in _records(stream):
                if fields["op"] == b"\3":
                    indexed = _whole(fields["index_pos"]) > 0
                elif fields["op"][0] == _CHUNK:
                    inner = _DECOMPRESS[fields["compression"].decode()](data)
                    for inside, message in _records(BytesIO(inner)):
                        yield from _message(inside, message, topics)
                else:
                    yield from _message(fields, data, topics)
            if not indexed:
                raise ValueError("no index, as where recording was cut off")
        except Exception as error:  # of three decompressors and the parsing, on bytes that are not what they expect
            raise Damaged(
                f"{file.name}: {error} ({stream.tell() / 1e6:.1f} of {file.stat().st_size / 1e6:.1f} MB read)"
            ) from error


def _message(fields: dict[str, bytes], data: bytes, topics: dict[int, tuple[str, str]]) -> Iterator[Record]:
    if fields["op"][0] == _CONNECTION:
        about = dict(_fields(data))
        topic = "/" + "/".join(filter(None, fields["topic"].decode().split("/")))
        topics[_whole(fields["conn"])] = topic, type_name(about["type"].decode())
    elif fields["op"][0] == _MESSAGE and _whole(fields["conn"]) in topics:
        seconds, nanoseconds = struct.unpack("<II", fields["time"])
        yield Record(*topics[_whole(fields["conn"])], True, seconds * 10**9 + nanoseconds, data)


def _records(stream: BinaryIO) -> Iterator[tuple[dict[str, bytes], bytes]]:
    while size := stream.read(4):
        length = _whole(size)
        if length > _LONGEST_HEADER:
            raise ValueError("a record that is none")
        fields = dict(_fields(_exactly(stream, length)))
        yield fields, _exactly(stream, _whole(_exactly(stream, 4)))


def _fields(header: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(header):
        length = _whole(header[at : at + 4])
        name, _, value = header[at + 4 : at + 4 + length].partition(b"=")
        yield name.decode(), value
        at += 4 + length


def _exactly(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) != length:
        raise ValueError("truncated")
    return data


def _whole(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _lz4(data: bytes) -> bytes:
    from lz4.frame import decompress

    return bytes(decompress(data))


_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {"none": bytes, "bz2": bz2.decompress, "lz4": _lz4}
