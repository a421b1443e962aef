"""Which places a search may return. Turned into a mask that FAISS applies inside the search: a filter after it loses matches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.loaded import Loaded
from vpr_aesvc.types import Pose

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Where:
    """Conditions on places; all that are set must hold. The first three say what is known of the frame that is asked about.

    Attributes:
        stamp: of the frame, seconds.
        pose: of the frame, in the map frame, from odometry, GPS or a guess; only x and y are used.
        traverse: the one being driven, which ``recent_meters`` is about; by default that of the place added last.
        recent_seconds: leave out places whose stamp is less than this from the frame's, either way.
        recent_meters: leave out places of ``traverse`` that lie less than this back along the way driven, counted from ``pose``,
            or from the last place without one.
        recent_places: leave out this many of the places added last.
        without_traverses: leave out these traverses.
        beyond: leave out places within this many meters of ``pose``.
        within: only places within this many meters of ``pose``: a GPS or odometry prior.

    A place without a stamp is never recent in time; one without a pose is not left out by ``recent_meters`` or ``beyond`` and not
    returned under ``within``.
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
            raise VprError("recent_seconds needs the frame's stamp")
        for name in ("beyond", "within"):
            if getattr(self, name) is not None and self.pose is None:
                raise VprError(f"{name} needs the frame's pose")

    def mask(self, loaded: Loaded, traverses: dict[str, int]) -> Mask | None:
        """bool [n], True for places that may be returned; None where all may.

        Args:
            traverses: ids by name.

        Raises:
            VprError: a traverse of that name is not in the map.
        """
        out: list[Mask] = []
        if self.recent_seconds is not None and self.stamp is not None:
            out.append(np.abs(loaded.stamps - self.stamp) < self.recent_seconds)  # NaN, no stamp, is never smaller
        if self.recent_meters is not None:
            out.append(self._recent_way(loaded, traverses))
        if self.recent_places:
            out.append(loaded.last(self.recent_places))
        for name in self.without_traverses:
            out.append(loaded.traverses == _known(name, traverses))
        if self.pose is not None and (self.beyond is not None or self.within is not None):
            x, y = loaded.positions[:, 0] - self.pose.x, loaded.positions[:, 1] - self.pose.y
            squared = x * x + y * y
            if self.beyond is not None:
                out.append(squared < self.beyond**2)
            if self.within is not None:
                out.append(~(squared <= self.within**2))  # NaN, no pose, is not within
        if not out:
            return None
        return ~np.logical_or.reduce(out) if len(out) > 1 else ~out[0]

    def _recent_way(self, loaded: Loaded, traverses: dict[str, int]) -> Mask:
        alive = np.flatnonzero(loaded.alive)
        if not len(alive):
            return np.zeros(len(loaded), bool)
        traverse = int(loaded.traverses[alive[-1]]) if self.traverse is None else _known(self.traverse, traverses)
        driven, last = loaded.driven(traverse)
        if self.pose is not None and last is not None:
            driven += float(np.hypot(self.pose.x - last[0], self.pose.y - last[1]))
        return (loaded.traverses == traverse) & (loaded.traveled > driven - float(self.recent_meters or 0))


def _known(name: str, traverses: dict[str, int]) -> int:
    if name not in traverses:
        some = ", ".join(list(traverses)[:10]) or "none"
        raise VprError(f"the map has no traverse {name!r}; it has {some}{' ...' if len(traverses) > 10 else ''}")
    return traverses[name]
