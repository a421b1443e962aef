"""The ``.vprmap`` file: SQLite with a fixed application id and a schema version. No vector search here.

Descriptors lie beside the places, pictures in a table of their own, so that loading the descriptors of a large map does not
read the pictures. Every row carries checksums over its content and its id, and ``tally`` counts and sums them: what a worn
SD card alters or hides, SQLite itself does not notice, and a row that is missing cannot be noticed by its own checksum.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import migrate, wal
from vpr_aesvc.placemap.rows import holds, meta_checksum, tally_checksum

APPLICATION_ID = 0x5650524D  # "VPRM"
SCHEMA_VERSION = migrate.LATEST
BUSY_SECONDS = 10.0  # how long a writer waits for another writer
_COPIED = 1024  # pages copied at once, between which writers get their turn
_DAMAGED = (
    sqlite3.DatabaseError,
    OverflowError,
    UnicodeDecodeError,
)  # what a damaged file makes the sqlite3 module raise

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE traverses (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    started REAL,                                             -- seconds since 1970
    robot TEXT, notes TEXT,
    checksum INTEGER NOT NULL
);
CREATE TABLE places (
    id INTEGER PRIMARY KEY AUTOINCREMENT,                     -- never given twice: readers look for larger ids only
    traverse INTEGER NOT NULL REFERENCES traverses (id),
    stamp REAL,                                               -- seconds
    x REAL, y REAL, z REAL,                                   -- meters, map frame
    qx REAL, qy REAL, qz REAL, qw REAL,
    checksum INTEGER NOT NULL,                                -- CRC-32 of all above and the descriptor
    label TEXT NOT NULL,
    path TEXT,
    extra TEXT NOT NULL DEFAULT '{}',                         -- JSON object
    thumbnail INTEGER,                                        -- CRC-32 of the thumbnail, NULL without one
    words_checksum INTEGER NOT NULL,                          -- CRC-32 of the id and the four before
    descriptor BLOB NOT NULL                                  -- float16 [d_max], little-endian, unit norm
);
CREATE TABLE thumbnails (place INTEGER PRIMARY KEY REFERENCES places (id) ON DELETE CASCADE, jpeg BLOB NOT NULL);
CREATE TABLE learned (                                        -- what recognition learned from the places
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,                                      -- JSON
    checksum INTEGER NOT NULL                                 -- CRC-32 of the two before
);
CREATE TABLE tally (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    places INTEGER NOT NULL,                                  -- how many there are
    checksums INTEGER NOT NULL,                               -- the sum of both checksums of all of them
    changes INTEGER NOT NULL,                                 -- how often places were removed or altered
    checksum INTEGER NOT NULL,                                -- CRC-32 of the three before
    map TEXT NOT NULL                                         -- which map this is, so that another's log is known
);
"""


def create(path: Path, meta: dict[str, str]) -> sqlite3.Connection:
    """A new map file without places.

    Args:
        meta: the description of the map, by key.

    Raises:
        VprError: the path exists, or cannot be written.
    """
    if path.exists():
        raise VprError(f"{path}: exists already; choose another name or remove it first")
    if not path.parent.is_dir():
        raise VprError(f"{path}: the folder {path.parent} does not exist")
    meta = {**meta, "created": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S.%fZ}"}
    partial = path.with_name(f".{path.name}.{os.getpid()}.new")  # under its name a map is never half made
    try:
        with closing(sqlite3.connect(partial, isolation_level=None)) as connection:
            connection.executescript(f"BEGIN; {_SCHEMA}")
            write_meta(connection, meta)
            begin_tally(connection, 0, 0, meta)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        take_name(partial, path)
        return _connect(path)
    except (sqlite3.Error, OSError) as error:
        raise VprError(f"{path}: cannot be written ({error})") from error
    finally:
        for suffix in ("", "-journal"):
            partial.with_name(partial.name + suffix).unlink(missing_ok=True)


def open_existing(path: Path) -> sqlite3.Connection:
    """Opens a map file that :func:`create` made, bringing the schema of an older version up to this one.

    A file that this process may not write, or that lies where the write-ahead log cannot be made (a read-only or full disk),
    is opened for reading.

    Raises:
        VprError: missing, not a map, damaged, or of a newer schema than this version reads.
    """
    if not path.is_file():
        raise VprError(f"{path}: no such map; make one with `vpr map build INPUT -m MODEL -o {path.name}`")
    _check_header(path)
    wal.require_own(path)
    try:
        connection = _connect(path) if _is_writable(path) else _connect_read_only(path)
    except sqlite3.OperationalError:  # no room for the log, or a file system that refuses it
        with guard(path):
            connection = _connect_read_only(path)
    except _DAMAGED as error:
        raise VprError(damage(path, error)) from error
    try:
        with guard(path):
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise VprError(
                    f"{path}: has map schema {version}, this version reads {SCHEMA_VERSION}; update vpr_aesvc"
                )
            if version < SCHEMA_VERSION:
                migrate.up_to_date(path, connection, version, _SCHEMA)
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except VprError:
        connection.close()
        raise
    return connection


def take_name(partial: Path, path: Path) -> None:
    """Gives a finished file its name, unless another has it by now.

    Raises:
        VprError: another has.
        OSError: the disk refuses.
    """
    wal.drop_leftover(path)
    try:
        os.link(partial, path)  # unlike a rename, never replaces a map that appeared meanwhile
    except FileExistsError:
        raise VprError(f"{path}: appeared while the map was made; it was left alone") from None
    except OSError:
        partial.rename(path)  # a file system without hard links


