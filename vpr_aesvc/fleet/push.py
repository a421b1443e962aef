"""A robot's map to the fleet's: places that the fleet lacks, places that were removed, poses that changed. Done again, it adds nothing; after an
interruption it goes on."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.fleet import FLEET_ID
from vpr_aesvc.fleet import places as rows
from vpr_aesvc.fleet.address import FleetAddress
from vpr_aesvc.fleet.connection import FleetConnection
from vpr_aesvc.fleet.fleet_map import FleetMap
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.placemap.place_row import encodable, pose_numbers
from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.placemap.traverses import Traverse
from vpr_aesvc.types import Place, Progress

_LOCK = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"  # another process may push for this robot at this moment


class Changed(NamedTuple):
    """How many places were added, removed and given another pose."""

    added: int
    removed: int
    moved: int


class _Known(NamedTuple):
    """A place of this robot's map in the fleet. ``pose``: the last one that the robot gave, 7 numbers, None where unknown."""

    id: int
    is_alive: bool
    pose: rows.Numbers


def fleet_map_for(url: str, place_map: PlaceMap) -> FleetMap:
    """The fleet's map for the places of a robot's map; made if the fleet has none of this name.

    Raises:
        VprError: the fleet's map is of another model family, or the server refuses.
    """
    connection = FleetConnection(FleetAddress.parse(url))
    connection.migrate()
    try:
        if not connection.families():
            return FleetMap.create(url, place_map.meta)
    except VprError:
        if not connection.families():  # else another robot has made it at this moment
            raise
    families = connection.families()
    connection.close()
    if place_map.model_family not in families:
        raise VprError(
            f"{connection.address.text}: holds places of model {', '.join(families)}, {place_map.path} was made with "
            f"{place_map.model_family}, whose descriptors cannot be compared with them; build it again with the fleet's model, or make a "
            "second map of this name from recordings with `vpr map build INPUT -m MODEL -o URL`"
        )
    fleet = FleetMap.open(url, family=place_map.model_family)
    try:
        fleet.require_same_size(place_map)
    except VprError:
        fleet.close()
        raise
    return fleet


def push(place_map: PlaceMap, fleet: FleetMap, robot: str, frame: str, progress: Progress | None = None) -> Changed:
    """Brings the fleet's map up to date with a robot's map.

    Args:
        robot: its name in the fleet. frame: of the poses of its map, such as ``map`` or ``utm32``.
        progress: called with (places done, places that the fleet lacked).

    Raises:
        VprError: the map is damaged, its traverses are in the fleet with another frame, or the server refuses. What was sent until then stays.
    """
    ids, descriptors = place_map.descriptors()
    places = {place: one for place, one in place_map.places().items() if FLEET_ID not in one.extra}
    known = _known(fleet, robot, place_map.id)
    missing = [place for place in places if place not in known]
    pictures, patches = fleet.connection.address.thumbnails, fleet.patch_projection == place_map.patch_projection
    traverses: dict[str, int] = {}
    added = 0
    for start in range(0, len(missing), rows.BATCH):
        part = missing[start : start + rows.BATCH]
        for name in dict.fromkeys(places[place].traverse for place in part if places[place].traverse not in traverses):
            traverses[name] = _traverse_id(fleet, place_map.traverses()[name], robot, place_map.id, frame)
        with fleet.connection.transaction() as db:
            db.execute(_LOCK, [fleet.map_id, robot])
            query = "SELECT local FROM vpr.places WHERE map = %s AND traverse = ANY(%s) AND local = ANY(%s)"
            there = {row[0] for row in db.execute(query, [fleet.map_id, list(traverses.values()), part])}
            new = [place for place in part if place not in there]
            stored = [
                rows.StoredPlace(
                    number,
                    traverses[places[place].traverse],
                    place,
                    (places[place].stamp, *_pose(places[place])),
                    (encodable(places[place].label), places[place].path, json.dumps(dict(places[place].extra))),
                    descriptors[np.searchsorted(ids, place)],
                    place_map.thumbnail_jpeg(place) if pictures else None,
                    place_map.patches(place) if patches else None,
                )
                for number, place in zip(rows.next_ids(db, len(new)), new, strict=True)
            ]
            rows.insert_places(db, fleet.map_id, stored)
        added += len(new)
        if progress:
            progress(start + len(part), len(missing))
    query = "SELECT local, name FROM vpr.traverses WHERE map = %s AND robot = %s AND source = %s"
    send_cameras(place_map, fleet, dict(fleet.connection.all(query, fleet.map_id, robot, place_map.id)))
    alive = {place: one for place, one in known.items() if one.is_alive}
    moved = {
        one.id: places[place].pose
        for place, one in alive.items()
        if place in places and _pose(places[place]) != one.pose
    }
    fleet.set_poses({number: pose for number, pose in moved.items() if pose is not None}, robot)
    return Changed(added, fleet.remove(one.id for place, one in alive.items() if place not in places), len(moved))


