"""What is whole of a damaged map, as a new map."""

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
from vpr_aesvc.placemap import rows, store
from vpr_aesvc.placemap.check import COLUMNS, place_problem
from vpr_aesvc.placemap.copies import frame_of, new_file
from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.placemap.scan import DESCRIPTOR

if TYPE_CHECKING:
    from vpr_aesvc.describer import Describer

_BATCH = 1000


@dataclass
class Salvaged:
    """``places`` that are whole and were saved; ``damaged`` ones that were found and left; ``thumbnails`` lost of those saved."""

    places: int = 0
    damaged: int = 0
    thumbnails_lost: int = 0


def salvage(
    path: Path, output: Path, describer: Describer | None = None, progress: Callable[[int, int], None] | None = None
) -> Salvaged:
    """Copies every place that matches its checksums into a new map.

    Args:
        describer: the map's model, needed where the map's own description is damaged.

    Raises:
        VprError: nothing can be saved, the description is damaged and no model was given, or the output cannot be written.
    """
    done = Salvaged()
    with closing(store.open_existing(path)) as db, new_file(output) as partial:
        with _like(path, db, partial, describer) as saved:
            names = _traverse_names(db, saved)
            readable = _readable(db)
            while batch := list(islice(readable, _BATCH)):
                whole = [row for row in batch if place_problem(row, saved.dim) is None]
                done.places += len(whole)
                done.damaged += len(batch) - len(whole)
                jpegs = [_picture(db, row) for row in whole]
                done.thumbnails_lost += sum(
                    jpeg is None and row[15] is not None for jpeg, row in zip(jpegs, whole, strict=True)
                )
                places = [
                    rows.place_of(row[0], names.get(row[1], f"traverse-{row[1]}"), row[2:10], *row[12:15])
                    for row in whole
                ]
                descriptors = np.frombuffer(b"".join(row[10] for row in whole), DESCRIPTOR)
                saved.add_stored(
                    [frame_of(place) for place in places], descriptors.reshape(len(whole), saved.dim), jpegs
                )
                if progress:
                    progress(done.places + done.damaged, done.places + done.damaged)
        if not done.places:
            raise VprError(f"{path}: no place in it is whole; nothing was saved")
    return done


def _like(path: Path, db: sqlite3.Connection, partial: Path, describer: Describer | None) -> PlaceMap:
    try:
        return PlaceMap.create_like(partial, store.read_meta(path, db))
    except VprError as error:
        if describer is None:
            raise VprError(f"{path}: its description is damaged; say which model made it with -m MODEL") from error
        return PlaceMap.create(partial, describer)


def _traverse_names(db: sqlite3.Connection, saved: PlaceMap) -> dict[int, str]:
    names = {}
    try:
        for row in db.execute("SELECT id, name, started, robot, notes, checksum FROM traverses ORDER BY id"):
            if rows.holds(row[5], rows.traverse_checksum, *row[:5]):
                names[row[0]] = row[1]
                saved.start_traverse(row[1], *row[2:5])
    except sqlite3.DatabaseError:
        pass  # places of a traverse whose name is lost get one made of its number
    return names


def _readable(db: sqlite3.Connection) -> Iterator[Any]:
    """Rows from the first up to where the file cannot be read, then from the last down to there."""
    highest = -1
    try:
        for row in db.execute(f"SELECT {COLUMNS} FROM places ORDER BY id"):
            yield row
            highest = row[0]
        return
    except sqlite3.DatabaseError:
        pass  # the tree of pages is broken here; its other end may be whole
    below: list[Any] = []
    try:
        for row in db.execute(f"SELECT {COLUMNS} FROM places WHERE id > ? ORDER BY id DESC", (highest,)):
            below.append(row)
    except sqlite3.DatabaseError:
        pass  # as far as it goes
    yield from reversed(below)


def _picture(db: sqlite3.Connection, row: Any) -> bytes | None:
    try:
        found = db.execute("SELECT jpeg FROM thumbnails WHERE place = ?", (row[0],)).fetchone()
    except sqlite3.DatabaseError:
        return None
    whole = found is not None and isinstance(found[0], bytes) and zlib.crc32(found[0]) == row[15]
    return found[0] if whole else None
