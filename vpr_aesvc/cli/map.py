"""``vpr map build | add | info | check``. ``map_tools`` and ``map_merge`` make maps from maps, ``map_graph`` finds constraints."""

import json
import os
import shlex
import tempfile
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.text import Text

from vpr_aesvc.cli import map_graph, map_merge, map_tools
from vpr_aesvc.cli import options as opt
from vpr_aesvc.cli.console import err, out, progress_bars, say_promise, say_source
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError, printable
from vpr_aesvc.files import check_free
from vpr_aesvc.fleet import check_new, create_fleet_map, is_fleet_url, open_map
from vpr_aesvc.frame_source import FrameSource
from vpr_aesvc.geography import require_one_zone
from vpr_aesvc.keyframes.selection import name_of
from vpr_aesvc.mapping import build_map
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.copies import add_map, require_near, temporary_folder_beside, twins
from vpr_aesvc.recognition.patches.projection import PatchProjection

app = App(name="map", help="Build a place map, inspect it, and maintain it.")
_SHOWN = 20
_WEIGHT_HELP = "Weight of each neighbor along the drive, such as 0.25; 0 for none; default as the model says."
_NeighborWeight = Annotated[float | None, opt.number(_WEIGHT_HELP, 0, 1)]
_Traverse = Annotated[str | None, Parameter(help="Name of the traverse; by default the recording's name.")]


@app.command(name="build")
def build_command(
    input: opt.InputPath,
    /,
    *,
    model: Annotated[Path, Parameter(name=("--model", "-m"), help="A model folder from `vpr train` or `vpr export`.")],
    output: Annotated[str, Parameter(name=("--output", "-o"), help=f"A new map. {opt.MAP_HELP}")],
    traverse: _Traverse = None,
    neighbor_weight: _NeighborWeight = None,
    size: Annotated[
        int | None, opt.number("Store so many numbers a place; default as the model recommends.", 1)
    ] = None,
    patches: Annotated[bool, Parameter(negative="", help="Store patches too, some kB a place, to rank by.")] = False,
    embeddings: opt.Embeddings = None,
    keyframes: opt.KeyframeFlags = opt.KeyframeFlags(),
    reading: opt.CameraFlags = opt.CameraFlags(),
) -> None:
    """Make a map of the images of a place, or of a recorded drive through it.

    Of a set with splits, the `database` images become places. Of a recording, keyframes become places; black, blurred and frozen images
    are left out.

    Example:  vpr map build office.mcap -m model/ -o office.vprmap
    """
    is_url, file = is_fleet_url(output), Path(output)
    if not is_url and file.is_file():
        add = f"`vpr map add {output} {input}`"
        raise VprError(f"{output}: exists already; {add} adds to it, or choose another name for a new map")
    if not is_url:
        check_free(file, "map")
    source = reading.open(input, embeddings, **keyframes.given)
    describer = Describer.open(model, source.embeddings)
    describer = describer.of_size(size or describer.dim)
    if is_url:
        check_new(output, describer)  # before a long run
        with tempfile.TemporaryDirectory(prefix="vpr-map-") as folder:
            file = Path(folder) / "new.vprmap"
            _build(source, describer, file, traverse, keyframes, neighbor_weight, patches)
            with PlaceMap.open(file) as new, create_fleet_map(output, new.meta) as shared:
                add_map(shared, new)
    else:
        _build(source, describer, file, traverse, keyframes, neighbor_weight, patches)
    with open_map(output, describer) as place_map:
        say_promise(place_map)
        shown = shlex.quote(str(place_map.path))
        hint = f"map {place_map.path} holds {len(place_map)} places; next: vpr query {shown} NEW_IMAGES"
        out.print(hint)


@app.command(name="add")
def add_command(
    map: opt.MapAddress,
    input: opt.InputPath,
    /,
    *,
    model: opt.ModelOption = None,
    traverse: _Traverse = None,
    neighbor_weight: _NeighborWeight = None,
    embeddings: opt.Embeddings = None,
    keyframes: opt.KeyframeFlags = opt.KeyframeFlags(),
    reading: opt.CameraFlags = opt.CameraFlags(),
) -> None:
    """Add another traverse to a map: all of it, or nothing if something fails.

    The poses are stored as they are: they must be in the frame of the map's poses. `vpr map merge` transforms another map into this frame.

    Example:  vpr map add office.vprmap second_drive.mcap
    """
    folder_beside = tempfile.TemporaryDirectory() if is_fleet_url(map) else temporary_folder_beside(Path(map))
    with folder_beside as folder, open_map(map) as place_map:
        if not is_fleet_url(map) and not os.access(map, os.W_OK):
            raise VprError(f"{map}: can only be read here")
        source = reading.open(input, embeddings, **keyframes.given)
        if traverse is None and source.is_recording:
            traverse = name_of(source.path)
        place_map.require_new_traverses([] if traverse is None else [traverse])  # before a long run, not after it
        known = [one.notes or "" for one in place_map.traverses().values()]
        require_one_zone(source.path, source.notes, known)
        describer = opt.RuntimeFlags().describer(place_map, model, source.embeddings)
        new_path = Path(folder) / "new.vprmap"
        projection = PatchProjection.of(place_map)
        if projection is not None and describer.patch_grid is None:
            err.print(f"warning: {describer.path} gives no patches; the new places have none", style="yellow")
            projection = None
        _build(source, describer, new_path, traverse, keyframes, neighbor_weight, projection or False)
        with PlaceMap.open(new_path) as new:
            require_near(place_map, new, input)
            again, added = twins(place_map, new), add_map(place_map, new)
        say_promise(place_map)
        out.print(f"map {place_map.path} holds {len(place_map)} places, {added} of them new")
        if again:
            out.print(f"{again} of the new places are of images that the map held already")


