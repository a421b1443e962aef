"""Damage of a map file: ``vpr map check`` lists it, ``vpr map salvage`` copies the intact places to a new map.

Every row is compared with its checksum; references, numbers and SQLite's own structure are checked too.
"""

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import decode_image
from vpr_aesvc.placemap import database, traverses
from vpr_aesvc.placemap.cameras import camera_of_text, select_rows
from vpr_aesvc.placemap.checksums import matches, patches_checksum, read_tally, row_checksum
from vpr_aesvc.placemap.copies import frame_of
from vpr_aesvc.placemap.database import new_file
from vpr_aesvc.placemap.description import read_metadata
from vpr_aesvc.placemap.place_row import COLUMNS, PlaceRow
from vpr_aesvc.placemap.place_table import DESCRIPTOR, select_patches
from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.types import Progress

_MOST = 1000  # problems listed
_BATCH = 1000  # places copied at once


@dataclass
class CheckReport:
    """``places`` and ``thumbnails``: how many were read. ``problems``: one line each, empty for an intact map."""

    places: int = 0
    thumbnails: int = 0
    problems: list[str] = field(default_factory=list)


def check_map(path: Path, progress: Progress | None = None) -> CheckReport:
    """Reads the whole map and lists its damage. Changes nothing. Raises VprError: no such file, not a map, or of another
    schema version."""
    report = CheckReport()
    with closing(database.open_existing(path)) as db:
        try:
            with database.snapshot(db):  # another process may write meanwhile
                for problem in islice(_problems(path, db, report, progress), _MOST):
                    report.problems.append(problem)
                if len(report.problems) == _MOST:
                    report.problems.append(f"the list ends after {_MOST} problems; there may be more")
        except sqlite3.DatabaseError as error:
            report.problems.append(f"the rest of the file cannot be read: {error}")
    return report


def place_problem(row: PlaceRow, dim: int) -> str | None:
    """What is wrong with a row, None if it is intact. ``dim`` is 0 if unknown."""
    if not row.pose_is_intact():
        return "its stamp, pose or descriptor does not match the checksum"
    if not row.text_is_intact():
        return "its label, path or extra does not match the checksum"
    try:
        row.place("")
    except (TypeError, ValueError) as error:
        return f"it cannot be read ({error})"
    size = dim * DESCRIPTOR.itemsize
    if dim and len(row.descriptor) != size:
        return f"its descriptor has {len(row.descriptor)} bytes, not {size}"
    norm = float(np.linalg.norm(np.frombuffer(row.descriptor, DESCRIPTOR).astype(np.float32)))
    if norm and not abs(norm - 1) < 0.01:  # true for NaN; zero is valid, from a blank image
        return f"its descriptor has length {norm:.3g}, not 1"
    return None


def _problems(path: Path, db: sqlite3.Connection, report: CheckReport, progress: Progress | None) -> Iterator[str]:
    yield from _structure_problems(db)
    try:
        dim = int(read_metadata(path, db)["dim"])
    except (VprError, KeyError, ValueError):
        yield "the description of the map does not match its checksum"
        dim = 0
    yield from _small_table_problems(db)
    count, checksums, _ = read_tally(db)
    total = 0
    for row in map(PlaceRow._make, db.execute(f"SELECT {COLUMNS} FROM places ORDER BY id")):
        report.places += 1
        problem = place_problem(row, dim)
        if problem:
            yield f"place {row.id}: {problem}"
        else:
            total += row.checksum + row.words_checksum
        problem = _thumbnail_problem(db, row, report)
        if problem:
            yield f"place {row.id}: {problem}"
        if progress and report.places % 256 == 0:
            progress(report.places, max(count, report.places))
    if report.places != count:
        yield f"it has {report.places} places, {count} were written"
    elif total != checksums and not report.problems:
        yield "the sum of the places' checksums does not match the stored sum"
    if progress:
        progress(report.places, report.places)


def _structure_problems(db: sqlite3.Connection) -> Iterator[str]:
    for (line,) in db.execute(f"PRAGMA integrity_check({_MOST})").fetchall():
        if line != "ok":
            yield f"SQLite: {line}"
    for table, row, parent, _ in db.execute("PRAGMA foreign_key_check").fetchall():
        yield f"{table} row {row} refers to a missing row of {parent}"


