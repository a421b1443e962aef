"""Forward and backward over a whole run: what each frame shows, given the frames before it and after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.sequence.arc_length import Floats
from vpr_aesvc.recognition.sequence.bayes_filter import Belief, LogRatio, SequenceFilter, SequenceSettings, answer
from vpr_aesvc.recognition.sequence.likelihood import Similarities, SparseRow
from vpr_aesvc.recognition.sequence.motion_model import Odometry, Step
from vpr_aesvc.recognition.sequence.place_track import PlaceTrack


@dataclass(frozen=True)
class Smoothed:
    """The answer for each frame of a run.

    Attributes:
        places: float32 [q, n], the probability of each place.
        lost: float64 [q], the probability of not being in the map.
        rows: int64 [q], the best place of each frame. probability: float64 [q], of being near it, as in ``Belief``.
        beliefs: of each frame, given all of them; their ``places`` are the rows of ``places``.
    """

    places: NDArray[np.float32]
    lost: Floats
    rows: NDArray[np.int64]
    probability: Floats
    beliefs: list[Belief]


def smooth(
    similarities: Sequence[Similarities | SparseRow] | NDArray[np.floating],
    track: PlaceTrack,
    settings: SequenceSettings | None = None,
    likelihood: LogRatio | None = None,
    stamps: Sequence[float | None] | NDArray[np.floating] | None = None,
    odometry: Sequence[Odometry | None] | None = None,
    change: float | None = None,
) -> Smoothed:
    """The forward-backward algorithm (Rabiner, 1989) with the model of :class:`SequenceFilter`, in 20 bytes a frame and place.

    Args:
        similarities: float [q, n], or a row for each of q frames in order.
        track: the n places, at least one.
        stamps: float [q], seconds, or None for a frame without one; where they step back the run is cut in two.
        odometry: q entries, each since the frame before.
        settings, likelihood, change: as for the filter.

    Raises:
        VprError: lengths do not agree, there are no places, or a number is not finite.
    """
    count = len(similarities)
    for name, given in (("stamps", stamps), ("odometry", odometry)):
        if given is not None and len(given) != count:
            raise VprError(f"expected {name} for {count} frames, found {len(given)}")
    if not len(track):
        raise VprError("the map has no places to find the frames in")
    follower = SequenceFilter(track, settings, likelihood, change)
    beliefs = np.empty((count, 3, len(track)), np.float32)
    weights = np.empty((count, len(track)), np.float32)
    lost = np.empty(count)
    steps: list[Step | None] = []
    messages: list[str | None] = []
    for at in range(count):
        seen = follower.look(similarities[at])
        stamp = None if stamps is None else stamps[at]
        moved = None if odometry is None else odometry[at]
        steps.append(follower.predict(None if stamp is None else float(stamp), moved))
        messages.append(follower.take_message())
        beliefs[at], lost[at], weights[at] = follower.update(seen)
    places = _backward(beliefs, lost, weights, steps)
    answers = [
        answer(
            places[at].astype(np.float64),
            float(lost[at]),
            weights[at],
            follower.look(similarities[at]).log_ratio,  # made again rather than kept: the run may be long
            track,
            follower.settings,
            messages[at],
        )
        for at in range(count)
    ]
    rows = np.array([one.row for one in answers], np.int64)
    return Smoothed(places, lost, rows, np.array([one.probability for one in answers]), answers)


def _backward(
    beliefs: NDArray[np.float32], lost: Floats, weights: NDArray[np.float32], steps: Sequence[Step | None]
) -> NDArray[np.float32]:
    """Weighs each frame's belief by what the later frames say; ``lost`` is changed in place."""
    places = np.empty(weights.shape, np.float32)
    later: Floats = np.ones(beliefs.shape[1:])
    later_lost = 1.0
    for at in reversed(range(len(beliefs))):
        joint = beliefs[at] * later
        total = float(joint.sum()) + lost[at] * later_lost
        places[at] = joint.sum(0) / total
        lost[at] *= later_lost / total
        step = steps[at]
        if step is None:  # a sequence begins here: what came before knows nothing of it
            later, later_lost = np.ones_like(later), 1.0
            continue
        later, later_lost = step.expected(later * weights[at], later_lost)
        scale = max(float(later.max()), later_lost)
        later, later_lost = later / scale, later_lost / scale
    return places
