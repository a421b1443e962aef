"""Bags without a usable index, read from their beginning to where they can be read no more."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.bags.files import ZSTD, BagFiles
from vpr_aesvc.recordings.bags.messages import Damaged, Record, Topic


class ScannedBag:
    """A :class:`~vpr_aesvc.recordings.bags.reader.BagFile` that is read whole, once to see what is there and again for each pass.

    Raises:
        VprError: not one message can be read.
    """

    def __init__(self, path: Path, files: BagFiles, error: Exception) -> None:
        self.kind = files.kind
        self.damage: str | None = None
        self.topics: dict[str, Topic] = {}
        self._files = files
        first, last, counts = 2**63, 0, dict[tuple[str, str, bool], int]()
        try:
            for record in self._records():
                key = record.topic, record.type, record.ros1
                counts[key] = counts.get(key, 0) + 1
                first, last = min(first, record.received), max(last, record.received)
        except Damaged as damage:
            self.damage = f"damaged, {damage}"
        if not counts:
            raise VprError(f"{path}: nothing of it can be read: {self.damage or str(error) or type(error).__name__}")
        for (name, kind, ros1), count in sorted(
            counts.items(), key=lambda item: item[1]
        ):  # of two types, the more frequent
            self.topics[name] = Topic(name, kind, count, ros1)
        self.span = first, last
        if self.damage is not None:
            some = f"{sum(counts.values())} messages over {(last - first) / 1e9:.1f} s come before"
            self.damage += f"; {some}"
            if files.storage == "ros1":
                self.damage += "; `rosbag reindex` may mend it"
            if files.storage == "mcap":
                self.damage += "; `mcap recover` may mend it"

    def messages(self, names: Collection[str]) -> Iterator[tuple[Topic, int, bytes]]:
        """As recorded; ends where the damage is, which ``damage`` tells of already."""
        try:
            for record in self._records():
                if record.topic in names:
                    topic = self.topics[record.topic]
                    if topic.type == record.type:
                        yield topic, record.received, _decompressed(record.raw)
        except Damaged:
            return

    def close(self) -> None:
        """Nothing is kept open."""

    def _records(self) -> Iterator[Record]:
        from vpr_aesvc.recordings.bags.scan_mcap import mcap_records
        from vpr_aesvc.recordings.bags.scan_ros1 import ros1_records
        from vpr_aesvc.recordings.bags.scan_sqlite import sqlite_records

        read = {"mcap": mcap_records, "sqlite3": sqlite_records, "ros1": ros1_records}.get(self._files.storage)
        if read is None:
            raise VprError(
                f"{self._files.files[0]}: storage {self._files.storage} is not known; expected mcap or sqlite3"
            )
        for file in self._files.files:
            yield from read(file)


def _decompressed(raw: bytes) -> bytes:
    """Of a recorder that compresses each message, which metadata.yaml would tell."""
    if raw[:4] != ZSTD:
        return raw
    from zstandard import ZstdDecompressor, ZstdError

    try:
        return ZstdDecompressor().decompressobj().decompress(raw)
    except ZstdError as error:
        raise Damaged(str(error)) from error