def _small_table_problems(db: sqlite3.Connection) -> Iterator[str]:
    for *columns, checksum in db.execute(f"SELECT {traverses.COLUMNS} FROM traverses ORDER BY id"):
        if not matches(checksum, row_checksum, *columns):
            yield f"traverse {columns[0]} does not match its checksum"
    for traverse, name, _, intact in select_rows(db):
        if not intact:
            yield f"the camera {name!r} of traverse {traverse} does not match its checksum"
    for name, value, checksum in db.execute("SELECT name, value, checksum FROM learned ORDER BY name"):
        if not matches(checksum, row_checksum, name, value):
            yield f"the learned parameters {name!r} do not match their checksum"
    if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'patches'").fetchone():  # older maps do not have it
        for place, patches, checksum in db.execute("SELECT place, patches, checksum FROM patches ORDER BY place"):
            if not matches(checksum, patches_checksum, place, patches):
                yield f"the patches of place {place} do not match their checksum"


def _thumbnail_problem(db: sqlite3.Connection, row: PlaceRow, report: CheckReport) -> str | None:
    found = db.execute("SELECT jpeg FROM thumbnails WHERE place = ?", (row.id,)).fetchone()
    if found is None:
        return None if row.thumbnail is None else "its thumbnail is missing"
    report.thumbnails += 1
    if row.thumbnail is None:
        return "it has a thumbnail that its row does not name"
    if not isinstance(found[0], bytes) or zlib.crc32(found[0]) != row.thumbnail:
        return "its thumbnail does not match the checksum"
    try:
        decode_image(found[0])
    except VprError:
        return "its thumbnail is not an image"
    return None


@dataclass
class Salvaged:
    """``places``: intact and saved. ``damaged``: found and left out. ``thumbnails_lost``: of the saved places."""

    places: int = 0
    damaged: int = 0
    thumbnails_lost: int = 0


def salvage(path: Path, output: Path, describer: Describer | None = None, progress: Progress | None = None) -> Salvaged:
    """Copies every place that matches its checksums to a new map. ``describer``: the map's model, needed if the map's
    description is damaged. Raises VprError: no place is intact, the description is damaged and no model was given, or the
    output cannot be written."""
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
                patches = None if saved.patch_projection is None else [_patches(path, db, row.id) for row in intact]
                saved.add_stored(frames, descriptors.reshape(len(intact), saved.dim), jpegs, patches=patches)
                result.places += len(intact)
                result.damaged += len(batch) - len(intact)
                result.thumbnails_lost += jpegs.count(None) - sum(row.thumbnail is None for row in intact)
                if progress:
                    progress(result.places + result.damaged, result.places + result.damaged)
            _copy_cameras(db, saved, names)
        if not result.places:
            raise VprError(f"{path}: no place in it is intact, nothing was saved; use a backup or build the map again")
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
    with suppress(sqlite3.DatabaseError):  # a damaged page: the rest cannot be read
        for *columns, checksum in db.execute(f"SELECT {traverses.COLUMNS} FROM traverses ORDER BY id"):
            if matches(checksum, row_checksum, *columns):
                names[columns[0]] = columns[1]
                saved.start_traverse(*columns[1:])
    return names


def _copy_cameras(db: sqlite3.Connection, saved: PlaceMap, names: dict[int, str]) -> None:
    """Those that are intact, of the traverses that have places. Comes after the places."""
    kept = saved.traverses()
    with suppress(sqlite3.DatabaseError):  # a damaged page: the rest cannot be read
        for traverse, camera, value, intact in select_rows(db):
            name = names.get(traverse, f"traverse-{traverse}")
            with suppress(VprError):
                if intact and name in kept:
                    saved.set_camera(name, *camera_of_text(value), camera)


def _readable_rows(db: sqlite3.Connection) -> Iterator[Any]:
    """Rows from the first one up to the damaged page, then those behind it, which are read backward from the last row."""
    highest = -1
    with suppress(sqlite3.DatabaseError):  # a damaged page
        for row in db.execute(f"SELECT {COLUMNS} FROM places ORDER BY id"):
            yield row
            highest = row[0]
        return
    behind: list[Any] = []
    with suppress(sqlite3.DatabaseError):  # the damaged page again
        behind.extend(db.execute(f"SELECT {COLUMNS} FROM places WHERE id > ? ORDER BY id DESC", (highest,)))
    yield from reversed(behind)


def _thumbnail(db: sqlite3.Connection, row: PlaceRow) -> bytes | None:
    try:
        found = db.execute("SELECT jpeg FROM thumbnails WHERE place = ?", (row.id,)).fetchone()
    except sqlite3.DatabaseError:
        return None
    intact = found is not None and isinstance(found[0], bytes) and zlib.crc32(found[0]) == row.thumbnail
    return found[0] if intact else None


def _patches(path: Path, db: sqlite3.Connection, place: int) -> bytes | None:
    with suppress(VprError, sqlite3.DatabaseError):
        return select_patches(path, db, place)
    return None
