"""Poses as they arrive, asked for at the stamp of an image that may have come before them."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import deque

from vpr_aesvc.transforms import interpolate
from vpr_aesvc.types import Pose

_KEPT = 2000
_CLOCK_RESET = 1.0
_BASELINE = 0.1  # seconds that poses must lie apart to say how fast the robot goes: over less, noise would


class PoseBuffer:
    """Poses by rising stamp, the last two thousand. One thread adds, another asks.

    Args:
        gap: seconds that a pose may lie from the stamp asked for, and two from each other, for the pose there to be known.
    """

    def __init__(self, gap: float) -> None:
        self.gap = gap
        self._stamps: deque[float] = deque(maxlen=_KEPT)
        self._poses: deque[Pose] = deque(maxlen=_KEPT)
        self._changed = threading.Condition()

    def add(self, stamp: float, pose: Pose) -> None:
        """One more. A stamp that lies a second or more before the last begins anew, as where a bag starts again; any other that does not
        come after the last is passed over."""
        with self._changed:
            if self._stamps and stamp <= self._stamps[-1] - _CLOCK_RESET:
                self._stamps.clear()
                self._poses.clear()
            if not self._stamps or stamp > self._stamps[-1]:
                self._stamps.append(stamp)
                self._poses.append(pose)
                self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._stamps.clear()
            self._poses.clear()

    def at(self, stamp: float, wait: float = 0.0) -> Pose | None:
        """The pose at a stamp, interpolated; where none has come after the stamp within ``wait`` seconds, on from the newest as the robot
        went last. None where the poses that are known lie more than ``gap`` away."""
        until = time.monotonic() + wait
        with self._changed:
            while not self._covers(stamp) and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._find(stamp)

    def _covers(self, stamp: float) -> bool:
        return bool(self._stamps) and self._stamps[-1] >= stamp

    def _find(self, stamp: float) -> Pose | None:
        if not self._stamps:
            return None
        after = bisect_left(self._stamps, stamp)
        if after == len(self._stamps):
            return self._on_from_the_newest(stamp) if stamp - self._stamps[-1] <= self.gap else None
        if self._stamps[after] == stamp:
            return self._poses[after]
        if after == 0:
            return None
        span = self._stamps[after] - self._stamps[after - 1]
        if span > self.gap:
            return None
        return interpolate(self._poses[after - 1], self._poses[after], (stamp - self._stamps[after - 1]) / span)

    def _on_from_the_newest(self, stamp: float) -> Pose:
        """At an even speed and turn (Shoemake's slerp, past its end)."""
        newest = self._stamps[-1]
        earlier = bisect_left(self._stamps, newest - _BASELINE - 1e-6)
        earlier -= self._stamps[earlier] > newest - _BASELINE + 1e-6
        if earlier < 0 or newest - self._stamps[earlier] > self.gap:
            return self._poses[-1]
        span = newest - self._stamps[earlier]
        return interpolate(self._poses[earlier], self._poses[-1], 1 + (stamp - newest) / span)
