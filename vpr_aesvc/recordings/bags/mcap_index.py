"""Read small messages of an MCAP file without the large ones between them.

A recorder writes poses and images into the same chunks. Reading the poses chunk by chunk would read the whole file (17 GB for ten minutes of
raw images); the message index of the file gives the offset of each message. A compressed chunk is unpacked as a whole, always into
the same buffer: allocating a new one for each chunk takes longer than unpacking.
"""

import heapq
import struct
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_CHUNK_HEADER = 9 + 40  # bytes of a chunk before its first record, without the name of its compression
_MESSAGE = struct.Struct("<BQHIQQ")  # opcode, length of the rest, channel, sequence, log time, publish time
_INDEX_OPCODE, _MESSAGE_OPCODE = 7, 5
_Read = Callable[[int, int], bytes]


class McapIndex:
    """
    Raises:
        ValueError, and errors of the mcap package: the file has no message index.
    """

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
        self._buffer = bytearray()

    def messages(self, types: dict[str, str]) -> Iterator[tuple[str, int, bytes]]:
        """The messages of some topics, given with their types: topic, log time in nanoseconds, bytes; in the order of the log times.

        Raises:
            ValueError: an index entry does not point to a message of its channel.
        """
        channels = [id for id, (topic, type) in self._channels.items() if types.get(topic) == type]
        chunks = [one for one in self._chunks if any(id in one.message_index_offsets for id in channels)]
        pending: list[tuple[int, int, str, bytes]] = []  # a later chunk may hold an earlier message
        number = count()
        with self.file.open("rb") as stream:
            for chunk, later in zip(chunks, [*chunks[1:], None], strict=True):
                read = self._reader(stream, chunk)
                for id in channels:
                    for time, offset in self._index_entries(stream, chunk, id):
                        raw = self._read_message(read, offset, id, time)
                        heapq.heappush(pending, (time, next(number), self._channels[id][0], raw))
                while pending and (later is None or pending[0][0] < later.message_start_time):
                    time, _, topic, raw = heapq.heappop(pending)
                    yield topic, time, raw

    def _index_entries(self, stream: BinaryIO, chunk: Any, channel: int) -> list[list[int]]:
        """[log time, offset in the chunk] of each message of a channel."""
        if channel not in chunk.message_index_offsets:
            return []
        start = chunk.message_index_offsets[channel]
        stream.seek(start)
        opcode, _, indexed_channel, size = struct.unpack("<BQHI", stream.read(15))
        if (opcode, indexed_channel) != (_INDEX_OPCODE, channel):
            raise ValueError(f"{self.file.name}: bytes that are no message index at {start / 1e6:.1f} MB")
        entries: list[list[int]] = np.frombuffer(stream.read(size), "<u8").reshape(-1, 2).tolist()
        return entries

    def _read_message(self, read: _Read, offset: int, channel: int, time: int) -> bytes:
        opcode, length, of_channel, _, logged, _ = _MESSAGE.unpack(read(offset, _MESSAGE.size))
        size = length - (_MESSAGE.size - 9)
        is_message = (opcode, of_channel, logged) == (_MESSAGE_OPCODE, channel, time) and size >= 0
        raw = read(offset + _MESSAGE.size, size) if is_message else b""
        if not is_message or len(raw) != size:
            raise ValueError(f"{self.file.name}: bytes that are no message, {offset} bytes into a chunk")
        return raw

    def _reader(self, stream: BinaryIO, chunk: Any) -> _Read:
        """A function that reads ``size`` bytes at an offset of the chunk's records."""
        start = chunk.chunk_start_offset + _CHUNK_HEADER + len(chunk.compression)
        if chunk.compression == "":

            def from_file(offset: int, size: int) -> bytes:
                stream.seek(start + offset)
                return stream.read(min(size, chunk.uncompressed_size))

            return from_file
        stream.seek(start)
        records = self._unpack(stream.read(chunk.compressed_size), chunk)
        return lambda offset, size: bytes(records[offset : offset + size])

    def _unpack(self, packed: bytes, chunk: Any) -> memoryview | bytes:
        if chunk.compression == "lz4":
            from lz4.frame import decompress

            return bytes(decompress(packed))
        if chunk.compression != "zstd":
            raise ValueError(f"{self.file.name}: compression {chunk.compression} is not supported")
        from zstandard import ZstdDecompressor

        if len(self._buffer) < chunk.uncompressed_size:
            self._buffer = bytearray(chunk.uncompressed_size)
        target, filled = memoryview(self._buffer)[: chunk.uncompressed_size], 0
        with ZstdDecompressor().stream_reader(packed) as source:
            while filled < len(target) and (size := source.readinto(target[filled:])):
                filled += size
        return target[:filled]
