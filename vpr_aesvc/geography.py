"""Positions on the earth -> meters: UTM, which is the same frame for every input in one zone, at any time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vpr_aesvc.errors import VprError

_NEAR_ZERO, _FEW_DEGREES = 5.0, 3.0
_REACH = np.radians(10.0)  # from the central meridian, on the ground; meters are then 1.5 % too long
_APART = 1e7  # meters between regions of neighboring zones that are out of reach
_NOTED = re.compile(r"(?:in|to) (UTM zone \d+ (?:north|south))")


class UtmZone(NamedTuple):
    number: int
    is_north: bool

    def __str__(self) -> str:
        return f"UTM zone {self.number} {'north' if self.is_north else 'south'}"

    def project(self, latitude: ArrayLike, longitude: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Degrees [n] -> east and north float64 [n, 2] in meters, and the convergence [n] in radians: the direction of grid
        north, clockwise from true north. Raises VprError: a position lies beyond 84 degrees north or 80 south, where UTM
        ends."""
        import utm

        degrees = np.asarray(latitude, np.float64), np.asarray(longitude, np.float64)
        try:
            east, north, *_ = utm.from_latlon(*degrees, force_zone_number=self.number, force_northern=self.is_north)
        except utm.OutOfRangeError as error:
            raise VprError(f"a position cannot be projected to UTM: {error}") from None
        from_meridian = np.radians(degrees[1] - (6 * self.number - 183))
        return np.column_stack([east, north]), np.arctan(np.tan(from_meridian) * np.sin(np.radians(degrees[0])))

    def place(self, latitude: ArrayLike, longitude: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        """As ``project``, and the number of positions out of reach. Those are projected to their own zone and moved east by 10,000 km for each
        zone between, so that meters are right within each region, and regions do not mix."""
        degrees = np.column_stack([latitude, longitude]).astype(np.float64)
        xy, convergence = self.project(*degrees.T)
        from_meridian = (degrees[:, 1] - (6 * self.number - 183) + 180) % 360 - 180
        far = np.flatnonzero(np.abs(np.radians(from_meridian) * np.cos(np.radians(degrees[:, 0]))) > _REACH)
        for at in far:
            own = UtmZone(zone_of(*degrees[at]).number, self.is_north)
            xy[at : at + 1], convergence[at : at + 1] = own.project(*degrees[at : at + 1].T)
            xy[at, 0] += _APART * (own.number - self.number)
        return xy, convergence, len(far)

    def unproject(self, east: float, north: float) -> tuple[float, float]:
        """Meters -> latitude and longitude in degrees."""
        import utm

        latitude, longitude = utm.to_latlon(east, north, self.number, northern=self.is_north, strict=False)
        return float(latitude), float(longitude)


def zone_of(latitude: float, longitude: float) -> UtmZone:
    import utm

    return UtmZone(int(utm.latlon_to_zone_number(latitude, longitude)), latitude >= 0)


def look_like_degrees(positions: Sequence[tuple[float, float]]) -> bool:
    """Whether numbers that should be meters are latitude and longitude, in either order.

    They are if all are in the range of degrees and near each other, far from 0, 0, and most have four decimals, which meters do not need.
    """
    xy = np.array(positions, np.float64).reshape(-1, 2)
    most, spans = np.abs(xy).max(axis=0, initial=0.0), np.ptp(xy, axis=0) if len(xy) else np.zeros(2)
    if most.max() > 180 or most.min() > 90 or not 0 < spans.max() < min(1.0, most.max() / 20):
        return False
    return 2 * sum(any(len(repr(number).partition(".")[2]) >= 4 for number in one) for one in xy.tolist()) > len(xy)


def may_be_degrees(positions: Sequence[tuple[float, float]]) -> bool:
    """Whether numbers that are taken for meters could be latitude and longitude: all are in that range, and none is near 0, 0, where a local
    frame has its origin and no land is; and no two are farther apart than a few degrees, which is a small place in meters."""
    xy = np.abs(np.array(positions, np.float64).reshape(-1, 2))
    if len(xy) < 2 or xy.max() > 180 or xy.max(axis=0).min() > 90 or xy.max(axis=1).min() < _NEAR_ZERO:
        return False
    return bool(0 < np.ptp(np.array(positions, np.float64), axis=0).max() <= _FEW_DEGREES)


def zones_differ(notes: Iterable[str], map_notes: Iterable[str]) -> str | None:
    """How the UTM zones differ that the notes of an input and those of a map name; None if they do not, or if one side names none."""
    new, old = ({zone for note in part for zone in _NOTED.findall(note)} for part in (notes, map_notes))
    if not new or not old or new == old:
        return None
    return f"its poses are in {' and '.join(sorted(new))}, those of the map in {' and '.join(sorted(old))}, which do not compare"


def require_one_zone(path: Path, notes: Iterable[str], map_notes: Iterable[str]) -> None:
    """Raises VprError if the notes of an input and those of the traverses of a map name different UTM zones."""
    if why := zones_differ(notes, map_notes):
        raise VprError(f"{path}: {why}; build one map of both, from one frames.csv with latitude and longitude")
