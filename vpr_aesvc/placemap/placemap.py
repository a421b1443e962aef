"""A place map: its file (``map_file``) and its search arrays in memory (``place_arrays``).

One process writes at a time; another writer waits. Any number of processes read meanwhile; their next search sees the new places.
The threads of a process may share one map.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError, expect
from vpr_aesvc.placemap import database, place_table
from vpr_aesvc.placemap.description import metadata_of
from vpr_aesvc.placemap.interface import DEFAULT_TRAVERSE
from vpr_aesvc.placemap.map_file import MapFile
from vpr_aesvc.placemap.place_arrays import PlaceArrays
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.types import Frame, Match, Pose


class PlaceMap(MapFile):
    """The places of one environment. Use ``create`` or ``open``, with ``with``.

    Attributes: those of ``Description``.
    """

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        super().__init__(path, db)
        self._arrays: PlaceArrays | None = None

    @classmethod
    def create(cls, path: Path | str, describer: Describer) -> PlaceMap:
        """A new, empty map for the descriptors of ``describer``. Raises VprError if the path exists or cannot be written."""
        return cls.create_like(path, metadata_of(describer))

    @classmethod
    def create_like(cls, path: Path | str, meta: Mapping[str, str]) -> PlaceMap:
        """A new, empty map with the metadata (``meta``) of another map. Raises VprError as ``create``."""
        path = Path(path).absolute()  # the process may change its working directory
        return cls(path, database.create(path, meta))

    @classmethod
    def open(cls, path: Path | str, describer: Describer | None = None, immutable: bool = False) -> PlaceMap:
        """An existing map. With ``describer``, it must be of the model family that made the map.

        Args:
            immutable: as the map is in its file, read-only, without its WAL.

        Raises:
            VprError: no such file, not a map, damaged, or made with another model.
        """
        expect(path, (str, Path), "the path of a map")
        try:
            path = Path(path).resolve()  # the WAL is beside the file, not beside a link to it
            db = database.open_immutable(path) if immutable else database.open_existing(path)
        except (OSError, RuntimeError) as error:
            raise VprError(f"{path}: cannot be opened ({getattr(error, 'strerror', None) or error})") from error
        with database.closed_on_error(db):
            place_map = cls(path, db)
            if describer is not None:
                place_map.require(describer)
        return place_map

    def add_stored(
        self,
        frames: Sequence[Frame],
        descriptors: NDArray[np.float16],
        jpegs: Iterable[bytes | None],
        traverse: str = DEFAULT_TRAVERSE,
        new: Iterable[str] = (),
        patches: Iterable[bytes | None] | None = None,
    ) -> list[int]:
        """As ``add``, with the stored content of another map: descriptors float16 [n, d_max] and JPEG thumbnails. ``new``:
        traverses that the map must not have yet, also not by another process."""
        with self._writing() as change:
            self._traverses.require_new(new)
            traverse_ids = self._traverses.ids_of(frame.sequence or traverse for frame in frames)
            first = place_table.next_id(self._db)
            stored = zip(frames, descriptors, jpegs, [None] * len(frames) if patches is None else patches, strict=True)
            place_table.insert_places(
                self._db,
                change,
                (
                    (place, frame, traverse_ids[frame.sequence or traverse], descriptor.tobytes(), jpeg, patch)
                    for place, (frame, descriptor, jpeg, patch) in enumerate(stored, first)
                ),
            )
        with self._lock:
            if self._arrays is not None:
                self._arrays.refresh(self._db, added=True)
        return list(range(first, first + len(frames)))

    def remove(self, ids: Iterable[int]) -> int:
        """Removes places, and traverses that become empty. Returns the number of places removed; unknown ids are ignored. Raises
        VprError if the disk refuses; then all places are still there."""
        with self._lock:
            with self._writing() as change:
                self._refresh_arrays()
                removed, traverses = place_table.delete_places(self._db, change, {int(place) for place in ids})
                self._traverses.delete_empty(traverses)
            if self._arrays is not None and removed:
                self._arrays.mark_removed(np.array(removed, np.int64), change.checksums)
        return len(removed)

    def set_poses(self, poses: Mapping[int, Pose]) -> None:
        """Replaces the poses of places, by id, for example after a SLAM back end has closed loops. Raises VprError for an unknown
        id or if the disk refuses; then nothing was changed."""
        with self._lock:
            with self._writing() as change:
                self._refresh_arrays()
                place_table.update_poses(self._db, change, poses)
            if self._arrays is not None and poses:
                numbers = np.array([pose.as_tuple() for pose in poses.values()])
                self._arrays.set_poses(np.fromiter(poses, np.int64), numbers, change.checksums)

    def search(
        self,
        descriptors: NDArray[np.float32],
        k: int = 5,
        size: int | None = None,
        where: Where | None = None,
        exact: bool | None = None,
        shortlist: int | None = None,
    ) -> list[Any]:
        """The ``k`` most similar places, most similar first.

        Args:
            descriptors: float32 [d_max], one query, or [q, d_max], a batch.
            k: at least 1; fewer are returned only if fewer are in the map and allowed.
            size: compare the first ``size`` components; one of ``sizes``, by default all.
            where: which places may be returned, applied inside the search.
            exact: compare with every place (True), or with the funnel's shortlist (False); by default the faster one for this map.
            shortlist: how many places of the funnel are ranked by the full descriptor.

        Returns:
            ``list[Match]`` for one query, ``list[list[Match]]`` for a batch.

        Raises:
            VprError: an unknown size or traverse, a descriptor of another length, or a damaged map.
        """
        queries = self.check_queries(descriptors, k)
        size = self.check_size(size)
        with self.snapshot():
            arrays = self._load()
            if len(arrays) == arrays.removed:
                return [] if np.ndim(descriptors) == 1 else [[] for _ in queries]
            mask = None if where is None else where.mask(arrays, self._traverses.ids())
            if arrays.removed:
                mask = arrays.alive if mask is None else mask & arrays.alive
            similarities, rows = arrays.index.search(queries, k, size, allowed=mask, exact=exact, shortlist=shortlist)
            ids = arrays.ids
            places = self.places(int(place) for place in ids[np.unique(rows[rows >= 0])])
        matches = [
            [Match(places[int(ids[row])], float(near)) for near, row in zip(*one_query, strict=True) if row >= 0]
            for one_query in zip(similarities, rows, strict=True)
        ]
        return matches[0] if np.ndim(descriptors) == 1 else matches

    @contextmanager
    def arrays(self) -> Iterator[PlaceArrays]:
        """The arrays and the index in memory, up to date; other threads wait during the block."""
        with self._lock:
            yield self._load()

    def _load(self) -> PlaceArrays:
        if self._arrays is None:
            self._arrays = PlaceArrays(self.path, self.dim)
        self._arrays.refresh(self._db)
        return self._arrays

    def _refresh_arrays(self) -> None:
        """Within a transaction, where no other process can write: then only this transaction's change is missing in the arrays."""
        if self._arrays is not None:
            self._arrays.refresh(self._db)
