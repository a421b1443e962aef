"""The ``.vprmap`` file as an SQLite database: create, open, transactions, copy."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
from vpr_aesvc.placemap import sqlite_errors, wal
from vpr_aesvc.placemap.checksums import create_tally
from vpr_aesvc.placemap.description import utc_now, write_metadata
from vpr_aesvc.placemap.schema import APPLICATION_ID, SCHEMA_VERSION, TABLES
from vpr_aesvc.placemap.sqlite_errors import damage_error, vpr_errors

_PAGES = 1024  # copied at once; other processes can write between two steps


def create(path: Path, metadata: Mapping[str, str]) -> sqlite3.Connection:
    """A new map file without places. Raises VprError if the path exists or cannot be written."""
    check_free(path, "map")
    metadata = {**metadata, "created": utc_now()}
    partial = path.with_name(f".{path.name}.{os.getpid()}.new")  # no other process sees an incomplete map
    try:
        with closing(sqlite3.connect(partial, isolation_level=None)) as db:
            db.executescript(f"BEGIN; {TABLES}")
            write_metadata(db, metadata)
            create_tally(db, wal.map_id(metadata))
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            db.execute("COMMIT")
        rename_new(partial, path)
        return _connect(path)
    except (sqlite3.Error, OSError) as error:
        raise VprError(f"{path}: the map cannot be written ({error})") from error
    finally:
        for suffix in ("", "-journal"):
            partial.with_name(partial.name + suffix).unlink(missing_ok=True)


def open_existing(path: Path) -> sqlite3.Connection:
    """Opens a map. A file or a folder that cannot be written, or a full disk, makes the connection read-only.

    Raises:
        VprError: missing, not a map, damaged, or of another schema version.
    """
    if not path.is_file():
        raise VprError(f"{path}: no such map; make one with `vpr map build INPUT -m MODEL -o {path.name}`")
    _check_header(path)
    wal.require_own_wal(path)
    try:
        db = _connect(path) if _is_writable(path) else _connect_read_only(path)
    except sqlite3.OperationalError:  # no space for the WAL, or the file system refuses it
        with vpr_errors(path):
            db = _connect_read_only(path)
    except sqlite_errors.DAMAGED as error:
        raise damage_error(path, error) from error
    try:
        with vpr_errors(path):
            version = db.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA_VERSION:
            raise VprError(
                f"{path}: has map schema {version}, this vpr_aesvc reads schema {SCHEMA_VERSION}; build the map again with "
                "`vpr map build`, or use the vpr_aesvc that made it"
            )
    except VprError:
        db.close()
        raise
    return db


def rename_new(partial: Path, path: Path) -> None:
    """Gives a finished file its name. Never replaces a file: raises VprError if one appeared, OSError if the disk refuses."""
    wal.remove_stale_files(path)
    try:
        os.link(partial, path)  # unlike rename, fails if the name exists
    except FileExistsError:
        raise VprError(f"{path}: appeared meanwhile and was not replaced; choose another name") from None
    except OSError:
        partial.rename(path)  # a file system without hard links


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Either all writes of the block are on disk at its end, or none."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # on a full disk SQLite has rolled back already
            db.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """All reads of the block see one state of the map, while other processes may write."""
    if db.in_transaction:
        yield
        return
    db.execute("BEGIN")
    try:
        db.execute("SELECT one FROM tally").fetchone()  # the first read fixes the state
        yield
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def copy_to(path: Path, db: sqlite3.Connection, target: Path, progress: Callable[[int, int, int], None] | None) -> None:
    """Copies the open map to the new file ``target`` while other processes read and write it.

    Args:
        progress: called with (SQLite's status, pages left, pages).
    """
    # Without the snapshot, SQLite restarts the copy whenever another process has written.
    with vpr_errors(path), snapshot(db), closing(sqlite3.connect(target)) as copy:
        db.backup(copy, pages=_PAGES, progress=progress)


def _check_header(path: Path) -> None:
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise VprError(f"{path}: cannot be read ({error.strerror or error})") from error
    if header[:16] != b"SQLite format 3\x00" or int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise VprError(f"{path}: not a place map; expected a .vprmap file that `vpr map build` made")


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)


def _connect(path: Path) -> sqlite3.Connection:
    timeout = sqlite_errors.BUSY_SECONDS
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=timeout)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # an acknowledged place must survive a power cut
        db.execute("PRAGMA foreign_keys = ON")
        _check_first_read(db)
    except BaseException:
        db.close()
        raise
    return db


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """With the WAL if it can be read, else without it, as on a read-only disk."""
    for options in ("", "&immutable=1"):
        db = wal.connect_read_only(path, options, sqlite_errors.BUSY_SECONDS)
        try:
            _check_first_read(db)
            return db
        except sqlite3.OperationalError:
            db.close()
            if options:
                raise
    raise AssertionError  # the loop returns or raises


def _check_first_read(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA cell_size_check = ON")  # a damaged page raises an error
    db.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # opens the WAL: an error is raised here, not later
