"""Motion model: how the belief changes between two frames.

The state is (place, mode) or "not in the map". The modes are: along the traverse, against it, standing still. It is a multiple-model
filter (Li and Jilkov, "Survey of maneuvering target tracking, part V", 2005). With t the time since the previous frame, one step is:

1. Mode change: ``b <- M' b`` with ``M = k I + (1 - k) 1 MODES'`` and ``k = exp(-change_rate t)``.
2. Move: each moving mode is propagated along the track (``arc_length``) by a range of distances; see ``plan_step``.
3. Kidnapping: the part ``1 - exp(-carried_rate t)`` leaves, with all belief that passed the end of a run. Half of it becomes uniform
   over the map, half becomes "not in the map".
4. Turn: if odometry and headings are known, each moving mode is weighted by the likelihood of the robot's turn given the track's.
5. Revisits: a part passes to the other traverses through the same place.
6. Return: the part ``1 - exp(-found_rate t)`` of "not in the map" becomes uniform over the map.
"""

import math
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from vpr_aesvc.recognition.row_sets import union, values_at
from vpr_aesvc.recognition.sequence.arc_length import ArcLengthGrid
from vpr_aesvc.recognition.sequence.place_track import PlaceTrack, Revisits
from vpr_aesvc.recognition.sequence.sparse_belief import SparseBelief
from vpr_aesvc.types import Floats, Odometry, Rows

MODES = np.array([0.8, 0.1, 0.1])
"""Prior of the modes: along the traverse, against it, standing still. Places are recognized from the same viewing direction, so a
robot that recognizes places most often drives in the direction of the mapping drive."""
_SWITCH_RATE = 0.1  # per second: belief that passes to other traverses through the same place
_TURN_SIGMA = 0.15  # radians, standard deviation of the odometry's turn against the map's
_TURN_OUTLIERS = 0.1  # probability that the two turns are unrelated
_ROUNDING = 1.05
_MOST_MOVED = 512  # rows and modes of a sparse belief that are moved
_LEAST_SWITCHED = 1e-3  # belief of a row, from which on it passes to other traverses in a sparse belief

Ranges = tuple[tuple[float, float], tuple[float, float]]


