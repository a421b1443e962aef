"""Is a map whole? Every checksum, orphan and number, and SQLite's own structure."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import decode_image
from vpr_aesvc.placemap import rows, store
from vpr_aesvc.placemap.scan import DESCRIPTOR

_MOST = 1000  # problems that are listed; a map with more needs no longer list
COLUMNS = f"id, traverse, {rows.NUMBERS}, descriptor, checksum, label, path, extra, thumbnail, words_checksum"


@dataclass
class CheckReport:
    """``problems``: one line each, none for a whole map. ``places``: how many were read."""

    places: int = 0
    thumbnails: int = 0
    problems: list[str] = field(default_factory=list)


def check_map(path: Path, progress: Callable[[int, int], None] | None = None) -> CheckReport:
    """Reads everything in a map and says what is wrong with it. Changes nothing, but brings an older schema up to date.

    Raises:
        VprError: no such file, not a map, or of a newer version.
    """
    report = CheckReport()
    with closing(store.open_existing(path)) as db:
        try:
            for problem in _problems(path, db, report, progress):
                report.problems.append(problem)
                if len(report.problems) >= _MOST:
                    report.problems.append(f"and more: stopped after {_MOST}")
                    break
        except sqlite3.DatabaseError as error:
            report.problems.append(f"the rest cannot be read: {error}")
    return report


def _problems(
    path: Path, db: sqlite3.Connection, report: CheckReport, progress: Callable[[int, int], None] | None
) -> Iterator[str]:
    with store.snapshot(db):  # a writer may go on meanwhile
        for (line,) in db.execute(f"PRAGMA integrity_check({_MOST})").fetchall():
            if line != "ok":
                yield f"SQLite: {line}"
        for table, row, parent, _ in db.execute("PRAGMA foreign_key_check").fetchall():
            yield f"{table} row {row} belongs to nothing in {parent}"
        try:
            dim = int(store.read_meta(path, db)["dim"])
        except (VprError, KeyError, ValueError):
            yield "the description of the map does not match its checksum"
            dim = 0
        for row in db.execute("SELECT id, name, started, robot, notes, checksum FROM traverses ORDER BY id"):
            if not rows.holds(row[5], rows.traverse_checksum, *row[:5]):
                yield f"traverse {row[0]} does not match its checksum"
        for row in db.execute("SELECT name, value, checksum FROM learned ORDER BY name"):
            if not rows.holds(row[2], rows.learned_checksum, *row[:2]):
                yield f"what was learned as {row[0]!r} does not match its checksum"
        count, checksums, _ = store.read_tally(db)
        total = 0
        for row in db.execute(f"SELECT {COLUMNS} FROM places ORDER BY id"):
            report.places += 1
            problem = place_problem(row, dim)
            if problem:
                yield f"place {row[0]}: {problem}"
            else:
                total += row[11] + row[16]
            yield from _picture_problems(db, row, report)
            if progress and report.places % 256 == 0:
                progress(report.places, max(count, report.places))
        if report.places != count:
            yield f"{report.places} places were found where {count} were written"
        elif total != checksums and not report.problems:
            yield "the sum of the checksums is not the one that was written"
        if progress:
            progress(report.places, report.places)


def place_problem(row: Any, dim: int) -> str | None:
    """What is wrong with a row of places, as :data:`COLUMNS`, or None. ``dim`` 0 is not known."""
    place, traverse, numbers, descriptor, check = row[0], row[1], row[2:10], row[10], row[11]
    label, image, extra, picture, words = row[12:]
    if not rows.holds(check, rows.checksum, place, traverse, numbers, descriptor):
        return "its stamp, pose or descriptor does not match the checksum"
    if not rows.holds(words, rows.words_checksum, place, label, image, extra, picture):
        return "its label, path or extra does not match the checksum"
    try:
        rows.place_of(place, "", numbers, label, image, extra)
    except (TypeError, ValueError) as error:
        return f"it cannot be read ({error})"
    if dim and len(descriptor) != dim * DESCRIPTOR.itemsize:
        return f"its descriptor has {len(descriptor)} bytes, not {dim * DESCRIPTOR.itemsize}"
    norm = float(np.linalg.norm(np.frombuffer(descriptor, DESCRIPTOR).astype(np.float32)))
    if norm and not abs(norm - 1) < 0.01:  # also where it is NaN; an image without anything in it may give zero
        return f"its descriptor has length {norm:.3g}, not 1"
    if numbers[1] is not None and not abs(float(np.linalg.norm(numbers[4:])) - 1) < 0.01:
        return "its orientation is not a unit quaternion"
    return None


def _picture_problems(db: sqlite3.Connection, row: Any, report: CheckReport) -> Iterator[str]:
    found = db.execute("SELECT jpeg FROM thumbnails WHERE place = ?", (row[0],)).fetchone()
    if found is None:
        if row[15] is not None:
            yield f"place {row[0]}: its thumbnail is gone"
        return
    report.thumbnails += 1
    if row[15] is None:
        yield f"place {row[0]}: has a thumbnail that it does not know of"
    elif not isinstance(found[0], bytes) or zlib.crc32(found[0]) != row[15]:
        yield f"place {row[0]}: its thumbnail does not match the checksum"
    else:
        try:
            decode_image(found[0])
        except VprError:
            yield f"place {row[0]}: its thumbnail is not a picture"
