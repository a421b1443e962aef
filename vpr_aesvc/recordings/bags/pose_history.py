"""Poses as a bag gives them: in the order in which they were received, by a clock that may jump back."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.recordings.pose_track import PoseTrack
from vpr_aesvc.types import Pose

JUMP = 1.0
"""Seconds: stamps that go back by less are out of order, by more a clock that was set anew."""
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
        """float64 [n, 9]: stamp, time of reception, x, y, z, qx, qy, qz, qw; as they came."""
        return np.frombuffer(self._numbers, np.float64).reshape(-1, _COLUMNS) if self._numbers else np.empty((0, 9))


class PoseHistory:
    """Where something was, asked for by stamp. Every jump of the clock begins a stretch of its own: what was received after it does
    not mix with what was received before.

    Args:
        table: as :meth:`PoseSamples.table` gives it.
        gap: seconds that two neighbors may lie apart for what is between them to be known.
    """

    def __init__(self, table: NDArray[np.float64], gap: float) -> None:
        cuts = np.flatnonzero(np.diff(table[:, 0]) <= -JUMP) + 1
        stretches = np.split(table, cuts)
        self.jumps = len(cuts)
        self._begins = np.array([part[0, 1] if len(part) else 0.0 for part in stretches])
        self._tracks = [PoseTrack.of_table(part[:, 0], part[:, 2:], gap) for part in stretches]

    def __len__(self) -> int:
        return sum(map(len, self._tracks))

    @property
    def stamps(self) -> NDArray[np.float64]:
        """float64 [n], seconds; rising within every stretch."""
        return np.concatenate([track.stamps for track in self._tracks])

    @property
    def span(self) -> tuple[float, float] | None:
        """Seconds, the first stamp and the last; None where there is none."""
        stamps = self.stamps
        return (float(stamps.min()), float(stamps.max())) if len(stamps) else None

    @property
    def never_moved(self) -> Pose | None:
        """The one pose, where all are the same to a micrometer."""
        rows = np.concatenate([track.table for track in self._tracks])
        return Pose(*rows[0].tolist()) if len(rows) and np.ptp(rows, axis=0).max() < 1e-6 else None

    @property
    def places(self) -> NDArray[np.float64]:
        """float64 [n, 3], meters, in the order of :attr:`stamps`."""
        return np.concatenate([track.table[:, :3] for track in self._tracks])

    def at(self, stamp: float, received: float) -> Pose | None:
        """The pose at a stamp, in the stretch that was being received at ``received``; None where it is not known."""
        stretch = int(np.searchsorted(self._begins, received, side="right")) - 1
        return self._tracks[max(stretch, 0)].at(stamp)
