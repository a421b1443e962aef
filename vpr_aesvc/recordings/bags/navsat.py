"""Fixes of a satellite receiver as poses on a local plane."""

from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HIGHEST = 1e5  # meters; above are satellites
_STRIDE = 1.0  # meters of travel for one heading: about the error of a receiver within seconds


class NavSatSamples:
    """Collects sensor_msgs/NavSatFix."""

    def __init__(self) -> None:
        self._numbers = array("d")

    def __len__(self) -> int:
        return len(self._numbers) // 5

    def add(self, stamp: float, received: float, fix: Any) -> None:
        """
        Raises:
            ValueError: the message holds no position.
        """
        if fix.status.status < 0:
            raise ValueError("no fix")
        if not (abs(fix.latitude) <= 90 and abs(fix.longitude) <= 180):  # also False for NaN
            raise ValueError(f"latitude {fix.latitude:g}, longitude {fix.longitude:g}")
        altitude = fix.altitude if abs(fix.altitude) < _HIGHEST else np.nan
        self._numbers.extend((stamp, received, fix.latitude, fix.longitude, altitude))

    def drop_unset(self) -> int:
        """Removes fixes of 0, 0, which a receiver reports before it knows where it is, unless another fix is within a kilometer of
        there. Returns their number."""
        rows = np.array(self._numbers).reshape(-1, 5)
        degrees = np.abs(rows[:, 2:4]).max(axis=1)
        unset = degrees < 1e-6
        if (degrees[~unset] < 0.01).any():
            return 0
        self._numbers = array("d", rows[~unset].ravel())
        return int(unset.sum())

    def origin(self) -> tuple[float, float]:
        """Latitude and longitude of the first fix, degrees."""
        return self._numbers[2], self._numbers[3]

    def table(self) -> tuple[NDArray[np.float64], bool]:
        """Poses float64 [n, 9] in the columns of ``PoseSamples.table``, and whether the receiver moved.

        x is east and y north of the first fix, in meters. The heading is the direction of travel; east if the receiver never moved.
        """
        from pymap3d import geodetic2enu

        rows = np.frombuffer(self._numbers, np.float64).reshape(-1, 5)
        stamps, received, latitude, longitude, altitude = rows.T
        known = altitude[np.isfinite(altitude)]
        altitude = np.where(np.isfinite(altitude), altitude, known[0] if len(known) else 0.0)
        east, north, up = geodetic2enu(latitude, longitude, altitude, latitude[0], longitude[0], altitude[0])
        headings, moved = travel_headings(np.column_stack([east, north]))
        zero = np.zeros(len(rows))
        quaternions = np.column_stack([zero, zero, np.sin(headings / 2), np.cos(headings / 2)])
        return np.column_stack([stamps, received, east, north, up, quaternions]), moved


def travel_headings(xy: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """The direction of travel at each position [n, 2], in radians from the x axis, and whether there was any travel.

    The path is cut into strides of one meter. Each stride gives one heading, at its middle; headings between are interpolated along the
    path. A receiver that stands keeps its heading.
    """
    anchor = 0
    headings: list[float] = []
    progress = np.zeros(len(xy))  # along the path, in strides
    for i in range(1, len(xy)):
        step = xy[i] - xy[anchor]
        length = float(np.hypot(*step)) / _STRIDE
        progress[i] = len(headings) + min(length, 1.0)
        if length >= 1:
            headings.append(float(np.arctan2(step[1], step[0])))
            anchor = i
    if not headings:
        return progress, False
    return np.interp(progress, np.arange(len(headings)) + 0.5, np.unwrap(headings)), True
