"""The places of the map in the order they were driven: the state space of the motion model."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.row_sets import union, union_of_ranges
from vpr_aesvc.recognition.sequence.arc_length import ArcLengthGrid
from vpr_aesvc.recognition.similarity.neighborhoods import SAME_PLACE_METERS
from vpr_aesvc.types import Floats, Rows

Unit = Literal["places", "seconds", "meters"]
_NO_CELL = np.iinfo(np.int64).min  # of a place without a position
_MAX_PAUSE = 5.0  # times the median interval: in a longer one the mapping drive stood still


class PlaceTrack:
    """Places in the order they were added. Consecutive rows of one traverse were driven one after the other.

    Args:
        traverses: n names or numbers, the traverse of each place.
        poses: float [n, 3 or 7], (x, y, z) in meters in the map frame and the orientation (qx, qy, qz, qw) if known; rows of NaN
            for places without a pose.
        stamps: float [n], seconds; NaN for places without a stamp.

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
        self.traverses: Rows = np.empty(0, np.int64)
        self.poses: Floats = np.empty((0, 7))
        self.stamps: Floats = np.empty(0)
        self.cells: Rows = np.empty(0, np.int64)
        self._grids: dict[Unit, ArcLengthGrid | None] = {}
        self._revisits: Revisits | None = None
        self._sorted: tuple[int, NDArray[np.int32], Floats] | None = None
        self.append(traverses, poses, stamps)

    def __len__(self) -> int:
        return len(self.traverses)

    def append(
        self,
        traverses: Sequence[Hashable] | NDArray[np.generic],
        poses: NDArray[np.floating] | None = None,
        stamps: NDArray[np.floating] | None = None,
    ) -> None:
        """Adds places at the end; arguments as in the constructor. Grids are computed again at their next use."""
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
        names = traverses.tolist() if isinstance(traverses, np.ndarray) else traverses
        codes = np.array([self._codes.setdefault(name, len(self._codes)) for name in names], np.int64)
        self.traverses = np.concatenate([self.traverses, codes])
        self.poses = np.concatenate([self.poses, places])
        self.stamps = np.concatenate([self.stamps, times])
        self.cells = np.concatenate([self.cells, _cells_of(places[:, :3])])
        self._grids.clear()
        self._revisits = self._sorted = None

    @property
    def positions(self) -> Floats:
        """float64 [n, 3], NaN where unknown."""
        return self.poses[:, :3]

    @property
    def has_positions(self) -> bool:
        return bool((self.cells != _NO_CELL).any())

    def near(self, row: int, window: int) -> Rows:
        """The rows that count as the same answer, ascending: within ``window`` places along the run, or within 5 m."""
        (first,), (end,) = self.places_grid().neighbors(window, np.array([row]))
        near = np.arange(first, end)
        position = self.positions[row]
        if not np.isfinite(position).all():
            return near
        if self._sorted is None:  # along the axis in which the map is longest
            axis = int(np.argmax(np.nanmax(self.positions, axis=0) - np.nanmin(self.positions, axis=0)))
            order = np.argsort(self.positions[:, axis], kind="stable").astype(np.int32)
            self._sorted = axis, order, self.positions[order, axis]
        axis, order, values = self._sorted
        reach = 1.001 * SAME_PLACE_METERS  # rounding
        low, high = np.searchsorted(values, (position[axis] - reach, position[axis] + reach))
        close = order[low:high].astype(np.int64)
        for other in {0, 1, 2} - {axis}:
            close = close[np.abs(self.positions[close, other] - position[other]) <= reach]
        offset = self.positions[close] - position
        close = close[np.einsum("ij,ij->i", offset, offset) <= SAME_PLACE_METERS**2]
        return union(near, close)

    def grid(self, unit: Unit) -> ArcLengthGrid | None:
        """The track measured in one unit; None if no two neighbors have a known distance in it."""
        if unit not in self._grids:
            self._grids[unit] = self._measure(unit)
        return self._grids[unit]

    def places_grid(self) -> ArcLengthGrid:
        """The track measured in places, which is always possible."""
        grid = self.grid("places")
        assert grid is not None
        return grid

    def revisits(self) -> Revisits | None:
        """Where traverses, or passes of one traverse, meet; None if positions show no such place."""
        if self._revisits is None and self.has_positions:
            self._revisits = Revisits(self.cells, self.traverses[1:] == self.traverses[:-1])
        return self._revisits if self._revisits is not None and self._revisits.any else None

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
        median = float(np.median(steps[known]))
        steps = np.where(np.isfinite(steps), np.maximum(steps, 0), median)
        if unit == "seconds":
            steps = np.minimum(steps, _MAX_PAUSE * median)
        return ArcLengthGrid(same_run, steps, np.diff(_heading(self.poses[:, 3:])) if unit == "meters" else None)


