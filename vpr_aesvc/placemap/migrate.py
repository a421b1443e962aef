"""Maps of older schema versions are brought up to date when they are opened: one transaction, whole or not at all."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import rows, wal

LATEST = 2


def up_to_date(path: Path, connection: sqlite3.Connection, version: int, schema: str) -> None:
    """Brings an open map to :data:`LATEST`.

    Args:
        version: the map's, below :data:`LATEST`.
        schema: creates the tables of :data:`LATEST`.

    Raises:
        VprError: no such version was ever written, or the file may not be changed.
        sqlite3.Error: the disk refuses; the map is as it was.
    """
    if version != 1:
        raise VprError(f"{path}: has map schema {version}, which no version of vpr_aesvc wrote; the file is damaged")
    if connection.execute("PRAGMA query_only").fetchone()[0] or _is_read_only(connection):
        raise VprError(
            f"{path}: has the older map schema {version} and cannot be written here; open it once where it can be"
        )
    connection.execute("PRAGMA foreign_keys = OFF")  # a table that others refer to is replaced
    try:
        _from_1(connection, schema)
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute("PRAGMA foreign_keys = ON")


def _is_read_only(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if "readonly" in str(error):
            return True
        raise
    connection.execute("ROLLBACK")
    return False


def _from_1(db: sqlite3.Connection, schema: str) -> None:
    """Version 1 had no checksums, no tally, no place's id kept from being given again, and no notes on a traverse."""
    old = ("places", "traverses", "thumbnails", "meta")
    renames = "".join(f"ALTER TABLE {name} RENAME TO old_{name};" for name in old)
    db.executescript(f"BEGIN IMMEDIATE; PRAGMA legacy_alter_table = ON; {renames} {schema}")
    meta = dict(db.execute("SELECT key, value FROM old_meta"))
    meta |= {"model_family": meta.get("model_fingerprint", ""), "model_precision": "fp32"}
    db.executemany("INSERT INTO meta VALUES (?, ?)", {**meta, "checksum": rows.meta_checksum(meta)}.items())
    for number, name in db.execute("SELECT id, name FROM old_traverses").fetchall():
        check = rows.traverse_checksum(number, name, None, None, None)
        db.execute("INSERT INTO traverses (id, name, checksum) VALUES (?, ?, ?)", (number, name, check))
    count = total = 0
    columns = f"id, traverse, {rows.NUMBERS}, label, path, extra, descriptor"
    for row in db.execute(f"SELECT {columns} FROM old_places ORDER BY id"):
        place, traverse, numbers, (label, path, extra, descriptor) = row[0], row[1], row[2:10], row[10:]
        jpeg = db.execute("SELECT jpeg FROM old_thumbnails WHERE place = ?", (place,)).fetchone()
        thumbnail = None if jpeg is None else zlib.crc32(jpeg[0])
        if not isinstance(descriptor, bytes):
            raise sqlite3.DatabaseError(f"place {place} has no descriptor")
        check = rows.checksum(place, traverse, numbers, descriptor)
        words = rows.words_checksum(place, label, path, extra, thumbnail)
        db.execute(
            f"INSERT INTO places (id, traverse, {rows.NUMBERS}, checksum, label, path, extra, thumbnail, words_checksum, "
            f"descriptor) VALUES ({', '.join('?' * 17)})",
            (place, traverse, *numbers, check, label, path, extra, thumbnail, words, descriptor),
        )
        count, total = count + 1, total + check + words
    db.execute("INSERT INTO thumbnails SELECT place, jpeg FROM old_thumbnails")
    tally = (count, total, 0)
    of = (*tally, rows.tally_checksum(*tally), wal.name_of(meta))
    db.execute("INSERT INTO tally VALUES (1, ?, ?, ?, ?, ?)", of)
    for name in ("thumbnails", "places", "traverses", "meta"):
        db.execute(f"DROP TABLE old_{name}")
    db.execute(f"PRAGMA user_version = {LATEST}")
    db.execute("COMMIT")
