"""A track as a one-dimensional grid of cells along its arc length, and the propagation of belief along it.

Each place owns one cell: from halfway to the previous place to halfway to the next. The belief density is constant within a cell.
The robot moves by a distance in [low, high]. Its density is a triangle with the peak in the middle: the sum of two independent
moves, each uniform in [low / 2, high / 2]. The belief after one uniform move is the mean of the density over a window of the grid.
Cumulative sums give it in one pass over the places, for any width of the window. ``propagate_some`` does the same for the belief of some
places, in one pass over these.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.recognition.row_sets import position_of, union_of_ranges
from vpr_aesvc.types import Floats, Rows

_NARROW = 2.0  # times the median step
_MIN_STEP = 0.01  # of the median step: a mapping drive that stood still leaves many places at one point
_CACHED_WINDOWS, _CACHED_CELLS = 32, 400_000  # number of windows, and of cells in all of them: about 16 MB


@dataclass
class Window:
    """For each of n cells, or of some, the interval of the grid from which belief arrives, in cell numbers with fractions.

    Attributes:
        first, last: int64 [n], cells in which the interval begins and ends.
        first_part, last_part: float64 [n], fraction of that cell that lies before the point.
        share: float64 [n], length of the cell in parts of that of the interval, before it is clipped to the run.
        turns: float64 [n], cached result of ``ArcLengthGrid.track_turns``.
    """

    first: Rows
    first_part: Floats
    last: Rows
    last_part: Floats
    share: Floats
    turns: Floats | None = None

    def integrate(self, amounts: Floats) -> Floats:
        """The sum of ``amounts`` [n] within each interval; each amount is spread evenly over its cell."""
        below = np.empty(len(amounts) + 1)
        below[0] = 0.0
        np.cumsum(amounts, out=below[1:])
        total = below.take(self.last)
        total += self.last_part * amounts.take(self.last)
        total -= below.take(self.first)
        total -= self.first_part * amounts.take(self.first)
        return np.maximum(total, 0.0, out=total)

    def integrate_some(self, rows: Rows, amounts: Floats) -> Floats:
        """As ``integrate``, with ``amounts`` [k] in the cells ``rows``, ascending and not empty, and nothing in the others."""
        below = np.concatenate([[0.0], np.cumsum(amounts)])
        (last, ends), (first, starts) = position_of(rows, self.last), position_of(rows, self.first)
        total = below[np.searchsorted(rows, self.last)] + self.last_part * np.where(ends, amounts[last], 0.0)
        total -= below[np.searchsorted(rows, self.first)] + self.first_part * np.where(starts, amounts[first], 0.0)
        return np.maximum(total, 0.0)


class ArcLengthGrid:
    """Runs of places laid end to end on one axis. Belief never crosses from one run into the next.

    Args:
        same_run: bool [n - 1], True where a place and the next belong to one run.
        steps: float64 [n - 1], distance between a place and the next; ignored between runs.
        turns: float64 [n - 1], radians turned between a place and the next, or None.

    Attributes:
        centers: float64 [n], position of each place; lengths: float64 [n], length of its cell.
        median_step: median distance of neighbors.
        heading: float64 [n], radians, accumulated turns; None if no heading is known.
    """

    def __init__(self, same_run: NDArray[np.bool_], steps: Floats, turns: Floats | None = None) -> None:
        count = len(steps) + 1
        valid = steps[same_run & (steps > 0)]
        self.median_step = float(np.median(valid)) if len(valid) else 1.0
        steps = np.maximum(steps, _MIN_STEP * self.median_step)
        before = np.concatenate([[np.nan], np.where(same_run, steps, np.nan)])
        after = np.append(before[1:], np.nan)
        before, after = (  # at the ends of a run the cell is symmetric
            np.where(np.isnan(one), np.where(np.isnan(other), self.median_step, other), one)
            for one, other in ((before, after), (after, before))
        )
        self.lengths = (before + after) / 2
        self._edges = np.concatenate([[0.0], np.cumsum(self.lengths)])
        self.centers = self._edges[:-1] + before / 2
        starts = np.flatnonzero(np.concatenate([[True], ~same_run]))
        run = np.cumsum(np.concatenate([[True], ~same_run])) - 1
        self._run, self._bounds = (
            run.astype(np.int32),
            np.append(starts, count),
        )  # of each place; first rows of the runs
        self.heading = _accumulated(turns, same_run)
        self._windows: dict[tuple[float, float], Window] = {}
        self._neighbors: dict[int, tuple[Rows, Rows]] = {}

    def propagate(self, belief: Floats, low: float, high: float) -> Floats:
        """Belief [n] after a move by ``low`` to ``high`` (negative: against the order of the run). Belief that leaves a run is lost."""
        for window in self._halves(low, high):
            belief = window.integrate(belief)
            belief *= window.share
        return belief

    def expected(self, values: Floats, low: float, high: float) -> Floats:
        """The adjoint of ``propagate``: for each place, the mean of ``values`` [n] after such a move from it; 0 beyond the end of a run."""
        for window in self._halves(-high, -low):
            values = window.integrate(values * self.lengths) * (window.share / self.lengths)
        return values

    def propagate_some(self, rows: Rows, amounts: Floats, low: float, high: float) -> tuple[Rows, Floats]:
        """As ``propagate``, with belief in the cells ``rows`` alone: the rows that it reaches, and their belief."""
        for half_low, half_high in self._moves(low, high):
            if not len(rows):
                break
            reached = self._reached(rows, half_low, half_high)
            window = self._window(half_low, half_high, reached)
            moved = window.integrate_some(rows, amounts) * window.share
            rows, amounts = reached[moved > 0], moved[moved > 0]
        return rows, amounts

    def staying(self, low: float, high: float) -> float:
        """The part of an even belief that does not leave its run in such a move."""
        runs = np.diff(self._edges[self._bounds])
        return 1.0 - float(np.minimum(runs, abs(low + high) / 2).sum()) / float(runs.sum())

    def _reached(self, rows: Rows, low: float, high: float) -> Rows:
        """The cells to which belief of the cells ``rows`` can move, and one more on either side."""
        first, _ = self._locate(self._edges[rows] + low, rows)
        last, _ = self._locate(self._edges[rows + 1] + high, rows)
        start, end = self._bounds[self._run[rows]], self._bounds[self._run[rows] + 1]
        return union_of_ranges(np.maximum(first - 1, start), np.minimum(last + 1, end - 1))

    def _moves(self, low: float, high: float) -> tuple[tuple[float, float], ...]:
        """Two half moves; one if the range is hardly wider than a cell, where the triangle could not be resolved."""
        narrow = high - low <= _NARROW * self.median_step
        return ((low, high),) if narrow else ((low / 2, high / 2),) * 2

    def _halves(self, low: float, high: float) -> tuple[Window, ...]:
        return tuple(self.window(*move) for move in self._moves(low, high))

    def window(self, low: float, high: float) -> Window:
        """The intervals from which belief arrives when the robot moves by ``low`` to ``high``; cached."""
        key = (low, high)
        if key not in self._windows:
            if len(self._windows) >= max(2, min(_CACHED_WINDOWS, _CACHED_CELLS // len(self.centers))):
                del self._windows[next(iter(self._windows))]
            self._windows[key] = self._window(low, high, None)
        return self._windows[key]

    def _window(self, low: float, high: float, rows: Rows | None) -> Window:
        """The window of all cells, or of some."""
        part = slice(None) if rows is None else rows
        centers, lengths = self.centers[part], self.lengths[part]
        half = lengths / 2
        first, first_part = self._locate(centers - high - half, rows)
        last, last_part = self._locate(centers - low + half, rows)
        return Window(first, first_part, last, last_part, lengths / (high - low + lengths))

    def neighbors(self, count: int, rows: Rows | None = None) -> tuple[Rows, Rows]:
        """First row and end row, int64 [n], of the ``count`` places on either side within the run; of ``rows``, or of all (cached)."""
        if rows is None:
            if count not in self._neighbors:
                self._neighbors[count] = self.neighbors(count, np.arange(len(self.centers)))
            return self._neighbors[count]
        run = self._run[rows]
        return np.maximum(rows - count, self._bounds[run]), np.minimum(rows + count + 1, self._bounds[run + 1])

    def track_turns(self, low: float, high: float, rows: Rows | None = None) -> Floats:
        """Radians in [-pi, pi] that the track turned over the last ``low`` to ``high`` before each of ``rows``, or of all places (cached).
        The start of the turn is the middle of that interval."""
        assert self.heading is not None
        if rows is not None:
            middle = rows
            for move in self._moves(low, high):
                window = self._window(*move, middle)
                middle = (window.first + window.last) // 2
            return _wrapped(self.heading[rows] - self.heading[middle])
        halves = self._halves(low, high)
        if halves[0].turns is None:
            middle = np.arange(len(self.heading))
            for window in halves:
                middle = ((window.first + window.last) // 2)[middle]
            halves[0].turns = _wrapped(self.heading - self.heading[middle])
        return halves[0].turns

    def _locate(self, points: Floats, rows: Rows | None) -> tuple[Rows, Floats]:
        """For each place a point, clipped to the run of the place: the cell that holds it, and the fraction of the cell before it."""
        run = self._run if rows is None else self._run[rows]
        points = np.clip(points, self._edges[self._bounds[run]], self._edges[self._bounds[run + 1]])
        if rows is None:
            position = np.interp(points, self._edges, np.arange(len(self._edges), dtype=np.float64))
            cell = np.minimum(position.astype(np.int64), len(self.centers) - 1)
            return cell, position - cell
        last = len(self.centers) - 1
        guess = rows + np.floor((points - self._edges[rows]) / self.median_step).astype(np.int64)
        cell = np.clip(guess, 0, last)  # right in an even grid; a search of a long axis costs many cache misses
        wrong = np.flatnonzero((self._edges[cell] > points) | (self._edges[cell + 1] <= points))
        cell[wrong] = np.clip(np.searchsorted(self._edges, points[wrong], side="right") - 1, 0, last)
        return cell, (points - self._edges[cell]) / (self._edges[cell + 1] - self._edges[cell])


def _accumulated(turns: Floats | None, same_run: NDArray[np.bool_]) -> Floats | None:
    """Headings without jumps by 2 pi; None if no heading is known or none ever changes, as in a map of positions only."""
    if turns is None or not np.nan_to_num(turns[same_run]).any():
        return None
    wrapped = _wrapped(turns)
    return np.concatenate([[0.0], np.cumsum(np.where(same_run & np.isfinite(wrapped), wrapped, 0.0))])


def _wrapped(angles: Floats) -> Floats:
    """Radians in [-pi, pi]."""
    return angles - 2 * np.pi * np.round(angles / (2 * np.pi))
