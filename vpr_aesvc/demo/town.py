"""Plans a street: its legs and corners, the houses along it, trees and lamps, where cars park and who walks by.

Places along the street are (leg, meters from the leg's start, meters to the left of the middle of the road).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpr_aesvc.demo.houses import STYLES, House
from vpr_aesvc.demo.props import PAVEMENT_WIDTH, ROAD_HALF_WIDTH

HALF_WIDTH = ROAD_HALF_WIDTH + PAVEMENT_WIDTH  # of the street between house fronts, meters
LEFT, RIGHT = 1, -1


@dataclass(frozen=True)
class Leg:
    """A straight part of the street. Turns are the change of heading at its two ends, radians, positive to the left."""

    start: np.ndarray
    heading: float
    length: float
    turn_before: float
    turn_after: float

    @property
    def ahead(self) -> np.ndarray:
        return np.array([np.cos(self.heading), np.sin(self.heading), 0.0])

    @property
    def left(self) -> np.ndarray:
        return np.array([-np.sin(self.heading), np.cos(self.heading), 0.0])

    def point(self, along: float, offset: float, z: float = 0.0) -> np.ndarray:
        """World coordinates, meters."""
        return np.array([*self.start, z]) + along * self.ahead + offset * self.left

    def extent(self, offset: float) -> tuple[float, float]:
        """Where a line at this offset starts and ends, given that it meets its continuation at both corners."""
        return offset * np.tan(self.turn_before / 2), self.length - offset * np.tan(self.turn_after / 2)


@dataclass(frozen=True)
class Plot:
    """A house on a side of a leg, or, without a house, a gap: an "alley" or a "garden", closed at its back."""

    leg: int
    side: int
    start: float
    width: float
    setback: float
    house: House
    gap: str = ""

    @property
    def height(self) -> float:
        return 0.0 if self.gap else self.house.height


@dataclass(frozen=True)
class Prop:
    """A thing that stays where it is: a tree, a lamp, a bin ..."""

    kind: str
    leg: int
    along: float
    offset: float
    variant: int


@dataclass(frozen=True)
class Walker:
    """Somebody who walks a beat over and over: `length` meters from `begin` on the leg.

    At time 0 they are `along` meters into it; `speed` is in meters a second.
    """

    leg: int
    along: float
    offset: float
    speed: float
    variant: int
    cycling: bool
    begin: float
    length: float


@dataclass(frozen=True)
class ParkedCar:
    leg: int
    along: float
    side: int
    variant: int
    forwards: bool


@dataclass(frozen=True)
class Town:
    legs: tuple[Leg, ...]
    plots: tuple[Plot, ...]
    props: tuple[Prop, ...]
    paving: tuple[str, ...]
    seed: int

    def skyline(self, leg: int, side: int, along: float) -> float:
        """Height of the houses there, meters; an ordinary height beyond the ends of the leg."""
        for plot in self.plots:
            if plot.leg == leg and plot.side == side and plot.start <= along < plot.start + plot.width:
                return plot.height
        return 9.0


def plan(length: float, seed: int) -> Town:
    """A winding street, at least `length` meters along its middle, that never meets itself."""
    rng = np.random.default_rng([seed, 1])
    lengths: list[float] = []
    while not lengths or sum(lengths[:-1]) < length:  # and one leg more, so that a house front closes the last view
        lengths.append(float(rng.uniform(58, 88)))
    headings = _headings(rng, len(lengths))
    turns = [0.0, *np.diff(headings), 0.0]
    legs: list[Leg] = []
    at: np.ndarray = np.zeros(2)
    for i, (heading, meters) in enumerate(zip(headings, lengths, strict=True)):
        legs.append(Leg(at, float(heading), meters, float(turns[i]), float(turns[i + 1])))
        at = at + meters * legs[-1].ahead[:2]
    plots = [plot for i, leg in enumerate(legs) for side in (LEFT, RIGHT) for plot in _plots(rng, i, leg, side)]
    props = [prop for i, leg in enumerate(legs) for side in (LEFT, RIGHT) for prop in _props(rng, i, leg, side)]
    paving = [("slabs", "pavers", "asphalt")[int(rng.integers(3))] for _ in legs]
    return Town(tuple(legs), tuple(plots), tuple(props), tuple(paving), seed)


def _headings(rng: np.random.Generator, count: int) -> np.ndarray:
    """East, north, east, south, and so on, each a few degrees off, radians.

    No turn is sharper than a right angle: at a sharper one the end walls of the corner houses would stand in the road.
    """
    east = rng.uniform(-6, 6, count + 1)
    degrees = east.copy()
    for leg in range(1, count, 2):
        either = east[leg - 1], east[leg + 1]
        spare = rng.uniform(0, 6)
        degrees[leg] = 90 + min(either) - spare if leg % 4 == 1 else -90 + max(either) + spare
    return np.deg2rad(degrees[:count])


def _plots(rng: np.random.Generator, index: int, leg: Leg, side: int) -> list[Plot]:
    """Fills a side of a leg with rows of like houses, as builders do, with a gap now and then."""
    begin, end = leg.extent(side * HALF_WIDTH)
    plots: list[Plot] = []
    at = begin
    styles = [str(s) for s in rng.choice(list(STYLES), 4, replace=False)]
    while end - at > 0.5:
        row = int(rng.integers(1, 4))
        style, width = styles[int(rng.integers(len(styles)))], float(rng.uniform(6.5, 12.0))
        setback = float(rng.choice([0.0, 0.0, 0.5, 1.0]))
        model = House.draw(rng, style, width)
        for _ in range(row):
            left = end - at
            if left < 0.5:
                break
            wide = left if left < width + 5.5 else width
            corner = at == begin or wide == left
            fresh = House.draw(rng, style, wide)
            # neighbors of one row share color and height mostly; doors, shops and curtains are their own
            house = House(
                style,
                model.color if rng.random() < 0.7 else fresh.color,
                wide,
                model.storeys,
                fresh.ground,
                fresh.seed,
                fresh.door,
                fresh.sign,
                fresh.name,
                fresh.shutter,
                model.balconies,
            )
            plots.append(Plot(index, side, at, wide, 0.0 if corner else setback, house))
            at += wide
        gap = float(rng.uniform(4.5, 6.0))
        if rng.random() < 0.3 and end - at > gap + 14:
            kind = "alley"
            if rng.random() < 0.5 and end - at > 26:
                kind, gap = "garden", gap * 2
            back = House.draw(rng, styles[int(rng.integers(len(styles)))], gap + 6)
            plots.append(Plot(index, side, at, gap, 0.0, back, kind))
            at += gap
    return plots


def _props(rng: np.random.Generator, index: int, leg: Leg, side: int) -> list[Prop]:
    begin, end = leg.extent(side * HALF_WIDTH)
    planted = ("round", "tall", "young", "", "")[int(rng.integers(5))]
    spacing = float(rng.uniform(11, 17))
    props = []
    at = begin + rng.uniform(4, 10)
    step = int(rng.integers(2))
    while at < end - 3:
        kind = "lamp" if step % 2 == 0 else (f"tree {planted}" if planted else str(rng.choice(["sign", "bin", "post"])))
        props.append(Prop(kind, index, float(at), side * (ROAD_HALF_WIDTH + 0.55), int(rng.integers(4))))
        if rng.random() < 0.5:
            kind = str(rng.choice(["bin", "bollard", "bollard", "post", "tub", "tub", "sign"]))
            offset = HALF_WIDTH - 0.55 if kind == "tub" else ROAD_HALF_WIDTH + 0.45
            props.append(Prop(kind, index, float(at + rng.uniform(2, 5)), side * offset, int(rng.integers(4))))
        at += spacing / 2 * rng.uniform(0.85, 1.15)
        step += 1
    return props


def park(town: Town, rng: np.random.Generator, occupied: float) -> list[ParkedCar]:
    """Cars along both kerbs, clear of the corners; `occupied` is the share of the bays that are taken."""
    cars = []
    for index, leg in enumerate(town.legs):
        for side in (LEFT, RIGHT):
            begin, end = leg.extent(side * ROAD_HALF_WIDTH)
            for along in np.arange(begin + 9, end - 13, 6.4):
                taken, jitter, variant, forwards = (
                    rng.random(),
                    rng.uniform(0, 0.9),
                    int(rng.integers(8)),
                    rng.random() < 0.85,
                )
                if taken < occupied:
                    cars.append(ParkedCar(index, float(along + jitter), side, variant, forwards == (side == RIGHT)))
    return cars


def walkers(town: Town, rng: np.random.Generator, per_100_meters: float) -> list[Walker]:
    """People on both pavements, and a cyclist now and then in the road."""
    people = []
    for index, leg in enumerate(town.legs):
        for _ in range(int(rng.poisson(leg.length / 100 * per_100_meters))):
            side, cycling = int(rng.choice([LEFT, RIGHT])), rng.random() < 0.15
            offset = 2.5 if cycling else rng.uniform(ROAD_HALF_WIDTH + 0.4, HALF_WIDTH - 0.4)
            speed = float(rng.choice([-1, 1]) * rng.uniform(1.0, 1.5)) if not cycling else -side * 4.0
            begin, end = leg.extent(side * ROAD_HALF_WIDTH)
            begin, end = begin + 2, end - 2  # nobody crosses the road at the corners, where the camera cuts across
            at = float(rng.uniform(0, end - begin))
            people.append(
                Walker(index, at, side * float(offset), speed, int(rng.integers(12)), cycling, begin, end - begin)
            )
    return people
