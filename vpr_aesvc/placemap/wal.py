"""The write-ahead log (WAL) beside a map, ``MAP-wal``. SQLite applies any file of that name to the map.

A killed process leaves its WAL, and the next process to open the map applies it. A WAL can also outlive its map, when the map file
is removed or replaced; it must not be applied to another map.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from vpr_aesvc.errors import VprError


def remove_stale_files(path: Path) -> None:
    """Removes WAL, shared-memory and journal files of a map that does not exist. Raises OSError if one cannot be removed."""
    if not path.exists():
        for suffix in ("-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def require_own_wal(path: Path) -> None:
    """Raises VprError if the map is intact without the WAL beside it and not with it: the WAL is another map's."""
    wal = path.with_name(path.name + "-wal")
    if not wal.exists() or not wal.stat().st_size:
        return
    if _has_one_map_id(path, "&immutable=1") and not _has_one_map_id(path, ""):
        raise VprError(
            f"{path}: the write-ahead log {wal.name} beside it is another map's; a map was replaced before it was closed. "
            f"Move {wal.name} away to open this map"
        )


def map_id(metadata: Mapping[str, str]) -> str:
    """Written by every transaction into ``tally``, hence in every WAL."""
    return f"{metadata.get('created', '')} {metadata.get('copied', '')}"


def connect_read_only(path: Path, options: str, timeout: float = 5.0) -> sqlite3.Connection:
    """``options`` extends the URI: with ``&immutable=1`` SQLite ignores the WAL and needs none."""
    uri = f"file:{quote(str(path.absolute()))}?mode=ro{options}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=timeout)


def _has_one_map_id(path: Path, options: str) -> bool:
    """Whether ``tally`` and ``meta`` hold the same map id."""
    try:
        with closing(connect_read_only(path, options)) as db:
            (stored,) = db.execute("SELECT map FROM tally").fetchone()
            return bool(stored == map_id(dict(db.execute("SELECT key, value FROM meta"))))
    except sqlite3.OperationalError:
        return True  # another schema, or the WAL cannot be read here: no ids to compare
    except (sqlite3.Error, ValueError, TypeError):
        return False
