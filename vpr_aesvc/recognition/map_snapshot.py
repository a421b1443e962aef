"""The map as arrays by row, updated as the map grows, loses places or gets other poses."""

from collections.abc import Hashable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.projections.artifact import prefix
from vpr_aesvc.recognition.pose_covariance import pose_steps
from vpr_aesvc.recognition.sequence.place_track import PlaceTrack
from vpr_aesvc.recognition.similarity.neighborhoods import SAME_PLACE_METERS, Neighborhoods
from vpr_aesvc.recognition.similarity.runs import runs_of
from vpr_aesvc.types import Descriptor, Floats, Rows

Change = Literal["none", "grown", "moved", "other"]
_MIN_GROWTH = 100  # a map is read again when it has grown by 1 / 100, which bounds the cost per place


class MapSnapshot:
    """The places of a map, rows 0 to n - 1 in the order they were added.

    Attributes:
        ids: int64 [n]. traverses: int64 [n], ids. runs: int64 [n], equal for places of one uninterrupted run.
        stamps: float64 [n], seconds. poses: float64 [n, 7], x, y, z, qx, qy, qz, qw. Both NaN where unknown.
        positions: float64 [n, 3], or None if no place has one. steps: float64 [n, 6], see ``pose_steps``.
        descriptors: float32 [n, size], unit norm.
        neighborhoods, track: the places prepared for similarity and for the sequence.
    """

    def __init__(self, place_map: PlaceMap, size: int) -> None:
        self._map = place_map
        self._size = size
        self._clear()
        self._derive()

    def __len__(self) -> int:
        return len(self.ids)

    def _clear(self) -> None:
        self.ids: Rows = np.empty(0, np.int64)
        self.traverses: Rows = np.empty(0, np.int64)
        self.stamps: Floats = np.empty(0)
        self.poses: Floats = np.empty((0, 7))
        self.descriptors: NDArray[np.float32] = np.empty((0, self._size), np.float32)
        self.track = PlaceTrack([])
        self._version: tuple[Hashable, ...] | None = None

    def update(self) -> Change:
        """Reads the map again if it changed enough. ``moved``: places have other poses. ``other``: rows have another meaning."""
        with self._map.arrays() as arrays:
            if arrays.version == self._version:
                return "none"
            version = arrays.version
            rows = np.flatnonzero(arrays.alive)
            ids = arrays.ids[rows]
            count = len(self)
            if not np.array_equal(ids[:count], self.ids):
                change: Change = "other"
            elif not np.array_equal(arrays.positions[rows[:count]], self.poses[:, :3], equal_nan=True):
                change = "moved"
            elif len(ids) - count > count // _MIN_GROWTH:
                change = "grown"
            else:
                self._version = version
                return "none"
            if change != "grown":
                self._clear()
            new = rows[len(self) :]
            descriptors = prefix(arrays.index.descriptors(new), self._size)
            traverses, stamps, ids = arrays.traverses[new], arrays.stamps[new], ids[len(self) :]
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
        self.steps = pose_steps(self.poses, self.runs)

    def similarities(self, descriptor: Descriptor, where: Where | None = None) -> NDArray[np.float32]:
        """Cosines of a descriptor [d_max] and all places, float32 [n]; minus infinity for places that ``where`` excludes.

        Raises:
            VprError: a descriptor of another length, or with a number that is not finite.
        """
        given = np.asarray(descriptor, np.float32)
        if given.shape != (self._map.dim,):
            raise VprError(
                f"{self._map.path}: expected a descriptor of {self._map.dim} numbers as in the map, found shape {given.shape}; "
                "describe the frame with the model of the map"
            )
        if not np.isfinite(given).all():
            raise VprError("the frame's descriptor holds numbers that are not finite; describe the frame again")
        # Not BLAS: its threads wait for each other on a busy robot, and the product is bounded by memory.
        similarities = np.einsum("nd,d->n", self.descriptors, prefix(given[None], self._size)[0])
        if where is not None and len(self):
            with self._map.arrays() as arrays:
                allowed = where.mask(arrays, {})
                if allowed is not None:
                    similarities[~allowed[np.minimum(arrays.rows_of(self.ids), len(allowed) - 1)]] = -np.inf
        return similarities

    def near(self, row: int, window: int) -> NDArray[np.bool_]:
        """bool [n], the rows that count as the same answer: within ``window`` places along the run, or within 5 m."""
        near = (np.abs(np.arange(len(self)) - row) <= window) & (self.runs == self.runs[row])
        if self.positions is not None:  # False for NaN
            near |= np.linalg.norm(self.positions - self.positions[row], axis=1) <= SAME_PLACE_METERS
        return np.asarray(near)


def most_similar(values: NDArray[np.float32], count: int) -> Rows:
    """Rows of the ``count`` largest values, largest first; equal values in the order of rows."""
    chosen = np.arange(len(values))
    if count < len(values):
        chosen = np.sort(np.argpartition(-values, count)[:count])
    return chosen[np.argsort(-values[chosen], kind="stable")]
