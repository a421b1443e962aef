"""An open map file: what is stored in it, read under one lock per process."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import database, place_table
from vpr_aesvc.placemap.cameras import CamerasByName, require_same, select_cameras, write_camera
from vpr_aesvc.placemap.checksums import matches, read_tally, row_checksum
from vpr_aesvc.placemap.description import map_id, read_metadata, utc_now, write_metadata
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.placemap.sqlite_errors import damage_error, vpr_errors
from vpr_aesvc.placemap.traverses import Traverse, Traverses
from vpr_aesvc.types import Place

_PAGES = 1024  # copied at once; other processes can write between two steps


class MapFile(OpenMap):
    """Places, thumbnails, traverses, cameras and learned parameters of a map. A context manager that closes the file.

    Every method raises VprError if the map is damaged or closed, and one that writes also if the disk refuses. ``id``:
    differs between maps, also between a map and its copy by ``backup``."""

    path: Path

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        metadata = read_metadata(path, db)
        super().__init__(path, metadata)
        self.id = map_id(metadata)
        self._db = db
        self._file = _device_and_inode(path)
        self._wal = _device_and_inode(database.wal_of(path))
        self._lock = threading.RLock()
        self._traverses = Traverses(path, db)
        self._cameras: tuple[int, CamerasByName] | None = None  # with SQLite's data_version when they were read

    @property
    def meta(self) -> dict[str, str]:
        """The metadata as stored."""
        return read_metadata(self.path, self._db)

    @property
    def size_bytes(self) -> int:
        """Of the file and its WAL."""
        wal = database.wal_of(self.path)
        return self.path.stat().st_size + (wal.stat().st_size if wal.exists() else 0)

    def __len__(self) -> int:
        with self._lock, vpr_errors(self.path):
            return read_tally(self._db)[0]

    def places(self, ids: Iterable[int] | None = None) -> dict[int, Place]:
        """Places by id, all of them by default, in the order they were added; VprError for an unknown id."""
        wanted = None if ids is None else sorted({int(place) for place in ids})
        with self.snapshot():
            return place_table.select_places(self.path, self._db, self._traverses.ids(), wanted)

    def descriptors(self) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """All places' ids int64 [n] and descriptors float16 [n, d_max], in the order they were added."""
        with self.snapshot():
            return place_table.select_descriptors(self.path, self._db, self.dim)

    def thumbnail_jpeg(self, place: int) -> bytes | None:
        """The place's thumbnail as stored."""
        with self._lock, vpr_errors(self.path):
            return place_table.select_thumbnail(self.path, self._db, place)

    def patches(self, place: int) -> bytes | None:
        """The place's patches as stored, None if there are none; ``PatchProjection`` decodes them."""
        if self.patch_projection is None:
            return None
        with self._lock, vpr_errors(self.path):
            return place_table.select_patches(self.path, self._db, place)

    def patch_sizes(self) -> tuple[int, int]:
        """The number of places with patches, and the bytes of all patches."""
        if self.patch_projection is None:
            return 0, 0
        with self._lock, vpr_errors(self.path):
            return self._db.execute("SELECT count(*), ifnull(sum(length(patches)), 0) FROM patches").fetchone()  # type: ignore[no-any-return]

    def store_patches_with(self, projection: str) -> None:
        """Sets ``patch_projection`` of a new map, before its first place is added."""
        self.store_metadata("patches", projection)
        self.patch_projection = projection

    def store_metadata(self, key: str, value: str) -> None:
        """Adds to the metadata, or replaces it."""
        with self._writing():
            write_metadata(self._db, {**self.meta, key: value})

    def traverses(self) -> dict[str, Traverse]:
        """All traverses by name, in the order they were started."""
        with self._lock, vpr_errors(self.path):
            return self._traverses.all()

    def require_new_traverses(self, names: Iterable[str]) -> None:
        """Raises VprError if the map has a traverse of one of the names."""
        with self._lock, vpr_errors(self.path):
            self._traverses.require_new(names)

    def start_traverse(
        self, name: str, started: float | None = None, robot: str | None = None, notes: str | None = None
    ) -> None:
        """Starts a traverse at ``started``, seconds since 1970, or updates an existing one. Frames refer to it by name."""
        with self._writing():
            self._traverses.update(name, started=started, robot=robot, notes=notes)

    def set_notes(self, notes: str) -> None:
        """Replaces the notes of every traverse."""
        with self._writing():
            self._traverses.set_notes(notes)

    def cameras(self) -> CamerasByName:
        """Intrinsics and (width, height) of the images, by the names of traverse and camera. Older maps have none."""
        with self._lock, vpr_errors(self.path):
            return dict(self._known_cameras())

    def set_cameras(self, cameras: CamerasByName, replace: bool = False) -> None:
        """Stores all of the cameras, by the names of traverse and camera, or none. Arguments and errors as for ``set_camera``."""
        with self._writing():
            traverses = self._traverses.ids()
            require_same(self.path, cameras, {} if replace else self._known_cameras(), traverses)
            for (traverse, name), camera in cameras.items():
                write_camera(self._db, traverses[traverse], name, camera)

    def learned_parameters(self, name: str) -> Any:
        """A JSON value that ``store_learned_parameters`` stored; None if there is none."""
        with self._lock, vpr_errors(self.path):
            row = self._db.execute("SELECT name, value, checksum FROM learned WHERE name = ?", (name,)).fetchone()
            if row is not None and not matches(row[2], row_checksum, *row[:2]):
                raise damage_error(self.path, f"the learned parameters {name!r} do not match their checksum")
            try:
                return None if row is None else json.loads(row[1])
            except (ValueError, TypeError, RecursionError) as error:
                raise damage_error(self.path, f"the learned parameters {name!r} are no JSON ({error})") from error

    def store_learned_parameters(self, name: str, value: Any) -> None:
        """Stores parameters that recognition fitted to the map, as a JSON value. Removing places or changing poses deletes all of
        them. Adding places does not: the value should tell how many places it was fitted to."""
        text = json.dumps(value, allow_nan=False)
        with self._lock, vpr_errors(self.path), database.transaction(self._db):
            row = (name, text, row_checksum(name, text))
            self._db.execute("INSERT OR REPLACE INTO learned VALUES (?, ?, ?)", row)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads of the block see one state of the map while other processes may write; other threads wait."""
        with self._lock, vpr_errors(self.path), database.snapshot(self._db):
            yield

    def copy_to(self, target: Path, progress: Callable[[int, int, int], None]) -> None:
        """Copies the file while others use it. ``progress`` is called with (SQLite's status, pages left, pages); see ``backup``."""
        # Without the snapshot, SQLite restarts the copy whenever another process has written.
        with self.snapshot(), closing(sqlite3.connect(target)) as copy:
            self._db.backup(copy, pages=_PAGES, progress=progress)

    def mark_as_copy(self) -> None:
        """Gives a copy its own map id: the WAL of the original must not be applied to it."""
        with self._writing():
            metadata = {**self.meta, "copied": utc_now()}
            write_metadata(self._db, metadata)
            self.id = map_id(metadata)
            self._db.execute("UPDATE tally SET map = ?", (self.id,))

    def close(self) -> None:
        """Closes the file. SQLite merges the WAL into it, so the map is one file again."""
        with self._lock:
            self._db.close()

    def is_at(self, path: Path) -> bool:
        """Whether a path leads to the file that is open."""
        return _device_and_inode(path) == self._file is not None

    def abandon(self) -> None:
        """Closes a map whose file was replaced or overwritten. Nothing is written to the new file, and the old WAL does not stay beside it."""
        aside = self.path.with_name(f".{self.path.name}.{os.getpid()}.aside")
        with self._lock:
            overwritten = self.is_at(self.path) and os.access(self.path.parent, os.W_OK)
            if overwritten:
                self.path.rename(aside)  # SQLite merges no WAL into a file that was moved
            try:
                self._db.close()
                if self._wal is not None and _device_and_inode(database.wal_of(self.path)) == self._wal:
                    database.remove_companions(self.path)
            finally:
                if overwritten:
                    aside.rename(self.path)

    @contextmanager
    def _writing(self) -> Iterator[place_table.TallyChange]:
        with self._lock, vpr_errors(self.path):
            try:
                if not self.is_at(self.path):
                    raise VprError(
                        f"{self.path}: the file was removed or replaced while the map was open; nothing was changed, open the map again"
                    )
                with place_table.write_transaction(self._db) as change:
                    yield change
            except BaseException:
                self._traverses.invalidate()
                raise
            finally:
                self._cameras = None

    def _known_cameras(self) -> CamerasByName:
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if self._cameras is None or self._cameras[0] != version:
            self._cameras = version, select_cameras(self.path, self._db, self._traverses.ids())
        return self._cameras[1]


def _device_and_inode(path: Path) -> tuple[int, int] | None:
    """What identifies a file; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
