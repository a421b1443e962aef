"""Embeddings of many images in a folder of shards, which are read piece by piece.

``shards.json`` tells how they were made. A shard is a safetensors file: ``embeddings`` float32 [k, D], unit norm, and their moments
``mean`` [D] and ``covariance`` [D, D], float64; ``views`` float32 [m, D] of the frames ``view_rows`` int64 [m]; ``frames`` is JSON in
UTF-8, without the images.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vpr_aesvc.errors import VprError, first_line
from vpr_aesvc.files import write_file
from vpr_aesvc.types import Floats, Frame, Pose, Rows

MANIFEST = "shards.json"
_KEPT = ("label", "stamp", "sequence", "index", "category", "extra")  # of a frame, beside its pose


class Part(BaseModel):
    """A shard: the split of its frames, and how many there are in the input. Unreadable ones are missing in the shard."""

    model_config = ConfigDict(extra="forbid")
    split: str | None
    frames: int = Field(ge=1)


class ShardsManifest(BaseModel):
    """``shards.json``."""

    model_config = ConfigDict(extra="forbid")
    format: Literal["vpr_aesvc shards"] = "vpr_aesvc shards"
    version: Literal[1] = 1
    spec: str = Field(description="opens the backbone")
    fingerprint: str = Field(description="of the backbone")
    preprocessing: str
    dim: int = Field(ge=1)
    views: int = Field(ge=0, description="augmented views of each frame that has some")
    seed: int
    input: str = Field(description="fingerprint of the names of all frames, in order")
    shards: list[Part] = Field(min_length=1)


def is_shards(path: Path) -> bool:
    return (path / MANIFEST).is_file()


def read_shards_manifest(path: Path) -> ShardsManifest:
    """Raises VprError: no folder of shards, or ``shards.json`` is damaged or of a newer version."""
    if not is_shards(path):
        raise VprError(
            f"{path}: not a folder of shards (no {MANIFEST}); make one with `vpr extract INPUT -o {path.name}`"
        )
    try:
        return ShardsManifest.model_validate_json((path / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise VprError(
            f"{path / MANIFEST}: cannot be read ({first_line(error)}); extract again to another folder"
        ) from error


def shard_path(folder: Path, at: int) -> Path:
    return folder / f"{at:05}.safetensors"


def write_shard(path: Path, frames: Sequence[Frame], skipped: list[str], **arrays: NDArray[Any]) -> None:
    """Writes a shard, whole or not at all. ``skipped``: a line for each frame that was left out. Raises VprError if the disk refuses."""
    from safetensors.numpy import save

    rows = [{name: value for name in _KEPT if (value := getattr(one, name)) not in (None, {})} for one in frames]
    for row, frame in zip(rows, frames, strict=True):
        row |= {"pose": frame.pose.as_tuple()} if frame.pose else {}
    arrays["frames"] = np.frombuffer(json.dumps(rows).encode(), np.uint8)
    write_file(path, save(arrays, {"skipped": json.dumps(skipped)}), "shard")


class Shards:
    """An open folder of shards: its embeddings like an array float32 [n, D], unit norm, of which only the rows that are asked for are in memory.

    Args:
        split: only the shards of this split, and those of an input without splits.

    Raises:
        VprError: here or when rows are read: not a folder of shards, not complete, or damaged.
    """

    ndim, dtype = 2, np.dtype(np.float32)

    def __init__(self, path: Path | str, split: str | None = None) -> None:
        self.path = Path(path).expanduser()
        self.manifest = read_shards_manifest(self.path)
        every = [shard_path(self.path, at) for at in range(len(self.manifest.shards))]
        missing = sum(not file.is_file() for file in every)
        if missing:
            advice = "run the same `vpr extract` again, it goes on where it was"
            raise VprError(f"{self.path}: {missing} of {len(every)} shards are missing; {advice}")
        used = [part.split in (None, split) or split is None for part in self.manifest.shards]
        self._files = [
            (file, part.split) for file, part, use in zip(every, self.manifest.shards, used, strict=True) if use
        ]
        self.skipped: list[str] = []
        counts = []
        if not self._files:
            raise VprError(f"{self.path}: holds no frames of split {split!r}")
        for path, _ in self._files:
            with _opened(path) as file:
                shape = file.get_slice("embeddings").get_shape()
                self.skipped += json.loads(file.metadata()["skipped"])
            if len(shape) != 2 or shape[1] != self.manifest.dim:
                raise VprError(
                    f"{path}: has embeddings of shape {shape}, {MANIFEST} says {self.manifest.dim} numbers each"
                )
            counts.append(shape[0])
        self._ends = np.cumsum(counts)
        self._rows: Rows = np.arange(sum(counts))

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), self.manifest.dim

    def __getitem__(self, rows: slice | Sequence[int] | Rows) -> NDArray[np.float32]:
        """Reads these rows, float32 [k, D]."""
        wanted = self._rows[rows]
        read = np.empty((len(wanted), self.manifest.dim), np.float32)
        for at, first, inside in self._located(wanted):
            local = wanted[inside] - first
            runs = np.split(local, np.flatnonzero(np.diff(local) != 1) + 1)
            with _opened(self._files[at][0]) as file:
                stored = file.get_slice("embeddings")
                read[inside] = np.concatenate([stored[int(run[0]) : int(run[-1]) + 1] for run in runs])
        return read

    def subset(self, rows: Rows) -> Shards:
        """The same shards with only these rows, in this order. Nothing is read."""
        part = object.__new__(Shards)
        part.__dict__ |= self.__dict__ | {"_rows": self._rows[rows]}
        return part

    def frames(self, rows: Rows | None = None) -> list[Frame]:
        """The frames of these ascending rows, by default of all, without images."""
        frames: list[Frame] = []
        wanted = self._rows if rows is None else self._rows[rows]
        for at, first, inside in self._located(wanted):
            path, split = self._files[at]
            with _opened(path) as file:
                listed = json.loads(file.get_tensor("frames").tobytes())
                for row in (wanted[inside] - first).tolist():
                    pose = listed[row].pop("pose", None)
                    frames.append(Frame(**listed[row], pose=pose and Pose(*pose), split=split))
        return frames

    def views(self) -> tuple[NDArray[np.float32], Rows]:
        """All augmented views: embeddings float32 [m, D] of unit norm, and the row of each one's frame, int64 [m]."""
        views, rows, first = [], [], 0
        for (path, _), end in zip(self._files, self._ends.tolist(), strict=True):
            with _opened(path) as file:
                views.append(file.get_tensor("views"))
                rows.append(file.get_tensor("view_rows") + first)
            first = end
        return np.concatenate(views), np.concatenate(rows)

    def moments(self) -> Iterator[tuple[int, Floats, Floats]]:
        """Of each shard the number of rows, their mean [D] and their covariance [D, D]."""
        for (path, _), count in zip(self._files, np.diff(self._ends, prepend=0).tolist(), strict=True):
            with _opened(path) as file:
                yield count, file.get_tensor("mean"), file.get_tensor("covariance")

    def _located(self, rows: Rows) -> Iterator[tuple[int, int, Rows]]:
        """Of each shard that holds some of these rows: its number, its first row, and where in ``rows`` its own are."""
        shard = np.searchsorted(self._ends, rows, side="right")
        for at in np.unique(shard).tolist():
            yield at, int(self._ends[at - 1]) if at else 0, np.flatnonzero(shard == at)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "np") as file:
            yield file
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, IndexError) as error:
        advice = "delete it and run the same `vpr extract` again"
        raise VprError(f"{path}: the shard is damaged ({first_line(error)}); {advice}") from error
