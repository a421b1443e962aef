"""Which files a bag is made of, and a folder that rosbags opens for those that came without ``metadata.yaml``."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpr_aesvc.errors import VprError

ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class BagFiles:
    """Attributes:
    storage: ``ros1``, ``mcap`` or ``sqlite3``.
    files: in the order in which they were recorded.
    folder: holds ``metadata.yaml`` for exactly these files; None where there is none.
    """

    storage: str
    files: list[Path]
    folder: Path | None

    @property
    def kind(self) -> str:
        return "ROS 1 bag" if self.storage == "ros1" else f"ROS 2 bag ({self.storage})"


def find_files(path: Path) -> BagFiles:
    """The files of a bag that is given as a folder or as a file.

    Raises:
        VprError: none, or of several kinds.
    """
    if path.is_file():
        storage = _storage(path)
        if storage is None:
            raise VprError(f"{path}: expected a bag: .bag, .mcap or .db3")
        return BagFiles(storage, [path], None)
    named = _named_in_metadata(path)
    if named is not None:
        return named
    found = [file for file in path.iterdir() if _storage(file) is not None and file.is_file()]
    kinds = {_storage(file) for file in found}
    if len(kinds) != 1:
        what = (
            "no .bag, .mcap or .db3 file"
            if not kinds
            else f"files of several kinds: {', '.join(sorted(map(str, kinds)))}"
        )
        raise VprError(f"{path}: expected one bag, found {what}; give the file itself")
    names = sorted({_name(file) for file in found})
    if len(names) > 1:
        raise VprError(f"{path}: expected one bag, found {len(names)}: {', '.join(names)}; give the file of one")
    return BagFiles(str(kinds.pop()), sorted(found, key=_number), None)


def with_metadata(bag: BagFiles, parent: Path) -> Path:
    """A folder in ``parent`` of links to the files with ``metadata.yaml`` beside them; nothing is written where the user's bag lies.

    Raises:
        ValueError, sqlite3.Error, OSError and what the mcap package raises: a file is damaged or has no index.
    """
    folder = parent / "bag"
    folder.mkdir()
    topics: dict[tuple[str, str], dict[str, Any]] = {}
    times: list[int] = []
    compressed = False
    for file in bag.files:
        (folder / file.name).symlink_to(file.resolve())
        read = _mcap_summary if bag.storage == "mcap" else _sqlite_summary
        found, span, zstd = read(file)
        times.extend(span)
        compressed |= zstd
        for name, type, encoding, count in found:
            entry = topics.setdefault((name, type), {"message_count": 0})
            entry["message_count"] += count
            entry["topic_metadata"] = {
                "name": name,
                "type": type,
                "serialization_format": encoding,
                "offered_qos_profiles": "",
                "type_description_hash": "",
            }
    start, end = (min(times), max(times)) if times else (0, 0)
    about = {
        "version": 5,
        "storage_identifier": bag.storage,
        "relative_file_paths": [file.name for file in bag.files],
        "starting_time": {"nanoseconds_since_epoch": start},
        "duration": {"nanoseconds": end - start},
        "message_count": sum(entry["message_count"] for entry in topics.values()),
        "compression_format": "zstd" if compressed else "",
        "compression_mode": "message" if compressed else "",
        "topics_with_message_count": list(topics.values()),
    }
    (folder / "metadata.yaml").write_text(json.dumps({"rosbag2_bagfile_information": about}))  # JSON is YAML
    return folder


_Summary = tuple[list[tuple[str, str, str, int]], list[int], bool]


def _mcap_summary(file: Path) -> _Summary:
    from mcap.reader import make_reader

    with file.open("rb") as stream:
        reader = make_reader(stream)
        summary = reader.get_summary()
        first = next((message.data for _, _, message in reader.iter_messages(log_time_order=False)), b"")
    if summary is None or summary.statistics is None or not summary.chunk_indexes:
        raise ValueError("no index")
    counts = summary.statistics.channel_message_counts
    topics = [
        (channel.topic, summary.schemas[channel.schema_id].name, channel.message_encoding, counts.get(id, 0))
        for id, channel in summary.channels.items()
        if channel.schema_id in summary.schemas
    ]
    some = summary.statistics.message_count > 0
    span = [summary.statistics.message_start_time, summary.statistics.message_end_time] if some else []
    return topics, span, first[:4] == ZSTD


def _sqlite_summary(file: Path) -> _Summary:
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?immutable=1", uri=True)) as base:
        counts = dict(base.execute("SELECT topic_id, COUNT(*) FROM messages GROUP BY topic_id"))
        rows = base.execute("SELECT id, name, type, serialization_format FROM topics").fetchall()
        span = base.execute("SELECT MIN(timestamp), MAX(timestamp) FROM messages").fetchone()
        first = base.execute("SELECT data FROM messages LIMIT 1").fetchone()
    topics = [(name, type, encoding, counts.get(id, 0)) for id, name, type, encoding in rows]
    return topics, [] if span[0] is None else list(span), first is not None and bytes(first[0][:4]) == ZSTD


def _named_in_metadata(path: Path) -> BagFiles | None:
    """What ``metadata.yaml`` names; None where there is none, or none that can be read."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    file = path / "metadata.yaml"
    try:
        about = YAML(typ="safe").load(file.read_text())["rosbag2_bagfile_information"]
        files = [path / Path(name).name for name in about["relative_file_paths"]]
        return BagFiles(str(about["storage_identifier"]), files, path) if files else None
    except (OSError, UnicodeDecodeError, YAMLError, KeyError, TypeError):
        return None


def _storage(file: Path) -> str | None:
    return {".bag": "ros1", ".mcap": "mcap", ".db3": "sqlite3"}.get(file.suffix.lower())


def _name(file: Path) -> str:
    """What the parts of a bag have in common: ``run_0.mcap`` and ``run_1.mcap`` are ``run``."""
    stem, _, digits = file.stem.rpartition("_")
    return stem if digits.isdigit() else file.stem


def _number(file: Path) -> tuple[int, str]:
    """Recorders count the parts of a bag: ``run_2.db3`` comes before ``run_10.db3``."""
    digits = file.stem.rpartition("_")[2]
    return (int(digits) if digits.isdigit() else -1), file.name
