"""Poses over time, asked for at any stamp between them; for bags, whose clock may jump back, in the order received."""

from __future__ import annotations

import math
from array import array

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vpr_aesvc.stamps import UNITS
from vpr_aesvc.transforms import interpolate
from vpr_aesvc.types import Pose

JUMP = 1.0
"""Seconds. A stamp that is earlier than the last one by less is out of order; by more, the clock was set back."""


class PoseTrack:
    """Args:
    stamps: float [n], seconds, in any order; of equal ones the last counts.
    table: poses as rows float64 [n, 7] of x, y, z and a unit quaternion x, y, z, w.
    gap: seconds that two neighbors may lie apart for what is between them to be known.
    """

    def __init__(self, stamps: ArrayLike, table: ArrayLike, gap: float) -> None:
        times = np.asarray(stamps, np.float64)
        order = np.argsort(times, kind="stable")
        last = np.append(np.diff(times[order]) > 0, True) if len(order) else np.empty(0, bool)
        self.stamps = times[order][last]
        self.table = np.asarray(table, np.float64)[order][last]
        self.gap = gap

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

    def count(self, stamps: NDArray[np.float64]) -> int:
        """At how many of these stamps there is a pose."""
        return sum(self.at(stamp) is not None for stamp in stamps.tolist())

    def in_unit(self, power: int) -> PoseTrack:
        """With the stamps divided by 1000 ** power; the gap stays."""
        return PoseTrack(self.stamps / 1000**power, self.table, self.gap)


def fit_units(images: NDArray[np.float64], track: PoseTrack) -> tuple[NDArray[np.float64], PoseTrack, str | None]:
    """The stamps of images and the poses in seconds, and what was scaled, in words. If no pose fits, or only the start, stamps are tried in the
    unit in which both take as long."""
    times = float(np.ptp(images)), float(np.ptp(track.stamps))
    power = round(math.log10(times[1] / times[0]) / 3) if 1e-9 < min(times) <= max(times) < 1e30 else 0
    if track.count(images) > 1 or not 0 < abs(power) < len(UNITS):
        return images, track, None
    fitted = (images, track.in_unit(power)) if power > 0 else (images / 1000**-power, track)
    if 2 * fitted[1].count(fitted[0]) <= len(images):
        return images, track, None
    whose = "trajectory" if power > 0 else "images"
    return *fitted, f"stamps of the {whose}: taken to be {UNITS[abs(power)]}, which fit the others"


class PoseSamples:
    """Collects poses, 72 bytes each."""

    def __init__(self) -> None:
        self._numbers = array("d")

    def __len__(self) -> int:
        return len(self._numbers) // 9

    def add(self, stamp: float, received: float, pose: Pose) -> None:
        self._numbers.extend((stamp, received, *pose.as_tuple()))

    def table(self) -> NDArray[np.float64]:
        """float64 [n, 9]: stamp, time of reception, x, y, z, qx, qy, qz, qw; in the order received."""
        return np.asarray(self._numbers).reshape(-1, 9)


class PoseHistory:
    """The pose of a frame at any stamp. A jump of the clock starts a new segment; poses of different segments are never interpolated.

    Args:
        table: as ``PoseSamples.table`` returns it.
        gap: poses are interpolated between two that are at most this many seconds apart.
    """

    def __init__(self, table: NDArray[np.float64], gap: float) -> None:
        cuts = np.flatnonzero(np.diff(table[:, 0]) <= -JUMP) + 1
        segments = np.split(table, cuts)
        self.jumps = len(cuts)
        self._starts = np.array([part[0, 1] if len(part) else 0.0 for part in segments])
        self._tracks = [PoseTrack(part[:, 0], part[:, 2:], gap) for part in segments]

    @property
    def stamps(self) -> NDArray[np.float64]:
        """float64 [n], seconds; rising within each segment."""
        return np.concatenate([track.stamps for track in self._tracks])

    @property
    def span(self) -> tuple[float, float] | None:
        """First and last stamp, seconds; None without poses."""
        stamps = self.stamps
        return (float(stamps.min()), float(stamps.max())) if len(stamps) else None

    @property
    def never_moved(self) -> Pose | None:
        """The pose, if all are the same within 1e-6; else None."""
        rows = np.concatenate([track.table for track in self._tracks])
        return Pose(*rows[0].tolist()) if len(rows) and np.ptp(rows, axis=0).max() < 1e-6 else None

    def at(self, stamp: float, received: float) -> Pose | None:
        """The pose at ``stamp`` in the segment that the bag was receiving at ``received``; None if it is not known."""
        segment = int(np.searchsorted(self._starts, received, side="right")) - 1
        return self._tracks[max(segment, 0)].at(stamp)