def read_meta(path: Path, connection: sqlite3.Connection) -> dict[str, str]:
    """The description of the map.

    Raises:
        VprError: it was altered.
    """
    with guard(path):
        meta = dict(connection.execute("SELECT key, value FROM meta"))
    if meta.pop("checksum", None) != meta_checksum(meta):
        raise VprError(damage(path, "its description does not match its checksum"))
    return meta


def write_meta(connection: sqlite3.Connection, meta: dict[str, str]) -> None:
    """Replaces the description of the map."""
    connection.execute("DELETE FROM meta")
    connection.executemany("INSERT INTO meta VALUES (?, ?)", {**meta, "checksum": meta_checksum(meta)}.items())


def read_tally(db: sqlite3.Connection) -> tuple[int, int, int]:
    """How many places there are, the sum of their checksums, and how often places were removed or altered.

    Raises:
        sqlite3.Error: the table is damaged.
    """
    row = db.execute("SELECT places, checksums, changes, checksum FROM tally").fetchone()
    if row is None or not holds(row[3], tally_checksum, *row[:3]):
        raise sqlite3.DatabaseError("the count of places does not match its checksum")
    return row[:3]  # type: ignore[no-any-return]


def begin_tally(db: sqlite3.Connection, places: int, checksums: int, meta: dict[str, str]) -> None:
    """The row of a map that is being made."""
    check = tally_checksum(places, checksums, 0)
    db.execute("INSERT INTO tally VALUES (1, ?, ?, 0, ?, ?)", (places, checksums, check, wal.name_of(meta)))


def mark_as_copy(db: sqlite3.Connection, meta: dict[str, str]) -> None:
    """Makes another map of a copy, so that a log of the original is not taken into it. Only within a transaction."""
    new = {**meta, "copied": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S.%fZ}"}
    write_meta(db, new)
    db.execute("UPDATE tally SET map = ?", (wal.name_of(new),))


def write_tally(db: sqlite3.Connection, places: int, checksums: int, changes: int) -> None:
    """Replaces it."""
    check = tally_checksum(places, checksums, changes)
    db.execute(
        "UPDATE tally SET places = ?, checksums = ?, changes = ?, checksum = ?", (places, checksums, changes, check)
    )


def damage(path: Path, what: object) -> str:
    """The sentence for a map that was altered outside this library."""
    return f"{path}: the map is damaged ({what}); `vpr map check` lists what, `vpr map salvage` saves what is whole"


@contextmanager
def guard(path: Path) -> Iterator[None]:
    """What SQLite raises, as a sentence with what to do next.

    Raises:
        VprError: so.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        words = str(error)
        if "locked" in words or "busy" in words:
            raise VprError(f"{path}: another process has been writing for {BUSY_SECONDS:.0f} s; try again") from error
        if "disk is full" in words:
            raise VprError(f"{path}: the disk is full; nothing was added, what was there before is whole") from error
        if "readonly" in words:
            raise VprError(
                f"{path}: can only be read here (the file, its folder or the disk cannot be written)"
            ) from error
        if "disk I/O error" in words:
            raise VprError(
                f"{path}: the disk refused ({_extended(error)}); nothing was added, what was there is whole"
            ) from error
        raise VprError(damage(path, error)) from error
    except sqlite3.ProgrammingError as error:
        raise VprError(f"{path}: the map is closed") from error
    except _DAMAGED as error:
        raise VprError(damage(path, error)) from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that the block writes is on disk when it ends, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite rolls back by itself when the disk is full
            connection.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """All reads of the block see one state of the map, whatever another process writes meanwhile."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        connection.execute("SELECT one FROM tally").fetchone()  # the state is that of the first read
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def copy_to(
    path: Path, connection: sqlite3.Connection, target: Path, progress: Callable[[int, int, int], None] | None
) -> None:
    """Copies the open map into the new file ``target`` while others read and write it.

    Args:
        progress: called with (SQLite's status, pages left, pages).
    """
    # Within a snapshot, as SQLite begins a copy anew whenever another process has written meanwhile.
    with guard(path), snapshot(connection), closing(sqlite3.connect(target)) as copy:
        connection.backup(copy, pages=_COPIED, progress=progress)


def _check_header(path: Path) -> None:
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise VprError(f"{path}: cannot be read ({error.strerror or error})") from error
    if header[:16] != b"SQLite format 3\x00" or int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise VprError(f"{path}: not a place map (.vprmap)")


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # an acknowledged place must survive a power cut
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cell_size_check = ON")  # a damaged page is an error, not a guess
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # opens the log: fails now or never
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """With the log where it can be, else the file by itself, as on a disk that cannot be written."""
    for options in ("", "&immutable=1"):
        connection = wal.read_only(path, options, BUSY_SECONDS)
        try:
            connection.execute("PRAGMA cell_size_check = ON")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            return connection
        except sqlite3.OperationalError:
            connection.close()
            if options:
                raise
    raise AssertionError  # the loop returns or raises


def _extended(error: sqlite3.Error) -> str:
    return str(getattr(error, "sqlite_errorname", "") or error)  # the name is known from Python 3.11 on
