"""A map's places in memory, for search: arrays by row, and the FAISS index. Read from the file, checked, and kept up with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import store
from vpr_aesvc.placemap.index import PlaceIndex
from vpr_aesvc.placemap.scan import scan


class Loaded:
    """Rows 0 to n - 1 in the order the places were added; a removed place keeps its row, and ``alive`` says so.

    Attributes, by row:
        ids: int64 [n]. traverses: int64 [n], ids. stamps: float64 [n], seconds, NaN without one.
        positions: float64 [n, 3], meters, NaN without a pose. traveled: float64 [n], meters driven from the beginning of the
            traverse, NaN without a pose. alive: bool [n].
    """

    def __init__(self, path: Path, index: PlaceIndex) -> None:
        self.path = path
        self.index = index
        self._forget()

    def _forget(self) -> None:
        self.index = self.index.emptied()
        self._columns = {
            "ids": _Column(np.int64),
            "traverses": _Column(np.int64),
            "stamps": _Column(np.float64),
            "positions": _Column(np.float64, 3),
            "traveled": _Column(np.float64),
            "alive": _Column(np.bool_),
        }
        self.dead = 0
        self._odometer: dict[int, tuple[float, NDArray[np.float64] | None]] = {}
        self._count = self._checksums = 0
        self._seen: tuple[int, int] | None = None  # SQLite's data_version and our count of changes, when last read

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def ids(self) -> NDArray[np.int64]:
        return self._columns["ids"].values

    @property
    def traverses(self) -> NDArray[np.int64]:
        return self._columns["traverses"].values

    @property
    def stamps(self) -> NDArray[np.float64]:
        return self._columns["stamps"].values

    @property
    def positions(self) -> NDArray[np.float64]:
        return self._columns["positions"].values

    @property
    def traveled(self) -> NDArray[np.float64]:
        return self._columns["traveled"].values

    @property
    def alive(self) -> NDArray[np.bool_]:
        return self._columns["alive"].values

    @property
    def nbytes(self) -> int:
        """Memory of the arrays and the index."""
        return sum(column.values.nbytes for column in self._columns.values()) + self.index.nbytes

    @property
    def version(self) -> tuple[Hashable, ...]:
        """Equal as long as nothing has changed."""
        return self._seen, len(self), self.dead

    def last(self, count: int) -> NDArray[np.bool_]:
        """bool [n], True for the ``count`` places added last that are still there."""
        mask = np.zeros(len(self), bool)
        mask[np.flatnonzero(self.alive)[-count:]] = True
        return mask

    def driven(self, traverse: int) -> tuple[float, NDArray[np.float64] | None]:
        """Meters driven in a traverse up to its last place, and where that is, [3], or None without a pose."""
        return self._odometer.get(traverse, (0.0, None))

    def rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of places that are in memory; ids rise with the rows."""
        return np.searchsorted(self.ids, ids)

    def keep_up(self, db: sqlite3.Connection, wrote: bool = False) -> None:
        """Reads what is new in the file. Costs microseconds where nothing is.

        Args:
            wrote: this connection has added places since.

        Raises:
            VprError: the file is damaged.
        """
        with store.guard(self.path):
            version = db.execute("PRAGMA data_version").fetchone()[0]
            if self._seen is not None and self._seen[0] == version and not wrote:
                return
            with store.snapshot(db):
                count, checksums, changes = store.read_tally(db)
                if self._seen is None or self._seen[1] != changes:
                    self._forget()
                # A reader holds no lock between calls, so what it read stays true only as far as the tally says.
                self._read(db)
                if (count, checksums) != (self._count, self._checksums):
                    raise VprError(
                        store.damage(self.path, f"{self._count} places were found where {count} were written")
                    )
        self._seen = (version, changes)

    def removed(self, ids: NDArray[np.int64], checksums: int) -> None:
        """This connection has removed these places, whose checksums sum to that."""
        at = self.rows_of(ids)
        self.alive[at] = False
        self.dead += len(at)
        self._count -= len(at)
        self._drive_again()
        self._changed(-checksums)

    def moved(self, ids: NDArray[np.int64], positions: NDArray[np.float64], checksums: int) -> None:
        """This connection has given these places other poses; the sum of their checksums rose by that."""
        self.positions[self.rows_of(ids)] = positions
        self._drive_again()
        self._changed(checksums)

    def _drive_again(self) -> None:
        self._odometer = {}
        self.traveled[:] = np.nan
        self.traveled[self.alive] = self._drive(self.traverses[self.alive], self.positions[self.alive])

    def _changed(self, checksums: int) -> None:
        self._checksums += checksums
        if self._seen is not None:
            self._seen = (self._seen[0], self._seen[1] + 1)

    def _read(self, db: sqlite3.Connection) -> None:
        for key, descriptors, checksums in scan(self.path, db, self.index.dim, int(self.ids[-1]) if len(self) else -1):
            self.index.add(descriptors)
            positions = key["numbers"][:, 1:4]
            new = {
                "ids": key["id"],
                "traverses": key["traverse"],
                "stamps": key["numbers"][:, 0],
                "positions": positions,
                "traveled": self._drive(key["traverse"], positions),
                "alive": np.ones(len(key), bool),
            }
            for name, values in new.items():
                self._columns[name].append(values)
            self._count += len(key)
            self._checksums += checksums

    def _drive(self, traverses: NDArray[np.int64], positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Meters driven up to each of the rows, float64 [n]; goes on from where each traverse stood."""
        traveled = np.full(len(traverses), np.nan)
        posed = ~np.isnan(positions[:, 0])
        for traverse in np.unique(traverses[posed]):
            at = np.flatnonzero(posed & (traverses == traverse))
            way = positions[at, :2]
            driven, last = self.driven(int(traverse))
            steps = np.linalg.norm(np.diff(way, axis=0, prepend=way[:1] if last is None else last[None, :2]), axis=1)
            traveled[at] = driven + np.cumsum(steps)
            self._odometer[int(traverse)] = (float(traveled[at[-1]]), positions[at[-1]].copy())
        return traveled


class _Column:
    """An array that grows by half when it is full: appending costs the same however long it is."""

    def __init__(self, dtype: Any, width: int = 0) -> None:
        self._buffer = np.empty((0, width) if width else 0, dtype)
        self._used = 0

    @property
    def values(self) -> NDArray[Any]:
        return self._buffer[: self._used]

    def append(self, rows: NDArray[Any]) -> None:
        needed = self._used + len(rows)
        if needed > len(self._buffer):
            grown = np.empty((max(needed, len(self._buffer) * 3 // 2), *self._buffer.shape[1:]), self._buffer.dtype)
            grown[: self._used] = self.values
            self._buffer = grown
        self._buffer[self._used : needed] = rows
        self._used = needed
