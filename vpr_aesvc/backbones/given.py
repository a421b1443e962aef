"""Precomputed embeddings: the global descriptors of another method, from a file.

- ``.npy`` [n, D]: in the order of the input's frames, all splits together; ``vpr data frames`` prints this order;
- ``.npz``: an array [n, D] and, optionally, an array of n image names;
- HDF5 as hloc writes it: ``file[image name]["global_descriptor"]`` [D]. Needs h5py;
- a folder with ``database_descriptors.npy`` and ``queries_descriptors.npy``, as https://github.com/gmberton/VPR-methods-evaluation writes it;
- a folder of ``vpr extract``: see ``vpr_aesvc.backbones.shards``.

All but the last do not name their network, so a model or map made from them can only check the dimension.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.backbones.shards import Shards
from vpr_aesvc.errors import VprError, require_installed
from vpr_aesvc.files import read_arrays
from vpr_aesvc.fingerprint import fingerprint
from vpr_aesvc.types import Frame, Rows

SPEC = "embeddings:"
_SPLITS = ("database", "database_descriptors.npy"), ("query", "queries_descriptors.npy")  # of VPR-methods-evaluation
EMBEDDING_SUFFIXES = {".npy", ".npz", ".h5", ".hdf5"}
Table = NDArray[np.floating] | Shards


class GivenEmbeddings:
    """A backbone that looks embeddings up instead of computing them. ``dim``: length D of an embedding. ``table``: [n, D];
    None for a model that is opened without its embeddings. ``rows``: frame label -> row in ``table``."""

    def __init__(
        self, dim: int, table: Table | None = None, rows: dict[str, int] | None = None, source: str = ""
    ) -> None:
        self.spec = f"{SPEC}{dim}"
        self.dim = dim
        self.preprocessing = f"precomputed: {source}"
        self.fingerprint = fingerprint("given embeddings", str(dim))
        self._table = table
        self._rows = rows or {}
        self._source = source
        if isinstance(table, Shards):
            made = table.manifest
            self.spec, self.fingerprint, self.preprocessing = made.spec, made.fingerprint, made.preprocessing

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Always raises VprError: there is no network."""
        advice = "give the embeddings of the images with --embeddings FILE"
        raise VprError(f"this model was trained on precomputed embeddings, so it cannot describe an image; {advice}")

    def look_up(self, frames: Sequence[Frame]) -> NDArray[np.float32]:
        """The embeddings of these frames, float32 [n, D]. Raises VprError: an embedding is missing or not finite."""
        table, rows = self._found(frames)
        embeddings = np.asarray(table[rows], np.float32)
        bad = np.flatnonzero(~np.isfinite(embeddings).all(1))
        if len(bad):
            raise VprError(f"{self._source}: the embedding of {frames[bad[0]].label} holds numbers that are not finite")
        return embeddings

    def with_views(self, frames: Sequence[Frame]) -> tuple[Any, NDArray[np.float32], Rows]:
        """As ``look_up``, but shards are not read, and augmented views: embeddings [m, D] and the row of each one's frame, int64 [m]."""
        table, rows = self._found(frames)
        if not isinstance(table, Shards):
            embeddings = self.look_up(frames)
            return embeddings, embeddings[:0], np.empty(0, np.int64)
        views, of = table.views()
        at = np.full(len(table), -1)
        at[rows] = np.arange(len(rows))
        return table.subset(rows), views[at[of] >= 0], at[of][at[of] >= 0]

    def _found(self, frames: Sequence[Frame]) -> tuple[Table, Rows]:
        """The table, and the row of each frame."""
        if self._table is None:
            self.embed([])
        assert self._table is not None
        missing = [frame.label for frame in frames if frame.label not in self._rows]
        if missing:
            count = f"{len(missing)} of {len(frames)}"
            raise VprError(f"{self._source}: has no embedding for {count} images, such as {missing[0]}")
        return self._table, np.array([self._rows[frame.label] for frame in frames], np.int64)


def read_embeddings(path: Path, frames: Sequence[Frame]) -> GivenEmbeddings:
    """Opens a file of embeddings for all ``frames`` of an input. ``_match`` tells how names are compared. Raises VprError:
    the file is missing, damaged or of an unknown kind, or its rows do not fit the frames."""
    if (path / _SPLITS[0][1]).is_file():
        return _read_splits(path, frames)
    table, names = _read_table(path)
    if names is None and len(table) != len(frames):
        advice = "give as many rows, in the same order, or a file with names (.npz with an array of names, or .h5)"
        raise VprError(f"{path}: has {len(table)} rows without names, the input has {len(frames)} frames; {advice}")
    in_order = {frame.label: row for row, frame in enumerate(frames)}
    return GivenEmbeddings(table.shape[1], table, in_order if names is None else _match(names, frames), str(path))


def _read_splits(folder: Path, frames: Sequence[Frame]) -> GivenEmbeddings:
    """A table for each split, with a row for each image in the order of the paths."""
    tables: list[NDArray[np.floating]] = []
    rows: dict[str, int] = {}
    for split, name in _SPLITS:
        table = np.asarray(_read_table(folder / name)[0])
        images = sorted((frame for frame in frames if frame.split == split), key=lambda frame: str(frame.path))
        if len(images) != len(table) or (tables and table.shape[1] != tables[0].shape[1]):
            advice = "give the images of which these descriptors are"
            raise VprError(f"{folder / name}: is {list(table.shape)} for {len(images)} images of this split; {advice}")
        rows |= {frame.label: len(rows) + at for at, frame in enumerate(images)}
        tables.append(table)
    return GivenEmbeddings(tables[0].shape[1], np.concatenate(tables), rows, str(folder))


