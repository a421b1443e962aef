"""The transform between the frames of two maps, from the places that both show."""

from collections.abc import Callable

import numpy as np

from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.pose_graph.alignment import Alignment, Kind, find_alignment, tolerance_of
from vpr_aesvc.recognition.self_check import recognize_places
from vpr_aesvc.transforms import rotation_matrix
from vpr_aesvc.types import Pose, Progress

_MOST_COMPARED = 200  # places of the second map that are searched in the first
_ENOUGH = 5  # metric matches; the others are then not used


def align_maps(
    one: PlaceMap,
    other: PlaceMap,
    kind: Kind,
    progress: Progress,
    moved: Callable[[Pose], Pose] = lambda pose: pose,
) -> tuple[Alignment, bool]:
    """The transform from the second map's frame into the first's, and whether it is from metric poses. Without them a match
    tells that a place of the second map is near one of the first. ``moved``: applied to the poses of the second map before.
    Raises VprError: the maps are of different models, they share too few places, or the matches do not determine the
    transform."""
    one.require_same_model(other)
    ids = [place.id for place in other.places().values() if place.pose is not None]
    ids = ids[:: -(-len(ids) // _MOST_COMPARED) or 1]
    pairs: list[tuple[Pose, Pose]] = []
    known: list[bool] = []
    for at, (place, result) in enumerate(recognize_places(one, other, ids), 1):
        progress(at, len(ids))
        if result.accepted and result.pose is not None and place.pose is not None:
            pairs.append((moved(place.pose), result.pose))
            known.append(result.metric is not None)
    metric = sum(known) >= _ENOUGH
    pairs = [pair for pair, measured in zip(pairs, known, strict=True) if measured or not metric]
    source, target = (np.array([pair[side].as_tuple()[:3] for pair in pairs]).reshape(-1, 3) for side in (0, 1))
    turns = np.array([rotation_matrix(end) @ rotation_matrix(start).T for start, end in pairs]) if metric else None
    places = [place.pose.as_tuple()[:3] for place in one.places().values() if place.pose is not None]
    return find_alignment(source, target, tolerance_of(np.array(places)), kind, turns), metric
