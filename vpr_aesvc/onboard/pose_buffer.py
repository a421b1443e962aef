"""Recent poses, interpolated at the stamps of images."""

import threading
from bisect import bisect_left
from collections import deque

from vpr_aesvc.transforms import interpolate
from vpr_aesvc.types import Pose

_CAPACITY = 2000
_CLOCK_RESET = 1.0  # seconds; a larger step back of the stamps clears the buffer
_BASELINE = 0.1  # seconds over which the velocity is estimated; over less, pose noise dominates


class PoseBuffer:
    """The last 2,000 poses in the order of their stamps. Thread-safe.

    Args:
        gap: largest time in seconds between the requested stamp and the poses used, and between two poses that are interpolated.
    """

    def __init__(self, gap: float) -> None:
        self.gap = gap
        self._stamps: deque[float] = deque(maxlen=_CAPACITY)
        self._poses: deque[Pose] = deque(maxlen=_CAPACITY)
        self._changed = threading.Condition()

    def add(self, stamp: float, pose: Pose) -> None:
        """Adds a pose. A stamp one second or more before the last clears the buffer first: a bag was restarted. Any other stamp that is
        not after the last is ignored."""
        with self._changed:
            if self._stamps and stamp <= self._stamps[-1] - _CLOCK_RESET:
                self.clear()
            if not self._stamps or stamp > self._stamps[-1]:
                self._stamps.append(stamp)
                self._poses.append(pose)
                self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._stamps.clear()
            self._poses.clear()

    def at(self, stamp: float, wait: float = 0.0) -> Pose | None:
        """The interpolated pose at a stamp. If no later pose comes within ``wait`` seconds, it is extrapolated from the latest ones. None if
        the known poses are more than ``gap`` away."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._stamps) and self._stamps[-1] >= stamp, wait)
            return self._pose_at(stamp)

    def _pose_at(self, stamp: float) -> Pose | None:
        if not self._stamps:
            return None
        after = bisect_left(self._stamps, stamp)
        if after == len(self._stamps):
            return self._extrapolate(stamp) if stamp - self._stamps[-1] <= self.gap else None
        if self._stamps[after] == stamp:
            return self._poses[after]
        if after == 0:
            return None
        span = self._stamps[after] - self._stamps[after - 1]
        if span > self.gap:
            return None
        return interpolate(self._poses[after - 1], self._poses[after], (stamp - self._stamps[after - 1]) / span)

    def _extrapolate(self, stamp: float) -> Pose:
        """Assumes constant velocity and turn rate (slerp beyond its end)."""
        latest = self._stamps[-1]
        earlier = bisect_left(self._stamps, latest - _BASELINE - 1e-6)
        earlier -= self._stamps[earlier] > latest - _BASELINE + 1e-6
        if earlier < 0 or latest - self._stamps[earlier] > self.gap:
            return self._poses[-1]
        span = latest - self._stamps[earlier]
        return interpolate(self._poses[earlier], self._poses[-1], 1 + (stamp - latest) / span)
