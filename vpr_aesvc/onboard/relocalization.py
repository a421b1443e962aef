"""When a match may set the robot's pose anew, and the pose of the odometry frame in the map.

One match can be wrong, and a localization such as AMCL is reset by every initial pose. So a pose is a fix only when several matches in a row
agree with each other by odometry; and later fixes come only after the robot was lost.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vpr_aesvc.transforms import angle, compose, distance, interpolate, inverse
from vpr_aesvc.types import Floats, Pose

Event = Literal["fix", "agrees", "none"]
State = Literal["lost", "unsure", "sure"]
_WINDOW = 5  # recognitions
_AGREEING = 3  # matches of the window that must agree, with the newest
_LOST_FRAMES = 5  # recognitions in a row that find the robot outside the map
_LOST = 0.5  # probability
_NOWHERE_SECONDS, _NOWHERE_SHARE = (
    10.0,
    0.75,
)  # part of the frames of so many seconds whose best match is more probably wrong than right
SIGMAS = 3.0
_WIDEST = 10.0, np.radians(60)  # meters and radians that three standard deviations may allow
# Meters and radians that two poses may differ beyond their covariances.
AGREEMENT = 1.0, np.radians(30)
_CONTRADICTION = 3.0, np.radians(45)  # if the covariance of the robot's localization is not known
_WHILE = 2.0  # seconds that matches must contradict the localization before a new fix
_CONFIRMED = 10.0  # seconds after a match that the robot's pose counts as sure
# Standard deviations of the odometry: part of the distance driven; radians per meter.
DRIFT, _DRIFT_RADIANS = 0.05, 0.02


@dataclass(frozen=True)
class Sighting:
    """A match with a pose.

    Attributes:
        base: pose of the robot's base in the map. covariance: float64 [6, 6] of it.
        odometry: pose of the base in the odometry frame at the same time; None without odometry.
        metric: whether the pose was measured; else it is that of the matched place.
    """

    base: Pose
    covariance: Floats
    odometry: Pose | None = None
    metric: bool = False

    @property
    def odometry_in_map(self) -> Pose:
        """Without odometry the pose of the base, as if the robot stood still."""
        return self.base if self.odometry is None else compose(self.base, inverse(self.odometry))

    def agrees(self, pose: Pose, covariance: Floats | None, tolerance: tuple[float, float]) -> bool:
        """Whether the base may be at ``pose``, within three standard deviations and the tolerance in meters and radians."""
        total = self.covariance if covariance is None else self.covariance + covariance
        meters = min(SIGMAS * float(np.sqrt(np.trace(total[:3, :3]))), _WIDEST[0]) + tolerance[0]
        radians = min(SIGMAS * float(np.sqrt(np.trace(total[3:, 3:]))), _WIDEST[1]) + tolerance[1]
        return distance(self.base, pose) <= meters and angle(self.base, pose) <= radians

    def moved(self, earlier: Sighting) -> Sighting:
        """An earlier sighting, moved to now by odometry, whose drift widens it. As it was without odometry."""
        if self.odometry is None or earlier.odometry is None:
            return earlier
        drift = _drift(earlier.odometry, self.odometry)
        return replace(
            earlier,
            base=compose(earlier.odometry_in_map, self.odometry),
            covariance=earlier.covariance + np.diag(np.repeat(drift, 3)),
            odometry=self.odometry,
        )


class Agreement:
    """The last sightings."""

    def __init__(self) -> None:
        self._window: deque[Sighting | None] = deque(maxlen=_WINDOW)

    def clear(self) -> None:
        self._window.clear()

    def add(self, sighting: Sighting | None) -> Sighting | None:
        """Takes the next one, None if no match was accepted or it has no pose. If enough of the last ones agree with it: the one of these
        with the smallest covariance, moved to now; else None. Without odometry the newest. If none was measured, at the mean of their positions:
        each is that of a place, before or behind the robot."""
        self._window.append(sighting)
        if sighting is None:
            return None
        moved = [sighting.moved(other) for other in self._window if other is not None]
        agreeing = [other for other in moved if sighting.agrees(other.base, other.covariance, AGREEMENT)]
        if len(agreeing) < _AGREEING:
            return None
        usable = agreeing if sighting.odometry is not None else [sighting]
        best = min(usable, key=lambda other: float(np.trace(other.covariance)))
        if best.metric:
            return best
        x, y, z = np.mean([other.base.as_tuple()[:3] for other in usable], axis=0).tolist()
        return replace(best, base=replace(best.base, x=x, y=y, z=z))


class Relocalization:
    """Decides which sighting is a fix: the first sure one, the first sure one after a request, and a sure one that contradicts the robot's
    localization for two seconds, or at once if the robot was lost before: found outside the map five times in a row, or nowhere in it for ten seconds.

    The localization is that of another node once it has agreed with a sighting after the last fix, else the own estimate.

    Attributes:
        fix: the sighting of the last fix, the most precise of those that agreed; None before.
        odometry_in_map: estimate of the pose of the odometry frame in the map (map -> odom of REP 105); None before the first fix, and
            without odometry.
    """

    def __init__(self) -> None:
        self.fix: Sighting | None = None
        self.odometry_in_map: Pose | None = None
        self._due = True  # the next sure sighting is a fix, wherever the localization is
        self._lost = False
        self._followed = False  # whether the other localization has taken over the last fix
        self._agreement = Agreement()
        self._lost_frames = 0
        self._nowhere: deque[tuple[float, bool]] = (
            deque()
        )  # since the last sighting: time, and whether no match was probable
        self._variances = np.zeros(2)  # of the estimate: m^2 and rad^2
        self._last_odometry: Pose | None = None
        self._confirmed: float | None = None  # when a sighting last agreed with the localization
        self._contradicted: float | None = None  # since when sightings do not
        self._ignored = False  # the other localization has not taken over the last fix

    def request(self) -> None:
        """The next sure sighting is a fix. Earlier sightings do not count."""
        self._due = True
        self._confirmed = self._contradicted = None
        self._agreement.clear()

    def update(
        self,
        sighting: Sighting | None,
        lost: float,
        probability: float,
        now: float,
        localized: Pose | None = None,
        covariance: Floats | None = None,
    ) -> Event:
        """Takes the result for the next frame.

        Args:
            sighting: None if no match was accepted, or it has no pose.
            lost: probability that the robot is outside the map. probability: that the best match is right, accepted or not.
            now: seconds of a steady clock.
            localized: pose of the base in the map by another localization, such as AMCL; by default that of the own estimate.
            covariance: float64 [6, 6] of ``localized``; None if it is not known.

        Returns:
            ``fix``: the pose may be set to ``fix``. ``agrees``: the sighting agrees with the localization, which may be refined by it.
        """
        self._lost_frames = self._lost_frames + 1 if sighting is None and lost >= _LOST else 0
        self._lost |= self._lost_frames >= _LOST_FRAMES or self._is_nowhere(sighting, probability, now)
        sure = self._agreement.add(sighting)
        if sighting is None:
            return "none"
        own = self._own_pose(sighting)
        tolerance = _CONTRADICTION if covariance is None else AGREEMENT
        if localized is not None:
            self._ignored = not sighting.agrees(localized, covariance, tolerance)
            self._followed |= not self._ignored
        # A localization that ignores the fix, or needs a second for it, must not cause the next one.
        follows = self._followed and localized is not None
        believed = localized if follows else own
        agrees = believed is not None and (
            sighting.agrees(believed, covariance if follows else None, tolerance if follows else _CONTRADICTION)
        )
        if agrees or believed is None:
            self._contradicted = None
        elif self._contradicted is None:
            self._contradicted = now
        if agrees and not self._due:
            self._lost, self._confirmed = False, now
            self._refine(sighting, own)
            return "agrees"
        if sure is None:
            return "none"
        if believed is None:  # nothing can contradict the last fix
            self._confirmed = now
        lasts = self._contradicted is not None and now - self._contradicted >= _WHILE
        if not (self._due or self._lost or lasts):
            return "none"
        self._due = self._lost = self._followed = False
        self._confirmed, self._contradicted = now, None
        self._set(sure)
        return "fix"

    def state(self, now: float) -> tuple[State, str]:
        """Whether the robot's pose is known, and the reason in words. ``now``: seconds of the clock of ``update``."""
        if self._lost:
            return "lost", "the images are not of the map"
        if self._contradicted is not None:
            return "unsure", f"matches contradict the localization since {now - self._contradicted:.1f} s"
        if self._confirmed is None or self._due:
            return "unsure", "no sure match yet"
        if self._ignored and not self._followed:
            return "unsure", "the other localization is not at the sure pose"
        if now - self._confirmed > _CONFIRMED:
            return "unsure", f"no match confirms the pose since {now - self._confirmed:.0f} s"
        return "sure", "matches agree with each other and with the localization"

    def _is_nowhere(self, sighting: Sighting | None, probability: float, now: float) -> bool:
        """Whether no frame of the last seconds was a sighting, and most did not even look like a place of the map."""
        looks = self._nowhere
        if sighting is not None:
            looks.clear()
            return False
        looks.append((now, probability < 0.5))
        lasts = now - looks[0][0] >= _NOWHERE_SECONDS
        is_nowhere = lasts and sum(one for _, one in looks) >= _NOWHERE_SHARE * len(looks)
        while now - looks[0][0] >= _NOWHERE_SECONDS:
            looks.popleft()
        return is_nowhere

    def _own_pose(self, sighting: Sighting) -> Pose | None:
        if sighting.odometry is None or self.odometry_in_map is None:
            return None
        return compose(self.odometry_in_map, sighting.odometry)

    def _set(self, sighting: Sighting) -> None:
        self.fix = sighting
        if sighting.odometry is not None:
            self.odometry_in_map, self._last_odometry = sighting.odometry_in_map, sighting.odometry
            self._variances = _variances(sighting)

    def _refine(self, sighting: Sighting, own: Pose | None) -> None:
        """A Kalman filter in the pose of the base with one variance for position and one for rotation; the odometry's drift is its process
        noise. The estimate is kept in the odometry frame, so that it is smooth between sightings."""
        if own is None or sighting.odometry is None or self._last_odometry is None:
            return
        self._variances += _drift(self._last_odometry, sighting.odometry)
        gains = self._variances / (self._variances + _variances(sighting))
        self._variances *= 1 - gains
        position, rotation = (interpolate(own, sighting.base, float(gain)) for gain in gains)
        base = Pose(position.x, position.y, position.z, rotation.qx, rotation.qy, rotation.qz, rotation.qw)
        self.odometry_in_map = compose(base, inverse(sighting.odometry))
        self._last_odometry = sighting.odometry


def _drift(start: Pose, end: Pose) -> Floats:
    """Variances of the odometry from one pose to the next, float64 [2]: m^2 and rad^2."""
    driven, turned = distance(start, end), angle(start, end)
    return np.array([(DRIFT * driven) ** 2, (_DRIFT_RADIANS * driven) ** 2 + (DRIFT * turned) ** 2])


def _variances(sighting: Sighting) -> Floats:
    """Mean variance of position and of rotation, float64 [2]."""
    return np.diag(sighting.covariance).reshape(2, 3).mean(axis=1)
