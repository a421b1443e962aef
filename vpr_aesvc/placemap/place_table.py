"""The tables ``places``, ``thumbnails`` and ``patches``: SELECTs, which compare every row with its checksums, and writes, which update the tally.

All raise VprError for a damaged or missing row, and sqlite3.Error for a damaged file.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.checksums import matches, patches_checksum, place_checksum, read_tally, write_tally
from vpr_aesvc.placemap.database import transaction
from vpr_aesvc.placemap.place_row import COLUMNS, ID_LIMIT, NUMBERS, PlaceRow, pose_numbers, row_of
from vpr_aesvc.placemap.sqlite_errors import damage_error
from vpr_aesvc.types import Frame, Place, Pose

DESCRIPTOR = np.dtype("<f2")
_BATCH = 8192
_KEY = np.dtype([("id", "<i8"), ("traverse", "<i8"), ("numbers", "<f8", 8)])  # the bytes that place_checksum packs
_BATCH_COLUMNS = f"id, traverse, {NUMBERS}, checksum, words_checksum, descriptor"
_SELECT_WITH_JPEG = f"SELECT {COLUMNS}, (SELECT jpeg FROM thumbnails WHERE place = places.id) FROM places WHERE id = ?"
NewPlace = tuple[int, Frame, int, bytes, bytes | None, bytes | None]
"""Id, frame, id of the traverse, descriptor (float16 [d_max], little-endian), JPEG thumbnail, patches."""
_INSERT = f"INSERT INTO places ({COLUMNS}) VALUES ({', '.join('?' * 17)})"
Batch = tuple[NDArray[Any], NDArray[np.float16], int]


def select_places(
    path: Path, db: sqlite3.Connection, traverses: Mapping[str, int], ids: Sequence[int] | None = None
) -> dict[int, Place]:
    """Places by id, all of them by default, in the order they were added. ``traverses``: ids by name."""
    names = {traverse: name for name, traverse in traverses.items()}
    if ids is None:
        rows = db.execute(f"SELECT {COLUMNS} FROM places ORDER BY id")
    else:  # JSON: one bound parameter for any number of ids
        possible = json.dumps([place for place in ids if abs(place) < ID_LIMIT])
        query = f"SELECT {COLUMNS} FROM places WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
        rows = db.execute(query, (possible,))
    places = {row[0]: _place(path, PlaceRow._make(row), names) for row in rows}
    if ids is not None:
        missing = next((place for place in ids if place not in places), None)
        if missing is not None:
            raise VprError(f"{path}: has no place {missing}")
    elif len(places) != (count := read_tally(db)[0]):
        raise damage_error(path, f"it has {len(places)} places, {count} were written")
    return places


def _place(path: Path, row: PlaceRow, names: Mapping[int, str]) -> Place:
    if not row.pose_is_intact() or not row.text_is_intact():
        raise damage_error(path, f"place {row.id} does not match its checksum")
    if row.traverse not in names:
        raise damage_error(path, f"the traverse of place {row.id} is missing")
    try:
        return row.place(names[row.traverse])
    except (ValueError, TypeError, RecursionError) as error:
        raise damage_error(path, f"place {row.id} cannot be read: {error}") from error


def select_thumbnail(path: Path, db: sqlite3.Connection, place: int) -> bytes | None:
    """The JPEG of a place, None if none was stored."""
    place = int(place)
    columns = db.execute(_SELECT_WITH_JPEG, (place,)).fetchone() if abs(place) < ID_LIMIT else None
    if columns is None:
        raise VprError(f"{path}: has no place {place}")
    row, jpeg = PlaceRow._make(columns[:-1]), columns[-1]
    if not row.text_is_intact():  # a damaged row may deny that there is a thumbnail
        raise damage_error(path, f"place {place} does not match its checksum")
    if row.thumbnail is None:
        return None
    if not isinstance(jpeg, bytes) or zlib.crc32(jpeg) != row.thumbnail:
        raise damage_error(path, f"the thumbnail of place {place} does not match its checksum")
    return jpeg


def select_patches(path: Path, db: sqlite3.Connection, place: int) -> bytes | None:
    """The patches of a place as stored, None if it has none."""
    row = db.execute("SELECT place, patches, checksum FROM patches WHERE place = ?", (int(place),)).fetchone()
    if row is not None and not matches(row[2], patches_checksum, *row[:2]):
        raise damage_error(path, f"the patches of place {place} do not match their checksum")
    return None if row is None else row[1]


def select_descriptors(path: Path, db: sqlite3.Connection, dim: int) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """All ids int64 [n] and descriptors float16 [n, d_max]."""
    ids: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    descriptors: list[NDArray[np.float16]] = [np.empty((0, dim), DESCRIPTOR)]
    checksums = 0
    for keys, batch, batch_checksums in select_batches(path, db, dim):
        ids.append(keys["id"])
        descriptors.append(batch)
        checksums += batch_checksums
    all_ids = np.concatenate(ids)
    if (len(all_ids), checksums) != read_tally(db)[:2]:
        raise damage_error(path, "places are missing")
    return all_ids, np.concatenate(descriptors)


def select_batches(path: Path, db: sqlite3.Connection, dim: int, after: int = -1) -> Iterator[Batch]:
    """Places with ids above ``after``, by id, some thousand at a time. Yields keys [n] with the fields ``id``, ``traverse``
    and ``numbers`` [8] (stamp and pose, NaN where unknown); descriptors float16 [n, d_max]; the sum of all their checksums."""
    rows = db.execute(f"SELECT {_BATCH_COLUMNS} FROM places WHERE id > ? ORDER BY id", (after,))
    while batch := rows.fetchmany(_BATCH):
        keys = np.empty(len(batch), _KEY)
        try:
            keys["id"] = [row[0] for row in batch]
            keys["traverse"] = [row[1] for row in batch]
            keys["numbers"] = np.array([row[2:10] for row in batch], np.float64)  # None becomes NaN
            checksums = sum(row[10] + row[11] for row in batch)
        except (TypeError, ValueError, OverflowError) as error:
            raise damage_error(path, "a stamp, a pose or a checksum is not a number") from error
        yield keys, _checked_descriptors(path, dim, keys, batch), checksums


def _checked_descriptors(path: Path, dim: int, keys: NDArray[Any], batch: list[Any]) -> NDArray[np.float16]:
    packed, length, size = keys.tobytes(), _KEY.itemsize, dim * DESCRIPTOR.itemsize
    for at, row in enumerate(batch):
        place, checksum, descriptor = row[0], row[10], row[12]
        if not isinstance(descriptor, bytes) or len(descriptor) != size:
            raise damage_error(path, f"place {place} has no descriptor of {size} bytes")
        if zlib.crc32(descriptor, zlib.crc32(packed[at * length : (at + 1) * length])) != checksum:
            raise damage_error(path, f"place {place} does not match its checksum")
    descriptors = np.frombuffer(b"".join(row[12] for row in batch), DESCRIPTOR).reshape(len(batch), dim)
    if not np.isfinite(descriptors).all():
        raise damage_error(path, "a descriptor holds numbers that are not finite")
    return descriptors


@dataclass
class TallyChange:
    """What a transaction adds to the tally.

    Attributes:
        places: more places. checksums: the change of the sum of their checksums.
        alters: whether existing places were removed or altered.
    """

    places: int = 0
    checksums: int = 0
    alters: bool = False


@contextmanager
def write_transaction(db: sqlite3.Connection) -> Iterator[TallyChange]:
    """The block fills the change, which is written to the tally at the end. On an error nothing is changed."""
    with transaction(db):
        change = TallyChange()
        yield change
        if change.alters:
            db.execute("DELETE FROM learned")  # fitted to the places as they were
        places, checksums, revision = read_tally(db)
        write_tally(db, places + change.places, checksums + change.checksums, revision + int(change.alters))


def check_descriptors(descriptors: NDArray[np.floating], count: int, dim: int) -> None:
    """Refuses descriptors that a map cannot store. Raises VprError: not of shape [count, dim], not finite, or neither of
    unit norm nor zero (a blank image may give zero)."""
    if descriptors.shape != (count, dim):
        raise VprError(f"expected descriptors of shape ({count}, {dim}), found {descriptors.shape}; nothing was added")
    norms = np.linalg.norm(descriptors.astype(np.float32), axis=1)
    wrong = np.flatnonzero(~((np.abs(norms - 1) < 0.01) | (norms == 0)))
    if len(wrong):
        found = f"{norms[wrong[0]]:.3g}"
        raise VprError(f"descriptors must be finite and of length 1, found {found}; nothing was added, normalize them")


def next_id(db: sqlite3.Connection) -> int:
    """Larger than any id that was ever given."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'places'").fetchone()
    return 1 if row is None else int(row[0]) + 1


