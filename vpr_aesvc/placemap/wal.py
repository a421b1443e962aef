"""The write-ahead log beside a map, ``MAP-wal``: SQLite takes whatever lies there for the map's own, and what it holds for newer.

A process that was killed leaves its log, and the next to open the map takes it in. A log that outlives its map, as when the file
was removed or another was put in its place, must not be taken into another map.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from vpr_aesvc.errors import VprError


def drop_leftover(path: Path) -> None:
    """Removes what lies beside the name of a map that does not exist.

    Raises:
        OSError: the disk refuses.
    """
    if not path.exists():
        for suffix in ("-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def require_own(path: Path) -> None:
    """Refuses a map that is whole by itself and is not with the log beside it, which is another's then.

    Raises:
        VprError: so.
    """
    log = path.with_name(path.name + "-wal")
    if not log.exists() or not log.stat().st_size:
        return
    if _fits(path, "&immutable=1") and not _fits(path, ""):
        raise VprError(
            f"{path}: the log beside it, {log.name}, is another map's, as when a file is put over a map that was not closed; "
            "move the log away to use the map as it is in the file"
        )


def name_of(meta: Mapping[str, str]) -> str:
    """Tells one map from another. It stands in a row that every transaction writes, and so in every log."""
    return f"{meta.get('created', '')} {meta.get('copied', '')}"


def read_only(path: Path, options: str, timeout: float = 5.0) -> sqlite3.Connection:
    """A connection that writes nothing; with ``&immutable=1`` it passes the log by and needs none."""
    uri = f"file:{quote(str(path.absolute()))}?mode=ro{options}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=timeout)


def _fits(path: Path, options: str) -> bool:
    """Whether the description and the row that every transaction writes are of one map."""
    try:
        with closing(read_only(path, options)) as db:
            (name,) = db.execute("SELECT map FROM tally").fetchone()
            return bool(name == name_of(dict(db.execute("SELECT key, value FROM meta"))))
    except sqlite3.OperationalError:
        return True  # an older schema, or a log that cannot be read here: nothing to compare
    except (sqlite3.Error, ValueError, TypeError):
        return False
