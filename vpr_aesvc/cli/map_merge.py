"""``vpr map merge``."""

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from vpr_aesvc.cli.console import err, out, progress_bars, say_promise
from vpr_aesvc.cli.options import Output
from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
from vpr_aesvc.geography import require_one_zone
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.pose_graph.alignment import Transform
from vpr_aesvc.pose_graph.map_alignment import align_maps
from vpr_aesvc.transforms import IDENTITY, heading, normalized_pose, pose_from_euler
from vpr_aesvc.types import Frame

_IDENTITY = "0,0,0,0"


def merge_command(
    first: Annotated[Path, Parameter(help="A .vprmap file; its poses stay as they are.")],
    second: Annotated[Path, Parameter(help="A .vprmap file of the same model.")],
    /,
    *,
    output: Output,
    transform: Annotated[
        str,
        Parameter(
            help="Transforms the second map's poses into the first's frame: x,y,z in meters and yaw in degrees; a file of `vpr map align`; `auto` "
            "finds it from places that both maps show."
        ),
    ] = _IDENTITY,
) -> None:
    """Join two maps of the same model.

    Example:  vpr map merge floor1.vprmap floor2.vprmap -o building.vprmap --transform 10,0,3.2,90
    """
    from vpr_aesvc.placemap.copies import merge, require_near

    check_free(output, "map")
    transform_of = Transform(IDENTITY) if transform == "auto" else _transform(transform)

    def align(frame: Frame) -> Frame:
        try:
            return frame if frame.pose is None else replace(frame, pose=transform_of.moved(frame.pose))
        except ValueError as error:
            raise VprError(f"--transform: {error}") from error

    with PlaceMap.open(first) as one, PlaceMap.open(second) as other, progress_bars() as progress:
        if transform == _IDENTITY:
            notes, known = ([each.notes or "" for each in of.traverses().values()] for of in (other, one))
            require_one_zone(second, notes, known)
            require_near(one, other, second)
        total, found = len(one) + len(other), None
        try:
            found, _ = align_maps(one, other, "se2", partial(progress, "comparing places"), transform_of.moved)
        except VprError as error:
            if transform == "auto":
                raise VprError(f"{second}: {error}; give the four numbers of --transform") from error
        if found is not None and transform == "auto":
            transform_of = found.transform
        renamed = merge(one, other, output, align, partial(progress, "copying places"))
    if found is not None and transform == "auto":
        pose, yaw = found.transform.pose, math.degrees(heading(found.transform.pose))
        again = f"--transform={pose.x:.3f},{pose.y:.3f},{pose.z:.3f},{yaw:.2f}"
        out.print(f"{found}; {found.uncertainty()}; the same again: {again}")
    elif found is not None and found.contradicts:
        warning = f"warning: the maps do not fit each other: {found}; try --transform auto"
        err.print(warning, style="yellow")
    for old, new in renamed.items():
        out.print(f"traverse {old} of {second} is now {new}")
    with PlaceMap.open(output) as merged:
        say_promise(merged)
    out.print(f"map {output} holds {total} places")


def _transform(text: str) -> Transform:
    """Of four numbers, or of a file that ``vpr map align`` wrote."""
    try:
        if text.endswith(".json"):
            known = json.loads(Path(text).read_text())
            return Transform(normalized_pose(*map(float, known["pose"])), float(known["scale"]))
        x, y, z, yaw = map(float, text.split(","))
        return Transform(pose_from_euler(x, y, z, 0.0, 0.0, math.radians(yaw)))
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise VprError(
            f"--transform must be four numbers, x,y,z in meters and yaw in degrees, a .json file of `vpr map align`, or auto; found {text!r} ({error})"
        ) from None
