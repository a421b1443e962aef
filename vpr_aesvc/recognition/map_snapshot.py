"""The map as recognition sees it: arrays by row, kept up with a map that grows, loses places or is given other poses."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.projections.artifact import prefix
from vpr_aesvc.recognition.pose_covariance import steps_along
from vpr_aesvc.recognition.sequence.arc_length import Floats, Rows
from vpr_aesvc.recognition.sequence.place_track import SPOT, PlaceTrack
from vpr_aesvc.recognition.similarity.neighborhoods import Neighborhoods
from vpr_aesvc.recognition.similarity.runs import runs_of

if TYPE_CHECKING:
    from vpr_aesvc.placemap import PlaceMap
    from vpr_aesvc.placemap.where import Where

Change = Literal["none", "grown", "moved", "other"]
_PORTION = (
    100  # a map is looked at anew when it has grown by a hundredth: the price of that is then bounded for each place
)


class MapSnapshot:
    """Rows 0 to n - 1 in the order the places were added.

    Attributes:
        ids: int64 [n]. traverses: int64 [n], ids. runs: int64 [n], equal where places were driven in one go.
        stamps: float64 [n], seconds. poses: float64 [n, 7], x, y, z, qx, qy, qz, qw. Both NaN where unknown.
        positions: float64 [n, 3], or None where no place has one. steps: float64 [n, 6], the pose's change along each place.
        descriptors: float32 [n, size], unit norm. places, track: what the parts of recognition make of them.
    """

    def __init__(self, place_map: PlaceMap, size: int) -> None:
        self._map = place_map
        self._size = size
        self._forget()
        self._derive()

    def __len__(self) -> int:
        return len(self.ids)

    def _forget(self) -> None:
        self.ids: Rows = np.empty(0, np.int64)
        self.traverses: Rows = np.empty(0, np.int64)
        self.stamps: Floats = np.empty(0)
        self.poses: Floats = np.empty((0, 7))
        self.descriptors: NDArray[np.float32] = np.empty((0, self._size), np.float32)
        self.track = PlaceTrack([])
        self._version: tuple[Hashable, ...] | None = None

    def keep_up(self) -> Change:
        """Looks at the map again where it has changed enough. ``moved``: places have other poses; ``other``: rows have another meaning."""
        with self._map.loaded() as loaded:
            if loaded.version == self._version:
                return "none"
            version = loaded.version
            rows = np.flatnonzero(loaded.alive)
            ids = loaded.ids[rows]
            count = len(self)
            if not np.array_equal(ids[:count], self.ids):
                change: Change = "other"
            elif not np.array_equal(loaded.positions[rows[:count]], self.poses[:, :3], equal_nan=True):
                change = "moved"
            elif len(ids) - count > count // _PORTION:
                change = "grown"
            else:
                self._version = version
                return "none"
            if change != "grown":
                self._forget()
            new = rows[len(self) :]
            descriptors = prefix(loaded.index.descriptors(new), self._size)
            traverses, stamps, ids = loaded.traverses[new], loaded.stamps[new], ids[len(self) :]
            places = self._map.places(ids) if len(ids) else {}
        unknown = (np.nan,) * 7
        poses = np.array([place.pose.as_tuple() if place.pose else unknown for place in places.values()]).reshape(-1, 7)
        self._version = version
        self.track.append(traverses, poses, stamps)
        self.ids = np.concatenate([self.ids, ids])
        self.traverses = np.concatenate([self.traverses, traverses])
        self.stamps = np.concatenate([self.stamps, stamps])
        self.poses = np.concatenate([self.poses, poses])
        self.descriptors = np.concatenate([self.descriptors, descriptors])
        self._derive()
        return change

    def _derive(self) -> None:
        self.runs = runs_of(self.traverses)
        self.positions = self.poses[:, :3] if np.isfinite(self.poses).any() else None
        self.neighborhoods = Neighborhoods(self.descriptors, self.traverses, self.positions)
        self.steps = steps_along(self.poses, self.runs)

    def similarities(self, descriptor: NDArray[np.floating], where: Where | None = None) -> NDArray[np.float32]:
        """Cosines of a descriptor [d_max] with all places, float32 [n]; minus infinity for those that ``where`` leaves out.

        Raises:
            VprError: a descriptor of another length, or a number in it that is not finite.
        """
        given = np.asarray(descriptor, np.float32)
        if given.shape != (self._map.dim,):
            raise VprError(
                f"{self._map.path}: holds descriptors of {self._map.dim} numbers, the frame's is {given.shape}"
            )
        if not np.isfinite(given).all():
            raise VprError("the frame's descriptor holds numbers that are not finite")
        # Not BLAS: its threads wait for each other where a robot has its processors in use, and this is bounded by memory.
        found = np.einsum("nd,d->n", self.descriptors, prefix(given[None], self._size)[0])
        if where is not None and len(self):
            with self._map.loaded() as loaded:
                allowed = where.mask(loaded, {})
                if allowed is not None:
                    found[~allowed[np.minimum(loaded.rows_of(self.ids), len(allowed) - 1)]] = -np.inf
        return found

    def near(self, row: int, window: int) -> NDArray[np.bool_]:
        """bool [n], the rows that are the same answer: within ``window`` places along the run, or within 5 m."""
        rows = np.arange(len(self))
        near = (np.abs(rows - row) <= window) & (self.runs == self.runs[row])
        if self.positions is not None:  # NaN, not known, is not near
            near |= np.linalg.norm(self.positions - self.positions[row], axis=1) <= SPOT
        return np.asarray(near)


def most_similar(values: NDArray[np.float32], count: int) -> Rows:
    """Rows of the largest, largest first, the first row first among equals."""
    chosen = np.arange(len(values))
    if count < len(values):
        chosen = np.sort(np.argpartition(-values, count)[:count])
    return chosen[np.argsort(-values[chosen], kind="stable")]
