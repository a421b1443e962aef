"""The transform between the frames of two maps, from the places that both show."""

from collections.abc import Callable

import numpy as np

from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.pose_graph.alignment import Alignment, Kind, align_poses, tolerance_of
from vpr_aesvc.recognition.self_check import recognize_places
from vpr_aesvc.types import Pose, Progress

_MOST_COMPARED = 200  # places of the second map that are searched in the first


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
    pairs: list[tuple[Pose, Pose, bool]] = []
    for at, (place, result) in enumerate(recognize_places(one, other, ids), 1):
        progress(at, len(ids))
        if result.accepted and result.pose is not None and place.pose is not None:
            pairs.append((moved(place.pose), result.pose, result.metric is not None))
    places = [place.pose.as_tuple()[:3] for place in one.places().values() if place.pose is not None]
    return align_poses(pairs, tolerance_of(np.array(places)), kind)
