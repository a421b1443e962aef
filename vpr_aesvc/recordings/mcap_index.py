"""The few small messages of an MCAP file that lie between large ones, each read from its own place.

A recorder puts poses and images into the same chunks. Reading the poses chunk by chunk is reading the whole file, a minute for ten
minutes of raw images; the file's message index says where each of them is, as long as chunks are not compressed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_CHUNK_HEAD = 9 + 40  # of a chunk without compression, before its first record
_MESSAGE = struct.Struct("<BQHIQQ")  # opcode, length, channel, sequence, log time, publish time
_MESSAGE_INDEX, _MESSAGE_OPCODE = 7, 5


class McapIndex:
    """Raises ValueError, and what the mcap package raises, for a file that has no message index or a compressed chunk."""

    def __init__(self, file: Path) -> None:
        from mcap.reader import make_reader

        self.file = file
        with file.open("rb") as stream:
            summary = make_reader(stream).get_summary()
        if summary is None or not summary.chunk_indexes or any(one.compression for one in summary.chunk_indexes):
            raise ValueError(f"{file.name}: no index, or compressed chunks")
        self._chunks = [
            (one.chunk_start_offset + _CHUNK_HEAD, one.message_index_offsets) for one in summary.chunk_indexes
        ]
        counts = summary.statistics.channel_message_counts if summary.statistics is not None else {}
        indexed = {channel for _, offsets in self._chunks for channel in offsets}
        if missing := {channel for channel, count in counts.items() if count} - indexed:
            raise ValueError(f"{file.name}: no message index of channels {missing}")
        self._channels = {
            id: (channel.topic, summary.schemas[channel.schema_id].name)
            for id, channel in summary.channels.items()
            if channel.schema_id in summary.schemas
        }

    def messages(self, types: dict[str, str]) -> Iterator[tuple[str, int, bytes]]:
        """Topic, log time in nanoseconds and bytes of the messages of some topics, given with their types, by log time.

        Raises:
            ValueError: what the index points to is no such message.
        """
        wanted = [id for id, (topic, type) in self._channels.items() if types.get(topic) == type]
        with self.file.open("rb") as stream:
            found = [
                self._places(stream, start, offsets[id], id)
                for start, offsets in self._chunks
                for id in wanted
                if id in offsets
            ]
            table = np.concatenate(found) if found else np.empty((0, 3), np.uint64)
            for time, place, channel in table[np.argsort(table[:, 0], kind="stable")].tolist():
                stream.seek(place)
                opcode, length, of, _, logged, _ = _MESSAGE.unpack(stream.read(_MESSAGE.size))
                if (opcode, of, logged) != (_MESSAGE_OPCODE, channel, time):
                    raise ValueError(f"{self.file.name}: bytes that are no message at {place / 1e6:.1f} MB")
                size = length - _MESSAGE.size + 9
                raw = stream.read(size)
                if len(raw) != size:
                    raise ValueError(f"{self.file.name}: truncated")
                yield self._channels[channel][0], time, raw

    def _places(self, stream: BinaryIO, chunk: int, index: int, channel: int) -> NDArray[np.uint64]:
        """uint64 [n, 3]: log time, place in the file, channel."""
        stream.seek(index)
        opcode, _, of, size = struct.unpack("<BQHI", stream.read(15))
        if (opcode, of) != (_MESSAGE_INDEX, channel):
            raise ValueError(f"{self.file.name}: bytes that are no message index at {index / 1e6:.1f} MB")
        pairs = np.frombuffer(stream.read(size), "<u8").reshape(-1, 2)
        places = np.empty((len(pairs), 3), np.uint64)
        places[:, 0], places[:, 1], places[:, 2] = pairs[:, 0], pairs[:, 1] + np.uint64(chunk), channel
        return places
