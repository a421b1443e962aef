"""The fleet's map, or a part of it, to a robot's: a ``.vprmap`` that answers offline as the fleet does. Done again, it brings what changed since."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from vpr_aesvc.errors import VprError
from vpr_aesvc.fleet import FLEET_ID
from vpr_aesvc.fleet import places as rows
from vpr_aesvc.fleet.arrays import horizon_of
from vpr_aesvc.fleet.connection import Db
from vpr_aesvc.fleet.fleet_map import FleetMap
from vpr_aesvc.fleet.push import Changed, send_cameras
from vpr_aesvc.fleet.search import near
from vpr_aesvc.placemap.copies import frame_of
from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.types import Frame, Pose, Progress

_STATE = "fleet"  # key of the map's metadata
_SINCE = "map = %(map)s AND xid >= %(since)s::text::xid8"


_Read = tuple[list[Any], dict[int, bytes], dict[int, bytes]]  # rows, thumbnails and patches


class Area(NamedTuple):
    """Places within some meters of a point."""

    x: float
    y: float
    within: float


class _Traverse(NamedTuple):
    """A row of ``vpr.traverses``."""

    id: int
    robot: str
    source: str
    name: str
    frame: str
    started: float | None
    notes: str | None


def pull(
    fleet: FleetMap,
    place_map: PlaceMap,
    area: Area | None = None,
    progress: Progress | None = None,
    batch: int | None = None,
) -> Changed:
    """Brings a robot's map up to date with the fleet's, but for the robot's own places. All are in one frame.

    Args:
        area: only the places in it; those that were pulled before stay.
        progress: called with (places done, places that the map lacked).
        batch: places added in one transaction, by default ``rows.BATCH``; other writers of the map wait for it.

    Raises:
        VprError: the map is of another model, the frame is ambiguous, the disk or the server refuses. What was pulled until then stays.
    """
    if area is not None and not (all(map(math.isfinite, area)) and area.within > 0):
        raise VprError(f"an area needs a point and a distance above 0, found {tuple(area)}")
    if place_map.model_family != fleet.model_family:
        raise VprError(
            f"{place_map.path}: was made with model {place_map.model_family}, {fleet.path} with {fleet.model_family}; pull into a new map"
        )
    place_map.require_same_size(fleet)
    scope = [str(fleet.path), fleet.id, area and list(area)]
    stored = json.loads(place_map.meta.get(_STATE, "{}"))
    with fleet.connection.transaction(reading=True) as db:
        horizon = horizon_of(db)
        since = int(stored["horizon"]) if stored.get("scope") == scope else 0
        since = since if since <= horizon else 0  # a database that was restored elsewhere counts from the start
        query = f"SELECT {', '.join(_Traverse._fields)} FROM vpr.traverses WHERE map = %s AND source <> %s"
        traverses = {row[0]: _Traverse(*row) for row in db.execute(query, [fleet.map_id, place_map.id])}
        uids = {
            number: _uid(fleet, traverses[traverse], place)
            for number, traverse, place in _changed(db, fleet, area, since, traverses)
        }
        values = {"map": fleet.map_id, "since": str(since)}
        query = (
            "SELECT p.traverse, p.local FROM vpr.tombstones t JOIN vpr.places p ON p.map = %(map)s AND p.id = t.place "
            f"WHERE t.{_SINCE}"
        )
        gone = [_uid(fleet, traverses[row[0]], row[1]) for row in db.execute(query, values) if row[0] in traverses]
        query = (
            "SELECT p.traverse, p.local, r.x, r.y, r.z, r.qx, r.qy, r.qz, r.qw FROM vpr.poses r "
            f"JOIN vpr.places p ON p.map = %(map)s AND p.id = r.place WHERE r.{_SINCE} AND {rows.LATEST}"
        )
        revised = {
            _uid(fleet, traverses[row[0]], row[1]): Pose(*row[2:])
            for row in db.execute(query, values)
            if row[0] in traverses
        }
    local: dict[str, tuple[int, Pose | None]] = {}
    if uids or gone or revised:
        places = place_map.places().values()
        local = {one.extra[FLEET_ID]: (one.id, one.pose) for one in places if FLEET_ID in one.extra}
    new = {number: uid for number, uid in uids.items() if uid not in local}
    _add(fleet, place_map, new, traverses, progress, batch or rows.BATCH)
    there = place_map.traverses()
    names = {one.name: _local_name(fleet, one) for one in traverses.values()}
    send_cameras(fleet, place_map, {name: own for name, own in names.items() if own in there})
    moved = {local[uid][0]: pose for uid, pose in revised.items() if uid in local and local[uid][1] != pose}
    place_map.set_poses(moved)
    removed = place_map.remove(local[uid][0] for uid in gone if uid in local)
    place_map.store_metadata(_STATE, json.dumps({"scope": scope, "horizon": str(horizon)}))
    return Changed(len(new), removed, len(moved))


def _uid(fleet: FleetMap, traverse: _Traverse, local: int) -> str:
    """A place that was added to the fleet's map directly has no robot."""
    return str(rows.place_uid("" if traverse.source == fleet.id else traverse.robot, traverse.source, local))


