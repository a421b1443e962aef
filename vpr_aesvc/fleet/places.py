"""The rows of ``vpr.places``: writing by COPY, reading by id. A pose is that of the last revision."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from vpr_aesvc.fleet.connection import Db
from vpr_aesvc.placemap.place_table import DESCRIPTOR, Batch
from vpr_aesvc.types import Place, Pose

BATCH = 2048  # places read, or written in one transaction
ALIVE = "NOT EXISTS (SELECT FROM vpr.tombstones t WHERE t.place = p.id)"
LATEST = "NOT EXISTS (SELECT FROM vpr.poses later WHERE later.place = r.place AND later.revision > r.revision)"
_POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")
NUMBERS = ", ".join(["p.stamp", *(f"coalesce(r.{one}, p.{one})" for one in _POSE)])
REVISED = "LEFT JOIN LATERAL (SELECT * FROM vpr.poses r WHERE r.place = p.id ORDER BY revision DESC LIMIT 1) r ON true"
UNREVISED = "NOT EXISTS (SELECT FROM vpr.poses r WHERE r.place = p.id)"
NOT_REVISED = f"CROSS JOIN (SELECT NULL::bigint AS place, {', '.join(f'NULL::float8 AS {one}' for one in _POSE)}) r"
HALVES = "halfvec_send(p.descriptor)"
_COLUMNS = f"id, stamp, {', '.join(_POSE)}, map, traverse, local, descriptor, label, path, extra"
_TYPES = ["int8", *["float8"] * 8, "int4", "int4", "int4", "halfvec", "text", "text", "text"]
_NAMESPACE = uuid.UUID("6c1d4a1e-5f0e-5a39-9c43-7e2f0b6d2a11")
Numbers = tuple[float | None, ...]
Words = tuple[str, str | None, str]


class StoredPlace(NamedTuple):
    """A place as stored. ``local``: its id in the robot's map. ``numbers``: stamp and pose, 8. ``words``: label, path and ``extra`` as JSON.
    ``descriptor``: float16 [d_max]."""

    id: int
    traverse: int
    local: int
    numbers: Numbers
    words: Words
    descriptor: NDArray[np.float16]
    jpeg: bytes | None = None
    patches: bytes | None = None


def place_uid(robot: str, source: str, local: int) -> uuid.UUID:
    """The id of a place in every fleet. ``source``: id of the robot's map. ``local``: of the place in it."""
    return uuid.uuid5(_NAMESPACE, f"{robot}\n{source}\n{local}")


def next_ids(db: Db, count: int) -> list[int]:
    """Ids for new places, ascending."""
    return [row[0] for row in db.execute("SELECT nextval('vpr.place_ids') FROM generate_series(1, %s)", [count])]


def insert_places(db: Db, map_id: int, places: Sequence[StoredPlace]) -> None:
    """Within a transaction. Raises psycopg's UniqueViolation if a place is there already."""
    register_vector(db)
    tables: list[tuple[str, list[str], list[tuple[Any, ...]]]] = [
        (
            f"vpr.places ({_COLUMNS})",
            _TYPES,
            [
                (
                    p.id,
                    *p.numbers,
                    map_id,
                    p.traverse,
                    p.local,
                    HalfVector(p.descriptor),
                    p.words[0],
                    p.words[1] or "",
                    p.words[2],
                )
                for p in places
            ],
        ),
        ("vpr.thumbnails", ["int8", "bytea"], [(one.id, one.jpeg) for one in places if one.jpeg is not None]),
        ("vpr.patches", ["int8", "bytea"], [(one.id, one.patches) for one in places if one.patches is not None]),
    ]
    for table, types, rows in tables:
        if rows:
            with db.cursor().copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(types)
                for row in rows:
                    copy.write_row(row)
    for traverse in {one.traverse for one in places}:
        ids = [one.id for one in places if one.traverse == traverse]
        query = "INSERT INTO vpr.changes (map, traverse, count, first, last) VALUES (%s, %s, %s, %s, %s)"
        db.execute(query, [map_id, traverse, len(ids), min(ids), max(ids)])


