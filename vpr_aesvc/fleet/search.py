"""Search in the server: exact, with every condition of ``Where`` inside the query.

Near a pose, the index on the positions finds the places, and their descriptors are compared. Otherwise all are compared: whitened descriptors have
no clusters, so HNSW and lists lose matches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pgvector import HalfVector

from vpr_aesvc.fleet.connection import Db
from vpr_aesvc.fleet.places import ALIVE, HALVES, LATEST, NOT_REVISED, NUMBERS, REVISED, UNREVISED, halves_of, place_of
from vpr_aesvc.placemap.where import Where, traverse_id
from vpr_aesvc.projections.artifact import Array, prefix
from vpr_aesvc.types import Match, Pose

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
        map: id. dim: of the descriptors. frame: of the query's pose; None if it is not known.
        traverses: names and frames by id. has_revised: whether there are poses that were revised. has_removed: removed places.
    """

    map: int
    dim: int
    frame: str | None
    traverses: Mapping[int, tuple[str, str]]
    has_revised: bool
    has_removed: bool

    @property
    def frames(self) -> list[str]:
        return sorted({frame for _, frame in self.traverses.values()})

    @property
    def alive(self) -> str:
        """SQL for the places ``p`` that were not removed."""
        return ALIVE if self.has_removed else "true"

    @property
    def in_frame(self) -> str:
        """SQL for the places ``p`` whose poses are in the frame."""
        own = f"SELECT id FROM vpr.traverses WHERE map = {self.map} AND frame = %(frame)s"
        return "true" if self.frames in ([], [self.frame]) else f"p.traverse IN ({own})"


def nearest(
    db: Db,
    scope: Scope,
    query: Array,
    k: int,
    size: int,
    where: Where | None,
    among: tuple[list[int], int] | None = None,
) -> list[Match] | None:
    """The ``k`` most similar places of a query, float32 [d_max], most similar first. None if the matches show that ``scope`` is out of date: the
    statement reads it, too, so that a search with a known scope is one round trip.

    Args:
        among: only places with one of some ids, or from an id on.
    """
    conditions, values = _conditions(db, scope, where)
    if among is not None:
        conditions.append("(p.id = ANY(%(ids)s) OR p.id >= %(first)s)")
        values |= {"ids": among[0], "first": among[1]}
    # For descriptors of unit norm the inner product, which pgvector computes without norms, ranks as the cosine.
    distance = "p.descriptor <#> %(query)s::halfvec"
    if size < scope.dim:  # a prefix of zeros has no cosine
        distance = f"coalesce(nullif(subvector(p.descriptor, 1, {size})::halfvec <=> %(query)s::halfvec, 'NaN'), 1)"
    unit_query = prefix(query[None], size)[0]
    values["query"] = HalfVector(unit_query.astype(np.float16))
    sources, few = [f"vpr.places p WHERE p.map = {scope.map}"], among is not None
    if where is not None and where.within is not None and where.pose is not None:
        sources, few = near(scope, where.pose, where.within, values), True
    parts = [
        " AND ".join(
            [f"SELECT {'p.*' if few else 'p.id'}, {distance} AS distance, {at} AS revised FROM {source}", *conditions]
        )
        for at, source in enumerate(sources)
    ]
    # Removed places and outdated poses are few: they are left out of the best ones, not of all.
    spare = ["tombstones"] * scope.has_removed + ["poses"] * (len(sources) > 1)
    limit = " + ".join(
        [str(k + _SPARE), *(f"(SELECT count(*) FROM vpr.{one} WHERE map = {scope.map})" for one in spare)]
    )
    best = f"(SELECT * FROM ({' UNION ALL '.join(parts)}) f ORDER BY distance LIMIT {limit})"
    # To sort few whole rows is faster than to read the best ones again; to sort all of a map is slower.
    best += " p" if few else f" f JOIN vpr.places p ON p.map = {scope.map} AND p.id = f.id"
    revised = REVISED if scope.has_revised else NOT_REVISED
    has = ", ".join(f"EXISTS (SELECT FROM vpr.{one} WHERE map = {scope.map})" for one in ("poses", "tombstones"))
    rows = db.cursor(binary=True).execute(
        f"SELECT p.id, p.traverse, p.local, p.label, p.path, p.extra, {HALVES}, {NUMBERS}, {has} "
        f"FROM {best} {revised} WHERE {scope.alive} AND (revised = 1 OR r.place IS NULL OR {len(sources)} = 1) "
        f"ORDER BY distance LIMIT {k + _SPARE}",
        values,
    )
    found = sorted(rows.fetchall(), key=lambda row: row[0])  # equal ones in the order of adding
    if not found:
        return []
    seen = (scope.has_revised, scope.has_removed)
    if not all(row[1] in scope.traverses and row[-2:] == seen for row in found):
        return None
    cosines = prefix(halves_of([row[6] for row in found]), size) @ unit_query
    matches = []
    for at in np.argsort(-cosines, kind="stable")[:k]:
        name, frame = scope.traverses[found[at][1]]
        matches.append(Match(place_of(found[at][:-2], name, frame == scope.frame), float(cosines[at])))
    return matches