def _local_name(fleet: FleetMap, traverse: _Traverse) -> str:
    """Its name in the robot's map. Those of robots are ROBOT/NAME, so they differ from the robot's own."""
    return f"{fleet.connection.address.map}/{traverse.name}" if traverse.source == fleet.id else traverse.name


def _changed(
    db: Db, fleet: FleetMap, area: Area | None, since: int, traverses: dict[int, _Traverse]
) -> list[tuple[int, int, int]]:
    """Id, traverse and id in its map of the places in the frame and the area that were added, or got other poses, since."""
    scope = fleet.scope(db, needs_frame=True)
    values: dict[str, Any] = {"map": fleet.map_id, "since": str(since)}
    values["traverses"] = [one.id for one in traverses.values() if one.frame == scope.frame]
    if area is None:
        parts = [f"vpr.places p WHERE p.map = {fleet.map_id}"]
    else:
        parts = near(scope, Pose(area.x, area.y), area.within, values)
        parts[0] += f" AND {rows.UNREVISED}"
    if since:
        query = f"SELECT first, last FROM vpr.changes WHERE count > 0 AND {_SINCE} ORDER BY first"
        values |= {"firsts": [], "lasts": []}
        for first, last in db.execute(query, values).fetchall():  # ranges that do not overlap
            values["firsts"].append(max([first, *(one + 1 for one in values["lasts"][-1:])]))
            values["lasts"].append(max([last, *values["lasts"][-1:]]))
        recent = (
            "SELECT q.id FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS f (first, last) JOIN vpr.places q "
            f"ON q.map = %(map)s AND q.id BETWEEN f.first AND f.last UNION SELECT place FROM vpr.poses WHERE {_SINCE}"
        )
        parts = [f"{part} AND p.id IN ({recent})" for part in parts]
    return [
        row
        for part in parts
        for row in db.cursor(binary=True).execute(
            f"SELECT p.id, p.traverse, p.local FROM {part} AND p.traverse = ANY(%(traverses)s) AND {rows.ALIVE}", values
        )
    ]


def _add(
    fleet: FleetMap,
    place_map: PlaceMap,
    uids: dict[int, str],
    traverses: dict[int, _Traverse],
    progress: Progress | None,
    batch: int,
) -> None:
    """Adds the places of the ids, by ascending id."""
    has_patches = fleet.patch_projection is not None and fleet.patch_projection == place_map.patch_projection

    def read(part: list[int]) -> _Read:
        with fleet.connection.transaction(reading=True) as db:
            (found,) = rows.select_rows(db, fleet.map_id, part)
            thumbnails = rows.select_blobs(db, "thumbnails", part)
            return found, thumbnails, rows.select_blobs(db, "patches", part) if has_patches else {}

    names: dict[int, str] = {}
    ids = sorted(uids)
    done = 0
    for found, jpegs, patches in _ahead(read, [ids[start : start + batch] for start in range(0, len(ids), batch)]):
        frames: list[Frame] = []
        for row in found:
            if row[1] not in names:
                traverse = traverses[row[1]]
                names[traverse.id] = _local_name(fleet, traverse)
                place_map.start_traverse(names[traverse.id], traverse.started, traverse.robot or None, traverse.notes)
            frames.append(frame_of(rows.place_of(row, names[row[1]]), **{FLEET_ID: uids[row[0]]}))
        if found:  # else all were removed meanwhile
            numbers = [row[0] for row in found]
            halves = rows.halves_of([row[6] for row in found])
            place_map.add_stored(frames, halves, map(jpegs.get, numbers), patches=map(patches.get, numbers))
        done = min(done + batch, len(ids))
        if progress:
            progress(done, len(ids))


def _ahead(read: Callable[[list[int]], _Read], parts: list[list[int]]) -> Iterator[_Read]:
    """What is read of each part, and meanwhile the next one: the server works while the map is written."""
    with ThreadPoolExecutor(1) as executor:
        reading: Future[_Read] | None = None
        for part in parts:
            was, reading = reading, executor.submit(read, part)
            if was is not None:
                yield was.result()
        if reading is not None:
            yield reading.result()
