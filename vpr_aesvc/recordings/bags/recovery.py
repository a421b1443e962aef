"""MCAP files without a usable index, read from their beginning up to the damage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.bags.files import BagFiles
from vpr_aesvc.recordings.bags.messages import Damaged, Topic, decompress

_IS_ROS1 = {"cdr": False, "ros1": True}


class _Record(NamedTuple):
    """One message as the file holds it; ``received`` in nanoseconds, ``type`` in the form of ROS 2."""

    topic: str
    type: str
    ros1: bool
    received: int
    raw: bytes


class ScannedBag:
    """A :class:`~vpr_aesvc.recordings.bags.messages.BagFile` whose files are read from the beginning: once for the list of topics, and again
    in each call of ``messages``, which ends at the damage without an error.

    Raises:
        VprError: no message can be read.
    """

    def __init__(self, files: BagFiles) -> None:
        self.kind = files.kind
        self.damage: str | None = None
        self._files = files
        first, last = 2**63, 0
        counts: Counter[tuple[str, str, bool]] = Counter()
        try:
            for record in self._records():
                counts[record.topic, record.type, record.ros1] += 1
                first, last = min(first, record.received), max(last, record.received)
        except Damaged as damage:
            self.damage = f"damaged: {damage}"
        if not counts:
            raise VprError(f"{files.path}: no message of the bag can be read ({self.damage or 'it holds none'})")
        # of two types of one topic, the more frequent
        self.topics = {name: Topic(name, type, count, ros1) for (name, type, ros1), count in counts.most_common()[::-1]}
        self.span = first, last
        if self.damage is not None:
            good = f"{counts.total()} messages over {(last - first) / 1e9:.1f} s come before"
            self.damage += f"; {good}; {files.repair_hint(files.files[0])}"

    def messages(self, names: Collection[str]) -> Iterator[tuple[Topic, int, bytes]]:
        try:
            for record in self._records():
                topic = self.topics.get(record.topic)
                if topic is not None and topic.name in names and topic.type == record.type:
                    yield topic, record.received, decompress(record.raw)
        except Damaged:
            return  # ``damage`` says so

    def close(self) -> None:
        """Nothing is kept open."""

    def _records(self) -> Iterator[_Record]:
        for file in self._files.files:
            yield from _read_records(file)


def _read_records(file: Path) -> Iterator[_Record]:
    """The messages of an MCAP file as written: those of ROS 2, and those converted from ROS 1.

    Raises:
        Damaged: the file ends before its footer, or holds bytes that are no record.
    """
    from mcap.records import Channel, Footer, Message, Schema
    from mcap.stream_reader import CRCValidationError, StreamReader

    types: dict[int, str] = {}
    channels: dict[int, tuple[str, str, bool]] = {}
    is_complete = False
    with file.open("rb") as stream:
        try:
            for record in StreamReader(stream, validate_crcs=True).records:
                if isinstance(record, Message):
                    if record.channel_id in channels:
                        yield _Record(*channels[record.channel_id], record.log_time, record.data)
                elif isinstance(record, Schema):
                    package, _, name = record.name.partition("/")
                    types[record.id] = f"{package}/msg/{name.removeprefix('msg/')}"
                elif isinstance(record, Channel) and record.message_encoding in _IS_ROS1 and record.schema_id in types:
                    ros1 = _IS_ROS1[record.message_encoding]
                    channels[record.id] = record.topic, types[record.schema_id], ros1
                is_complete |= isinstance(record, Footer)
        except Exception as error:  # the reader raises many types on bad bytes
            if not is_complete:
                offset, size = stream.tell(), file.stat().st_size
                what = "a wrong checksum" if isinstance(error, CRCValidationError) else "bytes that are no record"
                where = "truncated" if offset >= size else f"{what} at {offset / 1e6:.1f} of {size / 1e6:.1f} MB"
                raise Damaged(f"{file.name}: {where}") from error
