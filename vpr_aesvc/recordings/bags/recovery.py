"""MCAP files and ROS 1 bags without a usable index, read from their beginning up to the damage."""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import BinaryIO

from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.bags.files import BagFiles
from vpr_aesvc.recordings.bags.messages import Damaged, Topic, decompress
from vpr_aesvc.recordings.bags.ros1_records import Channel, read_messages

_IS_ROS1 = {"cdr": False, "ros1": True}


class ScannedBag:
    """A ``BagFile`` whose files are read from the beginning: once for the list of topics, and again
    in each call of ``messages``, which ends at the damage without an error.

    Raises:
        VprError: no message can be read.
    """

    def __init__(self, files: BagFiles) -> None:
        self.kind, self.notes = files.kind, files.notes
        self.damage: str | None = None
        self._files, self._is_ros1 = files.files, files.storage == "ros1"
        self._foreign: set[str] = set()
        self._at = files.files[0]  # the file that is read
        first, last = 2**63, 0
        counts: Counter[Channel] = Counter()
        try:
            for channel, received, _ in self._read():
                counts[channel] += 1
                first, last = min(first, received), max(last, received)
        except Damaged as damage:
            self.damage = f"damaged: {damage}"
        if not counts:
            foreign = (
                f"only messages of ROS are read, found {', '.join(sorted(self._foreign))}" if self._foreign else ""
            )
            raise VprError(
                f"{files.path}: no message of the bag can be read ({self.damage or foreign or 'it holds none'})"
            )
        # of two types of one topic, the more frequent
        self.topics = {name: Topic(name, type, count, ros1) for (name, type, ros1), count in counts.most_common()[::-1]}
        self.span = first, last
        if self.damage is not None:
            good = f"{counts.total()} messages over {(last - first) / 1e9:.1f} s come before"
            self.damage += f"; {good}; {files.repair_hint(self._at)}"

    def messages(self, names: Collection[str]) -> Iterator[tuple[Topic, int, bytes]]:
        try:
            for (name, type, _), received, raw in self._read():
                if name in names and self.topics[name].type == type:
                    yield self.topics[name], received, decompress(raw)
        except Damaged:
            return  # ``damage`` says so

    def close(self) -> None:
        """Nothing is kept open."""

    def _read(self) -> Iterator[tuple[Channel, int, bytes]]:
        """The messages as written: channel, time of reception in nanoseconds, bytes.

        Raises:
            Damaged: a file ends before its end, or holds bytes that are no record.
        """
        for file in self._files:
            self._at, is_complete = file, False
            with file.open("rb") as stream:
                try:
                    for message in read_messages(stream) if self._is_ros1 else _read_mcap(stream, self._foreign):
                        if message is None:
                            is_complete = True
                        else:
                            yield message
                except Exception as error:  # the readers raise many types on bad bytes
                    if not is_complete:
                        raise Damaged(f"{file.name}: {_what(error, stream.tell(), file.stat().st_size)}") from error


def _what(error: Exception, offset: int, size: int) -> str:
    if offset >= size:
        return "truncated"
    what = "a wrong checksum" if type(error).__name__ == "CRCValidationError" else "bytes that are no record"
    return f"{what} at {offset / 1e6:.1f} of {size / 1e6:.1f} MB"


def _read_mcap(stream: BinaryIO, foreign: set[str]) -> Iterator[tuple[Channel, int, bytes]]:
    """The messages of ROS 2, and those converted from ROS 1. Topics in other encodings are added to ``foreign``."""
    from mcap.reader import NonSeekingReader

    for schema, channel, message in NonSeekingReader(stream, validate_crcs=True).iter_messages(log_time_order=False):
        name, ros1 = schema.name if schema else "no schema", _IS_ROS1.get(channel.message_encoding)
        if schema is None or ros1 is None:
            foreign.add(f"{channel.topic} ({name}, {channel.message_encoding})")
            continue
        package, _, kind = name.partition("/")
        yield (channel.topic, f"{package}/msg/{kind.removeprefix('msg/')}", ros1), message.log_time, message.data
