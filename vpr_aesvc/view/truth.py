"""Which answers of a run are wrong, and where its frames are drawn.

As in ``vpr eval``, a match is right within 1, 5, 10 or 25 m of the frame, by the extent of the run; and where the matches show that the poses of run and
map have different origins, the run is moved by them. Without poses, ``sequence`` and ``index`` tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.positives import FRAMES, default_threshold, positives
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.drive import MAX_DISTANCE
from vpr_aesvc.pose_graph.alignment import find_alignment, tolerance_of
from vpr_aesvc.types import Floats, Frame, Place, Rows
from vpr_aesvc.view.places import DrawnPlaces

_ABOVE = 0.3  # of the space between two lines


@dataclass(frozen=True)
class Truth:
    """What is known of n frames and of their best matches.

    Attributes:
        words: how a match is judged, or why not, for the user.
        xy: float64 [n, 2], where each frame is drawn on the map; NaN where unknown.
        right: float64 [n], 1 or 0; NaN where it is not judged.
        error: float64 [n], meters from the frame to its best match; NaN where unknown.
    """

    words: str
    xy: Floats
    right: Floats
    error: Floats


def find_truth(drawn: DrawnPlaces, frames: Sequence[Frame], best: Rows, accepted: NDArray[np.bool_]) -> Truth:
    """Judges the best matches of n frames, at least one. ``best``: int64 [n], the row of the match in ``drawn``, -1 without one."""
    places, of_frames = _positions(drawn.places), _positions(frames)
    if np.isfinite(places[:, 0]).any() and np.isfinite(of_frames[:, 0]).any():
        return _by_poses(places, of_frames, best, accepted)
    return _by_index(drawn, frames, best)


def _by_poses(places: Floats, frames: Floats, best: Rows, accepted: NDArray[np.bool_]) -> Truth:
    matched = np.where(best[:, None] >= 0, places[best], np.nan)
    used, posed, words = accepted & np.isfinite(matched[:, 0] + frames[:, 0]), np.isfinite(frames[:, 0]), ""
    with suppress(VprError):  # the matches agree on no transform
        alignment = find_alignment(frames[used], matched[used], tolerance_of(places))
        if alignment.contradicts:
            frames, words = (
                alignment.transform.positions(frames),
                "; the run was moved into the map by its matches, which also judge it",
            )
    known = places[np.isfinite(places[:, 0])]
    nearest = min(float(np.linalg.norm(known - one, axis=1).min()) for one in frames[posed])
    if nearest > MAX_DISTANCE:
        nothing = np.full(len(best), np.nan)
        far = f"not judged: the run's poses are {nearest:.0f} m or more from every place, so they have another origin"
        return Truth(far, np.full((len(best), 2), np.nan), nothing, nothing)
    within, error = default_threshold(frames[posed]), np.linalg.norm(frames - matched, axis=1)
    return Truth(
        f"right within {within:g} m{words}", frames[:, :2], np.where(error >= 0, error <= within, np.nan), error
    )


def _by_index(drawn: DrawnPlaces, frames: Sequence[Frame], best: Rows) -> Truth:
    count, indices = len(frames), [place.extra.get("index") for place in drawn.places]
    xy, unknown = np.full((count, 2), np.nan), np.full(count, np.nan)
    stored = [
        Frame(place.label, sequence=place.traverse, index=None if index is None else float(index))
        for place, index in zip(drawn.places, indices, strict=True)
    ]
    right = positives(frames, stored, FRAMES)
    if right is None:
        if drawn.spacing:  # a line of its own above all others
            along = np.linspace(0, float(drawn.xy[:, 0].max(initial=1)), count)
            xy = np.column_stack([along, np.full(count, drawn.spacing)])
        return Truth("not judged: the run has no poses in the map", xy, unknown, unknown)
    for at in np.flatnonzero(right.counts).tolist():
        xy[at] = drawn.xy[right[at][len(right[at]) // 2]] + (0, _ABOVE * drawn.spacing)
    hits = right.hits(best[:, None])[:, 0]
    return Truth(f"right {FRAMES}", xy, np.where(best >= 0, hits, np.nan), unknown)


def _positions(given: Sequence[Frame] | Sequence[Place]) -> Floats:
    """float64 [n, 3], meters; NaN without a pose."""
    nan = (np.nan,) * 3
    return np.array([one.pose.as_tuple()[:3] if one.pose else nan for one in given]).reshape(-1, 3)
