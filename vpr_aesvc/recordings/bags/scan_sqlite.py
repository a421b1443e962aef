"""The messages of a ROS 2 SQLite file in the order in which they were written, as far as its pages are whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from vpr_aesvc.recordings.bags.messages import Damaged, Record, type_name


def sqlite_records(file: Path) -> Iterator[Record]:
    """Raises Damaged where a page is missing or is none, or a row does not hold a message."""
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?immutable=1", uri=True)) as base:
            base.execute(
                "PRAGMA writable_schema = ON"
            )  # else SQLite reads nothing of a file that is shorter than it says
            rows = base.execute("SELECT id, name, type FROM topics")
            topics = {id: (str(name), type_name(str(type))) for id, name, type in rows}
            for topic, received, raw in base.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id"):
                if not isinstance(received, int) or not isinstance(raw, bytes):
                    raise ValueError("a row that holds no message")
                if topic in topics:
                    yield Record(*topics[topic], False, received, raw)
    except (sqlite3.Error, ValueError, OverflowError) as error:
        raise Damaged(f"{file.name}: {error}") from error
