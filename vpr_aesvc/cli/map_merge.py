"""``vpr map merge``."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from vpr_aesvc.cli.console import err, out, progress_bars, say_promise
from vpr_aesvc.cli.options import Output
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.alignment import Alignment, find_alignment, tolerance_of
from vpr_aesvc.files import check_free
from vpr_aesvc.geography import require_one_zone
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.transforms import compose, pose_from_euler
from vpr_aesvc.types import Frame, Progress

_IDENTITY = "0,0,0,0"
_MOST_COMPARED = 200  # places of the second map that are searched in the first


def merge_command(
    first: Annotated[Path, Parameter(help="A .vprmap file; its poses stay as they are.")],
    second: Annotated[Path, Parameter(help="A .vprmap file of the same model.")],
    /,
    *,
    output: Output,
    transform: Annotated[
        str,
        Parameter(
            help="Transforms the second map's poses into the first's frame: x,y,z in meters and yaw in degrees; `auto` finds it from places that "
            "both maps show."
        ),
    ] = _IDENTITY,
) -> None:
    """Join two maps of the same model.

    Example:  vpr map merge floor1.vprmap floor2.vprmap -o building.vprmap --transform 10,0,3.2,90
    """
    from vpr_aesvc.placemap.copies import merge, require_near

    check_free(output, "map")
    x, y, z, yaw = (0.0,) * 4 if transform == "auto" else _transform(transform)

    def align(frame: Frame) -> Frame:
        try:
            moved = pose_from_euler(x, y, z, 0.0, 0.0, yaw)
            return frame if frame.pose is None else replace(frame, pose=compose(moved, frame.pose))
        except ValueError as error:
            raise VprError(f"--transform: {error}") from error

    with PlaceMap.open(first) as one, PlaceMap.open(second) as other, progress_bars() as progress:
        if transform == _IDENTITY:
            notes, known = (
                [traverse.notes or "" for traverse in one_map.traverses().values()] for one_map in (other, one)
            )
            require_one_zone(second, notes, known)
            require_near(one, other, second)
        total = len(one) + len(other)
        found = _overlay(one, other, align, partial(progress, "comparing places"))
        if transform == "auto":
            if found is None:
                raise VprError(
                    f"{second}: too few of its places are recognized in {first}, or they do not agree on one transform; give the four numbers "
                    "of --transform"
                )
            (x, y, z), yaw = found.translation.tolist(), found.yaw
        renamed = merge(one, other, output, align, partial(progress, "copying places"))
    if found is not None and transform == "auto":
        out.print(
            f"{found}; the same again: --transform={x:.3f},{y:.3f},{z:.3f},{math.degrees(yaw):.2f}", soft_wrap=True
        )
    elif found is not None and found.contradicts:
        err.print(
            f"warning: the maps do not fit each other: {found}; try --transform auto", style="yellow", soft_wrap=True
        )
    for old, new in renamed.items():
        out.print(f"traverse {old} of {second} is now {new}")
    with PlaceMap.open(output) as merged:
        say_promise(merged)
    out.print(f"map {output} holds {total} places")


def _overlay(one: PlaceMap, other: PlaceMap, align: Callable[[Frame], Frame], progress: Progress) -> Alignment | None:
    """How the poses of the second map, as ``align`` moves them, must be moved for the places that are recognized in the first."""
    from vpr_aesvc.placemap.copies import frame_of
    from vpr_aesvc.recognition.self_check import recognize_places

    if one.model_family != other.model_family:
        return None  # `merge` says so
    ids = [place.id for place in other.places().values() if place.pose is not None]
    ids = ids[:: -(-len(ids) // _MOST_COMPARED) or 1]
    pairs = []
    for at, (place, result) in enumerate(recognize_places(one, other, ids), 1):
        progress(at, len(ids))
        pose = align(frame_of(place)).pose
        if result.accepted and result.pose is not None and pose is not None:
            pairs.append((pose.as_tuple()[:3], result.pose.as_tuple()[:3]))
    positions = [place.pose.as_tuple()[:3] for place in one.places().values() if place.pose is not None]
    if not pairs:
        return None
    source, target = np.array(pairs, np.float64).swapaxes(0, 1)
    return find_alignment(source, target, tolerance_of(np.array(positions, np.float64)))


def _transform(text: str) -> tuple[float, float, float, float]:
    try:
        x, y, z, yaw = (float(part) for part in text.split(","))
        if not all(map(math.isfinite, (x, y, z, yaw))):
            raise ValueError
    except ValueError:
        raise VprError(
            f"--transform must be four numbers, x,y,z in meters and yaw in degrees; found {text!r}"
        ) from None
    return x, y, z, math.radians(yaw)
