"""INSERT, UPDATE and DELETE of places, within a transaction that updates the tally."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.checksums import place_checksum, read_tally, write_tally
from vpr_aesvc.placemap.database import transaction
from vpr_aesvc.placemap.place_row import COLUMNS, ID_LIMIT, pose_numbers, row_of
from vpr_aesvc.types import Frame, Pose

_INSERT = f"INSERT INTO places ({COLUMNS}) VALUES ({', '.join('?' * 17)})"


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
    """Refuses descriptors that a map cannot store.

    Raises:
        VprError: not of shape [count, dim], not finite, or neither of unit norm nor zero (a blank image may give zero).
    """
    if descriptors.shape != (count, dim):
        raise VprError(f"expected descriptors of shape ({count}, {dim}), found {descriptors.shape}; nothing was added")
    norms = np.linalg.norm(descriptors.astype(np.float32), axis=1)
    wrong = np.flatnonzero(~((np.abs(norms - 1) < 0.01) | (norms == 0)))
    if len(wrong):
        raise VprError(
            f"descriptors must be finite and of length 1, found length {norms[wrong[0]]:.3g}; nothing was added, normalize them"
        )


def next_id(db: sqlite3.Connection) -> int:
    """Larger than any id that was ever given."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'places'").fetchone()
    return 1 if row is None else int(row[0]) + 1


def insert_place(
    db: sqlite3.Connection,
    change: TallyChange,
    place: int,
    frame: Frame,
    traverse: int,
    descriptor: bytes,
    jpeg: bytes | None,
) -> None:
    """Inserts a place and its thumbnail. ``descriptor``: float16 [d_max], little-endian."""
    row = row_of(place, frame, traverse, descriptor, thumbnail=None if jpeg is None else zlib.crc32(jpeg))
    db.execute(_INSERT, row)
    if jpeg is not None:
        db.execute("INSERT INTO thumbnails VALUES (?, ?)", (place, jpeg))
    change.places += 1
    change.checksums += row.checksum + row.words_checksum


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
        db.execute(
            "UPDATE places SET x = ?, y = ?, z = ?, qx = ?, qy = ?, qz = ?, qw = ?, checksum = ? WHERE id = ?",
            (*numbers, checksum, place),
        )
        change.checksums += checksum - old_checksum
    change.alters = bool(poses)
