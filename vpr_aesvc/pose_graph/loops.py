"""Loop closures of a finished map: each place searched among the places that were mapped before it."""

import numpy as np

from vpr_aesvc.onboard.loop_closure import LoopClosure, loop_closure
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.copies import frame_of
from vpr_aesvc.pose_graph.odometry import DrivenPlaces
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.run import motion_between
from vpr_aesvc.recognition.self_check import stored_view
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import StageProgress


def find_loops(
    place_map: PlaceMap,
    driven: DrivenPlaces,
    settings: RecognizerSettings,
    recent_seconds: float,
    recent_meters: float,
    progress: StageProgress,
) -> list[LoopClosure]:
    """The loop closures that a robot would have found, had it known what the whole map teaches.

    Each place is a frame of its traverse and camera, with its stored descriptor and picture. Each pair of places is
    compared once. ``driven``: the places of the map that have a pose; the others are left out. ``recent_seconds``,
    ``recent_meters``: places of the same traverse that were mapped within so many seconds or meters before are no loop.
    Raises VprError: the map is damaged."""
    recognizer = Recognizer(place_map, None, settings)
    recognizer.prepare(lambda done, of: progress("learning the map", done, of))
    snapshot, descriptors = recognizer.snapshot, place_map.descriptors()[1]
    rows = np.searchsorted(snapshot.ids, driven.ids)  # of the places with a pose, in the whole map
    runs = [(place.traverse, place.extra.get("camera", "")) for place in driven.places]
    closures: list[LoopClosure] = []
    previous: int | None = None
    for done, at in enumerate(sorted(range(len(runs)), key=lambda at: (*runs[at], at)), 1):
        place, odometry = driven.places[at], None
        if previous is not None and runs[previous] == runs[at]:
            odometry = motion_between(frame_of(driven.places[previous]), frame_of(place))
        else:
            recognizer.reset()
        previous = at
        recent = np.abs(driven.stamps - driven.stamps[at]) < recent_seconds
        recent |= np.abs(driven.meters - driven.meters[at]) < recent_meters
        older = (driven.ids < place.id) & ~(recent & (driven.traverses == driven.traverses[at]))
        similarities = np.full(len(snapshot), -np.inf, np.float32)
        similarities[rows[older]] = snapshot.all_similarities(descriptors[rows[at]].astype(np.float32))[rows[older]]
        belief = recognizer.filter.step(similarities, stamp=place.stamp, odometry=odometry)
        if older.any():
            image, intrinsics = stored_view(place_map, place)
            result = recognizer.decide_match(image, similarities, belief, intrinsics)
            if result.accepted:
                closures.append(loop_closure(result, place.id))
        progress("looking for loops", done, len(runs))
    return closures
