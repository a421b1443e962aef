"""Open a bag, whole or damaged: its topics, and its messages as bytes."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from operator import index
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.bags.files import BagFiles, find_files
from vpr_aesvc.recordings.bags.messages import BagFile, Damaged, Topic, decompress
from vpr_aesvc.recordings.bags.recovery import ScannedBag


def open_bag(path: Path, known_damage: Damaged | None = None) -> BagFile:
    """Opens a bag, given as a folder or a file. An MCAP file or a ROS 1 bag that rosbags cannot open is
    scanned from its beginning.

    Args:
        known_damage: what reading the bag led to before. Its ``messages`` then end before the damage without an error.

    Raises:
        VprError: it is no bag, or it cannot be opened; the message names the command that repairs it.
    """
    files = find_files(path)
    files.check()
    can_scan = files.storage != "sqlite3" and not files.is_compressed
    if can_scan and known_damage is not None:
        return ScannedBag(files)
    try:
        return IndexedBag(files, known_damage)
    except Damaged as damage:
        if can_scan:
            return ScannedBag(files)
        raise VprError(f"{path}: the bag cannot be opened: {damage}") from damage


class IndexedBag:
    """A ``BagFile`` that rosbags reads.

    Raises:
        Damaged: rosbags cannot open a file.
    """

    def __init__(self, files: BagFiles, known_damage: Damaged | None = None) -> None:
        self.kind, self.notes = files.kind, files.notes
        self.damage = _unmerged_wal(files) if known_damage is None else f"damaged: {known_damage}"
        self._stop_at_damage = known_damage is not None
        self._files = files
        self._ros1 = files.storage == "ros1"
        with ExitStack() as stack:
            self._readers = [
                (file, self._open(file, path, stack)) for file, path in _paths_to_open(files, stack).items()
            ]
            self.close = stack.pop_all().close
        self.topics: dict[str, Topic] = {}
        self.span = (0, 0)
        try:
            self._count()
        except (TypeError, ValueError) as error:  # rosbags does not check the types in metadata.yaml and in SQLite
            self.close()
            raise self._damaged(files.files[0], error) from error

    def _count(self) -> None:
        """Fills ``topics`` and ``span``."""
        for connection in (one for _, reader in self._readers for one in reader.connections):
            if not (isinstance(connection.topic, str) and isinstance(connection.msgtype, str)):
                raise TypeError("a topic whose name or type is no text")
            topic = self.topics.get(connection.topic)
            if topic is None or topic.type == connection.msgtype:
                count = index(connection.msgcount) + (topic.count if topic else 0)
                self.topics[connection.topic] = Topic(connection.topic, connection.msgtype, count, self._ros1)
        filled = [reader for _, reader in self._readers if reader.message_count]
        if filled:
            self.span = min(one.start_time for one in filled), max(one.end_time - 1 for one in filled)

    def messages(self, names: Collection[str]) -> Iterator[tuple[Topic, int, bytes]]:
        types = {name: self.topics[name].type for name in names}
        for file, reader in self._readers:
            try:
                for name, received, raw in _read_topics(reader, types):
                    yield self.topics[name], received, decompress(raw)
            except Exception as error:  # rosbags, apsw and the decompressors raise many types on bad bytes
                if self._stop_at_damage:
                    return
                raise self._damaged(file, error) from error

    def _open(self, file: Path, path: Path, stack: ExitStack) -> Any:
        from rosbags.rosbag1 import Reader as Ros1Reader
        from rosbags.rosbag2 import Reader as Ros2Reader

        try:
            return stack.enter_context(Ros1Reader(path) if self._ros1 else Ros2Reader(path))
        except Exception as error:  # rosbags, apsw and zstd raise many types on bad bytes
            raise self._damaged(file, error) from error

    def _damaged(self, file: Path, error: Exception) -> Damaged:
        reason = str(error) or type(error).__name__
        return Damaged(f"{file.name}: {reason.rstrip('.')}; {self._files.repair_hint(file)}")


def _read_topics(reader: Any, types: dict[str, str]) -> Iterator[tuple[str, int, bytes]]:
    connections = [one for one in reader.connections if types.get(one.topic) == one.msgtype]
    if connections:  # rosbags reads all topics if given none
        for connection, received, raw in reader.messages(connections=connections):
            yield connection.topic, index(received), raw  # a damaged row of SQLite can hold any type


def _paths_to_open(files: BagFiles, stack: ExitStack) -> dict[Path, Path]:
    """The path under which rosbags can open each file. It decompresses files only as a folder with ``metadata.yaml``, takes suffixes only in
    lower case, and puts paths into a SQLite URI as they are: ``?``, ``#`` and ``%`` need a link with another name."""
    if files.is_compressed:
        return {files.path: files.path}
    suffix = {"ros1": ".bag", "mcap": ".mcap", "sqlite3": ".db3"}[files.storage]
    if all(file.suffix == suffix and not set("?#%") & set(str(file)) for file in files.files):
        return {file: file for file in files.files}
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="vpr_bag_")))
    links = {file: folder / f"{number}{suffix}" for number, file in enumerate(files.files)}
    for file, link in links.items():
        link.symlink_to(file.resolve())
    return links


def _unmerged_wal(files: BagFiles) -> str | None:
    """A recorder that was killed leaves messages in a ``-wal`` file beside its SQLite file."""
    for file in files.files if files.storage == "sqlite3" else []:
        wal = file.with_name(f"{file.name}-wal")
        if wal.is_file() and wal.stat().st_size:
            merge = f'sqlite3 {file.name} "PRAGMA wal_checkpoint(TRUNCATE)"'
            return f"{wal.name} holds messages that are not in {file.name}: recording was cut off; to merge them, run `{merge}`"
    return None
