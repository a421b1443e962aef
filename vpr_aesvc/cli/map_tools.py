"""``vpr map prune | backup | salvage | export | import | set-camera``: maps from maps, and what is added to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from vpr_aesvc.cli.console import out, progress_bars, say_promise
from vpr_aesvc.cli.options import MapAddress, MapPath, ModelOption, Output, number
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
from vpr_aesvc.fleet import is_fleet_url, open_fleet_map, open_map
from vpr_aesvc.placemap import PlaceMap


def prune_command(
    map: MapAddress,
    /,
    *,
    output: Output,
    places: Annotated[int | None, number("Keep at most so many, instead of as few as --max-loss allows.", 1)] = None,
    max_loss: Annotated[float, number("Part of the right answers that may be lost.", 0, 1)] = 0.01,
    radius: Annotated[float | None, Parameter(help="Meters to a place that replaces another; default 3 steps.")] = None,
    force: Annotated[bool, Parameter(negative="", help="Write a map in which nothing would be accepted.")] = False,
) -> None:
    """Make a smaller map of the same area.

    A place is removed only if a similar one stays near it. The loss is measured on the map itself: the removed places are searched, and
    recognized, as if they were new images. Images of another day lose more (.08 where .01 was measured): try `vpr query` if you have some.

    A fleet's map is pulled first, into a temporary file: the smaller map is a .vprmap, and the fleet's stays as it is.

    Example:  vpr map prune office.vprmap -o small.vprmap --max-loss 0.02
    """
    from vpr_aesvc.placemap.copies import copy_places, temporary_folder_beside
    from vpr_aesvc.placemap.database import new_file
    from vpr_aesvc.placemap.prune import prune
    from vpr_aesvc.recognition.self_check import RATE, measure_promise, recognition_loss

    check_free(output, "map")
    with _as_file(map, output) as whole, progress_bars() as progress:
        chosen = prune(whole, places, max_loss, radius, partial(progress, "choosing places"))
        with new_file(output) as unfinished, PlaceMap.create_like(unfinished, whole.meta) as pruned:
            copy_places(whole, pruned, chosen.kept, progress=partial(progress, "copying places"))
            with temporary_folder_beside(output) as folder:
                lost = recognition_loss(
                    whole, pruned, chosen.kept, Path(folder), partial(progress, "recognizing the rest")
                )
            found = (
                f"recognition at a false-positive rate of {RATE:g}: of {lost.asked} removed places, recognized as single new images, "
                f"{lost.before} are accepted in the whole map, {lost.after} in the new one"
            )
            if lost.asked and not lost.after and not force:
                words = f"not written, nothing would be accepted in it; {found}"
                raise VprError(f"{output}: {words}; keep more --places, or add --force")
            promise = measure_promise(pruned, partial(progress, "measuring the map"))
        before = whole.size_bytes
    kept, saved = len(chosen.kept), before - output.stat().st_size
    size = f"{kept} of {kept + chosen.removed} places and saves {saved / 1e6:.2f} of {before / 1e6:.2f} MB"
    lost_part = f"part of the right answers lost: {chosen.loss:.3f}, of {chosen.right_before}"
    out.print(f"map {output} keeps {size}; {lost_part}")
    for line in ([found] if lost.asked else []) + promise.lines():
        out.print(line)


@contextmanager
def _as_file(map: str, output: Path) -> Iterator[PlaceMap]:
    """The map, or the places of an address in a temporary file beside the output."""
    if not is_fleet_url(map):
        with PlaceMap.open(map) as place_map:
            yield place_map
        return
    from vpr_aesvc.placemap.copies import temporary_folder_beside

    with temporary_folder_beside(output) as folder, open_fleet_map(map) as fleet:
        from vpr_aesvc.fleet.pull import pull

        with PlaceMap.create_like(Path(folder) / "pulled.vprmap", fleet.meta) as pulled:
            with progress_bars() as progress:
                pull(fleet, pulled, progress=partial(progress, "pulling places"))
            yield pulled


def backup_command(map: MapPath, /, *, output: Output) -> None:
    """Copy a map, also while a robot writes to it. The copy is read and checked.

    Example:  vpr map backup office.vprmap -o office_backup.vprmap
    """
    from vpr_aesvc.placemap.copies import backup

    with PlaceMap.open(map) as place_map, progress_bars() as progress:
        backup(place_map, output, partial(progress, "copying pages"))
    out.print(f"backup {output} is whole")


def salvage_command(
    map: MapPath,
    /,
    *,
    output: Output,
    model: ModelOption = None,
) -> None:
    """Copy the undamaged places of a damaged map to a new map.

    Example:  vpr map salvage office.vprmap -o saved.vprmap
    """
    from vpr_aesvc.placemap.repair import salvage

    check_free(output, "map")
    with progress_bars() as progress:
        describer = None if model is None else Describer.open(model)
        done = salvage(map, output, describer, partial(progress, "reading places"))
    lost = f"{done.damaged} were damaged and {done.thumbnails_lost} thumbnails were lost"
    out.print(f"map {output} holds {done.places} places; {lost}")


def export_command(map: MapAddress, output: Annotated[Path, Parameter(help="A .tum file.")], /) -> None:
    """Write the trajectory of a map: stamps and poses of its places, in TUM's format. The map itself is an SQLite file.

    Example:  vpr map export office.vprmap office.tum
    """
    from vpr_aesvc.placemap.poses import write_tum

    with open_map(map) as place_map:
        count = write_tum(place_map.places().values(), output)
    out.print(f"{output} holds {count} poses")


def import_command(
    file: Annotated[Path, Parameter(help="A trajectory: a .tum file, or a .csv with a header.")],
    map: MapAddress,
    /,
    *,
    max_gap: Annotated[float, number("Largest difference between the stamps of place and pose, seconds.", 0)] = 0.05,
) -> None:
    """Give the places of a map the poses of a trajectory, such as the one that your SLAM back end corrected after a loop closure.

    Example:  vpr map import corrected.tum office.vprmap
    """
    from vpr_aesvc.placemap.poses import set_poses_from_trajectory
    from vpr_aesvc.recordings.pose_checks import odd_motion
    from vpr_aesvc.trajectory import read_trajectory

    found = read_trajectory(file)
    if found.stamps is None:
        raise VprError(f"{file}: is in KITTI format, which has no stamps; expected TUM's `stamp x y z qx qy qz qw`")
    table = [pose.as_tuple() for pose in found.poses]
    for line in (found.note, *odd_motion(found.stamps, table, f"trajectory {file.name}")):
        out.print(line)
    with open_map(map) as place_map:
        stamped = list(zip(found.stamps, found.poses, strict=True))
        given, without = set_poses_from_trajectory(place_map, stamped, max_gap)
        say_promise(place_map)
    left = f"; {without} lie further than {max_gap} s from any and keep theirs" if without else ""
    out.print(f"{given} places of {place_map.path} have new poses{left}")


def set_camera_command(
    map: MapPath,
    file: Annotated[Path, Parameter(help="A calibration: ROS's or OpenCV's YAML, or KITTI's calib.txt.")],
    /,
    *,
    traverse: Annotated[str | None, Parameter(help="Name of the traverse; by default all of them.")] = None,
    camera: Annotated[str | None, Parameter(help="Name of the camera, if the traverse has several.")] = None,
    replace: Annotated[bool, Parameter(negative="", help="Replace another calibration.")] = False,
) -> None:
    """Give a map the calibration of its camera, which metric poses need, if it was built without.

    Example:  vpr map set-camera office.vprmap camera_info.yaml
    """
    from vpr_aesvc.placemap.calibrate import set_calibration

    with PlaceMap.open(map) as place_map:
        stored = set_calibration(place_map, file, traverse, camera, replace)
    for (name, _), (intrinsics, (width, height)) in stored.items():
        out.print(f"traverse {name}: {width} x {height} pixels, {intrinsics}")