class MotionSettings(BaseModel):
    """How the robot may move. Rates are per second if frames have stamps, else per frame."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    speed_low: float = Field(default=0.5, gt=0, description="Least speed while driving, relative to the mapping drive")
    speed_high: float = Field(
        default=1.5,
        gt=0,
        description="Greatest speed while driving, relative to the mapping drive; without stamps, in places per frame",
    )
    odometry_error: float = Field(
        default=0.2, ge=0, description="Error of the odometry's distance, relative to the distance"
    )
    change_rate: float = Field(
        default=0.05, ge=0, description="How often the robot stops, starts or turns back, per second"
    )
    carried_rate: float = Field(default=0.02, gt=0, description="How often the robot is kidnapped, per second")
    found_rate: float = Field(
        default=0.1, gt=0, description="How often a robot outside the map returns to it, per second"
    )


@dataclass(frozen=True)
class Step:
    """The motion between two frames, ready to be applied.

    Attributes:
        grid: the track in the unit of the distances.
        ranges: (low, high) distance along and against the traverse, in the unit of the grid.
        mixing: float64 [3, 3], mode transition M, from row to column.
        carried, found, switch: the parts of the belief of steps 3, 6 and 5.
        turn: of the robot, radians; None without odometry, or without headings in the map.
        revisits: None if no traverses share a place.
    """

    grid: ArcLengthGrid
    ranges: Ranges
    mixing: Floats
    carried: float
    found: float
    switch: float = 0.0
    turn: float | None = None
    revisits: Revisits | None = None

    def propagate(self, belief: Floats, lost: float) -> tuple[Floats, float]:
        """Belief float64 [3, n] and probability of not being in the map, after the step. Their sum is kept, but for the turn likelihood."""
        total = float(belief.sum())
        moved = self.mixing.T @ belief
        for mode, (low, high) in enumerate(self.ranges):
            moved[mode] = self.grid.propagate(moved[mode], low, high)
        kept, stays = float(moved.sum()), 1 - self.carried
        if kept > total > 0:  # cells of unequal length keep the sum only approximately
            stays *= total / kept
            kept = total
        left = (total - kept) + self.carried * kept
        moved *= stays
        if self.turn is not None:
            moved[:2] *= self._turn_likelihood(self.turn)
        arriving: Floats | float = (left / 2 + self.found * lost) / belief.shape[1]
        if self.revisits is not None:
            arriving = self.switch * self.revisits.spread(moved.sum(0)) + arriving
            moved *= 1 - self.switch
        moved += MODES[:, None] * arriving
        return moved, (1 - self.found) * lost + left / 2

    def expected(self, values: Floats, lost: float) -> tuple[Floats, float]:
        """The adjoint of ``propagate``: the expectation of ``values`` [3, n] and ``lost`` after the step, for each state before it."""
        uniform = float(MODES @ values.mean(1))
        left = (uniform + lost) / 2
        after_move = values
        if self.revisits is not None:
            after_move = (1 - self.switch) * values + self.switch * self.revisits.mean(MODES @ values)
        if self.turn is not None:
            after_move = np.concatenate([after_move[:2] * self._turn_likelihood(self.turn), after_move[2:]])
        ones = np.ones(values.shape[1])
        expected = np.empty_like(values)
        for mode in range(3):
            stays: Floats | float = 1.0  # probability of not leaving the run
            value = after_move[mode]
            if mode < 2:
                low, high = self.ranges[mode]
                value = self.grid.expected(value, low, high)
                stays = np.minimum(self.grid.expected(ones, low, high), 1.0)
            expected[mode] = (1 - self.carried) * value + (1 - stays * (1 - self.carried)) * left
        return self.mixing @ expected, (1 - self.found) * lost + self.found * uniform

    def propagate_some(self, belief: SparseBelief, sample: Rows) -> SparseBelief:
        """As ``propagate``, in a map that is too large to move the belief of each place. The rows that stand out are moved; what the others
        have above the rest is added to the rest.

        Args:
            sample: rows from which the mean likelihood of the turn in the map is estimated.
        """
        count, total = belief.count, belief.total()
        rest = self.mixing.T @ belief.rest
        excess = self.mixing.T @ belief.values - rest[:, None]
        strong = excess > rest[:, None]
        if np.count_nonzero(strong) > _MOST_MOVED:
            strong &= excess >= np.partition(excess[strong], -_MOST_MOVED)[-_MOST_MOVED]
        rest += np.where(strong, 0, excess).sum(1) / count
        moved = [(belief.rows[strong[mode]], excess[mode, strong[mode]]) for mode in range(3)]
        for mode, (low, high) in enumerate(self.ranges):
            moved[mode] = self.grid.propagate_some(*moved[mode], low, high)
            rest[mode] *= self.grid.staying(low, high)
        rows = union(*(reached for reached, _ in moved))
        values = np.zeros((3, len(rows)))
        for mode, (reached, amounts) in enumerate(moved):
            values[mode, np.searchsorted(rows, reached)] = amounts
        kept = float(values.sum() + count * rest.sum())
        if kept > total > 0:
            values, rest, kept = values * (total / kept), rest * (total / kept), total
        left = (total - kept) + self.carried * kept
        values, rest = (1 - self.carried) * values, (1 - self.carried) * rest
        if self.turn is not None:
            likelihood, usual = self._turn_likelihood(self.turn, rows), self._turn_likelihood(self.turn, sample).mean(1)
            values[:2] = values[:2] * likelihood + rest[:2, None] * (likelihood - usual[:, None])
            rest[:2] *= usual
        if self.revisits is not None:
            moving = values.sum(0)
            moving[moving < _LEAST_SWITCHED] = 0
            both = union(rows, self.revisits.others(rows[moving > 0]))
            values, moving = values_at(values, rows, both, 0.0), values_at(moving, rows, both, 0.0)
            values *= np.where(moving > 0, 1 - self.switch, 1.0)
            values += MODES[:, None] * (self.switch * self.revisits.spread_some(both, moving))
            rows, rest = both, (1 - self.switch) * rest + self.switch * MODES * rest.sum()
        rest += MODES * ((left / 2 + self.found * belief.lost) / count)
        return SparseBelief(rows, values + rest[:, None], rest, (1 - self.found) * belief.lost + left / 2, count)

    def _turn_likelihood(self, turn: float, rows: Rows | None = None) -> Floats:
        """Likelihood of the robot's turn given the track's, along and against the traverse, divided by that of a uniform turn: a normal
        density plus outliers. float64 [2, k], for ``rows`` or all places."""
        peak = (1 - _TURN_OUTLIERS) * math.sqrt(2 * math.pi) / _TURN_SIGMA
        likelihood = np.empty((2, len(self.grid.centers) if rows is None else len(rows)))
        for mode, (low, high) in enumerate(self.ranges):
            error = np.abs(self.grid.track_turns(low, high, rows) - math.remainder(turn, 2 * math.pi))
            error = np.minimum(error, 2 * math.pi - error, out=error)  # the shorter arc
            error *= error
            error *= -0.5 / _TURN_SIGMA**2
            np.exp(error, out=error)
            error *= peak
            np.add(error, _TURN_OUTLIERS, out=likelihood[mode])
        return likelihood


def plan_step(
    track: PlaceTrack,
    settings: MotionSettings,
    seconds: float | None,
    usual_seconds: float | None,
    odometry: Odometry | None,
) -> Step:
    """The step between two frames. The first of these that is known gives the range of distances:

    1. odometry and poses in the map: the distance driven, plus or minus ``odometry_error``;
    2. odometry that says the robot stood still;
    3. stamps of frames and places: ``speed_low`` to ``speed_high`` times the distance that the mapping drive covered in that time;
    4. else ``speed_low`` to ``speed_high`` places per frame, more if the frame is later than usual.

    Args:
        seconds: since the previous frame, or None.
        usual_seconds: the usual time between frames, if known.
    """
    time = 1.0 if seconds is None else seconds
    in_meters = track.grid("meters") if odometry is not None else None
    in_seconds = track.grid("seconds") if seconds is not None else None
    turn, odometry_used = None, False
    if odometry is not None and in_meters is not None:
        grid, distance = in_meters, _rounded(odometry.distance)
        error = settings.odometry_error * abs(distance)
        ranges: Ranges = (distance - error, distance + error), (-distance - error, -distance + error)
        turn, odometry_used = None if grid.heading is None else odometry.turn, True
    elif odometry is not None and odometry.distance == 0:
        grid, ranges, odometry_used = track.places_grid(), ((0.0, 0.0), (0.0, 0.0)), True
    elif in_seconds is not None:
        grid, ranges = in_seconds, _speed_ranges(settings, _rounded(time))
    else:
        grid = track.places_grid()
        ranges = _speed_ranges(
            settings, 1.0 if seconds is None or not usual_seconds else _rounded(seconds / usual_seconds)
        )
    keep = math.exp(-settings.change_rate * time)
    mixing = keep * np.eye(3) + (1 - keep) * MODES
    if odometry_used:  # the odometry says whether the robot stands still: that mode is not needed
        mixing[:, :2] += mixing[:, 2:] * MODES[:2] / MODES[:2].sum()
        mixing[:, 2] = 0
    carried, found, switch = (
        -math.expm1(-rate * time) for rate in (settings.carried_rate, settings.found_rate, _SWITCH_RATE)
    )
    return Step(
        grid=grid,
        ranges=ranges,
        mixing=mixing,
        carried=carried,
        found=found,
        switch=switch,
        turn=turn,
        revisits=track.revisits(),
    )


def _speed_ranges(settings: MotionSettings, amount: float) -> Ranges:
    """Along and against the traverse, for ``amount`` seconds or places of the mapping drive."""
    low, high = settings.speed_low * amount, settings.speed_high * amount
    return (low, high), (-high, -low)


def _rounded(amount: float) -> float:
    """Rounds to 5 % geometric steps, so that cached windows are reused."""
    if amount == 0:
        return 0.0
    return math.copysign(_ROUNDING ** round(math.log(abs(amount), _ROUNDING)), amount)
