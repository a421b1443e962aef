"""Search in the server: exact, with every condition of ``Where`` inside the query.

Near a pose, the index on the positions finds the places, and their descriptors are compared. Otherwise all are compared: whitened descriptors have
no clusters, so HNSW and lists lose matches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vpr_aesvc.fleet.connection import Db
from vpr_aesvc.fleet.places import ALIVE, HALVES, LATEST, NUMBERS, REVISED, StoredPlace, place_of
from vpr_aesvc.placemap.where import Where, traverse_id
from vpr_aesvc.projections.artifact import Array, prefix
from vpr_aesvc.types import Pose

_SPARE = (
    8  # results beyond k: the query is rounded to half precision there, which can swap neighbors at the end of the list
)
_RECENT = 1000  # places of a traverse read at once
# p: places, r: revised poses; {0} is the one whose position counts.
_NEAR = (
    "point({0}.x, {0}.y) <@ box(point(%(x)s - %(within)s, %(y)s - %(within)s), point(%(x)s + %(within)s, %(y)s + %(within)s)) AND "
    "({0}.x - %(x)s) * ({0}.x - %(x)s) + ({0}.y - %(y)s) * ({0}.y - %(y)s) <= %(within)s * %(within)s"
)


@dataclass(frozen=True)
class Scope:
    """What a search is in.

    Attributes:
        map: id. dim: of the descriptors. traverses: ids by name.
        in_frame: ids of those whose poses are in the frame of the query.
    """

    map: int
    dim: int
    traverses: dict[str, int]
    in_frame: list[int]


def nearest(
    db: Db, scope: Scope, query: Array, k: int, size: int, where: Where | None
) -> list[tuple[StoredPlace, float]]:
    """The ``k`` most similar places of a query, float32 [d_max], and their cosines, most similar first."""
    conditions, values = _conditions(db, scope, where)
    # For descriptors of unit norm the inner product, which pgvector computes without norms, ranks as the cosine.
    distance = "p.descriptor <#> %(query)s::halfvec"
    if size < scope.dim:  # a prefix of zeros has no cosine
        distance = f"coalesce(nullif(subvector(p.descriptor, 1, {size})::halfvec <=> %(query)s::halfvec, 'NaN'), 1)"
    values["query"] = f"[{','.join(map(str, query[:size]))}]"
    sources, spare = [f"vpr.places p WHERE p.map = {scope.map}"], ["tombstones"]
    if where is not None and where.within is not None and where.pose is not None:
        sources, spare = near(scope, where.pose, where.within, values), ["tombstones", "poses"]
    # Removed places and outdated poses are few: they are left out of the best ones, not of all.
    parts = [
        " AND ".join([f"SELECT p.id, {distance} AS distance, {at} AS revised FROM {source}", *conditions])
        for at, source in enumerate(sources)
    ]
    limit = " + ".join(
        [str(k + _SPARE), *(f"(SELECT count(*) FROM vpr.{one} WHERE map = {scope.map})" for one in spare)]
    )
    rows = db.cursor(binary=True).execute(
        f"SELECT p.id, p.traverse, p.local, p.label, p.path, p.extra, {HALVES}, {NUMBERS} FROM "
        f"(SELECT * FROM ({' UNION ALL '.join(parts)}) f ORDER BY distance LIMIT {limit}) f "
        f"JOIN vpr.places p ON p.map = {scope.map} AND p.id = f.id {REVISED} "
        f"WHERE {ALIVE} AND (f.revised = 1 OR r.place IS NULL OR {len(sources)} = 1) ORDER BY f.distance LIMIT {k + _SPARE}",
        values,
    )
    places = sorted(map(place_of, rows), key=lambda place: place.id)
    if not places:
        return []
    cosines = prefix(np.stack([place.descriptor for place in places]), size) @ prefix(query[None], size)[0]
    return [(places[at], float(cosines[at])) for at in np.argsort(-cosines, kind="stable")[:k]]


def near(scope: Scope, pose: Pose, within: float, values: dict[str, Any], name: str = "") -> list[str]:
    """FROM and WHERE of the places ``p`` within some meters: by their first poses, some of which may have been revised; and by revised poses.

    Args:
        values: gets the parameters. name: tells them from those of another call.
    """
    values |= {f"x{name}": float(pose.x), f"y{name}": float(pose.y), f"within{name}": float(within)}
    condition = _NEAR
    if len(scope.in_frame) < len(scope.traverses):
        condition += " AND p.traverse = ANY(%(frame)s)"
        values[f"frame{name}"] = scope.in_frame
    condition = condition.replace(")s", f"{name})s")
    return [
        f"vpr.places p WHERE p.map = {scope.map} AND {condition.format('p')}",
        f"vpr.poses r JOIN vpr.places p ON p.map = {scope.map} AND p.id = r.place "
        f"WHERE r.map = {scope.map} AND {LATEST} AND {condition.format('r')}",
    ]


def _conditions(db: Db, scope: Scope, where: Where | None) -> tuple[list[str], dict[str, Any]]:
    """SQL for the places ``p`` that a search may return, but for ``within``, and its parameters."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    if where is None:
        return conditions, values
    if where.recent_seconds is not None:
        conditions.append("coalesce(abs(p.stamp - %(stamp)s) >= %(seconds)s, true)")
        values |= {"stamp": float(where.stamp or 0), "seconds": float(where.recent_seconds)}
    if where.recent_places:
        last = (
            f"SELECT p.id FROM vpr.places p WHERE p.map = {scope.map} AND {ALIVE} ORDER BY p.id DESC LIMIT %(places)s"
        )
        conditions.append(f"p.id < (SELECT min(id) FROM ({last}) last)")
        values["places"] = int(where.recent_places)
    if where.without_traverses:
        conditions.append("p.traverse <> ALL(%(without)s)")
        values["without"] = [traverse_id(name, scope.traverses) for name in where.without_traverses]
    if where.beyond is not None and where.pose is not None:
        first, revised = (one.replace("<= %(w", "< %(w") for one in near(scope, where.pose, where.beyond, values, "_b"))
        outdated = "EXISTS (SELECT FROM vpr.poses r WHERE r.place = p.id)"
        conditions.append(
            f"p.id NOT IN (SELECT p.id FROM {first} AND NOT {outdated} UNION ALL SELECT p.id FROM {revised})"
        )
    if where.recent_meters is not None:
        conditions.append("p.id <> ALL(%(recent)s)")
        values["recent"] = _recently_driven(db, scope, where, where.recent_meters)
    return conditions, values


