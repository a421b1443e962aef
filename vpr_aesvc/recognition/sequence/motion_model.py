"""How belief moves between two frames.

The robot follows a traverse in one of three ways: with it, against it, or standing still; it goes on as it did, or changes. Now and
then it is somewhere else altogether: it was carried, it took a way that the map does not know, or it passed from one traverse to another that
goes through the same place. Jilkov and Li call such a filter a multiple-model filter (Survey of maneuvering target tracking, part V, 2005).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from vpr_aesvc.recognition.sequence.arc_length import ArcLengthGrid, Floats
from vpr_aesvc.recognition.sequence.place_track import PlaceTrack
from vpr_aesvc.recognition.sequence.revisits import Revisits

MODES = np.array([0.8, 0.1, 0.1])
"""With the traverse, against it, standing still: how likely each is before anything is known. A camera recognizes what it sees from
the same side, so a robot that recognizes places most often drives as the map was driven."""
_SWITCH = 0.1  # part of the belief that passes, in a second, to the other traverses through the same place
_TURN_ERROR = 0.15  # radians, standard deviation of odometry's turn against the map's
_ROUNDING = 1.05
_TURN_OUTLIER = 0.1  # how often the two have nothing to do with each other


class MotionSettings(BaseModel):
    """How the robot may move. A rate counts in seconds where frames have stamps, else in frames."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    speed_low: float = Field(
        default=0.5, gt=0, description="Least speed while driving, as part of that of the drive that made the map"
    )
    speed_high: float = Field(
        default=1.5,
        gt=0,
        description="Greatest speed likewise; where stamps are missing that drive passed one place a frame",
    )
    odometry_error: float = Field(
        default=0.2, ge=0, description="Error of odometry's distance, as part of the distance"
    )
    change_rate: float = Field(
        default=0.05, ge=0, description="How often the robot stops, starts or turns back, per second"
    )
    carried_rate: float = Field(default=0.02, gt=0, description="How often it is somewhere else altogether, per second")
    found_rate: float = Field(
        default=0.1, gt=0, description="How often it comes back to the map when it had left it, per second"
    )


@dataclass(frozen=True)
class Odometry:
    """What the robot moved by since the frame before, in its own frame: ``forward`` (negative when reversing) and ``left`` in
    meters, ``turn`` in radians, counter-clockwise."""

    forward: float
    left: float = 0.0
    turn: float = 0.0

    @property
    def distance(self) -> float:
        """Meters, negative when reversing."""
        return math.copysign(math.hypot(self.forward, self.left), self.forward)


@dataclass(frozen=True)
class Step:
    """The move from one frame to the next, ready to be applied.

    Attributes:
        line: what distances are measured along.
        ranges: (low, high) in the line's unit, with and against the traverse.
        mixing: float64 [3, 3], from the way the robot moved (row) to the way it moves.
        carried, found, switch: the parts of the belief that take those ways.
        turns: float64 [2, n], how well the robot's turn fits the track's, with and against the traverse; or None.
        spots: for passing between traverses, or None where no two share a place.
    """

    line: ArcLengthGrid
    ranges: tuple[tuple[float, float], tuple[float, float]]
    mixing: Floats
    carried: float
    found: float
    switch: float = 0.0
    turns: Floats | None = None
    spots: Revisits | None = None

    def ahead(self, belief: Floats, lost: float) -> tuple[Floats, float]:
        """Belief float64 [3, n] and the probability of not being in the map, after the move; together they sum to what they were
        times how well the turn fits."""
        total = float(belief.sum())
        moved = self.mixing.T @ belief
        for way, (low, high) in enumerate(self.ranges):
            moved[way] = self.line.ahead(moved[way], low, high)
        kept = float(moved.sum())
        if kept > total > 0:  # uneven cells keep belief only nearly
            moved *= total / kept
            kept = total
        elsewhere = (total - kept) + self.carried * kept
        moved *= 1 - self.carried
        if self.turns is not None:
            moved[:2] *= self.turns
        if self.spots is not None:
            there = self.switch * self.spots.spread(moved.sum(0))
            moved *= 1 - self.switch
            moved += MODES[:, None] * there
        moved += MODES[:, None] * ((elsewhere / 2 + self.found * lost) / belief.shape[1])
        return moved, (1 - self.found) * lost + elsewhere / 2

    def expected(self, values: Floats, lost: float) -> tuple[Floats, float]:
        """The adjoint: what ``values`` [3, n] and ``lost`` after the move are worth before it."""
        anywhere = float(MODES @ values.mean(1))
        elsewhere = (anywhere + lost) / 2
        before = values
        if self.spots is not None:
            before = (1 - self.switch) * values + self.switch * self.spots.mean(MODES @ values)
        if self.turns is not None:
            before = np.concatenate([before[:2] * self.turns, before[2:]])
        ones = np.ones(values.shape[1])
        carried = np.empty_like(values)
        for way in range(3):
            stays: Floats | float = 1.0
            worth = before[way]
            if way < 2:
                low, high = self.ranges[way]
                worth = self.line.expected(worth, low, high)
                stays = np.minimum(self.line.expected(ones, low, high), 1.0)
            carried[way] = (1 - self.carried) * worth + (1 - stays * (1 - self.carried)) * elsewhere
        return self.mixing @ carried, (1 - self.found) * lost + self.found * anywhere