def near(scope: Scope, pose: Pose, within: float, values: dict[str, Any], name: str = "") -> list[str]:
    """FROM and WHERE of the places ``p`` within some meters: by their first poses, some of which may have been revised; and by revised poses, if
    there are any.

    Args:
        values: gets the parameters. name: tells them from those of another call.
    """
    values |= {
        f"x{name}": float(pose.x),
        f"y{name}": float(pose.y),
        f"within{name}": float(within),
        "frame": scope.frame,
    }
    condition = _NEAR.replace(")s", f"{name})s")
    first = f"vpr.places p WHERE p.map = {scope.map} AND {condition.format('p')} AND {scope.in_frame}"
    revised = (
        f"vpr.poses r JOIN vpr.places p ON p.map = {scope.map} AND p.id = r.place "
        f"WHERE r.map = {scope.map} AND {LATEST} AND {condition.format('r')} AND {scope.in_frame}"
    )
    return [first, revised] if scope.has_revised else [first]


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
    names: dict[str, int] = {}
    if where.without_traverses or where.traverse is not None:
        names = dict(
            db.execute("SELECT name, id FROM vpr.traverses WHERE map = %s ORDER BY id", [scope.map]).fetchall()
        )
    if where.without_traverses:
        conditions.append("p.traverse <> ALL(%(without)s)")
        values["without"] = [traverse_id(name, names) for name in where.without_traverses]
    if where.beyond is not None and where.pose is not None:
        inside = [one.replace("<= %(w", "< %(w") for one in near(scope, where.pose, where.beyond, values, "_b")]
        inside[0] += f" AND {UNREVISED}"
        conditions.append(f"p.id NOT IN ({' UNION ALL '.join(f'SELECT p.id FROM {one}' for one in inside)})")
    if where.recent_meters is not None:
        conditions.append("p.id <> ALL(%(recent)s)")
        traverse = None if where.traverse is None else traverse_id(where.traverse, names)
        values["recent"] = _recently_driven(db, scope, traverse, where.pose, where.recent_meters)
    return conditions, values


def _recently_driven(db: Db, scope: Scope, traverse: int | None, pose: Pose | None, meters: float) -> list[int]:
    """Ids of the places of a traverse that were passed last, from its end backwards. By default of the place added last."""
    if traverse is None:
        query = f"SELECT p.traverse FROM vpr.places p WHERE p.map = {scope.map} AND {ALIVE} ORDER BY p.id DESC LIMIT 1"
        traverse = (db.execute(query).fetchone() or (None,))[0]
    values: dict[str, Any] = {"traverse": traverse, "last": 2**62, "frame": scope.frame}
    back, here = 0.0, None if pose is None else np.array([pose.x, pose.y])
    ids: list[int] = []
    query = (
        f"SELECT p.id, {NUMBERS} FROM vpr.places p {REVISED} WHERE p.map = {scope.map} AND p.traverse = %(traverse)s AND p.id <= %(last)s "
        "AND p.id BETWEEN (SELECT min(first) FROM vpr.changes WHERE traverse = %(traverse)s) "
        "AND (SELECT max(last) FROM vpr.changes WHERE traverse = %(traverse)s) "
        f"AND coalesce(r.x, p.x) IS NOT NULL AND {ALIVE} AND {scope.in_frame} ORDER BY p.id DESC LIMIT {_RECENT}"
    )
    while rows := db.execute(query, values).fetchall():
        for place, _, x, y, *_ in rows:
            back += 0.0 if here is None else float(np.hypot(x - here[0], y - here[1]))
            if back >= meters:
                return ids
            ids.append(place)
            here = np.array([x, y])
        values["last"] = rows[-1][0] - 1
    return ids
