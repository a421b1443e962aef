"""The course of a street. Positions along it: meters along the middle of the road, meters to the left of the middle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEFT, RIGHT = 1, -1
ROAD_HALF_WIDTH, HALF_WIDTH = 5.0, 7.6  # from the middle to the kerb and to the house fronts, meters
_STEP = 0.25  # between the points of the middle line, meters
_RADIUS = 17.0  # of the bends, meters


@dataclass(frozen=True)
class Street:
    """Points on the middle line: meters along it, x and y in meters, heading in radians."""

    along: np.ndarray
    x: np.ndarray
    y: np.ndarray
    heading: np.ndarray

    @classmethod
    def plan(cls, length: float, rng: np.random.Generator) -> Street:
        """Straight parts and bends, first east, then north, east, south and so on, so that it never meets itself."""
        knots, headings = [0.0], [np.deg2rad(rng.uniform(-6, 6))]
        while knots[-1] < length:
            heading = np.deg2rad((90, 0, -90, 0)[len(knots) // 2 % 4] + rng.uniform(-6, 6))
            knots.append(knots[-1] + rng.uniform(36, 58))
            knots.append(knots[-1] + _RADIUS * abs(heading - headings[-1]))
            headings += [headings[-1], heading]
        along = np.arange(0, length, _STEP)
        course = np.interp(along, knots, headings)
        x, y = (np.concatenate([[0], np.cumsum(f(course[:-1]) * _STEP)]) for f in (np.cos, np.sin))
        return cls(along, x, y, course)

    @property
    def length(self) -> float:
        return float(self.along[-1])

    def heading_at(self, along: float | np.ndarray) -> np.ndarray:
        return np.interp(along, self.along, self.heading)

    def point(self, along: float | np.ndarray, offset: float | np.ndarray = 0, z: float | np.ndarray = 0) -> np.ndarray:
        """World coordinates [..., 3], meters."""
        x, y = (np.interp(along, self.along, line) for line in (self.x, self.y))
        heading = self.heading_at(along)
        points = np.broadcast_arrays(x - offset * np.sin(heading), y + offset * np.cos(heading), z)
        return np.stack(points, axis=-1)

    def strip(self, start: float, end: float, right: float, left: float) -> np.ndarray:
        """The outline [n, 3] of the ground between two positions along the street and two offsets."""
        along = np.linspace(start, end, max(2, int(end - start)))
        return np.concatenate([self.point(along, right), self.point(along[::-1], left)])
