"""A discrete Bayes filter over the places of a map, and one more state: not in the map.

One frame says little where a building repeats itself; frames that agree on a way through the map say much. Each step carries the belief as
the robot may have moved (:mod:`motion`), weighs it by what the frame says (:mod:`likelihood`) and scales it to one. Memory is constant, time
is linear in the number of places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.sequence.arc_length import Floats, Rows
from vpr_aesvc.recognition.sequence.likelihood import Seen, Similarities, SimilarityLikelihood, SparseRow, change_of
from vpr_aesvc.recognition.sequence.motion_model import MODES, MotionSettings, Odometry, Step, plan
from vpr_aesvc.recognition.sequence.place_track import SPOT, PlaceTrack

UNKNOWN = 0.5
"""Probability of not being in the map when nothing is known yet."""
_PACE = 0.2  # weight of the newest interval in the usual time between frames
_DOMINATED = math.log(2)  # another place's log ratio exceeds that of the answer by more: the frame shows that place
_ITSELF = 0.1  # what a place's own probability counts in the choice of the best, beside that of its window
LogRatio = Callable[["Similarities | SparseRow", int], Floats]
"""(similarities, number of places n) -> log likelihood ratio float64 [n] of each place against being nowhere in the map."""


class SequenceSettings(MotionSettings):
    """What the sequence filter assumes, and when it answers."""

    accept: float = Field(
        default=0.95, gt=0, lt=1, description="Least probability that the robot is within the window of the best place"
    )
    window: int = Field(
        default=3, ge=0, description="Places along the traverse on either side that count as the same answer"
    )


@dataclass(frozen=True)
class Belief:
    """What the filter believes after a frame.

    Attributes:
        row: of the best place in the map, or None while the map is empty: that with the most belief about it.
        probability: that the robot is within ``window`` places of it along its traverse or, where positions are known, within 5 m.
        lost: that it is not in the map, or where places were left out of the search.
        likelihood_ratio: the mean likelihood ratio of this one frame over those places, as probable as they were before it.
        accepted: whether ``probability`` reaches the level and the frame itself speaks for the answer: its likelihood_ratio is at least one, and no
            other place has twice the ratio of the best there. Where a robot was carried off, only the frames before speak for where it was.
        places: float64 [n], the probability of each place.
        message: what happened, in words, such as why the sequence began anew; else None.
    """

    row: int | None
    probability: float
    lost: float
    likelihood_ratio: float
    accepted: bool
    places: Floats
    message: str | None = None


class SequenceFilter:
    """Follows the robot through the map, a frame at a time.

    Args:
        track: the places; may grow.
        likelihood: turns similarities into log likelihood ratios; may be set anew as the map grows.
        change: how much of what a frame says about other places usually changes from one place to the next; by default as learned.
    """

    def __init__(
        self,
        track: PlaceTrack,
        settings: SequenceSettings | None = None,
        likelihood: LogRatio | None = None,
        change: float | None = None,
    ) -> None:
        self.track = track
        self.settings = settings or SequenceSettings()
        self.likelihood: LogRatio = likelihood or SimilarityLikelihood()
        self._change = change
        self._message: str | None = None
        self._usual: float | None = None
        self.reset()

    def reset(self, reason: str | None = None) -> None:
        """Forgets where the robot was; ``reason`` is the message of the next belief."""
        self._belief: Floats | None = None
        self._lost = UNKNOWN
        self._before: Seen | None = None
        self._stamp: float | None = None
        self._message = reason

    def grow(
        self,
        traverses: Sequence[Hashable] | NDArray[np.generic],
        poses: NDArray[np.floating] | None = None,
        stamps: NDArray[np.floating] | None = None,
    ) -> None:
        """More places at the end of the map, as for :class:`PlaceTrack`. The robot is not believed to be at one of them yet."""
        self.track.append(traverses, poses, stamps)

    def step(
        self, similarities: Similarities | SparseRow, stamp: float | None = None, odometry: Odometry | None = None
    ) -> Belief:
        """One more frame.

        Args:
            similarities: float [m], cosines to the first m places of the track; the others, and those of minus infinity, are left out of the
                search. Or the best of them.
            stamp: of the frame, seconds on the clock of the map's stamps or any other. If it lies before the last, the sequence begins anew.
            odometry: since the frame before.

        Raises:
            VprError: a number is not finite, or there are more similarities than places. The belief is as it was.
        """
        seen = self.look(similarities)
        self.predict(stamp, odometry)
        belief, lost, weights = self.update(seen)
        places, message = belief.sum(0), self.take_message()
        return answer(places, lost, weights, seen.log_ratio, self.track, self.settings, message)

    def look(self, similarities: Similarities | SparseRow) -> Seen:
        """What a frame says; changes nothing."""
        return Seen(similarities, self.likelihood(similarities, len(self.track)))

    def predict(self, stamp: float | None, odometry: Odometry | None) -> Step | None:
        """Carries the belief to the time of the next frame. None where a sequence begins."""
        if stamp is not None and not math.isfinite(stamp):
            raise VprError(f"the stamp of a frame must be a finite number of seconds, found {stamp}")
        if odometry is not None and not all(map(math.isfinite, (odometry.forward, odometry.left, odometry.turn))):
            raise VprError(f"odometry must be finite, found {odometry}")
        if stamp is not None and self._stamp is not None and stamp < self._stamp:
            self.reset(f"the clock jumped back by {self._stamp - stamp:.3g} s, so the sequence begins anew")
        seconds = None if stamp is None or self._stamp is None else stamp - self._stamp
        count = len(self.track)
        step = None
        if self._belief is None or not count:
            self._belief = MODES[:, None] * np.full((1, count), (1 - UNKNOWN) / max(count, 1))
            self._lost = UNKNOWN if count else 1.0
        else:
            if self._belief.shape[1] < count:
                self._belief = np.pad(self._belief, ((0, 0), (0, count - self._belief.shape[1])))
            step = plan(self.track, self.settings, seconds, self._usual, odometry)
            self._belief, self._lost = step.ahead(self._belief, self._lost)
        if seconds:
            self._usual = seconds if self._usual is None else (1 - _PACE) * self._usual + _PACE * seconds
        self._stamp = self._stamp if stamp is None else stamp
        return step

    def update(self, seen: Seen) -> tuple[Floats, float, Floats]:
        """Weighs the belief by what a frame says.

        What other places look like changes little while a robot stands still, or drives where a map does not reach; the same chance likeness
        then comes again and again. As a part r of it comes again, a ratio is worth what an autoregression leaves of it: (now - r before)
        / (1 + r), in logarithms.

        Returns:
            belief float64 [3, n] by way of moving, probability of not being in the map, and the weights [n] that were applied.
        """
        assert self._belief is not None
        log_ratio = seen.log_ratio
        if self._before is not None:
            again = 1.0 - min(1.0, change_of(self._before, seen) / self._usual_change())
            if again > 0:
                log_ratio = log_ratio.copy()
                earlier = log_ratio[: len(self._before.log_ratio)]
                earlier -= again * np.where(self._before.log_ratio > -np.inf, self._before.log_ratio, 0.0)
                log_ratio /= 1 + again
        self._before = seen
        weights = np.exp(log_ratio)
        belief = self._belief * weights
        total = float(belief.sum()) + self._lost
        self._belief, self._lost = belief / total, self._lost / total
        return self._belief, self._lost, weights

    def take_message(self) -> str | None:
        """What happened since it was last asked for, in words."""
        message, self._message = self._message, None
        return message

    def _usual_change(self) -> float:
        if self._change is not None:
            return self._change
        return (
            self.likelihood.change if isinstance(self.likelihood, SimilarityLikelihood) else SimilarityLikelihood.change
        )


def answer(
    places: Floats,
    lost: float,
    weights: Floats,
    log_ratio: Floats,
    track: PlaceTrack,
    settings: SequenceSettings,
    message: str | None = None,
) -> Belief:
    """What is believed of one frame.

    Args:
        places: float64 [n], the probability of each place. lost: that of none.
        weights: float [n], those of the frame that are in ``places``. log_ratio: float64 [n], what it says of itself.
    """
    if not len(places):
        return Belief(None, 0.0, lost, 0.0, False, places, message)
    row, near = best_place(places, track, settings.window)
    probability = min(float(places[near].sum()), 1.0)
    before = places[near] / np.maximum(weights[near], 1e-300)
    likelihood_ratio = float(before @ np.exp(log_ratio[near]) / max(before.sum(), 1e-300))
    speaks_for_it = likelihood_ratio >= 1 and bool(log_ratio[near].max() >= log_ratio.max() - _DOMINATED)
    accepted = probability >= settings.accept and speaks_for_it
    return Belief(row, probability, lost, likelihood_ratio, accepted, places, message)


def best_place(places: Floats, track: PlaceTrack, window: int) -> tuple[int, Rows]:
    """The place with the most belief within ``window`` places of it along its traverse, and the rows that count as the same answer: those and,
    where positions are known, what lies within 5 m.

    An answer is right where the robot is within the window, so a flat belief is answered by its middle; what the place itself has counts a
    little besides, so that a peak is answered by the peak."""
    first, end = track.require_line().around(window)
    below = np.concatenate([[0.0], np.cumsum(places)])
    row = int(np.argmax(below[end] - below[first] + _ITSELF * places))
    near = np.arange(first[row], end[row])
    if track.has_positions:
        here = track.positions[row]
        same = np.abs(track.positions[:, 0] - here[0]) <= SPOT
        close = np.flatnonzero(same)
        apart = track.positions[close] - here
        same[close] = np.einsum("ij,ij->i", apart, apart) <= SPOT**2
        same[near] = True
        near = np.flatnonzero(same)
    return row, near