def send_cameras(source: OpenMap, target: OpenMap, names: dict[str, str]) -> None:
    """Stores the cameras that the target lacks or has otherwise. ``names``: of traverses in the target, by those in the source."""
    known = target.cameras()
    given = {(names[name], camera): one for (name, camera), one in source.cameras().items() if name in names}
    target.set_cameras({key: one for key, one in given.items() if known.get(key) != one}, replace=True)


def _pose(place: Place) -> rows.Numbers:
    return (None,) * 7 if place.pose is None else pose_numbers(place.pose)


def _known(fleet: FleetMap, robot: str, source: str) -> dict[int, _Known]:
    """The places of this robot's map that the fleet has or had, by id in the robot's map."""
    query = (
        f"SELECT p.local, p.id, {rows.ALIVE}, p.x, p.y, p.z, p.qx, p.qy, p.qz, p.qw FROM vpr.traverses t "
        f"JOIN vpr.changes c ON c.traverse = t.id AND c.count > 0 JOIN vpr.places p ON p.map = {fleet.map_id} AND p.traverse = t.id "
        "AND p.id BETWEEN c.first AND c.last WHERE t.map = %s AND t.robot = %s AND t.source = %s"
    )
    known = {
        row[0]: _Known(row[1], row[2], row[3:]) for row in fleet.connection.all(query, fleet.map_id, robot, source)
    }
    local = {one.id: place for place, one in known.items()}
    query = "SELECT place, x, y, z, qx, qy, qz, qw FROM vpr.poses WHERE map = %s AND robot = %s ORDER BY revision"
    for number, *pose in fleet.connection.all(query, fleet.map_id, robot):
        if number in local:
            known[local[number]] = known[local[number]]._replace(pose=tuple(pose))
    return known


def _traverse_id(fleet: FleetMap, traverse: Traverse, robot: str, source: str, frame: str) -> int:
    """The traverse in the fleet's map, started if it is new: ROBOT/NAME, with a number if another map of the robot has that name, too."""
    key = [fleet.map_id, robot, source, traverse.name]
    with fleet.connection.transaction() as db:
        db.execute(_LOCK, [fleet.map_id, robot])
        query = "SELECT id, frame FROM vpr.traverses WHERE map = %s AND robot = %s AND source = %s AND local = %s"
        row = db.execute(query, key).fetchone()
        if row is None:
            name, number = f"{robot}/{traverse.name}", 1
            while db.execute(
                "SELECT 1 FROM vpr.traverses WHERE map = %s AND name = %s", [fleet.map_id, name]
            ).fetchone():
                number += 1
                name = f"{robot}/{traverse.name}-{number}"
            query = (
                "INSERT INTO vpr.traverses (map, robot, source, local, name, frame, started, notes) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) "
                "RETURNING id, frame"
            )
            row = db.execute(query, [*key, name, frame, traverse.started, traverse.notes]).fetchone()
    if row[1] != frame:
        raise VprError(
            f"{fleet.path}: traverse {traverse.name} of {robot} is there in the frame {row[1]}, not {frame}; nothing of it was pushed, "
            f"use --frame {row[1]}"
        )
    return int(row[0])
