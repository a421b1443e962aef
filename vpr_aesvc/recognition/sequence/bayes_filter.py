"""A discrete Bayes filter over the places of a map, with one more state: not in the map.

For each frame:

1. Predict: ``b, lost <- motion model`` (``motion_model``).
2. Update: ``b_i <- b_i * w_i``, where ``w_i`` is the likelihood ratio of place i (``likelihood``), corrected for correlated frames;
   ``lost`` keeps weight 1. Then b and lost are normalized to sum 1.
3. Answer: the place with the largest belief in its window; see ``best_place`` and ``Belief``.

Memory is constant and time is linear in the number of places, or with ``SampledSimilarities`` in the number of those.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.row_sets import position_of, values_at
from vpr_aesvc.recognition.sequence.likelihood import DEFAULT_LIKELIHOOD, ObservedFrame, SimilarityLikelihood, change_of
from vpr_aesvc.recognition.sequence.motion_model import MODES, MotionSettings, Step, plan_step
from vpr_aesvc.recognition.sequence.place_track import PlaceTrack
from vpr_aesvc.recognition.sequence.sparse_belief import SparseBelief
from vpr_aesvc.recognition.similarity.sampled import SampledSimilarities
from vpr_aesvc.types import Floats, Odometry, Rows

_LEAST = 1e-9  # usual change, where all images of a map are equal
_PRIOR_LOST = 0.5  # probability of not being in the map when a sequence begins
_PACE = 0.2  # weight of the newest interval in the moving average of the time between frames
_UNLIKELY = 1e-4  # of the most probable place
_DOMINATED = math.log(2)
_OWN_WEIGHT = 0.1  # weight of a place's own belief beside that of its window


class SequenceSettings(MotionSettings):
    """Assumptions of the sequence filter, and when it accepts."""

    accept: float = Field(
        default=0.95, gt=0, lt=1, description="Least probability that the robot is within the window of the best place"
    )
    window: int = Field(
        default=3, ge=0, description="Places along the traverse on either side that count as the same answer"
    )


@dataclass(frozen=True)
class Belief:
    """The belief after a frame.

    Attributes:
        row: of the best place; None while the map is empty.
        probability: that the robot is within ``window`` places of it along its traverse or, with known positions, within 5 m.
        lost: probability that the robot is not in the map, or at an excluded place.
        likelihood_ratio: of this frame alone, averaged over the window with the predicted belief as weights.
        accepted: ``probability`` reaches the threshold and this frame agrees: ``likelihood_ratio`` is at least 1 and no place outside
            the window has twice the best ratio inside. After a kidnapping only earlier frames support the old place.
        places: float64 [n], the probability of each place; in a large map, with ``rows``, of these.
        rows: int64 [k], ascending; None if ``places`` holds all. rest: the probability of each other place.
        message: an event, such as the reason for a new sequence; else None.
    """

    row: int | None
    probability: float
    lost: float
    likelihood_ratio: float
    accepted: bool
    places: Floats
    message: str | None = None
    rows: Rows | None = None
    rest: float = 0.0

    def at(self, rows: Rows) -> Floats:
        """The probabilities of the places ``rows`` [k]."""
        return values_at(self.places, self.rows, rows, self.rest)

    def likely_rows(self, count: int) -> Rows:
        """All ``count`` places of the map; of a large map those that are not far less probable than the best."""
        if self.rows is None:
            return np.arange(count)
        return self.rows[self.places > max(_UNLIKELY * float(self.places.max()), self.rest)]


class SequenceFilter:
    """Tracks the robot's place in the map, one frame at a time.

    Args:
        track: the places; may grow. New places start with probability 0.
        likelihood: similarities -> log likelihood ratios; may be replaced as the map grows.
    """

    def __init__(
        self,
        track: PlaceTrack,
        settings: SequenceSettings | None = None,
        likelihood: SimilarityLikelihood | None = None,
    ) -> None:
        self.track = track
        self.settings = settings or SequenceSettings()
        self.likelihood = likelihood or DEFAULT_LIKELIHOOD
        self._usual_seconds: float | None = None
        self.reset()

    def reset(self, reason: str | None = None) -> None:
        """Starts a new sequence; ``reason`` is the message of the next belief."""
        self._belief: Floats | SparseBelief | None = None
        self._lost = _PRIOR_LOST
        self._previous: ObservedFrame | None = None
        self._stamp: float | None = None
        self._message = reason

    def step(
        self,
        similarities: NDArray[np.floating] | SampledSimilarities,
        stamp: float | None = None,
        odometry: Odometry | None = None,
    ) -> Belief:
        """Processes one frame.

        Args:
            similarities: float [m], cosines to the first m places of the track. Places beyond m, and those with minus infinity, are
                excluded. With those to some places the belief is sparse until the next sequence.
            stamp: of the frame, seconds, on any clock. A stamp before the previous one starts a new sequence.
            odometry: since the previous frame.

        Raises:
            VprError: a number is not finite, or there are more similarities than places. The belief is unchanged.
        """
        if isinstance(similarities, SampledSimilarities):
            return self._step_some(similarities, stamp, odometry)
        observed = self.observe(similarities)
        self.predict(stamp, odometry)
        belief, lost, weights = self.update(observed)
        places, message = belief.sum(0), self.take_message()
        return answer(places, lost, weights, observed.log_ratio, self.track, self.settings, message)

    def observe(self, similarities: NDArray[np.floating]) -> ObservedFrame:
        """The likelihood ratios of a frame. Does not change the filter."""
        return ObservedFrame(similarities, self.likelihood(similarities, len(self.track)))

    def _step_some(self, similarities: SampledSimilarities, stamp: float | None, odometry: Odometry | None) -> Belief:
        """As ``step`` with a sparse belief: the places that the frame was compared with and those that the belief reaches have numbers of their
        own. The mean weight of the sample is that of the others."""
        step, count = self._plan(stamp, odometry), len(self.track)
        belief, previous = self._belief, self._previous
        if previous and getattr(previous.similarities, "places", None) is not similarities.places:
            self._previous = previous = None  # of a smaller map
        if step is None or belief is None:
            share = (1 - _PRIOR_LOST) / count
            belief = SparseBelief(np.empty(0, np.int64), np.empty((3, 0)), MODES * share, _PRIOR_LOST, count)
        else:
            if not isinstance(belief, SparseBelief):  # the map was small
                belief = SparseBelief(np.arange(belief.shape[1]), belief, np.zeros(3), self._lost, belief.shape[1])
            belief = step.propagate_some(belief.grown(count), similarities.places.sample)
        similarities = similarities.including(belief.rows)
        belief = belief.including(similarities.rows)
        observed = ObservedFrame(similarities, self.likelihood(similarities, count))
        log_ratio, repeated, unknown = observed.log_ratio, self._repeated(observed), similarities.only_sampled
        if repeated > 0 and previous and isinstance(previous.similarities, SampledSimilarities):
            known = np.where(previous.log_ratio > -np.inf, previous.log_ratio, 0.0)
            rest = _mean(known[previous.similarities.only_sampled])
            log_ratio = log_ratio - repeated * values_at(known, previous.similarities.rows, similarities.rows, rest)
            log_ratio /= 1 + repeated
        self._previous = observed
        weights = np.exp(log_ratio)
        rest_weight = _mean(weights[unknown])
        self._belief = belief = belief.weighted(weights, rest_weight)
        self._lost = belief.lost
        places, rest = belief.values.sum(0), float(belief.rest.sum())
        message = self.take_message()
        return answer(
            places, self._lost, weights, observed.log_ratio, self.track, self.settings, message, belief.rows, rest
        )

    def predict(self, stamp: float | None, odometry: Odometry | None) -> Step | None:
        """Applies the motion model up to the next frame. Returns None where a sequence begins."""
        step, count = self._plan(stamp, odometry), len(self.track)
        if step is None or not isinstance(self._belief, np.ndarray):
            self._belief = MODES[:, None] * np.full((1, count), (1 - _PRIOR_LOST) / max(count, 1))
            self._lost = _PRIOR_LOST if count else 1.0
            return None
        if self._belief.shape[1] < count:
            self._belief = np.pad(self._belief, ((0, 0), (0, count - self._belief.shape[1])))
        self._belief, self._lost = step.propagate(self._belief, self._lost)
        return step

    def _plan(self, stamp: float | None, odometry: Odometry | None) -> Step | None:
        """The motion up to the next frame; None where a sequence begins."""
        if stamp is not None and not math.isfinite(stamp):
            raise VprError(f"the stamp of a frame must be a finite number of seconds, found {stamp}")
        if odometry is not None and not all(map(math.isfinite, (odometry.forward, odometry.left, odometry.turn))):
            raise VprError(f"odometry must be finite, found {odometry}")
        if stamp is not None and self._stamp is not None and stamp < self._stamp:
            self.reset(f"the clock jumped back by {self._stamp - stamp:.3g} s: a new sequence begins")
        seconds = None if stamp is None or self._stamp is None else stamp - self._stamp
        step = None
        if self._belief is not None and len(self.track):
            step = plan_step(self.track, self.settings, seconds, self._usual_seconds, odometry)
        if seconds:
            usual = self._usual_seconds
            self._usual_seconds = seconds if usual is None else (1 - _PACE) * usual + _PACE * seconds
        self._stamp = self._stamp if stamp is None else stamp
        return step

    def update(self, observed: ObservedFrame) -> tuple[Floats, float, Floats]:
        """Applies the measurement.

        Consecutive frames are correlated: while the robot stands still, or drives outside the map, the same chance similarities repeat.
        With r the repeated part (1 minus the change relative to the usual change), the log ratio becomes that of the innovation of an
        autoregression: ``(log_ratio - r * previous) / (1 + r)``.

        Returns:
            Belief float64 [3, n] by mode, probability of not being in the map, and the applied weights [n].
        """
        assert isinstance(self._belief, np.ndarray)
        log_ratio, repeated = observed.log_ratio, self._repeated(observed)
        if repeated > 0 and self._previous is not None:
            previous = self._previous.log_ratio
            log_ratio = log_ratio.copy()
            log_ratio[: len(previous)] -= repeated * np.where(previous > -np.inf, previous, 0.0)
            log_ratio /= 1 + repeated
        self._previous = observed
        weights = np.exp(log_ratio)
        belief = self._belief * weights
        total = float(belief.sum()) + self._lost
        belief /= total
        self._belief, self._lost = belief, self._lost / total
        return belief, self._lost, weights

    def _repeated(self, observed: ObservedFrame) -> float:
        """The part of the frame that repeats the previous one, 0 to 1."""
        if self._previous is None:
            return 0.0
        return 1.0 - min(1.0, change_of(self._previous, observed) / max(self.likelihood.change, _LEAST))

    def take_message(self) -> str | None:
        """The event since the last call, if any."""
        message, self._message = self._message, None
        return message


def answer(
    places: Floats,
    lost: float,
    weights: Floats,
    log_ratio: Floats,
    track: PlaceTrack,
    settings: SequenceSettings,
    message: str | None = None,
    rows: Rows | None = None,
    rest: float = 0.0,
) -> Belief:
    """The belief after one frame.

    Args:
        places: float64 [n], the probability of each place. lost: the probability of not being in the map.
        weights: float [n], that ``SequenceFilter.update`` applied. log_ratio: float64 [n], of the frame alone.
        rows: int64 [k], ascending, if the three above are of these alone. rest: the probability of each other place.
    """
    if not len(places):
        return Belief(None, 0.0, lost, 0.0, False, places, message)
    row, near = best_place(places, track, settings.window, rows, rest)
    at = near
    if rows is not None:
        at, known = position_of(rows, near)
        at = at[known]
    probability = min(float(values_at(places, rows, near, rest).sum()), 1.0)
    predicted = places[at] / np.maximum(weights[at], 1e-300)
    likelihood_ratio = float(predicted @ np.exp(log_ratio[at]) / max(predicted.sum(), 1e-300))
    frame_agrees = likelihood_ratio >= 1 and bool(log_ratio[at].max() >= log_ratio.max() - _DOMINATED)
    return Belief(
        row=row,
        probability=probability,
        lost=lost,
        likelihood_ratio=likelihood_ratio,
        accepted=probability >= settings.accept and frame_agrees,
        places=places,
        message=message,
        rows=rows,
        rest=rest,
    )


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 0.0


def best_place(
    places: Floats, track: PlaceTrack, window: int, rows: Rows | None = None, rest: float = 0.0
) -> tuple[int, Rows]:
    """The place with the largest belief within ``window`` places along its traverse, and the rows that count as the same answer: this
    window and, with known positions, all places within 5 m.

    An answer is right if the robot is within the window, so the middle of a flat belief is best. A small weight on the place's own
    belief makes a peak the best place of a peaked belief. ``rows`` and ``rest``: as in ``answer``."""
    first, end = track.places_grid().neighbors(window, rows)
    if rows is None:
        below = np.concatenate([[0.0], np.cumsum(places)])
        within = below.take(end)
        within -= below.take(first)
        within += _OWN_WEIGHT * places
        row = int(np.argmax(within))
    else:
        below = np.concatenate([[0.0], np.cumsum(places - rest)])
        within = below[np.searchsorted(rows, end)] - below[np.searchsorted(rows, first)] + rest * (end - first)
        row = int(rows[np.argmax(within + _OWN_WEIGHT * places)])
    return row, track.near(row, window)
