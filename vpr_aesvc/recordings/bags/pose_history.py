"""Poses in the order in which a bag received them. Their clock may jump back."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.recordings.pose_track import PoseTrack
from vpr_aesvc.types import Pose

JUMP = 1.0
"""Seconds. A stamp that is earlier than the last one by less is out of order; by more, the clock was set back."""
_COLUMNS = 9


class PoseSamples:
    """Collects poses, 72 bytes each."""

    def __init__(self) -> None:
        self._numbers = array("d")

    def __len__(self) -> int:
        return len(self._numbers) // _COLUMNS

    def add(self, stamp: float, received: float, pose: Pose) -> None:
        self._numbers.extend((stamp, received, *pose.as_tuple()))

    def table(self) -> NDArray[np.float64]:
        """float64 [n, 9]: stamp, time of reception, x, y, z, qx, qy, qz, qw; in the order received."""
        return np.frombuffer(self._numbers, np.float64).reshape(-1, _COLUMNS) if self._numbers else np.empty((0, 9))


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
        self._tracks = [PoseTrack.of_table(part[:, 0], part[:, 2:], gap) for part in segments]

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
