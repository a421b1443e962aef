"""When a match may set the robot's pose anew, and the pose of the odometry frame in the map.

One match can be wrong, and a localization such as AMCL is reset by every initial pose. So a pose is a fix only when several matches in a row
agree with each other by odometry; and later fixes come only after the robot was lost.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vpr_aesvc.transforms import angle, compose, distance, interpolate, inverse
from vpr_aesvc.types import Floats, Pose

Event = Literal["fix", "agrees", "none"]
_WINDOW = 5  # recognitions
_AGREEING = 3  # matches of the window that must agree, with the newest
_LOST_FRAMES = 5  # recognitions in a row that find the robot outside the map
_LOST = 0.5  # probability
_SIGMAS = 3.0
_WIDEST = 10.0, np.radians(60)  # meters and radians that three standard deviations may allow
# Meters and radians that two poses may differ beyond their covariances: between matches, and between a match and the robot's localization.
AGREEMENT = 1.0, np.radians(30)
_CONTRADICTION = 3.0, np.radians(45)
# Standard deviations of the odometry: part of the distance driven; radians per meter.
_DRIFT, _DRIFT_RADIANS = 0.05, 0.02


@dataclass(frozen=True)
class Sighting:
    """A match with a pose.

    Attributes:
        base: pose of the robot's base in the map. covariance: float64 [6, 6] of it.
        odometry: pose of the base in the odometry frame at the same time; None without odometry.
    """

    base: Pose
    covariance: Floats
    odometry: Pose | None = None

    @property
    def odometry_in_map(self) -> Pose:
        """Without odometry the pose of the base, as if the robot stood still."""
        return self.base if self.odometry is None else compose(self.base, inverse(self.odometry))

    def agrees(self, pose: Pose, covariance: Floats | None, tolerance: tuple[float, float]) -> bool:
        """Whether the base may be at ``pose``, within three standard deviations and the tolerance in meters and radians."""
        total = self.covariance if covariance is None else self.covariance + covariance
        meters = min(_SIGMAS * float(np.sqrt(np.trace(total[:3, :3]))), _WIDEST[0]) + tolerance[0]
        radians = min(_SIGMAS * float(np.sqrt(np.trace(total[3:, 3:]))), _WIDEST[1]) + tolerance[1]
        return distance(self.base, pose) <= meters and angle(self.base, pose) <= radians

    def moved(self, earlier: Sighting) -> Pose:
        """Where the base was by an earlier sighting, moved to now by odometry."""
        if self.odometry is None or earlier.odometry is None:
            return earlier.base
        return compose(earlier.odometry_in_map, self.odometry)


class Relocalization:
    """Decides which sighting is a fix: the first sure one, and the first sure one after the robot was lost or a fix was requested.

    The robot is lost when it is found outside the map five times in a row, or when sure sightings contradict its localization: that of
    another node once it has agreed with a sighting after the last fix, else the own estimate.

    Attributes:
        odometry_in_map: estimate of the pose of the odometry frame in the map (map -> odom of REP 105); None before the first fix, and
            without odometry.
    """

    def __init__(self) -> None:
        self.odometry_in_map: Pose | None = None
        self._due = True  # the next sure sighting is a fix
        self._followed = False  # whether the other localization has taken over the last fix
        self._window: deque[Sighting | None] = deque(maxlen=_WINDOW)
        self._lost_frames = 0
        self._variances = np.zeros(2)  # of the estimate: m^2 and rad^2
        self._last_odometry: Pose | None = None

    def request(self) -> None:
        """The next sure sighting is a fix. Earlier sightings do not count."""
        self._due = True
        self._window.clear()

    def update(self, sighting: Sighting | None, lost: float, localized: Pose | None = None) -> Event:
        """Takes the result for the next frame.

        Args:
            sighting: None if no match was accepted, or it has no pose.
            lost: probability that the robot is outside the map.
            localized: pose of the base in the map by another localization, such as AMCL; by default that of the own estimate.

        Returns:
            ``fix``: the pose may be set to the sighting's. ``agrees``: it agrees with the localization, which may be refined by it.
        """
        self._lost_frames = self._lost_frames + 1 if sighting is None and lost >= _LOST else 0
        if self._lost_frames >= _LOST_FRAMES:
            self._due = True
        self._window.append(sighting)
        if sighting is None:
            return "none"
        own = self._own_pose(sighting)
        self._followed |= localized is not None and sighting.agrees(localized, None, _CONTRADICTION)
        # A localization that ignores the fix, or needs a second for it, must not cause the next one.
        believed = localized if self._followed and localized is not None else own
        if not self._due and believed is not None and sighting.agrees(believed, None, _CONTRADICTION):
            self._refine(sighting, own)
            return "agrees"
        agreeing = sum(
            other is not None and sighting.agrees(sighting.moved(other), other.covariance, AGREEMENT)
            for other in self._window
        )
        if agreeing < _AGREEING or (believed is None and not self._due):
            return "none"
        self._due = self._followed = False
        self._set(sighting)
        return "fix"

    def _own_pose(self, sighting: Sighting) -> Pose | None:
        if sighting.odometry is None or self.odometry_in_map is None:
            return None
        return compose(self.odometry_in_map, sighting.odometry)

    def _set(self, sighting: Sighting) -> None:
        if sighting.odometry is not None:
            self.odometry_in_map, self._last_odometry = sighting.odometry_in_map, sighting.odometry
            self._variances = _variances(sighting)

    def _refine(self, sighting: Sighting, own: Pose | None) -> None:
        """A Kalman filter in the pose of the base with one variance for position and one for rotation; the odometry's drift is its process
        noise. The estimate is kept in the odometry frame, so that it is smooth between sightings."""
        if own is None or sighting.odometry is None or self._last_odometry is None:
            return
        driven = distance(self._last_odometry, sighting.odometry)
        turned = angle(self._last_odometry, sighting.odometry)
        self._variances += (_DRIFT * driven) ** 2, (_DRIFT_RADIANS * driven) ** 2 + (_DRIFT * turned) ** 2
        gains = self._variances / (self._variances + _variances(sighting))
        self._variances *= 1 - gains
        position, rotation = (interpolate(own, sighting.base, float(gain)) for gain in gains)
        base = Pose(position.x, position.y, position.z, rotation.qx, rotation.qy, rotation.qz, rotation.qw)
        self.odometry_in_map = compose(base, inverse(sighting.odometry))
        self._last_odometry = sighting.odometry


def _variances(sighting: Sighting) -> Floats:
    """Mean variance of position and of rotation, float64 [2]."""
    return np.diag(sighting.covariance).reshape(2, 3).mean(axis=1)
