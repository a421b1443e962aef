"""Embeddings on disk, so that no image is embedded twice: not after a kill, not for another method, not in another run.

One folder for each backbone, named by its fingerprint, which covers weights, preprocessing and pooling: a changed model never
meets old embeddings. ``embeddings.f16`` holds unit-norm rows in half precision, and ``index.sqlite`` says which row is whose. Rows
are on disk before the index names them, so whatever the index names is whole.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.types import Frame

Rows = NDArray[np.int64]
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS by_row ON rows (row)",
)
_ASKED_AT_ONCE = 500  # keys in one question; SQLite allows 999 values
_HALF = np.dtype("<f2")


def default_cache() -> Path:
    """``$XDG_CACHE_HOME/vpr_aesvc``, or ``~/.cache/vpr_aesvc``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vpr_aesvc"


def frame_key(frame: Frame, *change: int | str) -> bytes:
    """What identifies an image: path, size and time of change of its file, or its pixels; ``change`` names a changed view."""
    digest = hashlib.blake2b(repr(change).encode(), digest_size=16)
    if frame.image is not None:
        digest.update(repr(frame.image.shape).encode() + frame.image.tobytes())
    elif frame.path is not None:
        try:
            state = frame.path.stat()
            digest.update(os.fsencode(frame.path.resolve()) + f"\0{state.st_size}\0{state.st_mtime_ns}".encode())
        except OSError:  # no such file: said when it is read
            digest.update(os.fsencode(frame.path))
    return digest.digest()


class InMemory:
    """The same three methods without a disk, for a run that needs its embeddings once."""

    def __init__(self, dim: int) -> None:
        self._dim, self._count = dim, 0
        self._row: dict[bytes, int] = {}
        self._parts: list[NDArray[np.float32]] = []

    def rows(self, keys: Sequence[bytes]) -> Rows:
        return np.array([self._row.get(key, -1) for key in keys], np.int64)

    def append(self, keys: Sequence[bytes], embeddings: NDArray[np.float32]) -> None:
        for key in keys:
            self._row.setdefault(key, self._count)
            self._count += 1
        self._parts.append(embeddings)

    def read(self, rows: Rows) -> NDArray[np.floating]:
        if not self._parts:
            return np.empty((0, self._dim), np.float32)
        self._parts = [np.concatenate(self._parts)]
        return self._parts[0][rows]


class EmbeddingCache:
    """The embeddings of one backbone. Several processes may share it.

    Args:
        folder: holds a folder for each backbone.
        fingerprint, dim: the backbone's.

    Raises:
        VprError: the folder cannot be written, or holds something else.
    """

    def __init__(self, folder: Path, fingerprint: str, dim: int) -> None:
        self.folder = folder.expanduser() / fingerprint
        self._dim = dim
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.folder / "index.sqlite", timeout=60, isolation_level=None)
            self._data.touch()
            self._file = self._data.open("r+b")
            self._db.execute("BEGIN IMMEDIATE")  # no other process appends meanwhile
            for statement in _SCHEMA:
                self._db.execute(statement)
            # Rows beyond the file's end were lost with it: they are embedded again.
            whole = os.fstat(self._file.fileno()).st_size // (dim * _HALF.itemsize)
            self._db.execute("DELETE FROM rows WHERE row >= ?", (whole,))
            self._db.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            raise VprError(f"{self.folder}: the embedding cache cannot be opened ({error}); choose another") from error

    @property
    def _data(self) -> Path:
        return self.folder / "embeddings.f16"

    def __len__(self) -> int:
        return int(self._guarded("SELECT count(*) FROM rows").fetchone()[0])

    def rows(self, keys: Sequence[bytes]) -> Rows:
        """The row of each key, int64 [n]; -1 where it is not there."""
        known: dict[bytes, int] = {}
        for at in range(0, len(keys), _ASKED_AT_ONCE):
            part = keys[at : at + _ASKED_AT_ONCE]
            asked = ", ".join("?" * len(part))
            known.update(self._guarded(f"SELECT key, row FROM rows WHERE key IN ({asked})", part).fetchall())
        return np.array([known.get(key, -1) for key in keys], np.int64)

    def append(self, keys: Sequence[bytes], embeddings: NDArray[np.float32]) -> None:
        """Adds rows; they are on disk when this returns.

        Raises:
            VprError: the disk refuses; what was there before stays.
        """
        data = unit(embeddings).astype(_HALF)
        try:
            self._db.execute("BEGIN IMMEDIATE")  # one writer at a time picks the next free rows
            try:
                first = self._db.execute("SELECT coalesce(max(row) + 1, 0) FROM rows").fetchone()[0]
                self._file.seek(first * data.itemsize * self._dim)
                self._file.write(data.tobytes())
                self._file.flush()
                os.fsync(self._file.fileno())
                numbered = [(key, first + at) for at, key in enumerate(keys)]
                self._db.executemany("INSERT OR IGNORE INTO rows VALUES (?, ?)", numbered)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except (OSError, sqlite3.Error) as error:
            said = getattr(error, "strerror", None) or error
            raise VprError(
                f"{self.folder}: the embedding cache cannot be written ({said}); what it held before is safe. "
                "Free some space or choose another folder with --cache, then run again to go on from there"
            ) from error

    def read(self, rows: Rows) -> NDArray[np.floating]:
        """Rows as float16 [n, D], unit norm: a view of the file where they follow one another, else a copy."""
        if not len(rows):
            return np.empty((0, self._dim), _HALF)
        whole = self._data.stat().st_size // (self._dim * _HALF.itemsize)  # a kill may have left a torn row after these
        mapped = np.memmap(self._data, _HALF, "r", shape=(whole, self._dim))
        if np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
            return mapped[rows[0] : rows[0] + len(rows)]
        return np.asarray(mapped[rows])

    def close(self) -> None:
        self._file.close()
        self._db.close()

    def __enter__(self) -> EmbeddingCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _guarded(self, query: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(query, values)
        except sqlite3.Error as error:
            raise VprError(f"{self.folder}: the embedding cache is damaged ({error}); remove that folder") from error
