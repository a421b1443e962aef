"""The ``.vprmap`` file: SQLite with a fixed application id and a schema version. No vector search here.

Descriptors lie beside the places, thumbnails in a table of their own, so that loading the descriptors of a large map does
not read the pictures.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from vpr_aesvc.errors import VprError

APPLICATION_ID = 0x5650524D  # "VPRM"
SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE traverses (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE places (
    id INTEGER PRIMARY KEY,
    traverse INTEGER NOT NULL REFERENCES traverses (id),
    label TEXT NOT NULL,
    path TEXT,
    stamp REAL,                                               -- seconds
    x REAL, y REAL, z REAL,                                   -- metres, map frame
    qx REAL, qy REAL, qz REAL, qw REAL,
    extra TEXT NOT NULL DEFAULT '{}',                         -- JSON object
    descriptor BLOB NOT NULL                                  -- float16 [d_max], little-endian, unit norm
);
CREATE TABLE thumbnails (place INTEGER PRIMARY KEY REFERENCES places (id) ON DELETE CASCADE, jpeg BLOB NOT NULL);
"""


def create(path: Path) -> sqlite3.Connection:
    """A new, empty map file.

    Raises:
        VprError: the path exists, or cannot be written.
    """
    if path.exists():
        raise VprError(f"{path}: exists already; choose another name or remove it first")
    if not path.parent.is_dir():
        raise VprError(f"{path}: the folder {path.parent} does not exist")
    try:
        connection = _connect(path)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.executescript(_SCHEMA)
    except sqlite3.Error as error:
        raise VprError(f"{path}: cannot be written ({error})") from error
    return connection


def open_existing(path: Path) -> sqlite3.Connection:
    """Opens a map file that :func:`create` made.

    Raises:
        VprError: missing, not a map, damaged, or of a newer schema than this version reads.
    """
    if not path.is_file():
        raise VprError(f"{path}: no such map; make one with `vpr map build INPUT -m MODEL -o {path.name}`")
    with path.open("rb") as file:
        header = file.read(100)
    if header[:16] != b"SQLite format 3\x00" or int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise VprError(f"{path}: not a place map (.vprmap)")
    try:
        connection = _connect(path)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise VprError(f"{path}: the map is damaged or cannot be opened ({error})") from error
    if version != SCHEMA_VERSION:
        connection.close()
        raise VprError(f"{path}: has map schema {version}, this version reads {SCHEMA_VERSION}; update vpr_aesvc")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # an acknowledged place must survive a power cut
    connection.execute("PRAGMA foreign_keys = ON")
    return connection
