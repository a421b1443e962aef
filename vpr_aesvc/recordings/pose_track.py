"""Poses over time, asked for at any stamp between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.transforms import interpolate
from vpr_aesvc.types import Pose


class PoseTrack:
    """Args:
    stamps: float [n], seconds, in any order; of equal ones the last counts.
    poses: n poses.
    gap: seconds that two neighbors may lie apart for what is between them to be known.
    """

    def __init__(self, stamps: Sequence[float], poses: Sequence[Pose], gap: float) -> None:
        table = np.array([pose.as_tuple() for pose in poses], np.float64).reshape(-1, 7)
        self._fill(np.asarray(stamps, np.float64), table, gap)

    @classmethod
    def of_table(cls, stamps: NDArray[np.float64], table: NDArray[np.float64], gap: float) -> PoseTrack:
        """The same of poses as rows float64 [n, 7] of x, y, z and a unit quaternion x, y, z, w."""
        track = cls.__new__(cls)
        track._fill(stamps, table, gap)
        return track

    def _fill(self, times: NDArray[np.float64], table: NDArray[np.float64], gap: float) -> None:
        order = np.argsort(times, kind="stable")
        last = np.append(np.diff(times[order]) > 0, True) if len(order) else np.empty(0, bool)
        self.stamps = times[order][last]
        self.table = table[order][last]
        self.gap = gap

    def __len__(self) -> int:
        return len(self.stamps)

    def at(self, stamp: float) -> Pose | None:
        """The pose at a stamp, interpolated; None before the first, after the last, and in a gap. A stamp within a millisecond of
        either end gets that end's."""
        count = len(self.stamps)
        if not count:
            return None
        after = int(np.searchsorted(self.stamps, stamp))
        if after < count and self.stamps[after] == stamp:
            return Pose(*self.table[after].tolist())
        if after in (0, count):
            end = min(after, count - 1)
            return Pose(*self.table[end].tolist()) if abs(self.stamps[end] - stamp) <= 1e-3 else None
        before = after - 1
        span = float(self.stamps[after] - self.stamps[before])
        if span > self.gap:
            return None
        part = float(stamp - self.stamps[before]) / span
        return interpolate(Pose(*self.table[before].tolist()), Pose(*self.table[after].tolist()), part)
