"""Looks for the pose of a robot that may be anywhere: frame by frame, until one place is sure."""

import math
from threading import Event

import numpy as np

from vpr_aesvc.onboard.relocalization import Agreement, Sighting
from vpr_aesvc.recognition.result import Candidate, Recognition

_GUESSES = 5
_UNMEASURED = 5  # sure frames after which the pose of the matched place is taken, if none could be measured
_FIRST_LOOK = 5  # frames before another view is advised


class PoseSearch:
    """One search. The thread that recognizes calls ``update``; others read.

    Attributes:
        updated: set at each frame.
        frames: that were looked at.
        found: the robot's pose at ``stamp`` (seconds), once it is sure.
        guesses: (probability, place), the most probable first, at most 5; with ``found`` its place is the first.
        stopped: why the search cannot go on; else empty.
    """

    def __init__(self) -> None:
        self.updated = Event()
        self.frames = 0
        self.found: Sighting | None = None
        self.stamp = 0.0
        self.guesses: list[tuple[float, Candidate]] = []
        self.stopped = ""
        self._places: dict[int, tuple[float, Candidate]] = {}  # by id, at their most probable
        self._agreement = Agreement()
        self._accepted = self._posed = self._unmeasured = 0
        self._why = ""  # of the last frame

    def update(self, recognition: Recognition, sighting: Sighting | None, stamp: float | None) -> None:
        """Takes the next frame; none after ``found``. ``sighting``: None if no match was accepted, or it has no pose."""
        if self.found is not None:
            return
        self.frames += 1
        self._accepted += recognition.accepted
        self._posed += sighting is not None
        self._why = recognition.why
        self.stamp = stamp or 0.0
        found = self._agreement.add(sighting)
        if found is not None and not found.metric and recognition.metric_refusal:
            self._unmeasured += 1
            found = found if self._unmeasured > _UNMEASURED else None
        if recognition.candidates:
            best = recognition.candidates[0]
            place, guess = best.match.place.id, (recognition.probability, best)
            self._places[place] = max(guess, self._places.get(place, guess), key=lambda one: one[0])
            ranked = sorted(self._places, key=lambda one: (found is None or one != place, -self._places[one][0]))
            self.guesses = [self._places[one] for one in ranked[:_GUESSES]]
        self.found = found  # last: another thread may wait for it
        self.updated.set()

    @property
    def advice(self) -> str:
        """``turn`` if another view would help; else empty."""
        return "turn" if self.found is None and self.frames >= _FIRST_LOOK else ""

    @property
    def reason(self) -> str:
        """What the robot's pose is sure by, or why it is not, in words."""
        recognized = f"{self._accepted} of {self.frames} images recognized"
        if self.found is not None:
            sigma = math.sqrt(np.linalg.eigvalsh(self.found.covariance[:3, :3])[-1])
            how = "" if self.found.metric else f"; not measured, but by the places that match: to about {sigma:.1f} m"
            return f"{recognized}, the last ones agree: {self._why}{how}"
        if not self.frames:
            return "no image was looked at: check that the camera's images come"
        if not self._accepted:
            return f"{recognized}; the last: {self._why}"
        if not self._posed:
            return f"{recognized}, but their places have no poses, or the camera's mount is not known"
        return f"{recognized}, but never enough in a row that agree by odometry"
