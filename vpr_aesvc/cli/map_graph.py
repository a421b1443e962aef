"""``vpr map loops | align``: constraints between the places of a map, and between two maps."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from vpr_aesvc.cli.console import err, out, progress_bars
from vpr_aesvc.cli.options import RATE, FalsePositiveRate, LoopFlags, MapPath, number
from vpr_aesvc.cli.query import recognizer_settings
from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free, write_file
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.pose_graph.alignment import Kind
from vpr_aesvc.pose_graph.odometry import DRIFT

_SHOWN = 20


def loops_command(
    map: MapPath,
    /,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="A pose graph (.g2o), or pairs of stamps (.tum).")],
    drift: Annotated[float, number("Drift of the poses along a traverse, part of the distance.", 1e-6, 1)] = DRIFT,
    false_positive_rate: FalsePositiveRate = RATE,
    loops: LoopFlags = LoopFlags(),
) -> None:
    """Find the loop closures of a map, for a SLAM back end such as GTSAM or g2o.

    Each place is recognized among the places that were mapped before it. Closures that contradict the odometry or each other are left
    out of the graph.

    Example:  vpr map loops office.vprmap -o office.g2o
    """
    from vpr_aesvc.pose_graph.consistency import find_conflicts
    from vpr_aesvc.pose_graph.graph_file import write_g2o, write_pairs
    from vpr_aesvc.pose_graph.loops import find_loops
    from vpr_aesvc.pose_graph.odometry import DrivenPlaces

    if output.suffix not in (".g2o", ".tum"):
        raise VprError(f"{output}: expected a name that ends in .g2o, a pose graph, or in .tum, pairs of stamps")
    check_free(output, "loop closures")
    settings = recognizer_settings(false_positive_rate)
    with PlaceMap.open(map) as place_map, progress_bars() as progress:
        driven = DrivenPlaces.of(place_map)
        closures = find_loops(place_map, driven, settings, loops.recent_seconds, loops.recent_meters, progress)
        without = len(place_map) - len(driven.ids)
    conflicts = find_conflicts(closures, driven, drift)
    kept = [closure for closure, conflict in zip(closures, conflicts, strict=True) if not conflict]
    if output.suffix == ".g2o":
        write_g2o(output, driven, closures, conflicts, drift)
    elif write_pairs(output, driven, kept) < len(kept):
        err.print("closures of places without a stamp were left out", style="yellow")
    if without:
        err.print(f"{without} places without a pose were left out", style="yellow")
    marked = [(one, why) for one, why in zip(closures, conflicts, strict=True) if why]
    for closure, conflict in marked[:_SHOWN]:
        out.print(f"  left out: {closure.from_place} - {closure.to_place} {conflict}")
    if len(marked) > _SHOWN:
        out.print(f"  and {len(marked) - _SHOWN} more, which are comments in a .g2o file")
    metric = sum(closure.metric for closure in kept)
    out.print(
        f"{output}: {len(kept)} loop closures of {len(driven.ids)} places, {metric} of them with a measured translation; {len(marked)} more "
        "contradict the odometry or others and were left out"
    )
    if metric < len(kept):
        advice = "cameras with intrinsics give measured translations"
        out.print(f"the others tell only that two places are near each other, within a wide covariance; {advice}")


def align_command(
    first: Annotated[Path, Parameter(help="A .vprmap file.")],
    second: Annotated[Path, Parameter(help="A .vprmap file of the same model.")],
    /,
    *,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"), help="A .json file to write.")] = None,
    kind: Annotated[Kind, Parameter(help="se2 turns about z, se3 about any axis, sim3 also scales.")] = "se2",
) -> None:
    """Find the transform from the second map's frame into the first's, from places that both show.

    Example:  vpr map align monday.vprmap tuesday.vprmap -o transform.json
    """
    from vpr_aesvc.pose_graph.map_alignment import align_maps

    if output is not None:
        check_free(output, "transform")
    with PlaceMap.open(first) as one, PlaceMap.open(second) as other, progress_bars() as progress:
        try:
            found, metric = align_maps(one, other, kind, partial(progress, "comparing places"))
        except VprError as error:
            raise VprError(f"{second} cannot be aligned with {first}: {error}") from error
    if output is not None:
        content = {**asdict(found), **asdict(found.transform), "pose": found.transform.pose.as_tuple()}
        del content["transform"]
        content |= {"covariance": found.covariance.tolist(), "metric": metric}
        write_file(output, (json.dumps(content, indent=1) + "\n").encode(), "transform")
    out.print(f"{found}; {found.uncertainty()}")
    if not metric:
        words = "coarse: from the poses of the matched places; cameras with intrinsics give metric poses"
        out.print(words)
