"""``vpr map info | check | plan``. ``map_build`` builds maps, ``map_tools`` makes maps from maps."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Annotated

from cyclopts import App, Parameter
from rich.markup import escape
from rich.table import Table

from vpr_aesvc.cli import map_tools
from vpr_aesvc.cli.console import out, progress_bars
from vpr_aesvc.cli.map_build import add_command, build_command
from vpr_aesvc.cli.options import Json, MapPath
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap

app = App(name="map", help="Build a place map, inspect it, and maintain it.")
_SHOWN = 20

app.command(build_command, name="build")
app.command(add_command, name="add")


@app.command(name="info")
def info_command(
    map: MapPath,
    /,
    *,
    as_json: Json = False,
) -> None:
    """Print what a map holds.

    Example:  vpr map info office.vprmap
    """
    from vpr_aesvc.placemap.info import map_info

    with PlaceMap.open(map) as place_map:
        info = map_info(place_map)
    if as_json:
        print(json.dumps(asdict(info)))
        return
    out.print(
        f"[bold]{escape(info.path)}[/]: {info.places} places, {info.size_bytes / 1e6:.2f} MB on disk, "
        f"{info.memory_bytes / 1e6:.2f} MB in memory for search, made {info.created}"
    )
    for one in info.traverses[:_SHOWN]:
        said = one.traverse
        words = [f"{one.places} places"]
        words += [] if one.meters is None else [f"{one.meters:.0f} m"]
        words += [] if said.started is None else [_date(said.started)]
        words += [f"robot {said.robot}"] if said.robot else []
        words += [said.notes] if said.notes else []
        out.print(f"  traverse {said.name}: {', '.join(words)}", markup=False)
    if len(info.traverses) > _SHOWN:
        out.print(f"  and {len(info.traverses) - _SHOWN} more traverses")
    if info.bounds:
        x_min, y_min, x_max, y_max = info.bounds
        out.print(f"  {info.with_pose} with a pose, within {x_max - x_min:.1f} m x {y_max - y_min:.1f} m")
    else:
        out.print("  no poses")
    sizes = ", ".join(str(size) for size in info.sizes)
    out.print(f"  descriptors: {info.dim} numbers, {2 * info.dim} bytes a place; sizes for search: {sizes}")
    out.print(f"  model {info.model_fingerprint} ({info.model_precision}), then at {info.model_path}", markup=False)
    if info.model_family != info.model_fingerprint:
        out.print(f"  an export of model {info.model_family}, which serves this map as well")


def _date(seconds: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"started {seconds:g}"


@app.command(name="check")
def check_command(
    map: MapPath,
    /,
    *,
    as_json: Json = False,
) -> None:
    """Check that a map is undamaged: every checksum, number and reference, and the structure of the file.

    Exit code 1 if something is damaged. `vpr map salvage` then copies the undamaged places to a new map.

    Example:  vpr map check office.vprmap
    """
    from vpr_aesvc.placemap.repair import check_map

    with progress_bars() as progress:
        report = check_map(map, lambda done, of: progress("checking places", done, of))
    if as_json:
        print(json.dumps(asdict(report)))
    else:
        for problem in report.problems[:_SHOWN]:
            out.print(f"  {problem}", markup=False)
        if len(report.problems) > _SHOWN:
            out.print(f"  and {len(report.problems) - _SHOWN} more; --json gives all")
    if report.problems:
        raise VprError(
            f"{map}: {len(report.problems)} problems; vpr map salvage {map} -o NEW_MAP saves the places that are whole"
        )
    if not as_json:
        out.print(f"{map} is whole: {report.places} places, {report.thumbnails} thumbnails", markup=False)


@app.command(name="plan")
def plan_command(
    map: MapPath,
    /,
    *,
    ms: Annotated[float | None, Parameter(help="Milliseconds that one search may take.")] = None,
    mb: Annotated[float | None, Parameter(help="Megabytes of memory for the descriptors.")] = None,
    as_json: Json = False,
) -> None:
    """Measure the cost of a search of this map for each size and precision, and choose one that fits a budget.

    The queries are the map's own places, changed as another visit would change them. Recall is the part of them that finds the place
    that the full search finds. Run it on the robot: the times are those of this machine.

    Example:  vpr map plan office.vprmap --ms 2 --mb 50
    """
    from vpr_aesvc.placemap.budget import Budget, choose, sample_queries, survey

    with PlaceMap.open(map) as place_map:
        descriptors = place_map.descriptors()[1]
    if not len(descriptors):
        raise VprError(f"{map}: the map holds no places; there is nothing to plan for")
    with progress_bars() as progress:
        plans = survey(
            descriptors,
            place_map.sizes,
            sample_queries(descriptors),
            lambda done, of: progress("measuring searches", done, of),
        )
    best = choose(plans, Budget(ms, mb))
    if as_json:
        print(json.dumps({"plans": [asdict(plan) for plan in plans], "chosen": asdict(best)}))
        return
    table = Table("size", "in", "shortlist", "ms", "MB", "same as full search")
    for plan in plans:
        words = (str(plan.size), plan.precision, "exact" if plan.shortlist is None else str(plan.shortlist))
        style = "bold" if plan is best else None if plan.fits(Budget(ms, mb)) else "dim"
        table.add_row(*words, f"{plan.ms:.2f}", f"{plan.mb:.2f}", f"{100 * plan.recall:.1f} %", style=style)
    out.print(table)
    out.print(str(best), markup=False)


for name, command in map_tools.COMMANDS.items():
    app.command(command, name=name)
