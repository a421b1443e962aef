"""A map as one ``.npz`` file of plain arrays, for other programs. Ids and learned parameters are not exported."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.files import check_free
from vpr_aesvc.placemap.database import new_file
from vpr_aesvc.placemap.placemap import PlaceMap

_FORMAT = "vpr_aesvc map 1"


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
        meta, descriptors = place_map.meta, place_map.descriptors()[1]
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
