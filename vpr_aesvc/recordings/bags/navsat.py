"""Positions of a satellite receiver as poses on a local plane."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STRIDE = 1.0  # meters that must be traveled for a direction: about what a receiver errs by within seconds


class NavSatSamples:
    """Collects sensor_msgs/NavSatFix."""

    def __init__(self) -> None:
        self._numbers = array("d")

    def __len__(self) -> int:
        return len(self._numbers) // 5

    def add(self, stamp: float, received: float, fix: Any) -> None:
        """Raises ValueError for a message that says no position."""
        if fix.status.status < 0:
            raise ValueError("no fix")
        if not (abs(fix.latitude) <= 90 and abs(fix.longitude) <= 180):  # NaN as well
            raise ValueError(f"latitude {fix.latitude:g}, longitude {fix.longitude:g}")
        altitude = fix.altitude if np.isfinite(fix.altitude) else np.nan
        self._numbers.extend((stamp, received, fix.latitude, fix.longitude, altitude))

    def first(self) -> tuple[float, float]:
        """Latitude and longitude, degrees, of the first: the origin."""
        return self._numbers[2], self._numbers[3]

    def table(self) -> tuple[NDArray[np.float64], bool]:
        """float64 [n, 9] as a PoseHistory takes it, x east and y north of the first fix, x of the pose in the direction of travel; and
        whether there was one: whoever never moved looks east."""
        from pymap3d import geodetic2enu

        rows = np.frombuffer(self._numbers, np.float64).reshape(-1, 5)
        stamps, received, latitude, longitude, altitude = rows.T
        known = altitude[np.isfinite(altitude)]
        altitude = np.where(np.isfinite(altitude), altitude, known[0] if len(known) else 0.0)
        east, north, up = geodetic2enu(latitude, longitude, altitude, latitude[0], longitude[0], altitude[0])
        headings, moved = directions(np.column_stack([east, north]))
        zero = np.zeros(len(rows))
        turns = np.column_stack([zero, zero, np.sin(headings / 2), np.cos(headings / 2)])
        return np.column_stack([stamps, received, east, north, up, turns]), moved


def directions(xy: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """The direction of travel, radians from the x axis, at each of the positions [n, 2]: that of each stride at its middle, and by the
    way made between. One that stands keeps its direction."""
    anchor = 0
    strides: list[float] = []
    way = np.zeros(len(xy))  # in strides
    for i in range(1, len(xy)):
        step = xy[i] - xy[anchor]
        long = float(np.hypot(*step)) / _STRIDE
        way[i] = len(strides) + min(long, 1.0)
        if long >= 1:
            strides.append(float(np.arctan2(step[1], step[0])))
            anchor = i
    if not strides:
        return way, False
    return np.interp(way, np.arange(len(strides)) + 0.5, np.unwrap(strides)), True
