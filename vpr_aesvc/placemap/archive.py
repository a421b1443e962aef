"""A map as one ``.npz`` file of plain arrays, for other programs, and back. Ids, learned parameters and patches are not exported."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free, read_arrays
from vpr_aesvc.placemap.database import new_file
from vpr_aesvc.placemap.description import Description
from vpr_aesvc.placemap.place_table import DESCRIPTOR, check_descriptors
from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.types import Frame, Pose

_FORMAT = "vpr_aesvc map 1"
_BATCH = 1000


def write_npz(place_map: PlaceMap, path: Path) -> None:
    """Writes all places.

    Arrays: ``descriptors`` float16 [n, d_max]; ``stamps`` float64 [n], NaN if unknown; ``poses`` float64 [n, 7], x y z qx qy qz qw,
    NaN if unknown; ``labels``, ``paths``, ``extra`` (JSON), ``traverse`` (its name) as text [n]; ``thumbnails`` uint8, all JPEGs
    concatenated, and ``thumbnail_ends`` int64 [n]; ``traverses`` and ``meta`` as JSON text.

    Raises:
        VprError: the map is damaged, the path exists, or the disk refuses.
    """
    check_free(path, "archive")
    with place_map.snapshot():  # a robot may write meanwhile
        by_id = place_map.places()
        jpegs = [place_map.thumbnail_jpeg(place) or b"" for place in by_id]
        traverses = [[one.name, one.started, one.robot, one.notes] for one in place_map.traverses().values()]
        meta = {key: text for key, text in place_map.meta.items() if key != "patches"}
        descriptors = place_map.descriptors()[1]
    places = by_id.values()
    arrays: dict[str, NDArray[Any]] = {
        "format": np.array(_FORMAT),
        "meta": np.array(json.dumps(meta)),
        "traverses": np.array(json.dumps(traverses)),
        "descriptors": descriptors,
        "stamps": np.array([np.nan if place.stamp is None else place.stamp for place in places], np.float64),
        "poses": np.array([place.pose.as_tuple() if place.pose else (np.nan,) * 7 for place in places]).reshape(-1, 7),
        "labels": np.array([place.label for place in places], np.str_),
        "paths": np.array([place.path or "" for place in places], np.str_),
        "traverse": np.array([place.traverse for place in places], np.str_),
        "extra": np.array([json.dumps(dict(place.extra)) for place in places], np.str_),
        "thumbnails": np.frombuffer(b"".join(jpegs), np.uint8),
        "thumbnail_ends": np.cumsum([len(jpeg) for jpeg in jpegs], dtype=np.int64),
    }
    with new_file(path, "archive") as partial, partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_npz(path: Path, output: Path) -> int:
    """Makes the map ``output`` from an archive of ``write_npz`` or of another program; returns the number of places.

    Raises:
        VprError: not such an archive, arrays of different lengths, or the output exists.
    """
    try:
        arrays = read_arrays(path)
        if str(arrays["format"]) != _FORMAT:
            raise VprError(f"{path}: expected format {_FORMAT!r}, found {str(arrays['format'])[:40]!r}")
        meta = {key: str(value) for key, value in json.loads(str(arrays["meta"])).items() if key != "checksum"}
        traverses = json.loads(str(arrays["traverses"]))
        descriptors = np.asarray(arrays["descriptors"], DESCRIPTOR)
        frames = _frames(arrays)
        jpegs = _jpegs(arrays)
        if any(len(one) != 4 or not isinstance(one[0], str) for one in traverses):
            raise ValueError("traverses are not (name, start, robot, notes)")
        described = Description(path, {"created": "", **meta})
        if descriptors.shape[1:] != (described.dim,) or not all(0 < size <= described.dim for size in described.sizes):
            raise ValueError("the sizes do not fit the descriptors")
    except VprError:
        raise
    except Exception as error:  # numpy, zipfile and json raise many kinds for files of another format
        raise VprError(f"{path}: not an archive that `vpr map export` wrote ({error})") from error
    if not len(descriptors) == len(frames) == len(jpegs):
        raise VprError(
            f"{path}: expected arrays of one length, found {len(frames)} labels, {len(descriptors)} descriptors and "
            f"{len(jpegs)} thumbnails; export the map again"
        )
    check_descriptors(descriptors, len(frames), descriptors.shape[1])
    with new_file(output) as partial, PlaceMap.create_like(partial, meta) as place_map:
        for name, started, robot, notes in traverses:
            place_map.start_traverse(name, started, robot, notes)
        for start in range(0, len(frames), _BATCH):
            batch = slice(start, start + _BATCH)
            place_map.add_stored(frames[batch], descriptors[batch], jpegs[batch])
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


def _jpegs(arrays: dict[str, NDArray[Any]]) -> list[bytes | None]:
    ends = arrays["thumbnail_ends"].astype(np.int64)
    content = arrays["thumbnails"].astype(np.uint8).tobytes()
    if ends.ndim != 1 or (len(ends) and (np.diff(ends, prepend=0).min() < 0 or ends[-1] != len(content))):
        raise ValueError("thumbnail_ends do not ascend to the length of thumbnails")
    return [content[start:end] or None for start, end in zip([0, *ends], ends, strict=False)]