def plan(
    track: PlaceTrack, settings: MotionSettings, seconds: float | None, usual: float | None, odometry: Odometry | None
) -> Step:
    """The step between two frames.

    Odometry measures along the poses of the map; without either, stamps of frames and map together give a range of distances
    by speed; without those, a frame passes about one place, more where it comes later than usual.

    Args:
        seconds: since the frame before, or None.
        usual: the usual time between frames in seconds, where it is known.
    """
    time = 1.0 if seconds is None else seconds
    meters = track.line("meters") if odometry is not None else None
    paced = track.line("seconds") if seconds is not None else None
    spots = track.shared_spots()
    turns, two_ways = None, False
    if odometry is not None and meters is not None:
        line, distance = meters, _rounded(odometry.distance)
        error = settings.odometry_error * abs(distance)
        ranges = (distance - error, distance + error), (-distance - error, -distance + error)
        turns, two_ways = _turns(line, ranges, odometry.turn), True
    elif odometry is not None and odometry.distance == 0:
        line, ranges, two_ways = track.require_line(), ((0.0, 0.0), (0.0, 0.0)), True
    elif paced is not None:
        line, pace = paced, _rounded(time)
        ranges = _both_ways(settings.speed_low * pace, settings.speed_high * pace)
    else:
        line = track.require_line()
        frames = 1.0 if seconds is None or not usual else _rounded(seconds / usual)
        ranges = _both_ways(settings.speed_low * frames, settings.speed_high * frames)
    keeps = math.exp(-settings.change_rate * time)
    mixing = keeps * np.eye(3) + (1 - keeps) * MODES
    if two_ways:  # odometry says whether it stands still
        mixing[:, :2] += mixing[:, 2:] * MODES[:2] / MODES[:2].sum()
        mixing[:, 2] = 0
    carried, found, switch = (
        -math.expm1(-rate * time) for rate in (settings.carried_rate, settings.found_rate, _SWITCH)
    )
    return Step(line, ranges, mixing, carried, found, switch if spots is not None else 0.0, turns, spots)


def _both_ways(low: float, high: float) -> tuple[tuple[float, float], tuple[float, float]]:
    return (low, high), (-high, -low)


def _turns(line: ArcLengthGrid, ranges: tuple[tuple[float, float], tuple[float, float]], turn: float) -> Floats | None:
    """The density of the robot's turn given the track's, over that of a turn of any size; the same whichever way the place is passed."""
    if line.heading is None:
        return None
    peak = (1 - _TURN_OUTLIER) * math.sqrt(2 * math.pi) / _TURN_ERROR
    fits = np.empty((2, len(line.centers)))
    for way, (low, high) in enumerate(ranges):
        wrong = np.abs(line.turn_over(low, high) - math.remainder(turn, 2 * math.pi))
        wrong = np.minimum(wrong, 2 * math.pi - wrong) / _TURN_ERROR  # the short way round
        fits[way] = _TURN_OUTLIER + peak * np.exp(-0.5 * wrong * wrong)
    return fits


def _rounded(amount: float) -> float:
    """To one of a series that rises by a twentieth: less than anybody knows it, and windows made for it serve again."""
    if amount == 0:
        return 0.0
    return math.copysign(_ROUNDING ** round(math.log(abs(amount), _ROUNDING)), amount)
