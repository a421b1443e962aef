"""Which places a search may return, as a mask that FAISS applies inside the search. Filtering the k results afterwards would lose
matches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.place_arrays import PlaceArrays
from vpr_aesvc.types import Pose

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Where:
    """Conditions on places; all that are set must hold. The first three describe the query frame.

    Attributes:
        stamp: of the frame, seconds.
        pose: of the frame in the map frame, from odometry, GPS or a guess; only x and y are used.
        traverse: the current traverse, for ``recent_meters``; by default that of the place added last.
        recent_seconds: leave out places whose stamp is less than this before or after the frame's.
        recent_meters: leave out places of ``traverse`` less than this distance back along the driven path, measured from ``pose``,
            or from the last place if there is no pose.
        recent_places: leave out this many of the places added last.
        without_traverses: leave out these traverses.
        beyond: leave out places within this many meters of ``pose``.
        within: only places within this many meters of ``pose``, for a GPS or odometry prior.

    ``recent_seconds`` keeps places without a stamp. ``recent_meters`` and ``beyond`` keep places without a pose, ``within`` leaves
    them out.

    Raises:
        VprError: a negative value, or a condition that needs the frame's stamp or pose, which is missing.
    """

    stamp: float | None = None
    pose: Pose | None = None
    traverse: str | None = None
    recent_seconds: float | None = None
    recent_meters: float | None = None
    recent_places: int | None = None
    without_traverses: tuple[str, ...] = ()
    beyond: float | None = None
    within: float | None = None

    def __post_init__(self) -> None:
        for name in ("recent_seconds", "recent_meters", "recent_places", "beyond", "within"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise VprError(f"{name} must not be negative, found {value}")
        if self.recent_seconds is not None and self.stamp is None:
            raise VprError("recent_seconds needs the frame's stamp; set stamp")
        for name in ("beyond", "within"):
            if getattr(self, name) is not None and self.pose is None:
                raise VprError(f"{name} needs the frame's pose; set pose")

    def mask(self, arrays: PlaceArrays, traverses: dict[str, int]) -> Mask | None:
        """bool [n], True for places that may be returned; None if all may. ``traverses``: ids by name. Raises VprError: the
        map has no traverse of that name."""
        excluded: list[Mask] = []
        if self.recent_seconds is not None and self.stamp is not None:
            excluded.append(np.abs(arrays.stamps - self.stamp) < self.recent_seconds)  # False for NaN, no stamp
        if self.recent_meters is not None:
            excluded.append(self._recently_driven(arrays, traverses, self.recent_meters))
        if self.recent_places:
            excluded.append(arrays.last(self.recent_places))
        for name in self.without_traverses:
            excluded.append(arrays.traverses == traverse_id(name, traverses))
        if self.pose is not None and self.beyond is not None:
            excluded.append(_around(arrays, self.pose, self.beyond, np.less))
        if self.pose is not None and self.within is not None:
            excluded.append(~_around(arrays, self.pose, self.within, np.less_equal))
        if not excluded:
            return None
        return ~np.logical_or.reduce(excluded) if len(excluded) > 1 else ~excluded[0]

    def _recently_driven(self, arrays: PlaceArrays, traverses: dict[str, int], meters: float) -> Mask:
        alive = np.flatnonzero(arrays.alive)
        if not len(alive):
            return np.zeros(len(arrays), bool)
        last_traverse = int(arrays.traverses[alive[-1]])
        traverse = last_traverse if self.traverse is None else traverse_id(self.traverse, traverses)
        traveled, last_position = arrays.odometer(traverse)
        if self.pose is not None and last_position is not None:
            traveled += float(np.hypot(self.pose.x - last_position[0], self.pose.y - last_position[1]))
        return (arrays.traverses == traverse) & (arrays.traveled > traveled - float(meters))


def _around(arrays: PlaceArrays, pose: Pose, meters: float, compare: np.ufunc) -> Mask:
    """bool [n], the places whose distance from the pose compares so with ``meters``; False without a pose."""
    x, y = arrays.positions[:, 0], arrays.positions[:, 1]
    rows = np.flatnonzero(np.abs(x - pose.x) <= meters)  # of a large map few, for which alone y is read
    east, north = x[rows] - pose.x, y[rows] - pose.y
    mask = np.zeros(len(x), bool)
    mask[rows[compare(east * east + north * north, meters**2)]] = True
    return mask


def traverse_id(name: str, traverses: dict[str, int]) -> int:
    """Raises VprError if the map has no traverse of that name."""
    if name not in traverses:
        some = ", ".join(list(traverses)[:10]) or "none"
        raise VprError(f"the map has no traverse {name!r}; it has {some}{' ...' if len(traverses) > 10 else ''}")
    return traverses[name]