def remove_places(db: Db, map_id: int, ids: Sequence[int]) -> int:
    """Within a transaction. Returns how many were there."""
    query = f"""
        WITH gone AS (
            INSERT INTO vpr.tombstones (place, map)
            SELECT p.id, p.map FROM vpr.places p WHERE p.map = {map_id} AND p.id = ANY(%s) AND {ALIVE}
            ON CONFLICT DO NOTHING RETURNING place
        ), logged AS (
            INSERT INTO vpr.changes (map, traverse, count)
            SELECT p.map, p.traverse, -count(*) FROM gone JOIN vpr.places p ON p.id = gone.place AND p.map = {map_id}
            GROUP BY p.map, p.traverse
        ) SELECT count(*) FROM gone"""
    return int(db.execute(query, [list(ids)]).fetchone()[0])


def select_ids(db: Db, map_id: int) -> NDArray[np.int64]:
    """Of all places, ascending."""
    rows = db.execute(f"SELECT p.id FROM vpr.places p WHERE p.map = {map_id} AND {ALIVE} ORDER BY p.id")
    return np.array([row[0] for row in rows], np.int64)


def existing(db: Db, map_id: int, ids: Sequence[int]) -> set[int]:
    """Those of the ids whose places are there."""
    query = f"SELECT p.id FROM vpr.places p WHERE p.map = {map_id} AND p.id = ANY(%s) AND {ALIVE}"
    return {row[0] for row in db.execute(query, [list(ids)])}


def select_rows(
    db: Db, map_id: int, ids: Sequence[int] | NDArray[np.int64], descriptors: bool = True
) -> Iterator[list[Any]]:
    """Places by ascending id, some at a time: id, traverse, local, label, path, extra, descriptor as ``halves_of`` reads it, stamp and pose.
    Removed and unknown ones are left out."""
    query = (
        f"SELECT p.id, p.traverse, p.local, p.label, p.path, p.extra, {HALVES if descriptors else 'NULL'}, {NUMBERS} "
        f"FROM vpr.places p {REVISED} WHERE p.map = {map_id} AND p.id = ANY(%s) AND {ALIVE} ORDER BY p.id"
    )
    for start in range(0, len(ids), BATCH):
        yield db.cursor(binary=True).execute(query, [[int(one) for one in ids[start : start + BATCH]]]).fetchall()


def place_of(row: Sequence[Any], traverse: str, in_frame: bool = True) -> Place:
    """Of a row of ``select_rows``, without its pose if that is in another frame."""
    pose = None if row[8] is None or not in_frame else Pose(*row[8:])
    return Place(row[0], row[3], traverse, row[4] or None, row[7], pose, json.loads(row[5]))


def halves_of(sent: Sequence[bytes]) -> NDArray[np.float16]:
    """Descriptors [n, dim] in PostgreSQL's binary form, each after its length."""
    return np.frombuffer(b"".join(sent), ">f2").reshape(len(sent), -1)[:, 2:].astype(DESCRIPTOR)


def select_batches(db: Db, map_id: int, ids: Sequence[int] | NDArray[np.int64], in_frame: list[int]) -> Iterator[Batch]:
    """As ``place_table.select_batches``, without checksums: PostgreSQL has its own. ``in_frame``: traverses whose poses count."""
    for rows in select_rows(db, map_id, ids):
        keys = np.empty(len(rows), np.dtype([("id", "<i8"), ("traverse", "<i8"), ("numbers", "<f8", 8)]))
        keys["id"] = [row[0] for row in rows]
        keys["traverse"] = [row[1] for row in rows]
        keys["numbers"] = np.array([row[7:] for row in rows], np.float64).reshape(-1, 8)  # None becomes NaN
        keys["numbers"][~np.isin(keys["traverse"], in_frame), 1:] = np.nan
        yield keys, halves_of([row[6] for row in rows]), 0


def select_blobs(db: Db, table: str, ids: Sequence[int]) -> dict[int, bytes]:
    """Rows of ``vpr.thumbnails`` or ``vpr.patches`` by place."""
    rows = db.cursor(binary=True).execute(f"SELECT * FROM vpr.{table} WHERE place = ANY(%s)", [list(ids)])
    return {row[0]: bytes(row[1]) for row in rows}
