"""A map as one ``.npz`` of plain arrays, for other programs, and back. Lost are the ids, and what recognition learned."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
from vpr_aesvc.placemap import writes
from vpr_aesvc.placemap.copies import new_file
from vpr_aesvc.placemap.description import Description
from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.placemap.scan import DESCRIPTOR
from vpr_aesvc.types import Frame, Pose

_FORMAT = "vpr_aesvc map 1"
_BATCH = 1000
_UNREADABLE = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, MemoryError),
    *(NotImplementedError, RecursionError, zipfile.BadZipFile, zlib.error),
)  # what numpy, zipfile and json raise for files that are something else


def write_npz(place_map: PlaceMap, path: Path) -> None:
    """Writes all places.

    Arrays: ``descriptors`` float16 [n, d_max]; ``stamps`` float64 [n]; ``poses`` float64 [n, 7], x y z qx qy qz qw, NaN where
    unknown; ``labels``, ``paths``, ``extra`` (JSON), ``traverse`` (its name) as text [n]; ``thumbnails`` uint8, all JPEGs
    behind each other, ``thumbnail_ends`` int64 [n]; ``traverses`` and ``meta`` as JSON texts.

    Raises:
        VprError: the map is damaged, the path exists, or the disk refuses.
    """
    check_free(path, "archive")
    with place_map.snapshot():  # a robot may go on writing
        places = place_map.places()
        jpegs = [place_map.thumbnail_jpeg(place) or b"" for place in places]
        described = place_map.traverses().values()
        meta, descriptors = place_map.meta, place_map.descriptors()[1]
    every = places.values()
    traverses = [[one.name, one.started, one.robot, one.notes] for one in described]
    arrays: dict[str, NDArray[Any]] = {
        "format": np.array(_FORMAT),
        "meta": np.array(json.dumps(meta)),
        "traverses": np.array(json.dumps(traverses)),
        "descriptors": descriptors,
        "stamps": np.array([np.nan if one.stamp is None else one.stamp for one in every], np.float64),
        "poses": np.array([one.pose.as_tuple() if one.pose else (np.nan,) * 7 for one in every]).reshape(-1, 7),
        "labels": np.array([one.label for one in every], np.str_),
        "paths": np.array([one.path or "" for one in every], np.str_),
        "traverse": np.array([one.traverse for one in every], np.str_),
        "extra": np.array([json.dumps(dict(one.extra)) for one in every], np.str_),
        "thumbnails": np.frombuffer(b"".join(jpegs), np.uint8),
        "thumbnail_ends": np.cumsum([len(jpeg) for jpeg in jpegs], dtype=np.int64),
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        partial.rename(path)
    except OSError as error:
        raise VprError(f"{path}: the archive cannot be written ({error.strerror or error})") from error
    finally:
        partial.unlink(missing_ok=True)


def read_npz(path: Path, output: Path) -> int:
    """Makes the map ``output`` of what :func:`write_npz` wrote, or another program in the same form; returns how many places.

    Raises:
        VprError: not such an archive, arrays that do not fit together, or the output exists.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if str(arrays["format"]) != _FORMAT:
            raise VprError(f"{path}: expected format {_FORMAT!r}, found {str(arrays['format'])[:40]!r}")
        meta = {key: str(value) for key, value in json.loads(str(arrays["meta"])).items() if key != "checksum"}
        traverses = json.loads(str(arrays["traverses"]))
        descriptors = np.asarray(arrays["descriptors"], DESCRIPTOR)
        frames = _frames(arrays)
        ends = arrays["thumbnail_ends"].astype(np.int64)
        pictures = arrays["thumbnails"].astype(np.uint8).tobytes()
        if any(len(one) != 4 or not isinstance(one[0], str) for one in traverses):
            raise ValueError("traverses are not (name, start, robot, notes)")
        said = Description(path, {"created": "", **meta})
        if (
            descriptors.ndim != 2
            or said.dim != descriptors.shape[1]
            or not all(0 < size <= said.dim for size in said.sizes)
        ):
            raise ValueError("the sizes are not those of the descriptors")
        if len(ends) and (np.diff(ends, prepend=0).min() < 0 or ends[-1] != len(pictures)):
            raise ValueError("thumbnail_ends do not rise to the length of thumbnails")
    except _UNREADABLE as error:
        raise VprError(f"{path}: not an archive that `vpr map export` wrote ({error})") from error
    if len(descriptors) != len(frames) or ends.shape != (len(frames),):
        raise VprError(
            f"{path}: {len(frames)} labels, {len(descriptors)} descriptors and {len(ends)} thumbnails do not fit together"
        )
    writes.check_descriptors(descriptors, len(frames), descriptors.shape[1])
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    jpegs = [pictures[start:end] or None for start, end in zip(starts, ends, strict=True)]
    with new_file(output) as partial, PlaceMap.create_like(partial, meta) as place_map:
        for name, started, robot, notes in traverses:
            place_map.start_traverse(name, started, robot, notes)
        for at in range(0, len(frames), _BATCH):
            part = slice(at, at + _BATCH)
            place_map.add_stored(frames[part], descriptors[part], jpegs[part])
    return len(frames)


def _frames(arrays: dict[str, NDArray[Any]]) -> list[Frame]:
    columns = (arrays[name] for name in ("labels", "paths", "stamps", "poses", "traverse", "extra"))
    return [
        Frame(
            label=str(label),
            path=Path(str(image)) if str(image) else None,
            stamp=None if np.isnan(stamp) else float(stamp),
            pose=None if np.isnan(pose[0]) else Pose(*map(float, pose)),
            sequence=str(traverse),
            extra={str(key): str(value) for key, value in json.loads(str(extra)).items()},
        )
        for label, image, stamp, pose, traverse, extra in zip(*columns, strict=True)
    ]