def _recently_driven(db: Db, scope: Scope, where: Where, meters: float) -> list[int]:
    """Ids of the places of the traverse that were passed last, from its end backwards."""
    if where.traverse is not None:
        traverse: int | None = traverse_id(where.traverse, scope.traverses)
    else:
        query = f"SELECT p.traverse FROM vpr.places p WHERE p.map = {scope.map} AND {ALIVE} ORDER BY p.id DESC LIMIT 1"
        traverse = (db.execute(query).fetchone() or (None,))[0]
    last, back = 2**62, 0.0
    ids: list[int] = []
    here = None if where.pose is None else np.array([where.pose.x, where.pose.y])
    query = (
        f"SELECT p.id, {NUMBERS} FROM vpr.places p {REVISED} WHERE p.map = {scope.map} AND p.traverse = %s AND p.id <= %s AND p.id BETWEEN "
        "(SELECT min(first) FROM vpr.changes WHERE traverse = %s) AND (SELECT max(last) FROM vpr.changes WHERE traverse = %s) "
        f"AND coalesce(r.x, p.x) IS NOT NULL AND {ALIVE} ORDER BY p.id DESC LIMIT {_RECENT}"
    )
    while traverse in scope.in_frame and (rows := db.execute(query, [traverse, last, traverse, traverse]).fetchall()):
        for place, _, x, y, *_ in rows:
            back += 0.0 if here is None else float(np.hypot(x - here[0], y - here[1]))
            if back >= meters:
                return ids
            ids.append(place)
            here = np.array([x, y])
        last = rows[-1][0] - 1
    return ids
