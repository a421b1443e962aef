"""What reads single places from an open map, checked against their checksums."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import rows, store
from vpr_aesvc.types import Place

_PLACE = f"id, traverse, {rows.NUMBERS}, descriptor, checksum, label, path, extra, thumbnail, words_checksum"


def places(
    path: Path, db: sqlite3.Connection, traverses: Mapping[str, int], ids: Sequence[int] | None = None
) -> dict[int, Place]:
    """Places by id, all of them by default, in the order they were added.

    Args:
        traverses: ids by name.

    Raises:
        VprError: one of them is damaged or missing.
        sqlite3.Error: the file is.
    """
    names = {number: name for name, number in traverses.items()}
    query = f"SELECT {_PLACE} FROM places"
    if ids is None:
        found = db.execute(f"{query} ORDER BY id")
        expected = store.read_tally(db)[0]
    else:  # one bound parameter, however many ids there are
        known = json.dumps([place for place in ids if abs(place) < rows.TOO_LARGE])
        found = db.execute(f"{query} WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id", (known,))
        expected = len(ids)
    answer = {row[0]: _place(path, row, names) for row in found}
    if ids is not None and len(answer) != expected:
        raise VprError(f"{path}: has no place {next(place for place in ids if place not in answer)}")
    if len(answer) != expected:
        raise VprError(store.damage(path, f"{len(answer)} places were found where {expected} should be"))
    return answer


def _place(path: Path, row: Sequence[Any], names: Mapping[int, str]) -> Place:
    place, traverse, numbers, descriptor, check = row[0], row[1], row[2:10], row[10], row[11]
    label, image, extra, picture, words = row[12:]
    whole = rows.holds(check, rows.checksum, place, traverse, numbers, descriptor)
    if not whole or not rows.holds(words, rows.words_checksum, place, label, image, extra, picture):
        raise VprError(store.damage(path, f"place {place} does not match its checksum"))
    if traverse not in names:
        raise VprError(store.damage(path, f"place {place} is of a traverse that is gone"))
    return rows.place_of(place, names[traverse], numbers, label, image, extra)


def thumbnail(path: Path, db: sqlite3.Connection, place: int) -> bytes | None:
    """A place's picture as JPEG, or None where none was stored.

    Raises:
        VprError: no such place, or it is damaged or its picture gone.
        sqlite3.Error: the file is.
    """
    place = int(place)
    if abs(place) >= rows.TOO_LARGE:
        raise VprError(f"{path}: has no place {place}")
    row = db.execute(
        "SELECT p.label, p.path, p.extra, p.thumbnail, p.words_checksum, t.jpeg "
        "FROM places p LEFT JOIN thumbnails t ON t.place = p.id WHERE p.id = ?",
        (place,),
    ).fetchone()
    if row is None:
        raise VprError(f"{path}: has no place {place}")
    if not rows.holds(
        row[4], rows.words_checksum, place, *row[:4]
    ):  # else a damaged row could say that there is no picture
        raise VprError(store.damage(path, f"place {place} does not match its checksum"))
    if row[3] is None:
        return None
    if not isinstance(row[5], bytes) or zlib.crc32(row[5]) != row[3]:
        raise VprError(store.damage(path, f"the thumbnail of place {place} does not match its checksum"))
    return row[5]
