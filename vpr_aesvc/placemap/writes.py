"""What writes to a map, each within a transaction that keeps the tally true."""

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
from vpr_aesvc.placemap import learned, rows, store
from vpr_aesvc.types import Frame, Pose

_INSERT = (
    f"INSERT INTO places (id, traverse, {rows.NUMBERS}, descriptor, checksum, label, path, extra, thumbnail, words_checksum) "
    f"VALUES ({', '.join('?' * 17)})"
)


@dataclass
class Change:
    """What a transaction does to the tally: how many more places, by how much the sum of their checksums rises, and whether
    places that were there are gone or altered."""

    places: int = 0
    checksums: int = 0
    alters: bool = False


@contextmanager
def changing(db: sqlite3.Connection) -> Iterator[Change]:
    """A transaction. What the block notes in the change is brought into the tally with it.

    Raises:
        sqlite3.Error: the disk refuses; nothing was changed.
    """
    with store.transaction(db):
        change = Change()
        yield change
        if change.alters:
            learned.forget(db)
        places, checksums, alterations = store.read_tally(db)
        store.write_tally(db, places + change.places, checksums + change.checksums, alterations + int(change.alters))


def check_descriptors(descriptors: NDArray[np.floating], count: int, dim: int) -> None:
    """Refuses what a map cannot hold.

    Raises:
        VprError: they are not [count, dim], not finite, or neither unit norm nor zero, as an image without anything in it may give.
    """
    if descriptors.shape != (count, dim):
        raise VprError(f"expected descriptors of shape ({count}, {dim}), found {descriptors.shape}")
    norms = np.linalg.norm(descriptors.astype(np.float32), axis=1)
    wrong = np.flatnonzero(~((np.abs(norms - 1) < 0.01) | (norms == 0)))
    if len(wrong):
        raise VprError(f"descriptors must be finite and of length 1, found {norms[wrong[0]]:.3g}; nothing was added")


def next_id(db: sqlite3.Connection) -> int:
    """The id of the next place: larger than any that was ever given."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'places'").fetchone()
    return 1 if found is None else int(found[0]) + 1


def insert(
    db: sqlite3.Connection,
    change: Change,
    place: int,
    frame: Frame,
    traverse: int,
    descriptor: bytes,
    jpeg: bytes | None,
) -> None:
    """A place and its thumbnail. ``descriptor``: float16 [d_max], little-endian."""
    numbers, extra = rows.numbers_of(frame), rows.extra_of(frame)
    path = None if frame.path is None else rows.text(str(frame.path.resolve()))
    label = rows.text(frame.label)
    crc = None if jpeg is None else zlib.crc32(jpeg)
    check = rows.checksum(place, traverse, numbers, descriptor)
    words = rows.words_checksum(place, label, path, extra, crc)
    db.execute(_INSERT, (place, traverse, *numbers, descriptor, check, label, path, extra, crc, words))
    if jpeg is not None:
        db.execute("INSERT INTO thumbnails VALUES (?, ?)", (place, jpeg))
    change.places += 1
    change.checksums += check + words


def remove(db: sqlite3.Connection, change: Change, ids: set[int]) -> tuple[list[int], set[int]]:
    """The ids of the places that were there, rising, and the ids of their traverses."""
    found = db.execute(
        "SELECT id, checksum + words_checksum, traverse FROM places WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps(sorted(ids)),),
    ).fetchall()
    db.executemany("DELETE FROM places WHERE id = ?", ((row[0],) for row in found))
    change.places -= len(found)
    change.checksums -= sum(row[1] for row in found)
    change.alters = bool(found)
    return [row[0] for row in found], {row[2] for row in found}


def set_poses(db: sqlite3.Connection, change: Change, poses: Mapping[int, Pose]) -> None:
    """Other poses for places.

    Raises:
        VprError: one of the ids is not there.
    """
    for place, pose in poses.items():
        place = int(place)
        known = abs(place) < rows.TOO_LARGE
        query = "SELECT traverse, stamp, descriptor, checksum FROM places WHERE id = ?"
        row = db.execute(query, (place,)).fetchone() if known else None
        if row is None:
            raise VprError(f"the map has no place {place}; no pose was changed")
        numbers = (row[1], *rows.pose_numbers(pose))
        check = rows.checksum(place, row[0], numbers, row[2])
        db.execute(
            "UPDATE places SET x = ?, y = ?, z = ?, qx = ?, qy = ?, qz = ?, qw = ?, checksum = ? WHERE id = ?",
            (*numbers[1:], check, place),
        )
        change.checksums += check - row[3]
    change.alters = bool(poses)
