"""A bag opened for reading, whole or damaged: its topics, and its messages as bytes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.bags.files import BagFiles, find_files, with_metadata
from vpr_aesvc.recordings.bags.mcap_index import McapIndex
from vpr_aesvc.recordings.bags.messages import BagFile, Damaged, Topic

_LARGE = {"sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"}


def open_bag(path: Path) -> BagFile:
    """Opens a folder or a file. One whose index is damaged or missing is read from its beginning to where it can be read no more.

    Raises:
        VprError: it is no bag, or nothing of it can be read.
    """
    files = find_files(path)
    missing = [file.name for file in files.files if not file.is_file()]
    if missing:
        raise VprError(f"{path}: metadata.yaml names {', '.join(missing)}, which is not there")
    for file in files.files:
        if not os.access(file, os.R_OK):
            raise VprError(f"{file}: cannot be read (permission denied)")
    try:
        return IndexedBag(files)
    except Exception as error:  # of three libraries, on bytes that are not what they expect
        return scan_bag(path, error)


def scan_bag(path: Path, error: Exception) -> BagFile:
    """A bag read from its beginning, as its index led to ``error``.

    Raises:
        VprError: nothing of it can be read.
    """
    from vpr_aesvc.recordings.bags.recovery import ScannedBag

    files = find_files(path)
    if any(file.suffix in (".zstd", ".lz4") for file in files.files):
        raise VprError(f"{path}: cannot be decompressed ({error})") from error
    return ScannedBag(path, files, error)


class IndexedBag:
    """A :class:`BagFile` that rosbags reads."""

    def __init__(self, files: BagFiles) -> None:
        from rosbags.rosbag1 import Reader as Reader1
        from rosbags.rosbag2 import Reader as Reader2

        self.kind = files.kind
        self._ros1 = files.storage == "ros1"
        self._readers: list[Any] = []
        with ExitStack() as stack:
            if self._ros1:
                self._readers = [stack.enter_context(Reader1(file)) for file in files.files]
            else:
                folder = files.folder
                if folder is None:
                    folder = with_metadata(files, Path(stack.enter_context(TemporaryDirectory(prefix="vpr_bag_"))))
                self._readers = [stack.enter_context(Reader2(folder))]
            self._close = stack.pop_all().close
        coded = not self._ros1 and any(reader.compression_mode for reader in self._readers)
        self._small = [] if coded else _small_messages(files)
        self.topics: dict[str, Topic] = {}
        for connection in (one for reader in self._readers for one in reader.connections):
            known = self.topics.get(connection.topic)
            if known is None or known.type == connection.msgtype:
                count = connection.msgcount + (known.count if known else 0)
                self.topics[connection.topic] = Topic(connection.topic, connection.msgtype, count, self._ros1)
        self.damage = _unmerged(files)
        some = [reader for reader in self._readers if reader.message_count]
        self.span = (min(one.start_time for one in some), max(one.end_time - 1 for one in some)) if some else (0, 0)

    def messages(self, names: Collection[str]) -> Iterator[tuple[Topic, int, bytes]]:
        if self._small and not any(self.topics[name].type in _LARGE for name in names):
            types = {name: self.topics[name].type for name in names}
            try:
                for index in self._small:
                    for name, received, raw in index.messages(types):
                        yield self.topics[name], received, raw
            except Exception as error:  # of the decompressors, on bytes that are not what they expect
                raise Damaged(str(error) or type(error).__name__) from error
            return
        for reader in self._readers:
            chosen = [
                connection
                for connection in reader.connections
                if connection.topic in names and connection.msgtype == self.topics[connection.topic].type
            ]
            if not chosen:  # to rosbags, an empty choice is all
                continue
            try:
                for connection, received, raw in reader.messages(connections=chosen):
                    yield self.topics[connection.topic], received, raw
            except Exception as error:  # of three libraries, on bytes that are not what they expect
                raise Damaged(str(error) or type(error).__name__) from error

    def close(self) -> None:
        self._close()


def _small_messages(files: BagFiles) -> list[McapIndex]:
    """For each file of an MCAP bag; nothing where one has no message index."""
    if files.storage != "mcap" or any(file.suffix != ".mcap" for file in files.files):
        return []
    try:
        return [McapIndex(file) for file in files.files]
    except Exception:  # of the mcap package, on what rosbags reads otherwise
        return []


def _unmerged(files: BagFiles) -> str | None:
    """Messages that a recorder that was cut off left beside its SQLite file."""
    for file in files.files if files.storage == "sqlite3" else []:
        log = file.with_name(f"{file.name}-wal")
        if log.is_file() and log.stat().st_size:
            mend = f'sqlite3 {file.name} "PRAGMA wal_checkpoint(TRUNCATE)"'
            return f"{log.name} holds messages that are not in {file.name} yet: recording was cut off; `{mend}` puts them there"
    return None
