"""Embeddings on disk: no image is embedded twice, even after a crash, in another run or for another method.

Each backbone has a folder named by its fingerprint (weights, preprocessing, pooling), so a changed backbone never uses old embeddings.
``embeddings.f16`` holds unit-norm rows in half precision; ``index.sqlite`` maps image keys to rows. Rows are written to disk before
their index entries, so every indexed row is complete.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import image_of
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.types import Frame, Rows

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS by_row ON rows (row)",
)
_KEYS_PER_QUERY = 500  # SQLite allows 999 values
_HALF = np.dtype("<f2")


def default_cache() -> Path:
    """``$XDG_CACHE_HOME/vpr_aesvc``, or ``~/.cache/vpr_aesvc``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vpr_aesvc"


def frame_key(frame: Frame) -> bytes:
    """Identifies an image by its content, the bytes of its file or its pixels: wherever the file is, and whenever it was copied there."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        if frame.path is not None and frame.image is None and frame.decode is None:
            digest.update(frame.path.read_bytes())
        else:
            image = image_of(frame)
            digest.update(repr(image.shape).encode() + image.tobytes())
    except (OSError, VprError):  # reported when it is read
        digest.update(frame.label.encode("utf-8", "replace"))
    return digest.digest()


class InMemory:
    """The interface of ``EmbeddingCache`` in memory, for embeddings that are used once."""

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._row: dict[bytes, int] = {}
        self._embeddings: list[NDArray[np.float32]] = []

    def rows(self, keys: Sequence[bytes]) -> Rows:
        return np.array([self._row.get(key, -1) for key in keys], np.int64)

    def append(self, keys: Sequence[bytes], embeddings: NDArray[np.float32]) -> None:
        for key, embedding in zip(keys, embeddings, strict=True):
            self._row.setdefault(key, len(self._embeddings))
            self._embeddings.append(embedding)

    def read(self, rows: Rows) -> NDArray[np.floating]:
        return np.array([self._embeddings[row] for row in rows], np.float32).reshape(len(rows), self._dim)


class EmbeddingCache:
    """The embeddings of one backbone. Several processes may share it. ``folder``: holds a folder for each backbone.
    ``fingerprint``, ``dim``: of the backbone. Raises VprError: the folder cannot be written, or its index is damaged."""

    def __init__(self, folder: Path, fingerprint: str, dim: int) -> None:
        self.folder = folder.expanduser() / fingerprint
        self._dim = dim
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.folder / "index.sqlite", timeout=60, isolation_level=None)
            self._data.touch()
            self._file = self._data.open("r+b")
            self._db.execute("BEGIN IMMEDIATE")  # blocks appends by other processes
            for statement in _SCHEMA:
                self._db.execute(statement)
            # Rows beyond the end of the file are lost: their images are embedded again.
            complete_rows = os.fstat(self._file.fileno()).st_size // (dim * _HALF.itemsize)
            self._db.execute("DELETE FROM rows WHERE row >= ?", (complete_rows,))
            self._db.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            problem = f"the embedding cache cannot be opened ({error})"
            raise VprError(f"{self.folder}: {problem}; choose another folder with --cache") from error

    @property
    def _data(self) -> Path:
        return self.folder / "embeddings.f16"

    def __len__(self) -> int:
        return int(self._execute("SELECT count(*) FROM rows").fetchone()[0])

    def rows(self, keys: Sequence[bytes]) -> Rows:
        """The row of each key, int64 [n]; -1 for an unknown key."""
        known: dict[bytes, int] = {}
        for at in range(0, len(keys), _KEYS_PER_QUERY):
            part = keys[at : at + _KEYS_PER_QUERY]
            placeholders = ", ".join("?" * len(part))
            known.update(self._execute(f"SELECT key, row FROM rows WHERE key IN ({placeholders})", part).fetchall())
        return np.array([known.get(key, -1) for key in keys], np.int64)

    def append(self, keys: Sequence[bytes], embeddings: NDArray[np.float32]) -> None:
        """Adds rows. They are on disk when this returns. Raises VprError: the write fails; earlier rows stay valid."""
        data = unit(embeddings).astype(_HALF)
        try:
            with self._db:  # commits, or rolls back
                self._db.execute("BEGIN IMMEDIATE")  # only one writer at a time allocates rows
                first = self._db.execute("SELECT coalesce(max(row) + 1, 0) FROM rows").fetchone()[0]
                self._file.seek(first * data.itemsize * self._dim)
                self._file.write(data.tobytes())
                self._file.flush()
                os.fsync(self._file.fileno())
                numbered = [(key, first + at) for at, key in enumerate(keys)]
                self._db.executemany("INSERT OR IGNORE INTO rows VALUES (?, ?)", numbered)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            advice = "Free disk space or choose another folder with --cache, then run again to continue"
            problem = f"the embedding cache cannot be written ({reason}); earlier embeddings are safe"
            raise VprError(f"{self.folder}: {problem}. {advice}") from error

    def read(self, rows: Rows) -> NDArray[np.floating]:
        """Rows as float16 [n, D], unit norm: a memory map for consecutive rows, else a copy."""
        if not len(rows):
            return np.empty((0, self._dim), _HALF)
        # A crash may leave an incomplete row at the end of the file.
        complete_rows = self._data.stat().st_size // (self._dim * _HALF.itemsize)
        mapped = np.memmap(self._data, _HALF, "r", shape=(complete_rows, self._dim))
        if np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
            return mapped[rows[0] : rows[0] + len(rows)]
        return np.asarray(mapped[rows])

    def close(self) -> None:
        self._file.close()
        self._db.close()

    def __enter__(self) -> EmbeddingCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _execute(self, query: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(query, values)
        except sqlite3.Error as error:
            raise VprError(f"{self.folder}: the embedding cache is damaged ({error}); delete this folder") from error
