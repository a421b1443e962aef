"""The map as arrays by row, updated as the map grows, loses places or gets other poses.

A frame is compared with all places of a small map. Of a large map (``DENSE_PLACES``) the descriptors stay in the search index, and a frame is
compared with the most similar places and a sample: see ``similarity.sampled``.
"""

from collections.abc import Hashable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.index import FUNNEL_FROM
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.projections.artifact import prefix
from vpr_aesvc.recognition.pose_covariance import pose_steps
from vpr_aesvc.recognition.sequence.place_track import PlaceTrack
from vpr_aesvc.recognition.similarity.neighborhoods import Neighborhoods
from vpr_aesvc.recognition.similarity.runs import runs_of
from vpr_aesvc.recognition.similarity.sampled import Similarities, StoredDescriptors
from vpr_aesvc.types import Descriptor, Floats, Rows

DENSE_PLACES = FUNNEL_FROM
"""Up to so many places a frame is compared with each; above, the funnel selects the most similar places."""
Change = Literal["none", "grown", "moved", "other"]
_PIECE = 16_384  # descriptors decoded at once, to bound the memory
_MIN_GROWTH = 100  # a map is read again when it has grown by 1 / 100, which bounds the cost per place


class MapSnapshot:
    """The places of a map, rows 0 to n - 1 in the order they were added.

    Attributes:
        ids: int64 [n]. traverses: int64 [n], ids. runs: int64 [n], equal for places of one uninterrupted run.
        poses: float64 [n, 7], x, y, z, qx, qy, qz, qw; NaN where unknown. positions: float64 [n, 3], or None if no place has one.
        descriptors: float32 [n, size], unit norm, or ``StoredDescriptors``.
        neighborhoods, track: the places prepared for similarity and for the sequence.
    """

    def __init__(self, place_map: OpenMap, size: int) -> None:
        self._map = place_map
        self._size = size
        self._clear()
        self._derive()

    def __len__(self) -> int:
        return len(self.ids)

    def _clear(self) -> None:
        self.ids: Rows = np.empty(0, np.int64)
        self.traverses: Rows = np.empty(0, np.int64)
        self.descriptors: NDArray[np.float32] | StoredDescriptors = np.empty((0, self._size), np.float32)
        self.track = PlaceTrack([])
        self._version: tuple[Hashable, ...] | None = None
        self._revision: Hashable = None

    @property
    def poses(self) -> Floats:
        return self.track.poses

    def update(self, background: bool = False) -> Change:
        """Reads the map again if it changed enough. ``moved``: places have other poses, or other rows in the index. ``other``: rows have another meaning.

        Args:
            background: do not wait until the search index of a large map is complete. The frames complete it step by step.
        """
        with self._map.arrays() as arrays:
            if arrays.version == self._version:
                return "none"
            version, count = arrays.version, len(self)
            enough = len(arrays) - arrays.removed - count > count // _MIN_GROWTH
            if count and arrays.revision == self._revision and not enough:
                self._version = version
                return "none"
            rows = np.flatnonzero(arrays.alive)
            ids = arrays.ids[rows]
            if not np.array_equal(ids[:count], self.ids):
                change: Change = "other"
            elif not np.array_equal(arrays.poses[rows[:count]], self.poses, equal_nan=True) or (
                isinstance(self.descriptors, StoredDescriptors)
                and not np.array_equal(rows[:count], self.descriptors.at)
            ):
                change = "moved"
            elif enough:
                change = "grown"
            else:
                self._version, self._revision = version, arrays.revision
                return "none"
            if change != "grown":
                self._clear()
            new = rows[len(self) :]
            self.track.append(arrays.traverses[new], arrays.poses[new], arrays.stamps[new])
            self.traverses = np.concatenate([self.traverses, arrays.traverses[new]])
            if len(ids) > DENSE_PLACES:
                self.descriptors = StoredDescriptors(self._map, rows, self._size)
                if not background:
                    arrays.index.search(np.zeros((1, self._map.dim), np.float32), 1, self._size, exact=False)
            else:
                descriptors = prefix(arrays.index.descriptors(new), self._size)
                self.descriptors = np.concatenate([self.descriptors[:], descriptors])
            self._version, self._revision, self.ids = version, arrays.revision, ids
        self._derive()
        return change

    def _derive(self) -> None:
        self.runs = runs_of(self.traverses)
        self.positions = self.poses[:, :3] if np.isfinite(self.poses).any() else None
        self.neighborhoods = Neighborhoods(self.descriptors, self.traverses, self.positions)
        self._steps = None if len(self) > DENSE_PLACES else pose_steps(self.poses, self.runs)

    def steps(self, rows: Rows) -> Floats:
        """``pose_steps`` of the places ``rows``, float64 [k, 6]."""
        if self._steps is not None:
            return self._steps[rows]
        around = np.clip(rows[:, None] + np.array([-1, 0, 1]), 0, len(self) - 1).ravel()
        return pose_steps(self.poses[around], self.runs[around])[1::3]

    def similarities(self, descriptor: Descriptor, where: Where | None = None) -> Similarities:
        """Cosines of a descriptor [d_max] and all places, float32 [n], or in a large map some; minus infinity for places that ``where``
        excludes.

        Raises:
            VprError: a descriptor of another length, or with a number that is not finite.
        """
        if isinstance(self.descriptors, StoredDescriptors):
            return self.descriptors.similarities(self._query(descriptor), where)
        return self.all_similarities(descriptor, where)

    def similarities_of_place(self, row: int) -> Similarities:
        """Cosines of a place's own descriptor, as ``similarities``."""
        if isinstance(self.descriptors, StoredDescriptors):
            return self.descriptors.similarities(self.descriptors[np.array([row])][0])
        return np.einsum("nd,d->n", self.descriptors, self.descriptors[row])

    def _query(self, descriptor: Descriptor) -> NDArray[np.float32]:
        given = np.asarray(descriptor, np.float32)
        if given.shape != (self._map.dim,):
            raise VprError(
                f"{self._map.path}: expected a descriptor of {self._map.dim} numbers as in the map, found shape {given.shape}; "
                "describe the frame with the model of the map"
            )
        if not np.isfinite(given).all():
            raise VprError("the frame's descriptor holds numbers that are not finite; describe the frame again")
        return prefix(given[None], self._size)[0]

    def all_similarities(self, descriptor: Descriptor, where: Where | None = None) -> NDArray[np.float32]:
        """As ``similarities``, to all places also of a large map, which takes long."""
        query = self._query(descriptor)
        if isinstance(self.descriptors, StoredDescriptors):
            pieces = np.array_split(np.arange(len(self)), -(-len(self) // _PIECE))
            similarities = np.concatenate([self.descriptors.cosines(query, piece) for piece in pieces])
        else:  # not BLAS: its threads wait for each other on a busy robot, and the product is bounded by memory
            similarities = np.einsum("nd,d->n", self.descriptors, query)
        if where is not None and len(self):
            with self._map.arrays() as arrays:
                allowed = where.mask(arrays, {})
                if allowed is not None:
                    similarities[~allowed[np.minimum(arrays.rows_of(self.ids), len(allowed) - 1)]] = -np.inf
        return similarities
