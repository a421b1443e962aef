"""MCAP files without a usable index, read from their beginning up to the damage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from itertools import chain
from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.bags.files import BagFiles
from vpr_aesvc.recordings.bags.messages import Damaged, Topic, decompress

_IS_ROS1 = {"cdr": False, "ros1": True}
_Channel = tuple[str, str, bool]  # topic, type in the form of ROS 2, serialized as in ROS 1


class ScannedBag:
    """A ``BagFile`` whose files are read from the beginning: once for the list of topics, and again
    in each call of ``messages``, which ends at the damage without an error.

    Raises:
        VprError: no message can be read.
    """

    def __init__(self, files: BagFiles) -> None:
        self.kind = files.kind
        self.damage: str | None = None
        self._files = files.files
        first, last = 2**63, 0
        counts: Counter[_Channel] = Counter()
        try:
            for channel, received, _ in self._read():
                counts[channel] += 1
                first, last = min(first, received), max(last, received)
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
            for (name, type, _), received, raw in self._read():
                if name in names and self.topics[name].type == type:
                    yield self.topics[name], received, decompress(raw)
        except Damaged:
            return  # ``damage`` says so

    def close(self) -> None:
        """Nothing is kept open."""

    def _read(self) -> Iterator[tuple[_Channel, int, bytes]]:
        return chain.from_iterable(map(_read_file, self._files))


def _read_file(file: Path) -> Iterator[tuple[_Channel, int, bytes]]:
    """The messages of ROS 2, and those converted from ROS 1, as written: channel, time of reception in nanoseconds, bytes.

    Raises:
        Damaged: the file ends before its footer, or holds bytes that are no record.
    """
    from mcap.records import Channel, Footer, Message, Schema
    from mcap.stream_reader import CRCValidationError, StreamReader

    types: dict[int, str] = {}
    channels: dict[int, _Channel] = {}
    is_complete = False
    with file.open("rb") as stream:
        try:
            for record in StreamReader(stream, validate_crcs=True).records:
                if isinstance(record, Message):
                    if record.channel_id in channels:
                        yield channels[record.channel_id], record.log_time, record.data
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