def _build(
    source: FrameSource,
    describer: Describer,
    output: Path,
    traverse: str | None,
    keyframes: opt.KeyframeFlags,
    neighbor_weight: float | None,
    patches: bool | PatchProjection,
) -> None:
    """Builds the map and says what was used."""
    with progress_bars() as progress:
        report = partial(progress, "describing images")
        stats = build_map(source, describer, output, traverse, keyframes.settings, report, neighbor_weight, patches)
    say_source(source)
    if source.is_recording:
        out.print(stats.line())


@app.command(name="info")
def info_command(map: opt.MapAddress, /, *, as_json: opt.Json = False) -> None:
    """Print what a map holds.

    Example:  vpr map info office.vprmap
    """
    from vpr_aesvc.placemap.info import map_info
    from vpr_aesvc.recognition.self_check import stored_promise

    with open_map(map) as place_map:
        info, promise = map_info(place_map), stored_promise(place_map)
    if as_json:
        print(json.dumps({**asdict(info), "promise": promise}))
        return
    summary = (
        f": {info.places} places, {info.size_bytes / 1e6:.2f} MB on disk, {info.memory_bytes / 1e6:.2f} MB in memory for search, "
        f"made {info.created}"
    )
    out.print(Text.assemble((printable(info.path), "bold"), summary))
    last_found: list[str] = []
    for one in info.traverses[:_SHOWN]:
        said = one.traverse
        words = [f"{one.places} places"]
        words += [] if one.meters is None else [f"{one.meters:.0f} m"]
        words += [] if said.started is None else [_date(said.started)]
        words += [f"robot {said.robot}"] if said.robot else []
        kind, *found = (said.notes or "").split("\n")
        words += [kind] if kind else []
        out.print(f"  traverse {said.name}: {', '.join(words)}")
        for note in found if found != last_found else ():  # the traverses of one set have the same notes
            out.print(f"    {note}")
        last_found = found
        for camera, (intrinsics, (width, height)) in one.cameras.items():
            out.print(f"    camera{camera and ' '}{camera}: {width} x {height} pixels, {intrinsics}")
    if len(info.traverses) > _SHOWN:
        out.print(f"  and {len(info.traverses) - _SHOWN} more traverses")
    if info.bounds:
        x_min, y_min, x_max, y_max = info.bounds
        out.print(f"  {info.with_pose} with a pose, within {x_max - x_min:.1f} m x {y_max - y_min:.1f} m")
    else:
        out.print("  no poses")
    sizes = ", ".join(str(size) for size in info.sizes)
    out.print(f"  descriptors: {info.dim} numbers, {2 * info.dim} bytes a place; sizes for search: {sizes}")
    if info.with_patches:
        size = info.patch_bytes // info.with_patches
        out.print(f"  patches: {size} bytes a place, {info.with_patches} of {info.places} places")
    for line in promise:
        out.print(f"  {line}")
    out.print(f"  model {info.model_fingerprint} ({info.model_precision}), then at {info.model_path}")
    if info.model_family != info.model_fingerprint:
        out.print(f"  an export of model {info.model_family}, which serves this map as well")


def _date(seconds: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"started {seconds:g}"


@app.command(name="check")
def check_command(map: opt.MapPath, /, *, as_json: opt.Json = False) -> None:
    """Check that a map is undamaged: every checksum, number and reference, and the structure of the file.

    Exit code 1 if something is damaged. `vpr map salvage` then copies the undamaged places to a new map.

    Example:  vpr map check office.vprmap
    """
    from vpr_aesvc.placemap.repair import check_map

    with progress_bars() as progress:
        report = check_map(map, partial(progress, "checking places"))
    if as_json:
        print(json.dumps(asdict(report)))
    else:
        for problem in report.problems[:_SHOWN]:
            out.print(f"  {problem}")
        if len(report.problems) > _SHOWN:
            out.print(f"  and {len(report.problems) - _SHOWN} more; --json gives all")
    if report.problems:
        count = len(report.problems)
        raise VprError(f"{map}: {count} problems; vpr map salvage {map} -o NEW_MAP saves the places that are whole")
    if not as_json:
        out.print(f"{map} is whole: {report.places} places, {report.thumbnails} thumbnails")


app.command(map_tools.prune_command, name="prune")
app.command(map_merge.merge_command, name="merge")
app.command(map_tools.set_camera_command, name="set-camera")
app.command(map_graph.align_command, name="align")
app.command(map_graph.loops_command, name="loops")
app.command(map_tools.backup_command, name="backup")
app.command(map_tools.salvage_command, name="salvage")
app.command(map_tools.export_command, name="export")
app.command(map_tools.import_command, name="import")
