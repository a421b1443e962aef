"""A fleet's map: the interface of ``PlaceMap`` on PostgreSQL."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError, require_installed
from vpr_aesvc.fleet import places as rows
from vpr_aesvc.fleet.address import FleetAddress
from vpr_aesvc.fleet.arrays import FleetArrays
from vpr_aesvc.fleet.connection import Db, FleetConnection
from vpr_aesvc.fleet.search import Scope, nearest
from vpr_aesvc.placemap.cameras import CamerasByName, camera_of_text, camera_text, require_same
from vpr_aesvc.placemap.description import utc_now
from vpr_aesvc.placemap.interface import DEFAULT_TRAVERSE, OpenMap
from vpr_aesvc.placemap.place_row import numbers_of, pose_numbers, words_of
from vpr_aesvc.placemap.place_table import DESCRIPTOR
from vpr_aesvc.placemap.traverses import Traverse
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.types import Frame, Match, Place, Pose

if TYPE_CHECKING:
    from vpr_aesvc.fleet.milvus import MilvusIndex

DEFAULT_FRAME = "map"
_SPARE = 32  # candidates beyond k: some may have been removed
_DOWN = 30.0  # seconds


class FleetMap(OpenMap):
    """Places of many robots, on a server. ``PlaceMap`` describes the methods; those of here raise VprError if the server cannot be reached or refuses.
    After a lost connection the next call connects again. Any number of robots read and write at once.

    Attributes:
        map_id: the map's number on the server. connection: to the server.
    """

    def __init__(self, connection: FleetConnection, map_id: int, meta: Mapping[str, str]) -> None:
        super().__init__(connection.address.text, meta)
        self.connection = connection
        self.map_id = map_id
        self.id = f"{map_id} {self.created}"
        self._meta = dict(meta)
        self._scope: Scope | None = None  # of the last search
        self._arrays: FleetArrays | None = None
        self._index: MilvusIndex | None = None
        self._index_down = 0.0  # until then it is not asked again

    @classmethod
    def open(cls, url: str, describer: Describer | None = None, family: str | None = None) -> FleetMap:
        """An existing map: of the model family that is given, or of ``describer``. Raises VprError if there is none, or more than one."""
        connection = FleetConnection(address := FleetAddress.parse(url))
        connection.require_tables()
        families = connection.families()
        if not families:
            raise VprError(
                f"{address.text}: no such map; `vpr fleet status` lists the maps, `vpr fleet push MAP URL` makes one"
            )
        family = family or address.family or (describer.family if describer is not None else None)
        chosen = family if family in families else next(iter(families))  # of another model: `require` says so
        if len(families) > 1 and family not in families:
            raise VprError(
                f"{address.text}: has maps of the models {', '.join(families)}; choose one with &family=MODEL in the address"
            )
        place_map = cls(connection, *families[chosen])
        if describer is not None:
            place_map.require(describer)
        return place_map

    @classmethod
    def create(cls, url: str, meta: Mapping[str, str]) -> FleetMap:
        """A new, empty map for the model of ``meta``, a map's metadata; makes the tables, too. Raises VprError if it exists."""
        connection = cls.check_new(url, meta["model_family"])
        kept = {**{key: value for key, value in meta.items() if key not in _LOCAL}, "created": utc_now()}
        with connection.transaction() as db:
            query = "SELECT vpr.create_map(%s, %s, %s::jsonb)"
            row = db.execute(query, [connection.address.map, meta["model_family"], json.dumps(kept)]).fetchone()
        assert row is not None
        return cls(connection, row[0], kept)

    @classmethod
    def check_new(cls, url: str, family: str) -> FleetConnection:
        """Makes the tables; raises VprError if there is a map of this name and model family."""
        connection = FleetConnection(FleetAddress.parse(url))
        connection.migrate()
        if family in connection.families():
            raise VprError(f"{connection.address.text}: exists already; `vpr map add` adds to it")
        return connection

    @property
    def meta(self) -> dict[str, str]:
        return dict(self._meta)

    @property
    def size_bytes(self) -> int:
        """Of the places and their indexes."""
        return int(
            self.connection.all("SELECT pg_total_relation_size(format('vpr.places_%%s', %s)::regclass)", self.map_id)[
                0
            ][0]
        )

    def __len__(self) -> int:
        return int(
            self.connection.all("SELECT coalesce(sum(count), 0) FROM vpr.changes WHERE map = %s", self.map_id)[0][0]
        )

    def places(self, ids: Iterable[int] | None = None) -> dict[int, Place]:
        with self.connection.transaction(reading=True) as db:
            wanted = rows.select_ids(db, self.map_id).tolist() if ids is None else sorted({int(place) for place in ids})
            scope = self.scope(db)
            traverses, frame = scope.traverses, scope.frame
            stored = [row for part in rows.select_rows(db, self.map_id, wanted, descriptors=False) for row in part]
        found = {row[0]: rows.place_of(row, traverses[row[1]][0], traverses[row[1]][1] == frame) for row in stored}
        if len(found) != len(wanted):
            raise VprError(f"{self.path}: has no place {next(place for place in wanted if place not in found)}")
        return found

    def descriptors(self) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        with self.connection.transaction(reading=True) as db:
            ids = rows.select_ids(db, self.map_id)
            batches = [one[1] for one in rows.select_batches(db, self.map_id, ids, [])]
        return ids, np.concatenate([np.empty((0, self.dim), DESCRIPTOR), *batches])

    def thumbnail_jpeg(self, place: int) -> bytes | None:
        return self._blob("thumbnails", int(place))

    def patches(self, place: int) -> bytes | None:
        return None if self.patch_projection is None else self._blob("patches", int(place))

    def patch_sizes(self) -> tuple[int, int]:
        query = (
            "SELECT count(*), coalesce(sum(length(patches)), 0)::bigint FROM vpr.patches b "
            f"JOIN vpr.places p ON p.map = %s AND p.id = b.place WHERE {rows.ALIVE}"
        )
        return self.connection.all(query, self.map_id)[0]

    def traverses(self) -> dict[str, Traverse]:
        query = (
            "SELECT t.id, t.name, t.started, nullif(t.robot, ''), t.notes FROM vpr.traverses t LEFT JOIN vpr.changes c ON c.traverse = t.id "
            "WHERE t.map = %s GROUP BY t.id HAVING coalesce(sum(c.count), 1) > 0 ORDER BY t.id"
        )
        return {row[1]: Traverse(*row) for row in self.connection.all(query, self.map_id)}

    def require_new_traverses(self, names: Iterable[str]) -> None:
        existing = sorted(set(names) & set(self.traverses()))
        if existing:
            raise VprError(
                f"{self.path}: has a traverse {existing[0]} already; nothing was added, give the new one another name with --traverse"
            )

    def start_traverse(
        self, name: str, started: float | None = None, robot: str | None = None, notes: str | None = None
    ) -> None:
        query = (
            "UPDATE vpr.traverses SET started = coalesce(%s, started), robot = coalesce(%s, robot), notes = coalesce(%s, notes) "
            "WHERE map = %s AND name = %s"
        )
        with self.connection.transaction() as db:
            self._traverse_ids(db, [name])
            db.execute(query, [started, robot, notes, self.map_id, name])

    def cameras(self) -> CamerasByName:
        query = "SELECT name, cameras::text FROM vpr.traverses WHERE map = %s AND cameras <> '{}' ORDER BY id"
        return {
            (traverse, name): camera_of_text(json.dumps(camera))
            for traverse, text in self.connection.all(query, self.map_id)
            for name, camera in json.loads(text).items()
        }

    def set_cameras(self, cameras: CamerasByName, replace: bool = False) -> None:
        query = "UPDATE vpr.traverses SET cameras = cameras || jsonb_build_object(%s::text, %s::jsonb) WHERE map = %s AND name = %s"
        with self.connection.transaction() as db:
            require_same(
                self.path,
                cameras,
                {} if replace else self.cameras(),
                [one[0] for one in self._traverses_by_id(db).values()],
            )
            for (traverse, name), camera in cameras.items():
                db.execute(query, [name, camera_text(camera), self.map_id, traverse])

    def learned_parameters(self, name: str) -> Any:
        found = self.connection.all("SELECT value FROM vpr.learned WHERE map = %s AND name = %s", self.map_id, name)
        return json.loads(found[0][0]) if found else None

    def store_learned_parameters(self, name: str, value: Any) -> None:
        text = json.dumps(value, allow_nan=False)
        query = (
            "INSERT INTO vpr.learned VALUES (%s, %s, %s) ON CONFLICT (map, name) DO UPDATE SET value = excluded.value"
        )
        with self.connection.transaction() as db:
            db.execute(query, [self.map_id, name, text])

    def add_stored(
        self,
        frames: Sequence[Frame],
        descriptors: NDArray[np.float16],
        jpegs: Iterable[bytes | None],
        traverse: str = DEFAULT_TRAVERSE,
        new: Iterable[str] = (),
        patches: Iterable[bytes | None] | None = None,
    ) -> list[int]:
        blobs = zip(jpegs, [None] * len(frames) if patches is None else patches, strict=True)
        with self.connection.transaction() as db:
            self.require_new_traverses(new)
            traverses = self._traverse_ids(db, (frame.sequence or traverse for frame in frames))
            ids = rows.next_ids(db, len(frames))
            added = [
                rows.StoredPlace(
                    number,
                    traverses[frame.sequence or traverse],
                    number & 0x7FFFFFFF,
                    numbers_of(frame),
                    words_of(frame),
                    descriptor,
                    jpeg if self.connection.address.thumbnails else None,
                    patch,
                )
                for number, frame, descriptor, (jpeg, patch) in zip(ids, frames, descriptors, blobs, strict=True)
            ]
            rows.insert_places(db, self.map_id, added)
        return ids

    def remove(self, ids: Iterable[int]) -> int:
        with self.connection.transaction() as db:
            removed = rows.remove_places(db, self.map_id, sorted({int(place) for place in ids}))
            if removed:
                self._forget_learned(db)
        return removed

    def set_poses(self, poses: Mapping[int, Pose], robot: str = "") -> None:
        """As of ``PlaceMap``; the old poses stay in the database. ``robot``: who revises them."""
        numbers = {int(place): pose_numbers(pose) for place, pose in poses.items()}
        with self.connection.transaction() as db:
            known = rows.existing(db, self.map_id, list(numbers))
            missing = next((place for place in numbers if place not in known), None)
            if missing is not None:
                raise VprError(f"the map has no place {missing}; no pose was changed")
            if numbers:
                values = [[place, self.map_id, robot, *pose] for place, pose in numbers.items()]
                query = f"INSERT INTO vpr.poses (place, map, robot, x, y, z, qx, qy, qz, qw) VALUES ({', '.join(['%s'] * 10)})"
                db.cursor().executemany(query, values)
                self._forget_learned(db)

    def search(
        self,
        descriptors: NDArray[np.float32],
        k: int = 5,
        size: int | None = None,
        where: Where | None = None,
        exact: bool | None = None,
        shortlist: int | None = None,
    ) -> list[Any]:
        """As of ``PlaceMap``, exact but for the candidates that an index selects: ``shortlist`` changes nothing.

        Args:
            exact: True for PostgreSQL alone; by default an index that the address names selects candidates for search in the whole map. If it is
                down or lacks too many places, a warning says so, and PostgreSQL answers alone for half a minute.
        """
        queries, chosen = self.check_queries(descriptors, k), self.check_size(size)
        whole = where is None or where == Where(without_traverses=where.without_traverses)
        has_index = bool(self.connection.address.index) and whole and chosen == self.dim and not exact
        with self.connection.statements() as db:
            among = [self._candidates(query, int(k), where) if has_index else None for query in queries]
            matches = [
                self._nearest(db, query, int(k), chosen, where, some)
                for query, some in zip(queries, among, strict=True)
            ]
        return matches[0] if np.ndim(descriptors) == 1 else matches

    def _nearest(
        self,
        db: Db,
        query: NDArray[np.float32],
        k: int,
        size: int,
        where: Where | None,
        among: tuple[list[int], int] | None,
    ) -> list[Match]:
        needs_frame = where is not None and where.pose is not None
        scope, excludes = self._scope, where is not None and not (where.beyond is None and where.recent_meters is None)
        if scope is not None and not excludes and (scope.frame or not needs_frame):
            found = nearest(db, scope, query, k, size, where, among)
            if found:  # nothing may be found because the scope is out of date
                return found
        while (found := nearest(db, self.scope(db, needs_frame), query, k, size, where, among)) is None:
            pass  # it changed in between
        return found

    @contextmanager
    def arrays(self) -> Iterator[FleetArrays]:
        """All places in memory, up to date: 0.6 GB for a million places. To recognize in a part of a large map, pull this part."""
        with self.connection.lock:
            with self.connection.transaction(reading=True) as db:
                self._arrays = self._arrays or FleetArrays(Path(self.connection.address.map), self.dim)
                scope = self.scope(db)
                in_frame = [number for number, one in scope.traverses.items() if one[1] == scope.frame]
                self._arrays.update(db, self.map_id, in_frame)
            yield self._arrays

    def close(self) -> None:
        if self._index is not None:
            self._index.close()
        self.connection.close()

    def index(self) -> MilvusIndex:
        """The index that the address names. Raises VprError if it names none, or the server cannot be used."""
        if not self.connection.address.index:
            raise VprError(f"{self.path}: names no index; add &index=milvus://HOST:19530 to the address")
        require_installed("an index in Milvus (the extra `milvus`)", "pymilvus")
        from vpr_aesvc.fleet.milvus import MilvusIndex

        if self._index is None:
            self._index = MilvusIndex(self.connection, self.map_id, self.dim)
        return self._index

    def _candidates(self, query: NDArray[np.float32], k: int, where: Where | None) -> tuple[list[int], int] | None:
        """Where to look for the nearest places; None for the whole map."""
        if time.monotonic() < self._index_down:
            return None
        try:
            return self.index().candidates(query, k + _SPARE, () if where is None else where.without_traverses)
        except VprError as error:
            self._index_down = time.monotonic() + _DOWN
            warnings.warn(f"{error}; PostgreSQL searches alone", stacklevel=4)
            return None

    def scope(self, db: Db, needs_frame: bool = False) -> Scope:
        """With the frame of the address, or the only one of the map. Raises VprError if there are several and one is needed."""
        has = [f"EXISTS (SELECT FROM vpr.{one} WHERE map = {self.map_id})" for one in ("poses", "tombstones")]
        scope = Scope(
            self.map_id, self.dim, None, self._traverses_by_id(db), *db.execute(f"SELECT {', '.join(has)}").fetchone()
        )
        frames = scope.frames
        frame = self.connection.address.frame or (frames[0] if len(frames) == 1 else None)
        if needs_frame and frame is None and frames:
            raise VprError(
                f"{self.path}: has poses in the frames {', '.join(frames)}, which cannot be compared; add &frame={frames[0]} to the address"
            )
        self._scope = replace(scope, frame=frame)
        return self._scope

    def _traverses_by_id(self, db: Db) -> dict[int, tuple[str, str]]:
        """Names and frames."""
        found = db.execute("SELECT id, name, frame FROM vpr.traverses WHERE map = %s ORDER BY id", [self.map_id])
        return {row[0]: row[1:] for row in found}

    def _traverse_ids(self, db: Db, names: Iterable[str]) -> dict[str, int]:
        """Ids by name; starts the traverses that do not exist, as the map's own."""
        frame = self.connection.address.frame or DEFAULT_FRAME
        query = (
            "INSERT INTO vpr.traverses (map, robot, source, local, name, frame) VALUES (%s, '', %s, %s, %s, %s) "
            "ON CONFLICT (map, name) DO NOTHING"
        )
        known = {one[0] for one in self._traverses_by_id(db).values()}
        for name in [one for one in dict.fromkeys(names) if one not in known]:
            db.execute(query, [self.map_id, self.id, name, name, frame])
        return {one[0]: number for number, one in self._traverses_by_id(db).items()}

    def _forget_learned(self, db: Db) -> None:
        db.execute("DELETE FROM vpr.learned WHERE map = %s", [self.map_id])  # fitted to the places as they were

    def _blob(self, table: str, place: int) -> bytes | None:
        with self.connection.transaction(reading=True) as db:
            if not rows.existing(db, self.map_id, [place]):
                raise VprError(f"{self.path}: has no place {place}")
            return rows.select_blobs(db, table, [place]).get(place)


_LOCAL = ("created", "copied", "fleet", "peers")  # metadata of one file