class Revisits:
    """Places that share a grid cell of the map but belong to different passes. A pass is a sequence of consecutive places in one cell.

    Args:
        cells: int64 [n], a key of the grid cell of each place; ``_NO_CELL`` if its position is unknown.
        same_run: bool [n - 1], True where a place and the next belong to one run.
    """

    def __init__(self, cells: Rows, same_run: NDArray[np.bool_]) -> None:
        continues = same_run & (cells[1:] == cells[:-1])
        starts = np.concatenate([[True], ~continues])
        self._pass = (np.cumsum(starts) - 1).astype(np.int32)
        places_in_pass = np.bincount(self._pass)
        key = cells[starts]  # of each pass
        known = key != _NO_CELL
        self._cell = np.unique(key, return_inverse=True)[1].astype(np.int32)
        places_in_cell = np.bincount(self._cell, np.where(known, places_in_pass, 0))
        others = np.where(known, places_in_cell[self._cell] - places_in_pass, 0)
        self._others = np.maximum(others, 1)
        self._has_others = others > 0
        self._bounds = np.append(np.flatnonzero(starts), len(cells))
        self._by_cell = np.argsort(self._cell, kind="stable").astype(np.int32)
        self._cell_bounds = np.concatenate([[0], np.cumsum(np.bincount(self._cell))])
        self._single = others[self._pass] == 0

    @property
    def any(self) -> bool:
        return bool(self._has_others.any())

    def spread(self, belief: Floats) -> Floats:
        """Spreads the belief [n] of each place evenly over the places of the other passes. Without another pass it stays."""
        shares = np.where(self._has_others, np.bincount(self._pass, belief) / self._others, 0.0)
        sums = np.bincount(self._cell, shares)
        return np.where(self._single, belief, (sums[self._cell] - shares)[self._pass])

    def others(self, rows: Rows) -> Rows:
        """All places of the passes through the cells of ``rows``, ascending; places without another pass are left out."""
        passes = self._pass[rows[~self._single[rows]]]
        cells = np.unique(self._cell[passes])
        found = self._by_cell[union_of_ranges(self._cell_bounds[cells], self._cell_bounds[cells + 1] - 1)]
        found = np.sort(found[self._has_others[found]])
        return union_of_ranges(self._bounds[found], self._bounds[found + 1] - 1)

    def spread_some(self, rows: Rows, belief: Floats) -> Floats:
        """As ``spread``, with belief [k] at ``rows`` alone. These must hold the ``others`` of each row with belief."""
        passes, at = np.unique(self._pass[rows], return_inverse=True)
        shares = np.where(self._has_others[passes], np.bincount(at, belief) / self._others[passes], 0.0)
        cells, cell = np.unique(self._cell[passes], return_inverse=True)
        sums = np.bincount(cell, shares, len(cells))
        return np.where(self._single[rows], belief, (sums[cell] - shares)[at])

    def mean(self, values: Floats) -> Floats:
        """The adjoint of ``spread``: for each place the mean of ``values`` [n] over the places of the other passes."""
        sums = np.where(self._has_others, np.bincount(self._pass, values), 0.0)
        totals = np.bincount(self._cell, sums)
        return np.where(self._single, values, ((totals[self._cell] - sums) / self._others)[self._pass])


def _cells_of(positions: Floats) -> Rows:
    """A key of the grid cell, 5 m wide, of each position; ``_NO_CELL`` if it is unknown."""
    known = np.asarray(np.isfinite(positions).all(axis=1))
    cells = np.floor(np.where(known[:, None], positions, 0) / SAME_PLACE_METERS).astype(np.int64)
    keys = cells @ np.array([73_856_093, 19_349_663, 83_492_791])  # spatial hash (Teschner et al., 2003)
    return np.where(known, keys, _NO_CELL)


def _heading(quaternions: Floats) -> Floats:
    """Rotation about the vertical axis, radians."""
    x, y, z, w = quaternions.T
    return np.asarray(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))
