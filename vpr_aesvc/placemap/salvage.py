"""``vpr map salvage``: copies the intact places of a damaged map to a new map."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import database, traverses
from vpr_aesvc.placemap.check import place_problem
from vpr_aesvc.placemap.checksums import matches, row_checksum
from vpr_aesvc.placemap.copies import frame_of, new_file
from vpr_aesvc.placemap.description import read_metadata
from vpr_aesvc.placemap.place_row import COLUMNS, PlaceRow
from vpr_aesvc.placemap.place_table import DESCRIPTOR
from vpr_aesvc.placemap.placemap import PlaceMap

if TYPE_CHECKING:
    from vpr_aesvc.describer import Describer

_BATCH = 1000


@dataclass
class Salvaged:
    """``places``: intact and saved. ``damaged``: found and left out. ``thumbnails_lost``: of the saved places."""

    places: int = 0
    damaged: int = 0
    thumbnails_lost: int = 0


def salvage(
    path: Path, output: Path, describer: Describer | None = None, progress: Callable[[int, int], None] | None = None
) -> Salvaged:
    """Copies every place that matches its checksums to a new map.

    Args:
        describer: the map's model, needed if the map's description is damaged.
        progress: called with (places read, places read).

    Raises:
        VprError: no place is intact, the description is damaged and no model was given, or the output cannot be written.
    """
    result = Salvaged()
    with closing(database.open_existing(path)) as db, new_file(output) as partial:
        with _create_output(path, db, partial, describer) as saved:
            names = _copy_traverses(db, saved)
            rows = map(PlaceRow._make, _readable_rows(db))
            while batch := list(islice(rows, _BATCH)):
                intact = [row for row in batch if place_problem(row, saved.dim) is None]
                jpegs = [_thumbnail(db, row) for row in intact]
                frames = [frame_of(row.place(names.get(row.traverse, f"traverse-{row.traverse}"))) for row in intact]
                descriptors = np.frombuffer(b"".join(row.descriptor for row in intact), DESCRIPTOR)
                saved.add_stored(frames, descriptors.reshape(len(intact), saved.dim), jpegs)
                result.places += len(intact)
                result.damaged += len(batch) - len(intact)
                result.thumbnails_lost += sum(
                    jpeg is None and row.thumbnail is not None for jpeg, row in zip(jpegs, intact, strict=True)
                )
                if progress:
                    progress(result.places + result.damaged, result.places + result.damaged)
        if not result.places:
            raise VprError(
                f"{path}: no place in it is intact, so nothing was saved; use a backup or build the map again"
            )
    return result


def _create_output(path: Path, db: sqlite3.Connection, partial: Path, describer: Describer | None) -> PlaceMap:
    try:
        return PlaceMap.create_like(partial, read_metadata(path, db))
    except VprError as error:
        if describer is None:
            raise VprError(f"{path}: its description is damaged; say which model made it with -m MODEL") from error
        return PlaceMap.create(partial, describer)


def _copy_traverses(db: sqlite3.Connection, saved: PlaceMap) -> dict[int, str]:
    """Names by id. The places of a damaged traverse get a name from its id later."""
    names = {}
    try:
        for *columns, checksum in db.execute(f"SELECT {traverses.COLUMNS} FROM traverses ORDER BY id"):
            if matches(checksum, row_checksum, *columns):
                names[columns[0]] = columns[1]
                saved.start_traverse(*columns[1:])
    except sqlite3.DatabaseError:
        pass  # a damaged page: the rest cannot be read
    return names


def _readable_rows(db: sqlite3.Connection) -> Iterator[Any]:
    """Rows from the first one up to the damaged page, then those behind it, which are read backward from the last row."""
    highest = -1
    try:
        for row in db.execute(f"SELECT {COLUMNS} FROM places ORDER BY id"):
            yield row
            highest = row[0]
        return
    except sqlite3.DatabaseError:
        pass  # a damaged page
    behind: list[Any] = []
    try:
        for row in db.execute(f"SELECT {COLUMNS} FROM places WHERE id > ? ORDER BY id DESC", (highest,)):
            behind.append(row)
    except sqlite3.DatabaseError:
        pass  # the damaged page again
    yield from reversed(behind)


def _thumbnail(db: sqlite3.Connection, row: PlaceRow) -> bytes | None:
    try:
        found = db.execute("SELECT jpeg FROM thumbnails WHERE place = ?", (row.id,)).fetchone()
    except sqlite3.DatabaseError:
        return None
    intact = found is not None and isinstance(found[0], bytes) and zlib.crc32(found[0]) == row.thumbnail
    return found[0] if intact else None
