"""A map one can add to and search: the file (:mod:`store`) and the FAISS index over it (:mod:`index`)."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import decode_image, encode_jpeg, thumbnail
from vpr_aesvc.placemap import store
from vpr_aesvc.placemap.index import SizedIndex
from vpr_aesvc.types import Frame, Match, Place, Pose

if TYPE_CHECKING:
    from vpr_aesvc.describer import Describer

_COLUMNS = "p.id, p.label, t.name, p.path, p.stamp, p.x, p.y, p.z, p.qx, p.qy, p.qz, p.qw, p.extra"
_DESCRIPTOR = np.dtype("<f2")
DEFAULT_TRAVERSE = "traverse-1"


@dataclass(frozen=True)
class MapInfo:
    """What ``vpr map info`` prints. ``size_bytes`` is the file's; ``bounds`` is (x min, y min, x max, y max) in metres."""

    path: str
    places: int
    traverses: dict[str, int]
    with_pose: int
    bounds: tuple[float, float, float, float] | None
    dim: int
    sizes: tuple[int, ...]
    model_fingerprint: str
    model_path: str
    created: str
    size_bytes: int


class PlaceMap:
    """The places of one environment. Use :meth:`create` or :meth:`open`; it is a context manager."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self._index: SizedIndex | None = None
        self._ids: NDArray[np.int64] = np.empty(0, np.int64)
        with self._guard():
            meta = dict(self._db.execute("SELECT key, value FROM meta"))
        try:
            self.dim = int(meta["dim"])
            self.sizes = tuple(int(size) for size in json.loads(meta["sizes"]))
            self.model_fingerprint = meta["model_fingerprint"]
            self._model_path, self._created = meta["model_path"], meta["created"]
        except (KeyError, ValueError) as error:
            raise VprError(f"{path}: the map is damaged (its description cannot be read: {error})") from error

    @classmethod
    def create(cls, path: Path | str, describer: Describer) -> PlaceMap:
        """A new, empty map for the descriptors of ``describer``.

        Raises:
            VprError: the path exists or cannot be written.
        """
        path = Path(path)
        connection = store.create(path)
        meta = {
            "dim": str(describer.dim),
            "sizes": json.dumps(list(describer.sizes)),
            "model_fingerprint": describer.fingerprint,
            "model_path": str(describer.path.resolve()),
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        return cls(path, connection)

    @classmethod
    def open(cls, path: Path | str, describer: Describer | None = None) -> PlaceMap:
        """An existing map; with ``describer`` given, only if it made the map.

        Raises:
            VprError: no such file, not a map, damaged, or made with another model.
        """
        path = Path(path)
        connection = store.open_existing(path)
        try:
            place_map = cls(path, connection)
            if describer is not None:
                place_map.require(describer)
        except VprError:
            connection.close()
            raise
        return place_map

    def require(self, describer: Describer) -> None:
        """Refuses a model that did not make this map: its descriptors would be compared as if they were alike.

        Raises:
            VprError: the fingerprints differ.
        """
        if describer.fingerprint != self.model_fingerprint:
            raise VprError(
                f"{self.path}: was made with model {self.model_fingerprint} (then at {self._model_path}), "
                f"but {describer.path} is model {describer.fingerprint}; use that model or build the map again"
            )

    @property
    def model_path(self) -> Path:
        """Where the model lay when the map was made."""
        return Path(self._model_path)

    def add(
        self,
        frames: Iterable[Frame],
        descriptors: NDArray[np.float32],
        images: Iterable[NDArray[np.uint8] | None] | None = None,
        traverse: str = DEFAULT_TRAVERSE,
    ) -> list[int]:
        """Adds places in one transaction: all of them are on disk when this returns, or none.

        Args:
            frames: n frames; a frame's ``sequence``, where it has one, names its traverse.
            descriptors: float32 [n, d_max], unit norm.
            images: n RGB images for the thumbnails, or None.
            traverse: the traverse of frames without a sequence.

        Returns:
            the new places' ids.

        Raises:
            VprError: shapes do not agree, a number is not finite, or the disk refuses.
        """
        frames = list(frames)
        if descriptors.shape != (len(frames), self.dim):
            raise VprError(f"expected descriptors of shape ({len(frames)}, {self.dim}), found {descriptors.shape}")
        if not np.isfinite(descriptors).all():
            raise VprError("a descriptor holds numbers that are not finite; nothing was added")
        pictures = [None] * len(frames) if images is None else list(images)
        ids: list[int] = []
        with self._guard(), self._transaction():
            for frame, descriptor, picture in zip(frames, descriptors, pictures, strict=True):
                ids.append(self._insert(frame, descriptor, picture, frame.sequence or traverse))
        self._index = None
        return ids

    def _insert(
        self, frame: Frame, descriptor: NDArray[np.float32], image: NDArray[np.uint8] | None, traverse: str
    ) -> int:
        self._db.execute("INSERT OR IGNORE INTO traverses (name) VALUES (?)", (traverse,))
        pose = frame.pose.as_tuple() if frame.pose else (None,) * 7
        path = None if frame.path is None else str(frame.path.resolve())
        extra = dict(frame.extra) if frame.index is None else {**frame.extra, "index": f"{frame.index:g}"}
        row = self._db.execute(
            "INSERT INTO places (traverse, label, path, stamp, x, y, z, qx, qy, qz, qw, extra, descriptor) "
            "VALUES ((SELECT id FROM traverses WHERE name = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                traverse,
                frame.label,
                path,
                frame.stamp,
                *pose,
                json.dumps(extra),
                descriptor.astype(_DESCRIPTOR).tobytes(),
            ),
        )
        place = int(row.lastrowid or 0)
        if image is not None:
            self._db.execute("INSERT INTO thumbnails VALUES (?, ?)", (place, encode_jpeg(thumbnail(image))))
        return place

    def search(self, descriptors: NDArray[np.float32], k: int = 5, size: int | None = None) -> list[list[Match]]:
        """The ``k`` most similar places of each descriptor, best first.

        Args:
            descriptors: float32 [q, d_max] or [d_max].
            k: how many places at the most, at least 1.
            size: compare the first ``size`` components; one of ``sizes``, by default all.

        Raises:
            VprError: an unknown size, or a descriptor of another length.
        """
        queries = np.atleast_2d(np.asarray(descriptors, np.float32))
        chosen = self.check_size(size)
        if queries.shape[1] != self.dim:
            raise VprError(f"{self.path}: holds descriptors of {self.dim} numbers, the query has {queries.shape[1]}")
        if k < 1:
            raise VprError(f"at least one match must be asked for, found {k}")
        index = self._load()
        if not len(self._ids):
            return [[] for _ in queries]
        similarities, rows = index.search(queries, k, chosen)
        places = self.places({int(self._ids[row]) for row in np.unique(rows)})
        return [
            [Match(places[int(self._ids[row])], float(similarity)) for similarity, row in zip(near, order, strict=True)]
            for near, order in zip(similarities, rows, strict=True)
        ]

    def check_size(self, size: int | None) -> int:
        """The size to search at; None is the full size.

        Raises:
            VprError: the map was not made for this size.
        """
        if size is not None and size not in self.sizes:
            known = ", ".join(map(str, self.sizes))
            raise VprError(f"{self.path}: size {size} is not one this map was made for; choose one of {known}")
        return self.dim if size is None else size

    def places(self, ids: Iterable[int] | None = None) -> dict[int, Place]:
        """Places by id, all of them by default, in the order they were added."""
        query = f"SELECT {_COLUMNS} FROM places p JOIN traverses t ON t.id = p.traverse"
        wanted = None if ids is None else json.dumps(sorted(ids))
        with self._guard():
            if wanted is None:
                rows = self._db.execute(f"{query} ORDER BY p.id").fetchall()
            else:  # one bound parameter, however many ids there are
                rows = self._db.execute(
                    f"{query} WHERE p.id IN (SELECT value FROM json_each(?)) ORDER BY p.id", (wanted,)
                ).fetchall()
            return {row[0]: _place(row) for row in rows}

    def descriptors(self) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """All places' ids int64 [n] and descriptors float16 [n, d_max], in the order they were added.

        Raises:
            VprError: a stored descriptor is damaged.
        """
        with self._guard():
            rows: Sequence[tuple[int, bytes]] = self._db.execute(
                "SELECT id, descriptor FROM places ORDER BY id"
            ).fetchall()
        for place, blob in rows:
            if len(blob) != self.dim * _DESCRIPTOR.itemsize:
                raise VprError(f"{self.path}: the map is damaged (place {place} has a descriptor of {len(blob)} bytes)")
        data = np.frombuffer(b"".join(blob for _, blob in rows), _DESCRIPTOR).reshape(len(rows), self.dim)
        if not np.isfinite(data).all():
            raise VprError(f"{self.path}: the map is damaged (a descriptor holds numbers that are not finite)")
        return np.array([place for place, _ in rows], np.int64), data

    def thumbnail(self, place: int) -> NDArray[np.uint8] | None:
        """The place's picture, RGB uint8 [h, w, 3] with the longest side 160, or None where none was stored."""
        with self._guard():
            row = self._db.execute("SELECT jpeg FROM thumbnails WHERE place = ?", (place,)).fetchone()
        return None if row is None else decode_image(row[0], f"{self.path}, thumbnail of place {place}")

    def info(self) -> MapInfo:
        """Counts, bounds and origin of the map."""
        with self._guard():
            traverses = dict(
                self._db.execute(
                    "SELECT t.name, count(*) FROM places p JOIN traverses t ON t.id = p.traverse GROUP BY t.id"
                )
            )
            count, posed, *bounds = self._db.execute(
                "SELECT count(*), count(x), min(x), min(y), max(x), max(y) FROM places"
            ).fetchone()
        return MapInfo(
            path=str(self.path),
            places=count,
            traverses=traverses,
            with_pose=posed,
            bounds=(bounds[0], bounds[1], bounds[2], bounds[3]) if posed else None,
            dim=self.dim,
            sizes=self.sizes,
            model_fingerprint=self.model_fingerprint,
            model_path=self._model_path,
            created=self._created,
            size_bytes=self.path.stat().st_size,
        )

    def __len__(self) -> int:
        with self._guard():
            return int(self._db.execute("SELECT count(*) FROM places").fetchone()[0])

    def close(self) -> None:
        """Closes the file; the write-ahead log is folded into it, so that the map is one file again."""
        self._db.close()

    def __enter__(self) -> PlaceMap:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _load(self) -> SizedIndex:
        if self._index is None:
            self._ids, data = self.descriptors()
            self._index = SizedIndex(data)
        return self._index

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise VprError(f"{self.path}: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _place(row: tuple) -> Place:  # type: ignore[type-arg]
    pose = None if row[5] is None else Pose(*row[5:12])
    return Place(
        id=row[0], label=row[1], traverse=row[2], path=row[3], stamp=row[4], pose=pose, extra=json.loads(row[12])
    )