def insert_places(db: sqlite3.Connection, change: TallyChange, places: Iterable[NewPlace]) -> None:
    """Inserts places, their thumbnails and their patches."""
    rows: list[PlaceRow] = []
    thumbnails, patches = [], []
    for place, frame, traverse, descriptor, jpeg, patch in places:
        rows.append(row_of(place, frame, traverse, descriptor, thumbnail=None if jpeg is None else zlib.crc32(jpeg)))
        if jpeg is not None:
            thumbnails.append((place, jpeg))
        if patch is not None:
            patches.append((place, patch, patches_checksum(place, patch)))
    db.executemany(_INSERT, rows)
    db.executemany("INSERT INTO thumbnails VALUES (?, ?)", thumbnails)
    db.executemany("INSERT INTO patches VALUES (?, ?, ?)", patches)
    change.places += len(rows)
    change.checksums += sum(row.checksum + row.words_checksum for row in rows)


def delete_places(db: sqlite3.Connection, change: TallyChange, ids: set[int]) -> tuple[list[int], set[int]]:
    """Returns the ids that existed, ascending, and the ids of their traverses."""
    rows = db.execute(
        "SELECT id, checksum + words_checksum, traverse FROM places WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps(sorted(ids)),),
    ).fetchall()
    db.executemany("DELETE FROM places WHERE id = ?", ((row[0],) for row in rows))
    change.places -= len(rows)
    change.checksums -= sum(row[1] for row in rows)
    change.alters = bool(rows)
    return [row[0] for row in rows], {row[2] for row in rows}


def update_poses(db: sqlite3.Connection, change: TallyChange, poses: Mapping[int, Pose]) -> None:
    """Replaces the poses of places. Raises VprError for an unknown id."""
    for place, pose in poses.items():
        place = int(place)
        query = "SELECT traverse, stamp, descriptor, checksum FROM places WHERE id = ?"
        row = db.execute(query, (place,)).fetchone() if abs(place) < ID_LIMIT else None
        if row is None:
            raise VprError(f"the map has no place {place}; no pose was changed")
        traverse, stamp, descriptor, old_checksum = row
        numbers = pose_numbers(pose)
        checksum = place_checksum(place, traverse, (stamp, *numbers), descriptor)
        columns = "x = ?, y = ?, z = ?, qx = ?, qy = ?, qz = ?, qw = ?, checksum = ?"
        db.execute(f"UPDATE places SET {columns} WHERE id = ?", (*numbers, checksum, place))
        change.checksums += checksum - old_checksum
    change.alters = bool(poses)