def read_named_embeddings(path: Path) -> tuple[tuple[Frame, ...], GivenEmbeddings]:
    """Opens a file of embeddings as an input of its own: a frame for each image name, without an image. Raises VprError:
    missing, damaged, of an unknown kind, without names, or with a name twice."""
    table, names = _read_table(path)
    if names is None:
        advice = f"store them in an .npz beside the embeddings, or give the images with --embeddings {path}"
        raise VprError(f"{path}: has no image names; {advice}")
    rows = {name: row for row, name in enumerate(names)}
    if len(rows) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise VprError(f"{path}: has more than one embedding of {twice}")
    frames = tuple(Frame(label=name) for name in names)
    return frames, GivenEmbeddings(table.shape[1], table, rows, str(path))


def _read_table(path: Path) -> tuple[Table, list[str] | None]:
    """The embeddings [n, D] of a file, and the name of each image if the file has names."""
    path = path.expanduser()
    if path.is_dir():
        shards = Shards(path)
        return shards, [frame.label for frame in shards.frames()]
    if not path.is_file():
        raise VprError(f"{path}: no such file; expected embeddings as .npy, .npz or .h5, or a folder of shards")
    try:
        if path.suffix == ".npy":
            table, names = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)), None
        elif path.suffix == ".npz":
            table, names = _read_npz(path)
        elif path.suffix in (".h5", ".hdf5"):
            table, names = _read_hdf5(path)
        else:
            raise VprError(f"{path}: expected embeddings as .npy, .npz or .h5, found {path.suffix or 'no suffix'}")
    except VprError:
        raise
    except Exception as error:  # numpy, zipfile and h5py raise many kinds for damaged files
        raise VprError(f"{path}: the embeddings cannot be read ({error})") from error
    if table.ndim != 2 or not np.issubdtype(table.dtype, np.floating):
        raise VprError(f"{path}: expected numbers of shape [images, D], found {table.dtype} {list(table.shape)}")
    return table, names


def _read_npz(path: Path) -> tuple[NDArray[np.floating], list[str] | None]:
    arrays = read_arrays(path)
    tables = [name for name, array in arrays.items() if array.ndim == 2 and np.issubdtype(array.dtype, np.floating)]
    names = [name for name, array in arrays.items() if array.ndim == 1 and array.dtype.kind in "US"]
    if len(tables) != 1 or len(names) > 1:
        found = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
        raise VprError(f"{path}: expected one array [images, D] and at most one of names, found {found or 'nothing'}")
    table = arrays[tables[0]]
    if not names:
        return table, None
    if len(arrays[names[0]]) != len(table):
        raise VprError(f"{path}: has {len(arrays[names[0]])} names for {len(table)} embeddings")
    return table, [name.decode() if isinstance(name, bytes) else str(name) for name in arrays[names[0]]]


def _read_hdf5(path: Path) -> tuple[NDArray[np.floating], list[str]]:
    require_installed(f"{path}: reading HDF5", "h5py")
    import h5py

    names: list[str] = []
    with h5py.File(path, "r") as file:

        def visit(name: str, item: object) -> None:
            if name.endswith("/global_descriptor") and isinstance(item, h5py.Dataset):
                names.append(name.removesuffix("/global_descriptor"))

        file.visititems(visit)
        if not names:
            raise VprError(f"{path}: holds no dataset called global_descriptor, which hloc writes for each image")
        rows = [np.asarray(file[name]["global_descriptor"], np.float32).ravel() for name in names]
    if len({len(row) for row in rows}) != 1:
        raise VprError(f"{path}: its descriptors have different lengths")
    return np.stack(rows), names


def _match(names: list[str], frames: Sequence[Frame]) -> dict[str, int]:
    """Frame label -> row. A name matches if it is the label or the end of the image's path (whole folders, suffix ignored); else if
    its file name is the frame's and both are unique."""
    whole: dict[tuple[str, ...], int] = {}
    for at, name in enumerate(names):
        whole.setdefault(
            _parts(name), at
        )  # of shards with an image in both splits the database's row, which has the views
    by_file: dict[str, list[int]] = {}
    for parts, named_row in whole.items():
        by_file.setdefault(parts[-1], []).append(named_row)
    frames_by_file = Counter(_parts(frame.label)[-1] for frame in frames)
    rows: dict[str, int] = {}
    for frame in frames:
        label = _parts(frame.label)
        ends = [label, *_ends(_parts(str(frame.path)) if frame.path else ())]
        row = next((whole[end] for end in ends if end in whole), None)
        same_file = by_file.get(label[-1], [])
        if row is None and len(same_file) == 1 and frames_by_file[label[-1]] == 1:
            row = same_file[0]
        if row is not None:
            rows[frame.label] = row
    return rows


def _parts(name: str) -> tuple[str, ...]:
    path = PurePosixPath(name)
    return (path.with_suffix("") if path.name else path).parts or ("",)


def _ends(parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """All ends of a path with at least one folder, longest first."""
    return (parts[at:] for at in range(len(parts) - 1))
