"""Positions on the earth -> meters: UTM, which is the same frame for every input in one zone, at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vpr_aesvc.errors import VprError

_DECIMALS = 4  # of degrees: 11 m


@dataclass(frozen=True)
class UtmZone:
    number: int
    is_north: bool

    def __str__(self) -> str:
        return f"UTM zone {self.number} {'north' if self.is_north else 'south'}"

    def project(
        self, latitude: ArrayLike, longitude: ArrayLike, where: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Degrees [n] -> east and north float64 [n, 2] in meters, and the convergence [n] in radians: the direction of grid north,
        clockwise from true north.

        Raises:
            VprError: a position is none, or lies beyond 84 degrees north or 80 south, where UTM ends.
        """
        import utm

        degrees = np.asarray(latitude, np.float64), np.asarray(longitude, np.float64)
        try:
            east, north, *_ = utm.from_latlon(*degrees, force_zone_number=self.number, force_northern=self.is_north)
        except utm.OutOfRangeError as error:
            raise VprError(f"{where}: cannot be projected to UTM, {error}") from None
        meridian = 6 * self.number - 183
        convergence = np.arctan(np.tan(np.radians(degrees[1] - meridian)) * np.sin(np.radians(degrees[0])))
        return np.column_stack([east, north]), convergence

    def unproject(self, east: ArrayLike, north: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Meters [n] -> latitude and longitude [n] in degrees."""
        import utm

        found = utm.to_latlon(np.asarray(east), np.asarray(north), self.number, northern=self.is_north, strict=False)
        return np.asarray(found[0]), np.asarray(found[1])


def zone_of(latitude: float, longitude: float) -> UtmZone:
    import utm

    return UtmZone(int(utm.latlon_to_zone_number(latitude, longitude)), latitude >= 0)


def look_like_degrees(positions: Sequence[tuple[float, float]]) -> bool:
    """Whether numbers that should be meters are latitude and longitude, in either order.

    They are if all are in the range of degrees and near each other, far from 0, 0, and written with decimals that meters do not need.
    """
    xy = np.array(positions, np.float64).reshape(-1, 2)
    most, spans = np.abs(xy).max(axis=0, initial=0.0), np.ptp(xy, axis=0) if len(xy) else np.zeros(2)
    if most.max() > 180 or most.min() > 90 or not 0 < spans.max() < min(1.0, most.max() / 20):
        return False
    return bool(np.mean([max(map(_decimals, one)) >= _DECIMALS for one in xy.tolist()]) > 0.5)


def _decimals(number: float) -> int:
    return len(repr(number).partition(".")[2])
