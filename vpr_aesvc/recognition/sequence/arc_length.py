"""A track laid out on a line, and belief carried along it.

Each place owns a cell of the line, from half way to the place before to half way to the one after. Belief is a density that is even
within a cell; the robot moves by a distance within a range, most likely by the middle of it, and less the nearer to its ends: the sum of two
halves that are each evenly likely within half of the range. The belief after a half is the mean of the density over a window, which
cumulative sums give in one pass over the places, however wide the window is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
_NARROW = 2.0  # times the usual distance of neighbors
_CROWDED = 0.01  # the least distance of neighbors, as part of the usual one: a mapping drive that stood still leaves many places
_KEPT, _KEPT_CELLS = 32, 400_000  # windows, and cells of all of them: about 16 MB


@dataclass
class Window:
    """For each of n cells the stretch of the line that belief comes from, as cell numbers with fractions.

    Attributes:
        first, last: int64 [n], cells where the stretch begins and ends.
        first_part, last_part: float64 [n], how much of that cell lies before the point.
        width: float64 [n], length of the stretch before it is cut where the run begins or ends.
        turned: float64 [n], what :meth:`Line.turn_over` found, once it was asked.
    """

    first: Rows
    first_part: Floats
    last: Rows
    last_part: Floats
    width: Floats
    turned: Floats | None = None

    def gather(self, amounts: Floats) -> Floats:
        """What lies within each stretch of ``amounts``, [n], each spread evenly over its cell."""
        below = np.empty(len(amounts) + 1)
        below[0] = 0.0
        np.cumsum(amounts, out=below[1:])
        found = below.take(self.last)
        found += self.last_part * amounts.take(self.last)
        found -= below.take(self.first)
        found -= self.first_part * amounts.take(self.first)
        return np.maximum(found, 0.0, out=found)


class ArcLengthGrid:
    """Runs of places laid end to end; belief never crosses from one run into the next.

    Args:
        same_run: bool [n - 1], whether each place and the next belong to one run.
        steps: float64 [n - 1], distance of each place and the next; between runs it means nothing.
        turned: float64 [n - 1], radians turned between each place and the next, or None.

    Attributes:
        centers: float64 [n], where each place lies; lengths: float64 [n], of its cell.
        usual: the median distance of neighbors.
    """

    def __init__(self, same_run: NDArray[np.bool_], steps: Floats, turned: Floats | None = None) -> None:
        count = len(steps) + 1
        inside = steps[same_run & (steps > 0)]
        self.usual = float(np.median(inside)) if len(inside) else 1.0
        steps = np.maximum(steps, _CROWDED * self.usual)
        before = np.concatenate([[np.nan], np.where(same_run, steps, np.nan)])
        after = np.append(before[1:], np.nan)
        before, after = (  # the first place of a run reaches as far back as it reaches forward
            np.where(np.isnan(one), np.where(np.isnan(other), self.usual, other), one)
            for one, other in ((before, after), (after, before))
        )
        self.lengths = (before + after) / 2
        self._edges = np.concatenate([[0.0], np.cumsum(self.lengths)])
        self.centers = self._edges[:-1] + before / 2
        starts = np.flatnonzero(np.concatenate([[True], ~same_run]))
        run = np.cumsum(np.concatenate([[True], ~same_run])) - 1
        self.first_rows: Rows = starts[run]
        self.end_rows: Rows = np.append(starts[1:], count)[run]
        self._low, self._high = self._edges[self.first_rows], self._edges[self.end_rows]
        self._numbers = np.arange(count + 1, dtype=np.float64)
        self.heading = _sum_of_turns(turned, same_run)
        self._windows: dict[tuple[float, float], Window] = {}
        self._about: dict[int, tuple[Rows, Rows]] = {}

    def ahead(self, belief: Floats, low: float, high: float) -> Floats:
        """Belief [n] after a move by ``low`` to ``high`` (negative: against the order of the run). What leaves a run is gone."""
        for window in self._halves(low, high):
            belief = window.gather(belief) * self.lengths / window.width
        return belief

    def expected(self, values: Floats, low: float, high: float) -> Floats:
        """The mean of ``values`` [n] over where each place leads by such a move; nothing is expected beyond the end of a run."""
        for window in self._halves(-high, -low):
            values = window.gather(values * self.lengths) / window.width
        return values

    def _halves(self, low: float, high: float) -> tuple[Window, ...]:
        """Where a range is hardly wider than a cell, its shape is lost within the cells, and one window is enough."""
        narrow = high - low <= _NARROW * self.usual
        return (self.window(low, high),) if narrow else (self.window(low / 2, high / 2),) * 2

    def window(self, low: float, high: float) -> Window:
        """Where belief comes from when the robot moves by ``low`` to ``high``."""
        key = (low, high)
        if key not in self._windows:
            if len(self._windows) >= max(2, min(_KEPT, _KEPT_CELLS // len(self.centers))):
                del self._windows[next(iter(self._windows))]
            half = self.lengths / 2
            first, first_part = self._locate(self.centers - high - half)
            last, last_part = self._locate(self.centers - low + half)
            self._windows[key] = Window(first, first_part, last, last_part, high - low + self.lengths)
        return self._windows[key]

    def around(self, places: int) -> tuple[Rows, Rows]:
        """First row and end row, int64 [n], of the stretch of so many places either side within the run."""
        if places not in self._about:
            rows = np.arange(len(self.centers))
            first = np.maximum(rows - places, self.first_rows)
            self._about[places] = first, np.minimum(rows + places + 1, self.end_rows)
        return self._about[places]

    def turn_over(self, low: float, high: float) -> Floats:
        """Radians that the track turned over the last ``low`` to ``high`` before each place, from the middle of that, float64 [n], within a
        half turn."""
        assert self.heading is not None
        halves = self._halves(low, high)
        if halves[0].turned is None:
            middle = np.arange(len(self.heading))
            for window in halves:
                middle = ((window.first + window.last) // 2)[middle]
            halves[0].turned = _wrapped(self.heading - self.heading[middle])
        return halves[0].turned

    def _locate(self, points: Floats) -> tuple[Rows, Floats]:
        """The cell of each place's point, which is kept within the place's run, and how much of the cell lies before it."""
        at = np.interp(np.clip(points, self._low, self._high), self._edges, self._numbers)
        cell = np.minimum(at.astype(np.int64), len(self.centers) - 1)
        return cell, at - cell


def _sum_of_turns(turned: Floats | None, same_run: NDArray[np.bool_]) -> Floats | None:
    """Headings without jumps of a whole turn; None where no heading is known or none ever changes, as in a map of bare positions."""
    if turned is None or not np.nan_to_num(turned[same_run]).any():
        return None
    wrapped = _wrapped(turned)
    return np.concatenate([[0.0], np.cumsum(np.where(same_run & np.isfinite(wrapped), wrapped, 0.0))])


def _wrapped(angles: Floats) -> Floats:
    """Radians within a half turn either way."""
    return angles - 2 * np.pi * np.round(angles / (2 * np.pi))
