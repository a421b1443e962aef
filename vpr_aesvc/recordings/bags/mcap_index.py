"""The few small messages of an MCAP file that lie between large ones, each read from its own place.

A recorder puts poses and images into the same chunks. To read the poses chunk by chunk is to read the whole file, 17 GB for ten minutes
of raw images; the file's message index says where each of them is. A compressed chunk must be unpacked, but into the same
memory as the one before: fresh memory for each costs more time than the unpacking.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_HEAD = 9 + 40  # of a chunk before its first record, without the name of its compression
_MESSAGE = struct.Struct("<BQHIQQ")  # opcode, length of what follows it, channel, sequence, log time, publish time
_INDEX_OPCODE, _MESSAGE_OPCODE = 7, 5
_Read = Callable[[int, int], bytes]


class McapIndex:
    """Raises ValueError, and what the mcap package raises, for a file that has no message index."""

    def __init__(self, file: Path) -> None:
        from mcap.reader import make_reader

        self.file = file
        with file.open("rb") as stream:
            summary = make_reader(stream).get_summary()
        if summary is None or not summary.chunk_indexes:
            raise ValueError(f"{file.name}: no index")
        self._chunks = sorted(summary.chunk_indexes, key=lambda one: one.message_start_time)
        counts = summary.statistics.channel_message_counts if summary.statistics is not None else {}
        indexed = {channel for one in self._chunks for channel in one.message_index_offsets}
        if missing := {channel for channel, number in counts.items() if number} - indexed:
            raise ValueError(f"{file.name}: no message index of channels {missing}")
        self._channels = {
            id: (channel.topic, summary.schemas[channel.schema_id].name)
            for id, channel in summary.channels.items()
            if channel.schema_id in summary.schemas
        }
        self._unpacked = bytearray()

    def messages(self, types: dict[str, str]) -> Iterator[tuple[str, int, bytes]]:
        """Topic, log time in nanoseconds and bytes of the messages of some topics, given with their types, by log time.

        Raises:
            ValueError: what the index points to is no such message.
        """
        wanted = [id for id, (topic, type) in self._channels.items() if types.get(topic) == type]
        chunks = [one for one in self._chunks if any(id in one.message_index_offsets for id in wanted)]
        waiting: list[tuple[int, int, str, bytes]] = []  # until no later chunk can hold one that is earlier
        number = count()
        with self.file.open("rb") as stream:
            for chunk, later in zip(chunks, [*chunks[1:], None], strict=True):
                read = self._reader(stream, chunk)
                for id in wanted:
                    for time, place in self._places(stream, chunk, id):
                        heapq.heappush(
                            waiting, (time, next(number), self._channels[id][0], self._at(read, place, id, time))
                        )
                while waiting and (later is None or waiting[0][0] < later.message_start_time):
                    time, _, topic, raw = heapq.heappop(waiting)
                    yield topic, time, raw

    def _places(self, stream: BinaryIO, chunk: Any, channel: int) -> list[list[int]]:
        """Log time and place in the chunk of each message of a channel."""
        if channel not in chunk.message_index_offsets:
            return []
        place = chunk.message_index_offsets[channel]
        stream.seek(place)
        opcode, _, of, size = struct.unpack("<BQHI", stream.read(15))
        if (opcode, of) != (_INDEX_OPCODE, channel):
            raise ValueError(f"{self.file.name}: bytes that are no message index at {place / 1e6:.1f} MB")
        pairs: list[list[int]] = np.frombuffer(stream.read(size), "<u8").reshape(-1, 2).tolist()
        return pairs

    def _at(self, read: _Read, place: int, channel: int, time: int) -> bytes:
        opcode, length, of, _, logged, _ = _MESSAGE.unpack(read(place, _MESSAGE.size))
        size = length - (_MESSAGE.size - 9)
        raw = read(place + _MESSAGE.size, size) if (opcode, of, logged) == (_MESSAGE_OPCODE, channel, time) else b""
        if size < 0 or len(raw) != size:
            raise ValueError(f"{self.file.name}: bytes that are no message, {place} bytes into a chunk")
        return raw

    def _reader(self, stream: BinaryIO, chunk: Any) -> _Read:
        """Reads so many bytes at a place of the chunk's records."""
        start = chunk.chunk_start_offset + _HEAD + len(chunk.compression)
        if chunk.compression == "":

            def from_file(place: int, size: int) -> bytes:
                stream.seek(start + place)
                return stream.read(min(size, chunk.uncompressed_size))

            return from_file
        stream.seek(start)
        records = self._unpack(stream.read(chunk.compressed_size), chunk)
        return lambda place, size: bytes(records[place : place + max(size, 0)])

    def _unpack(self, packed: bytes, chunk: Any) -> memoryview | bytes:
        if chunk.compression == "lz4":
            from lz4.frame import decompress

            return bytes(decompress(packed))
        if chunk.compression != "zstd":
            raise ValueError(f"{self.file.name}: compression {chunk.compression} is not known")
        from zstandard import ZstdDecompressor

        if len(self._unpacked) < chunk.uncompressed_size:
            self._unpacked = bytearray(chunk.uncompressed_size)
        room, filled = memoryview(self._unpacked)[: chunk.uncompressed_size], 0
        with ZstdDecompressor().stream_reader(packed) as source:
            while filled < len(room) and (more := source.readinto(room[filled:])):
                filled += more
        return room[:filled]
