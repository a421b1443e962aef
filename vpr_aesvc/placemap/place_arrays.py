"""A map's places in memory, for search: arrays and the FAISS index, read from the file and kept up to date with it."""

import sqlite3
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.placemap.checksums import read_tally
from vpr_aesvc.placemap.database import snapshot
from vpr_aesvc.placemap.index import PlaceIndex
from vpr_aesvc.placemap.place_table import Batch, select_batches
from vpr_aesvc.placemap.sqlite_errors import damage_error, vpr_errors


class PlaceArrays:
    """Rows 0 to n - 1 in the order the places were added. A removed place keeps its row; its ``alive`` is False.

    Attributes:
        ids: int64 [n]. traverses: int64 [n], ids. stamps: float64 [n], seconds, NaN if unknown.
        poses: float64 [n, 7], x, y, z in meters and qx, qy, qz, qw, NaN if unknown. traveled: float64 [n], meters from the start of
            the traverse, NaN without a pose. alive: bool [n]. removed: number of rows that are not alive.
    """

    ids: NDArray[np.int64]
    traverses: NDArray[np.int64]
    stamps: NDArray[np.float64]
    poses: NDArray[np.float64]
    traveled: NDArray[np.float64]
    alive: NDArray[np.bool_]

    def __init__(self, path: Path, dim: int) -> None:
        self.path, self._dim = path, dim
        self._clear()

    def _clear(self) -> None:
        self.index = PlaceIndex(self._dim)
        self._columns = {"ids": _Column(np.int64), "traverses": _Column(np.int64), "stamps": _Column(np.float64)}
        self._columns |= {"poses": _Column(np.float64, 7), "traveled": _Column(np.float64), "alive": _Column(np.bool_)}
        for name, column in self._columns.items():
            setattr(self, name, column.values)
        self.removed = 0
        self._odometers: dict[int, tuple[float, NDArray[np.float64] | None]] = {}
        self._checksums = 0
        self._version: tuple[int, int] | None = None  # SQLite's data_version and the tally's revision at the last read

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays and the index."""
        return sum(column.values.nbytes for column in self._columns.values()) + self.index.nbytes

    @property
    def positions(self) -> NDArray[np.float64]:
        """float64 [n, 3], a view of ``poses``."""
        return self.poses[:, :3]

    @property
    def revision(self) -> Hashable:
        """Changes when places are removed or get other poses: rows read before then have another meaning."""
        return self._version and self._version[1]

    @property
    def version(self) -> tuple[Hashable, ...]:
        """Changes when the arrays change."""
        return self._version, len(self), self.removed

    def last(self, count: int) -> NDArray[np.bool_]:
        """bool [n], True for the ``count`` places added last that are alive."""
        mask = np.zeros(len(self), bool)
        mask[np.flatnonzero(self.alive)[-count:]] = True
        return mask

    def odometer(self, traverse: int) -> tuple[float, NDArray[np.float64] | None]:
        """Meters traveled in a traverse up to its last place with a pose, and the position of that place, [3]; 0 and None
        without poses."""
        return self._odometers.get(traverse, (0.0, None))

    def rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of places by id. Ids ascend with the rows."""
        return np.searchsorted(self.ids, ids)

    def refresh(self, db: sqlite3.Connection, added: bool = False) -> None:
        """Reads the changes of the file, in microseconds if there are none. Raises VprError if the file is damaged.
        ``added``: this connection has added places since the last call."""
        with vpr_errors(self.path):
            version = db.execute("PRAGMA data_version").fetchone()[0]
            if self._version is not None and self._version[0] == version and not added:
                return
            with snapshot(db):
                places, checksums, revision = read_tally(db)
                if self._version is None or self._version[1] != revision:
                    self._clear()
                # A reader holds no lock between calls: the tally says whether the rows read before are still valid.
                last_id = int(self.ids[-1]) if len(self) else -1
                self._append(select_batches(self.path, db, self._dim, last_id))
                alive = len(self) - self.removed
                if (places, checksums) != (alive, self._checksums):
                    raise damage_error(self.path, f"it has {alive} places, {places} were written")
        self._version = (version, revision)

    def mark_removed(self, ids: NDArray[np.int64], checksums: int) -> None:
        """After this connection removed places; ``checksums`` is the change of the sum of checksums."""
        rows = self.rows_of(ids)
        self.alive[rows] = False
        self.removed += len(rows)
        self._after_change(checksums)

    def set_poses(self, ids: NDArray[np.int64], poses: NDArray[np.float64], checksums: int) -> None:
        """After this connection changed poses; ``checksums`` is the change of the sum of checksums."""
        self.poses[self.rows_of(ids)] = poses
        self._after_change(checksums)

    def _after_change(self, checksums: int) -> None:
        self._odometers = {}
        self.traveled[:] = np.nan
        self.traveled[self.alive] = self._travel(self.traverses[self.alive], self.positions[self.alive])
        self._checksums += checksums
        if self._version is not None:
            self._version = (self._version[0], self._version[1] + 1)

    def _append(self, batches: Iterable[Batch]) -> None:
        for keys, descriptors, checksums in batches:
            self.index.add(descriptors)
            stamps, poses = keys["numbers"][:, 0], keys["numbers"][:, 1:]
            traveled, alive = self._travel(keys["traverse"], poses[:, :3]), np.ones(len(keys), bool)
            new = (keys["id"], keys["traverse"], stamps, poses, traveled, alive)
            for (name, column), values in zip(self._columns.items(), new, strict=True):
                setattr(self, name, column.append(values))
            self._checksums += checksums

    def _travel(self, traverses: NDArray[np.int64], positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Meters traveled up to each row, float64 [n]; continues and updates the odometers."""
        traveled = np.full(len(traverses), np.nan)
        has_pose = ~np.isnan(positions[:, 0])
        for traverse in np.unique(traverses[has_pose]):
            rows = np.flatnonzero(has_pose & (traverses == traverse))
            xy = positions[rows, :2]
            before, last = self.odometer(int(traverse))
            steps = np.linalg.norm(np.diff(xy, axis=0, prepend=xy[:1] if last is None else last[None, :2]), axis=1)
            traveled[rows] = before + np.cumsum(steps)
            self._odometers[int(traverse)] = (float(traveled[rows[-1]]), positions[rows[-1]].copy())
        return traveled


class _Column:
    """An array with spare capacity; appending takes amortized constant time. Each of its columns is contiguous: a search reads all x."""

    def __init__(self, dtype: Any, width: int = 0) -> None:
        self._buffer = np.empty((0, width) if width else 0, dtype)
        self._used = 0

    @property
    def values(self) -> NDArray[Any]:
        return self._buffer[: self._used]

    def append(self, rows: NDArray[Any]) -> NDArray[Any]:
        """All rows: a view that the next call may replace."""
        needed = self._used + len(rows)
        if needed > len(self._buffer):
            shape = (max(needed, len(self._buffer) * 3 // 2), *self._buffer.shape[1:])
            grown = np.empty(shape, self._buffer.dtype, order="F")
            grown[: self._used] = self.values
            self._buffer = grown
        self._buffer[self._used : needed] = rows
        self._used = needed
        return self.values
