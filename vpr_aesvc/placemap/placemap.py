"""A map one can add to and search: the file (:mod:`store`) and what is read from it for search (:mod:`loaded`).

One process writes at a time and waits for its turn; any number read, also while it writes, and see what it has added at
their next search. Within a process a map may be used from several threads.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import decode_image, encode_jpeg, thumbnail
from vpr_aesvc.placemap import learned, reads, scan, store, writes
from vpr_aesvc.placemap.description import Description, meta_of
from vpr_aesvc.placemap.index import PlaceIndex
from vpr_aesvc.placemap.loaded import Loaded
from vpr_aesvc.placemap.traverses import Traverse, Traverses
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.types import Frame, Match, Place, Pose

if TYPE_CHECKING:
    from vpr_aesvc.describer import Describer
    from vpr_aesvc.placemap.budget import Plan

DEFAULT_TRAVERSE = "traverse-1"


class PlaceMap(Description):
    """The places of one environment. Use :meth:`create` or :meth:`open`; it is a context manager.

    Attributes: those of its :class:`Description`.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        super().__init__(path, store.read_meta(path, connection))
        self._db = connection
        self._file = path.stat().st_ino
        self._lock = threading.RLock()
        self._loaded: Loaded | None = None
        self._plan: Plan | None = None
        self._traverses = Traverses(path, connection)

    @classmethod
    def create(cls, path: Path | str, describer: Describer) -> PlaceMap:
        """A new, empty map for the descriptors of ``describer``.

        Raises:
            VprError: the path exists or cannot be written.
        """
        return cls.create_like(path, meta_of(describer))

    @classmethod
    def create_like(cls, path: Path | str, meta: Mapping[str, str]) -> PlaceMap:
        """A new, empty map with the description (:attr:`meta`) of another.

        Raises:
            VprError: the path exists or cannot be written.
        """
        path = Path(path).absolute()  # whatever folder the process goes to later
        return cls(path, store.create(path, dict(meta)))

    @classmethod
    def open(cls, path: Path | str, describer: Describer | None = None) -> PlaceMap:
        """An existing map; with ``describer`` given, only if it made the map or is of the same family.

        Raises:
            VprError: no such file, not a map, damaged, or made with another model.
        """
        try:
            path = Path(path).resolve()  # a log lies beside the file, not beside a link to it
            connection = store.open_existing(path)
        except (OSError, RuntimeError) as error:
            raise VprError(f"{path}: cannot be opened ({getattr(error, 'strerror', None) or error})") from error
        try:
            place_map = cls(path, connection)
            if describer is not None:
                place_map.require(describer)
        except VprError:
            connection.close()
            raise
        return place_map

    @property
    def meta(self) -> dict[str, str]:
        """The description, as it is stored."""
        return store.read_meta(self.path, self._db)

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
        writes.check_descriptors(descriptors, len(frames), self.dim)
        pictures = [None] * len(frames) if images is None else list(images)
        jpegs = [None if picture is None else encode_jpeg(thumbnail(picture)) for picture in pictures]
        return self.add_stored(frames, descriptors.astype(scan.DESCRIPTOR), jpegs, traverse)

    def add_stored(
        self,
        frames: Sequence[Frame],
        descriptors: NDArray[np.float16],
        jpegs: Iterable[bytes | None],
        traverse: str = DEFAULT_TRAVERSE,
    ) -> list[int]:
        """As :meth:`add`, from what another map holds: descriptors float16 [n, d_max] and thumbnails as JPEG, kept as they are."""
        with self._writing() as change:
            of_name = self._traverses.ids(frame.sequence or traverse for frame in frames)
            first = writes.next_id(self._db)
            for place, (frame, descriptor, jpeg) in enumerate(zip(frames, descriptors, jpegs, strict=True), first):
                number = of_name[frame.sequence or traverse]
                writes.insert(self._db, change, place, frame, number, descriptor.tobytes(), jpeg)
        with self._lock:
            if self._loaded is not None:
                self._loaded.keep_up(self._db, wrote=True)
        return list(range(first, first + len(frames)))

    def start_traverse(
        self, name: str, started: float | None = None, robot: str | None = None, notes: str | None = None
    ) -> None:
        """Begins a traverse, or says more of one that is there. Places are added to it by its name.

        Args:
            started: seconds since 1970.

        Raises:
            VprError: the disk refuses.
        """
        with self._writing():
            self._traverses.describe(name, started, robot, notes)

    def traverses(self) -> dict[str, Traverse]:
        """All traverses by name, in the order they began."""
        with self._lock, store.guard(self.path):
            return self._traverses.all()

    def remove(self, ids: Iterable[int]) -> int:
        """Removes places; traverses left without any go too. Returns how many there were; unknown ids are passed over.

        Raises:
            VprError: the disk refuses; all places are still there.
        """
        with self._lock:
            with self._writing() as change:
                self._keep_up()
                gone, traverses = writes.remove(self._db, change, {int(place) for place in ids})
                self._traverses.drop_empty(traverses)
            if self._loaded is not None and gone:
                self._loaded.removed(np.array(gone, np.int64), -change.checksums)
        return len(gone)

    def set_poses(self, poses: Mapping[int, Pose]) -> None:
        """Gives places other poses, as after a SLAM back end has closed its loops.

        Raises:
            VprError: an id is not in the map, or the disk refuses; nothing was changed.
        """
        with self._lock:
            with self._writing() as change:
                self._keep_up()
                writes.set_poses(self._db, change, poses)
            if self._loaded is not None and poses:
                positions = np.array([(pose.x, pose.y, pose.z) for pose in poses.values()])
                self._loaded.moved(np.fromiter(poses, np.int64), positions, change.checksums)

    def search(
        self,
        descriptors: NDArray[np.float32],
        k: int = 5,
        size: int | None = None,
        where: Where | None = None,
        exact: bool | None = None,
        shortlist: int | None = None,
    ) -> list[list[Match]]:
        """The ``k`` most similar places of each descriptor, best first.

        Args:
            descriptors: float32 [q, d_max] or [d_max].
            k: how many places at the most, at least 1.
            size: compare the first ``size`` components; one of ``sizes``, by default all.
            where: which places may be returned; applied inside the search, so ``k`` of them are found wherever there are ``k``.
            exact: compare with every place, or with a compressed index's shortlist; by default whichever pays at this many places.
            shortlist: how many places of the compressed index are ranked by the full descriptor.

        Raises:
            VprError: an unknown size or traverse, a descriptor of another length, or a damaged map.
        """
        queries = self._queries(descriptors)
        chosen = self._size(size)
        if self._plan and exact is None and shortlist is None:
            exact, shortlist = self._plan.shortlist is None, self._plan.shortlist
        if k < 1:
            raise VprError(f"at least one match must be asked for, found {k}")
        with self.snapshot():
            loaded = self._load()
            if len(loaded) == loaded.dead:
                return [[] for _ in queries]
            mask = self._mask(loaded, where)
            if loaded.dead:
                mask = loaded.alive if mask is None else mask & loaded.alive
            similarities, found = loaded.index.search(
                queries, k, chosen, allowed=mask, exact=exact, shortlist=shortlist
            )
            places = self.places(int(place) for place in loaded.ids[np.unique(found[found >= 0])])
            ids = loaded.ids
            return [
                [Match(places[int(ids[row])], float(near)) for near, row in zip(*both, strict=True) if row >= 0]
                for both in zip(similarities, found, strict=True)
            ]

    def similarities(
        self, descriptors: NDArray[np.float32], size: int | None = None, where: Where | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Every place's id, int64 [n], and the cosines of each descriptor with all of them, float32 [q, n]; minus infinity for the
        places that ``where`` leaves out.

        Raises:
            VprError: as :meth:`search`.
        """
        queries, chosen = self._queries(descriptors), self._size(size)
        with self._lock:
            loaded = self._load()
            cosines = loaded.index.similarities(queries, chosen)
            mask = self._mask(loaded, where)
            if mask is not None:
                cosines[:, ~mask] = -np.inf
            return loaded.ids[loaded.alive], cosines[:, loaded.alive] if loaded.dead else cosines

    def _size(self, size: int | None) -> int:
        if self._plan is None:
            return self.check_size(size)
        if size is not None and self.check_size(size) > self._plan.size:
            raise VprError(
                f"{self.path}: only {self._plan.size} components are in memory, as planned; size {size} is larger"
            )
        return size or self._plan.size

    def _mask(self, loaded: Loaded, where: Where | None) -> NDArray[np.bool_] | None:
        return None if where is None else where.mask(loaded, self._traverses.by_name())

    def _queries(self, descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
        queries = np.atleast_2d(np.asarray(descriptors, np.float32))
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise VprError(f"{self.path}: holds descriptors of {self.dim} numbers, the query has {queries.shape[-1]}")
        if not np.isfinite(queries).all():
            raise VprError("the query's descriptor holds numbers that are not finite")
        return queries

    def use(self, plan: Plan) -> None:
        """Searches from now on as a plan of :mod:`budget` says: with so many components in memory, in its precision.

        Raises:
            VprError: the map was not made for the plan's size.
        """
        self.check_size(plan.size)
        with self._lock:
            self._plan, self._loaded = plan, None

    def places(self, ids: Iterable[int] | None = None) -> dict[int, Place]:
        """Places by id, all of them by default, in the order they were added.

        Raises:
            VprError: one of them is damaged or missing.
        """
        wanted = None if ids is None else sorted({int(place) for place in ids})
        with self._lock, store.guard(self.path), store.snapshot(self._db):
            return reads.places(self.path, self._db, self._traverses.by_name(), wanted)

    def descriptors(self) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """All places' ids int64 [n] and descriptors float16 [n, d_max], in the order they were added.

        Raises:
            VprError: the map is damaged.
        """
        with self._lock, store.guard(self.path), store.snapshot(self._db):
            return scan.descriptors(self.path, self._db, self.dim)

    def thumbnail(self, place: int) -> NDArray[np.uint8] | None:
        """The place's picture, RGB uint8 [h, w, 3] with the longest side 240, or None where none was stored."""
        jpeg = self.thumbnail_jpeg(place)
        return None if jpeg is None else decode_image(jpeg, f"{self.path}, thumbnail of place {place}")

    def thumbnail_jpeg(self, place: int) -> bytes | None:
        """The place's picture as it is stored.

        Raises:
            VprError: it is damaged or gone.
        """
        with self._lock, store.guard(self.path):
            return reads.thumbnail(self.path, self._db, place)

    def learned(self, name: str) -> Any:
        """What recognition keeps with the map under a name, as JSON gives it back; None where there is nothing.

        Raises:
            VprError: it is damaged.
        """
        with self._lock, store.guard(self.path):
            return learned.read(self.path, self._db, name)

    def learn(self, name: str, value: Any) -> None:
        """Keeps a value that JSON can hold. Removing or moving places forgets all of them.

        Raises:
            VprError: the disk refuses.
        """
        with self._lock, store.guard(self.path), store.transaction(self._db):
            learned.write(self._db, name, value)

    @contextmanager
    def loaded(self) -> Iterator[Loaded]:
        """The arrays and the index in memory, up to date, for the parts of this library that look at the whole map."""
        with self._lock:
            yield self._load()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads of the block see one state of the map, whatever another process writes meanwhile; other threads wait."""
        with self._lock, store.guard(self.path), store.snapshot(self._db):
            yield

    def __len__(self) -> int:
        with self._lock, store.guard(self.path):
            return store.read_tally(self._db)[0]

    def copy_to(self, target: Path, progress: Callable[[int, int, int], None] | None = None) -> None:
        """Copies the file while others use it; see :func:`vpr_aesvc.placemap.copies.backup`."""
        with self._lock:
            store.copy_to(self.path, self._db, target, progress)

    def mark_as_copy(self) -> None:
        """Tells a copy from the map it was made of, whose log must not be taken into it."""
        with self._writing():
            store.mark_as_copy(self._db, self.meta)

    def close(self) -> None:
        """Closes the file; the write-ahead log is folded into it, so that the map is one file again."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> PlaceMap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load(self) -> Loaded:
        if self._loaded is None:
            index = PlaceIndex(self.dim, self._plan.size, self._plan.precision) if self._plan else PlaceIndex(self.dim)
            self._loaded = Loaded(self.path, index)
        self._loaded.keep_up(self._db)
        return self._loaded

    def _require_file(self) -> None:
        try:
            same = self.path.stat().st_ino == self._file
        except OSError:
            same = False
        if not same:
            raise VprError(f"{self.path}: was removed or replaced while it was open; nothing was added, open it again")

    def _keep_up(self) -> None:
        """Within a transaction: nobody else writes the map until it ends, so that this change alone is left to take in."""
        if self._loaded is not None:
            self._loaded.keep_up(self._db)

    @contextmanager
    def _writing(self) -> Iterator[writes.Change]:
        with self._lock, store.guard(self.path):
            try:
                self._require_file()
                with writes.changing(self._db) as change:
                    yield change
            except BaseException:
                self._traverses.forget()
                raise
