"""All descriptors of a map, some thousand at a time, each checked against its checksum."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import rows, store

DESCRIPTOR = np.dtype("<f2")
_BATCH = 8192
_KEY = np.dtype([("id", "<i8"), ("traverse", "<i8"), ("numbers", "<f8", 8)])  # what rows.checksum packs
_SELECT = (
    f"SELECT id, traverse, {rows.NUMBERS}, checksum, words_checksum, descriptor FROM places WHERE id > ? ORDER BY id"
)
Batch = tuple[NDArray[Any], NDArray[np.float16], int]


def scan(path: Path, db: sqlite3.Connection, dim: int, after: int = -1) -> Iterator[Batch]:
    """Places with ids above ``after``, by id.

    Yields:
        keys [n] with the fields ``id``, ``traverse`` and ``numbers`` [8], which are :data:`rows.NUMBERS`, NaN where unknown;
        descriptors float16 [n, d_max]; and the sum of all their checksums.

    Raises:
        VprError: a place is damaged.
        sqlite3.Error: the file is.
    """
    found = db.execute(_SELECT, (after,))
    while batch := found.fetchmany(_BATCH):
        key = np.empty(len(batch), _KEY)
        try:
            key["id"] = [row[0] for row in batch]
            key["traverse"] = [row[1] for row in batch]
            key["numbers"] = np.array([row[2:10] for row in batch], np.float64)  # None becomes NaN
            checksums = sum(row[10] + row[11] for row in batch)
        except (TypeError, ValueError, OverflowError) as error:
            raise VprError(store.damage(path, "a stamp, a pose or a checksum is not a number")) from error
        yield key, _checked(path, dim, key, batch), checksums


def descriptors(path: Path, db: sqlite3.Connection, dim: int) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """All ids int64 [n] and descriptors float16 [n, d_max].

    Raises:
        VprError: a place is damaged or missing.
        sqlite3.Error: the file is.
    """
    keys: list[NDArray[Any]] = [np.empty(0, np.int64)]
    data: list[NDArray[np.float16]] = [np.empty((0, dim), DESCRIPTOR)]
    total = 0
    for key, batch, checksums in scan(path, db, dim):
        keys.append(key["id"])
        data.append(batch)
        total += checksums
    ids = np.concatenate(keys)
    if (len(ids), total) != store.read_tally(db)[:2]:
        raise VprError(store.damage(path, "places are missing"))
    return ids, np.concatenate(data)


def _checked(path: Path, dim: int, key: NDArray[Any], batch: list[Any]) -> NDArray[np.float16]:
    heads, length, size = key.tobytes(), _KEY.itemsize, dim * DESCRIPTOR.itemsize
    for at, row in enumerate(batch):
        blob = row[12]
        if not isinstance(blob, bytes) or len(blob) != size:
            raise VprError(store.damage(path, f"place {row[0]} has no descriptor of {size} bytes"))
        if zlib.crc32(blob, zlib.crc32(heads[at * length : (at + 1) * length])) != row[10]:
            raise VprError(store.damage(path, f"place {row[0]} does not match its checksum"))
    data = np.frombuffer(b"".join(row[12] for row in batch), DESCRIPTOR).reshape(len(batch), dim)
    if not np.isfinite(data).all():
        raise VprError(store.damage(path, "a descriptor holds numbers that are not finite"))
    return data
