"""``vpr fleet push | pull | sync | index | status``: a robot's map and the fleet's."""

import json
import math
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from vpr_aesvc.cli.console import out, progress_bars
from vpr_aesvc.cli.options import Json, MapPath, number
from vpr_aesvc.errors import VprError
from vpr_aesvc.fleet import open_fleet_map, require_fleet
from vpr_aesvc.placemap import PlaceMap

if TYPE_CHECKING:
    from vpr_aesvc.fleet.fleet_map import FleetMap
    from vpr_aesvc.fleet.pull import Area

app = App(name="fleet", help="Share a map among robots, on a PostgreSQL server with pgvector.")
_URL_HELP = "The fleet's map: postgresql://USER@HOST/DATABASE?map=NAME. The password is best in ~/.pgpass."
_Url = Annotated[str, Parameter(help=_URL_HELP)]
_Robot = Annotated[str, Parameter(help="The robot's name in the fleet.")]
_Frame = Annotated[str, Parameter(help="Name of the frame of the map's poses; only poses of one frame are compared.")]
_Thumbnails = Annotated[bool, Parameter(negative="", help="Push the pictures, too: some kilobytes a place.")]
_Near = Annotated[str | None, Parameter(help="Pull only places near this point: x,y in meters. Needs --within.")]
_Within = Annotated[float | None, number("Meters around --near.", 0.001)]


@app.command(name="push")
def push_command(
    map: MapPath, url: _Url, /, *, robot: _Robot, frame: _Frame = "map", thumbnails: _Thumbnails = False
) -> None:
    """Bring the fleet's map up to date with a robot's. Done again, it adds nothing; after an interruption it goes on.

    Example:  vpr fleet push office.vprmap "postgresql://db.local/fleet?map=city" --robot r1
    """
    with PlaceMap.open(map) as place_map:
        _push(place_map, url, robot, frame, thumbnails)


@app.command(name="pull")
def pull_command(
    url: _Url,
    /,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="A .vprmap file, new or to bring up to date.")],
    near: _Near = None,
    within: _Within = None,
    frame: Annotated[str | None, Parameter(help="Frame of the poses, if the fleet's map has several.")] = None,
) -> None:
    """Bring a .vprmap up to date with the fleet's map, or with a part of it. It needs no server to answer.

    Example:  vpr fleet pull "postgresql://db.local/fleet?map=city" -o here.vprmap --near 120,45 --within 500
    """
    require_fleet()
    area = _area(near, within)
    with (
        open_fleet_map(url if frame is None else f"{url}&frame={frame}") as fleet,
        PlaceMap.open(output) if output.exists() else PlaceMap.create_like(output, fleet.meta) as place_map,
    ):
        _pull(fleet, place_map, area)


@app.command(name="sync")
def sync_command(
    map: MapPath,
    url: _Url,
    /,
    *,
    robot: _Robot,
    frame: _Frame = "map",
    near: _Near = None,
    within: _Within = None,
    thumbnails: _Thumbnails = False,
) -> None:
    """Push a robot's places to the fleet's map, and pull the other robots' places into the robot's.

    Example:  vpr fleet sync office.vprmap "postgresql://db.local/fleet?map=city" --robot r1 --near 120,45 --within 500
    """
    require_fleet()
    area = _area(near, within)
    with PlaceMap.open(map) as place_map:
        _push(place_map, url, robot, frame, thumbnails)
        with open_fleet_map(f"{url}&frame={frame}&family={place_map.model_family}") as fleet:
            _pull(fleet, place_map, area)


@app.command(name="index")
def index_command(
    url: Annotated[str, Parameter(help=f"{_URL_HELP} With &index=milvus://HOST:PORT.")],
    /,
    *,
    every: Annotated[float | None, number("Seconds until it looks for new places again; default once.", 0.1)] = None,
) -> None:
    """Bring Milvus up to date with the fleet's map, for search without a pose in millions of places. Done again, it reads on.

    Example:  vpr fleet index "postgresql://db.local/fleet?map=city&index=milvus://db.local:19530" --every 5
    """
    require_fleet()
    with open_fleet_map(url) as fleet:
        while True:
            with progress_bars() as progress:
                sent = fleet.index().update(partial(progress, "sending places"))
            out.print(f"sent {sent} places to {fleet.connection.address.index}")
            if every is None:
                return
            time.sleep(every)


@app.command(name="status")
def status_command(
    url: Annotated[str, Parameter(help="postgresql://USER@HOST/DATABASE, with ?map=NAME for one map.")],
    /,
    *,
    as_json: Json = False,
) -> None:
    """Print which maps a server holds, and what each robot gave.

    Example:  vpr fleet status "postgresql://db.local/fleet"
    """
    require_fleet()
    from vpr_aesvc.fleet.status import fleet_status

    maps = fleet_status(url)
    if as_json:
        print(json.dumps(maps))
        return
    for one in maps:
        size = f"{one['places']} places, {one['size_bytes'] / 1e6:.2f} MB"
        out.print(f"{one['map']}: {size}, model {one['model_family']}")
        for robot in one["robots"]:
            last = time.strftime(", last %Y-%m-%d %H:%M UTC", time.gmtime(robot["last"])) if robot["last"] else ""
            words = f"{robot['places']} places, {robot['traverses']} traverses, frame {robot['frame']}{last}"
            out.print(f"  {robot['robot'] or 'added here'}: {words}")


def _push(place_map: PlaceMap, url: str, robot: str, frame: str, thumbnails: bool) -> None:
    require_fleet()
    from vpr_aesvc.fleet.push import fleet_map_for, push

    if not robot.strip():
        raise VprError("--robot: the name is empty")
    with fleet_map_for(f"{url}&thumbnails=yes" if thumbnails else url, place_map) as fleet, progress_bars() as progress:
        done = push(place_map, fleet, robot, frame, partial(progress, "pushing places"))
        total = len(fleet)
    changes = f"{done.added} new places, {done.removed} removed, {done.moved} with another pose"
    out.print(f"pushed {changes}; {fleet.path} holds {total}")


def _pull(fleet: "FleetMap", place_map: PlaceMap, area: "Area | None") -> None:
    from vpr_aesvc.fleet.pull import pull

    with progress_bars() as progress:
        done = pull(fleet, place_map, area, partial(progress, "pulling places"))
    changes = f"{done.added} new places, {done.removed} removed, {done.moved} with another pose"
    out.print(f"pulled {changes}; {place_map.path} holds {len(place_map)}")


def _area(near: str | None, within: float | None) -> "Area | None":
    from vpr_aesvc.fleet.pull import Area

    if near is None and within is None:
        return None
    try:
        x, y = (float(part) for part in (near or "").split(","))
        if within is None or not (math.isfinite(x) and math.isfinite(y)):
            raise ValueError
    except ValueError:
        raise VprError(f"--near X,Y and --within METERS belong together; found {near!r} and {within}") from None
    return Area(x, y, within)
