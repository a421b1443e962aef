"""The forward-backward algorithm over a whole run: the belief of each frame given the frames before and after it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.sequence.bayes_filter import Belief, SequenceFilter, SequenceSettings, answer
from vpr_aesvc.recognition.sequence.likelihood import SimilarityLikelihood
from vpr_aesvc.recognition.sequence.motion_model import Step
from vpr_aesvc.recognition.sequence.place_track import PlaceTrack
from vpr_aesvc.types import Floats, Odometry


def smooth(
    similarities: Sequence[NDArray[np.floating]] | NDArray[np.floating],
    track: PlaceTrack,
    settings: SequenceSettings | None = None,
    likelihood: SimilarityLikelihood | None = None,
    stamps: Sequence[float | None] | NDArray[np.floating] | None = None,
    odometry: Sequence[Odometry | None] | None = None,
) -> list[Belief]:
    """The beliefs of all frames of a run (Rabiner, 1989), with the models of ``SequenceFilter``.

    Args:
        similarities: float [q, n], one row for each of q frames in order.
        track: the n places, at least one.
        stamps: float [q], seconds, or None for a frame without one. The run is cut in two where they step back.
        odometry: q entries, each since the previous frame.
        settings, likelihood: as for the filter.

    Raises:
        VprError: lengths do not agree, there are no places, or a number is not finite.
    """
    count = len(similarities)
    for name, given in (("stamps", stamps), ("odometry", odometry)):
        if given is not None and len(given) != count:
            raise VprError(f"expected {name} for {count} frames, found {len(given)}")
    if not len(track):
        raise VprError("the map has no places; add places before recognizing a run")
    follower = SequenceFilter(track, settings, likelihood)
    beliefs = np.empty((count, 3, len(track)), np.float32)
    weights = np.empty((count, len(track)), np.float32)
    lost = np.empty(count)
    steps: list[Step | None] = []
    messages: list[str | None] = []
    for at in range(count):
        observed = follower.observe(similarities[at])
        stamp = None if stamps is None else stamps[at]
        steps.append(
            follower.predict(None if stamp is None else float(stamp), None if odometry is None else odometry[at])
        )
        messages.append(follower.take_message())
        beliefs[at], lost[at], weights[at] = follower.update(observed)
    places = _backward(beliefs, lost, weights, steps)
    return [
        answer(
            places=places[at].astype(np.float64),
            lost=float(lost[at]),
            weights=weights[at],
            log_ratio=follower.observe(similarities[at]).log_ratio,  # computed again to save memory
            track=track,
            settings=follower.settings,
            message=messages[at],
        )
        for at in range(count)
    ]


def _backward(
    beliefs: NDArray[np.float32], lost: Floats, weights: NDArray[np.float32], steps: Sequence[Step | None]
) -> NDArray[np.float32]:
    """The backward pass: float32 [q, n], the probability of each place given all frames. Changes ``lost`` in place."""
    places = np.empty(weights.shape, np.float32)
    backward: Floats = np.ones(beliefs.shape[1:])
    backward_lost = 1.0
    for at in reversed(range(len(beliefs))):
        joint = beliefs[at] * backward
        total = float(joint.sum()) + lost[at] * backward_lost
        places[at] = joint.sum(0) / total
        lost[at] *= backward_lost / total
        step = steps[at]
        if step is None:  # a sequence begins here: earlier frames are independent of it
            backward, backward_lost = np.ones_like(backward), 1.0
            continue
        backward, backward_lost = step.expected(backward * weights[at], backward_lost)
        scale = max(float(backward.max()), backward_lost)
        backward, backward_lost = backward / scale, backward_lost / scale
    return places
