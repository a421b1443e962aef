"""The map's places in the order they were driven: what a motion model moves along."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.sequence.arc_length import ArcLengthGrid, Floats, Rows
from vpr_aesvc.recognition.sequence.revisits import Revisits

Unit = Literal["places", "seconds", "meters"]
SPOT = 5.0
"""Meters: traverses that pass through one cell of a grid this wide pass the same place."""
_LONG_PAUSE = (
    5.0  # a pause longer than so many usual intervals says that the mapping drive stood still, not that it drove
)


class PlaceTrack:
    """Places in the order they were added. Rows that follow each other in one traverse were driven one after the other.

    Args:
        traverses: n names or numbers, the traverse of each place.
        poses: float [n, 3 or 7], (x, y, z) in meters in the map frame, and the orientation (qx, qy, qz, qw) where it is known;
            rows of NaN where a place has none.
        stamps: float [n], seconds; NaN where a place has none.

    Raises:
        VprError: shapes do not agree.
    """

    def __init__(
        self,
        traverses: Sequence[Hashable] | NDArray[np.generic],
        poses: NDArray[np.floating] | None = None,
        stamps: NDArray[np.floating] | None = None,
    ) -> None:
        self._codes: dict[Hashable, int] = {}
        self._cells: dict[int, int] = {}
        self.traverses: Rows = np.empty(0, np.int64)
        self.positions: Floats = np.empty((0, 3))
        self.headings: Floats = np.empty(0)
        self.stamps: Floats = np.empty(0)
        self.spots: Rows = np.empty(0, np.int64)
        self._lines: dict[Unit, ArcLengthGrid | None] = {}
        self._shared: Revisits | None = None
        self.append(traverses, poses, stamps)

    def __len__(self) -> int:
        return len(self.traverses)

    def append(
        self,
        traverses: Sequence[Hashable] | NDArray[np.generic],
        poses: NDArray[np.floating] | None = None,
        stamps: NDArray[np.floating] | None = None,
    ) -> None:
        """More places at the end; arguments as in the constructor. What is derived is made anew when it is next asked for."""
        count = len(traverses)
        places = np.full((count, 7), np.nan)
        if poses is not None:
            given = np.asarray(poses, np.float64)
            if given.ndim != 2 or len(given) != count or given.shape[1] not in (3, 7):
                raise VprError(f"expected poses of shape ({count}, 3) or ({count}, 7), found {given.shape}")
            places[:, : given.shape[1]] = given
        times = np.full(count, np.nan) if stamps is None else np.asarray(stamps, np.float64)
        if times.shape != (count,):
            raise VprError(f"expected {count} stamps, one for each place, found an array of shape {times.shape}")
        codes = np.array([self._codes.setdefault(name, len(self._codes)) for name in _plain(traverses)], np.int64)
        self.traverses = np.concatenate([self.traverses, codes])
        self.positions = np.concatenate([self.positions, places[:, :3]])
        self.headings = np.concatenate([self.headings, _heading(places[:, 3:])])
        self.stamps = np.concatenate([self.stamps, times])
        self.spots = np.concatenate([self.spots, self._spots_of(places[:, :3])])
        self._lines.clear()
        self._shared = None

    @property
    def has_positions(self) -> bool:
        return bool(self._cells)

    def line(self, unit: Unit) -> ArcLengthGrid | None:
        """The track measured in one unit; None where no two neighbors say how far apart they are in it."""
        if unit not in self._lines:
            self._lines[unit] = self._measure(unit)
        return self._lines[unit]

    def require_line(self) -> ArcLengthGrid:
        """The track measured in places, which it always can be."""
        line = self.line("places")
        assert line is not None
        return line

    def shared_spots(self) -> Revisits | None:
        """Where traverses, or passes of one traverse, meet; None where positions show no such place."""
        if self._shared is None and self.has_positions:
            self._shared = Revisits(self.spots, self.traverses[1:] == self.traverses[:-1])
        return None if self._shared is None or self._shared.none_shared else self._shared

    def _measure(self, unit: Unit) -> ArcLengthGrid | None:
        same_run = self.traverses[1:] == self.traverses[:-1]
        if unit == "places":
            return ArcLengthGrid(same_run, np.ones(len(same_run)))
        if unit == "seconds":
            steps = np.diff(self.stamps)
        else:
            steps = np.sqrt(np.square(np.diff(self.positions, axis=0)).sum(1))
        known = same_run & np.isfinite(steps) & (steps > 0)
        if not known.any():
            return None
        usual = float(np.median(steps[known]))
        steps = np.where(np.isfinite(steps), np.maximum(steps, 0), usual)
        if unit == "seconds":
            steps = np.minimum(steps, _LONG_PAUSE * usual)
        turned = np.diff(self.headings) if unit == "meters" else None
        return ArcLengthGrid(same_run, steps, turned)

    def _spots_of(self, positions: Floats) -> Rows:
        """A number for the grid cell of each position, -1 where it is unknown."""
        known = np.asarray(np.isfinite(positions).all(axis=1))
        cells = np.floor(np.where(known[:, None], positions, 0) / SPOT).astype(np.int64)
        keys = cells @ np.array([73_856_093, 19_349_663, 83_492_791])  # spatial hash (Teschner et al., 2003)
        return np.array(
            [
                self._cells.setdefault(key, len(self._cells)) if at else -1
                for key, at in zip(keys.tolist(), known, strict=True)
            ],
            np.int64,
        )


def _plain(names: Sequence[Hashable] | NDArray[np.generic]) -> Sequence[Hashable]:
    return names.tolist() if isinstance(names, np.ndarray) else names


def _heading(quaternions: Floats) -> Floats:
    """Rotation about the vertical axis, radians."""
    x, y, z, w = quaternions.T
    return np.asarray(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))
