"""The ``.vprmap`` file as an SQLite database: create, open, transactions.

Beside it lies the write-ahead log (WAL), ``MAP-wal``: SQLite applies any file of that name to the map. A killed process leaves its WAL,
and the next process to open the map applies it. A WAL can also outlive its map, when the map file is removed or replaced; it must not be
applied to another map.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free, os_errors_named
from vpr_aesvc.placemap.checksums import write_tally
from vpr_aesvc.placemap.description import map_id, utc_now, write_metadata
from vpr_aesvc.placemap.schema import APPLICATION_ID, CAMERAS, SCHEMA_VERSION, TABLES
from vpr_aesvc.placemap.sqlite_errors import BUSY_SECONDS, DAMAGED, damage_error, vpr_errors


def create(path: Path, metadata: Mapping[str, str]) -> sqlite3.Connection:
    """A new map file without places. Raises VprError if the path exists or cannot be written."""
    metadata = {**metadata, "created": utc_now()}
    try:
        with new_file(path) as partial, closing(sqlite3.connect(partial, isolation_level=None)) as db:
            db.executescript(f"BEGIN; {TABLES} {CAMERAS}")
            write_metadata(db, metadata)
            db.execute("INSERT INTO tally VALUES (1, 0, 0, 0, 0, ?)", (map_id(metadata),))
            write_tally(db, places=0, checksums=0, revision=0)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            db.execute("COMMIT")
        return _connect(path)
    except sqlite3.Error as error:
        raise VprError(f"{path}: the map cannot be written ({error})") from error


@contextmanager
def new_file(output: Path) -> Iterator[Path]:
    """A path beside ``output`` for a new file, renamed to ``output`` if the block succeeds, deleted if not. Never replaces
    a file. Raises VprError: the output exists, or the disk refuses."""
    check_free(output, "map")
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        with os_errors_named(output, "map"):
            yield partial
            if not output.exists():
                remove_companions(output)
            try:
                os.link(partial, output)  # unlike rename, fails if the name exists
            except FileExistsError:
                raise VprError(f"{output}: appeared meanwhile and was not replaced; choose another name") from None
            except OSError:
                partial.rename(output)  # a file system without hard links
    finally:
        partial.unlink(missing_ok=True)
        remove_companions(partial)


def open_existing(path: Path) -> sqlite3.Connection:
    """Opens a map. A file or a folder that cannot be written, or a full disk, makes the connection read-only. Raises
    VprError: missing, not a map, damaged, or of another schema version."""
    if not path.is_file():
        raise VprError(f"{path}: no such map; make one with `vpr map build INPUT -m MODEL -o {path.name}`")
    _check_header(path)
    _require_own_wal(path)
    try:
        is_writable = os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)
        db = _connect(path) if is_writable else _connect_read_only(path)
    except sqlite3.OperationalError:  # no space for the WAL, or the file system refuses it
        with vpr_errors(path):
            db = _connect_read_only(path)
    except DAMAGED as error:
        raise damage_error(path, error) from error
    with closed_on_error(db):
        with vpr_errors(path):
            version = db.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA_VERSION:
            advice = "build the map again with `vpr map build`, or use the vpr_aesvc that made it"
            raise VprError(f"{path}: has map schema {version}, this vpr_aesvc reads schema {SCHEMA_VERSION}; {advice}")
    return db


def open_immutable(path: Path) -> sqlite3.Connection:
    """Opens a map read-only as it is in its file, without the WAL. It leaves WAL and locks of other connections alone.
    Raises VprError: as ``open_existing``."""
    with vpr_errors(path):
        db = _open_checked(path, "&immutable=1")
        with closed_on_error(db):
            kind = db.execute("PRAGMA application_id").fetchone() + db.execute("PRAGMA user_version").fetchone()
            if kind != (APPLICATION_ID, SCHEMA_VERSION):
                raise sqlite3.DatabaseError(f"it is not a place map of schema {SCHEMA_VERSION}")
    return db


@contextmanager
def closed_on_error(db: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        db.close()
        raise


def wal_of(path: Path) -> Path:
    """The write-ahead log of a map."""
    return path.with_name(path.name + "-wal")


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


def _check_header(path: Path) -> None:
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise VprError(f"{path}: cannot be read ({error.strerror or error})") from error
    if header[:16] != b"SQLite format 3\x00" or int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise VprError(f"{path}: not a place map; expected a .vprmap file that `vpr map build` made")


def remove_companions(path: Path) -> None:
    """Removes WAL, shared-memory and journal files. Raises OSError if one cannot be removed."""
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _require_own_wal(path: Path) -> None:
    """Raises VprError if the map is intact without the WAL beside it and not with it: the WAL is another map's."""
    wal = wal_of(path)
    if not wal.exists() or not wal.stat().st_size:
        return
    if _has_one_map_id(path, "&immutable=1") and not _has_one_map_id(path, ""):
        problem = f"the write-ahead log {wal.name} beside it is another map's; a map was replaced before it was closed"
        raise VprError(f"{path}: {problem}. Move {wal.name} away to open this map")


def _has_one_map_id(path: Path, options: str) -> bool:
    """Whether ``tally`` and ``meta`` hold the same map id."""
    try:
        with closing(_open_read_only(path, options)) as db:
            (stored,) = db.execute("SELECT map FROM tally").fetchone()
            return bool(stored == map_id(dict(db.execute("SELECT key, value FROM meta"))))
    except sqlite3.OperationalError:
        return True  # another schema, or the WAL cannot be read here: no ids to compare
    except (sqlite3.Error, ValueError, TypeError):
        return False


def _open_read_only(path: Path, options: str, timeout: float = 5.0) -> sqlite3.Connection:
    """``options`` extends the URI: with ``&immutable=1`` SQLite ignores the WAL and needs none."""
    uri = f"file:{quote(str(path.absolute()))}?mode=ro{options}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=timeout)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
    with closed_on_error(db):
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # an acknowledged place must survive a power cut
        db.execute("PRAGMA foreign_keys = ON")
        _check_first_read(db)
    return db


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """With the WAL if it can be read, else without it, as on a read-only disk."""
    try:
        return _open_checked(path, "")
    except sqlite3.OperationalError:
        return _open_checked(path, "&immutable=1")


def _open_checked(path: Path, options: str) -> sqlite3.Connection:
    db = _open_read_only(path, options, BUSY_SECONDS)
    with closed_on_error(db):
        _check_first_read(db)
    return db


def _check_first_read(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA cell_size_check = ON")  # a damaged page raises an error
    # The first read opens the WAL: an error is raised here, not later. A view could compute forever.
    if db.execute("SELECT count(*) FROM sqlite_schema WHERE type IN ('view', 'trigger')").fetchone()[0]:
        raise sqlite3.DatabaseError("it holds a view or a trigger, which no map has")
