"""What ``vpr map info`` prints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.placemap.traverses import Traverse


@dataclass(frozen=True)
class TraverseInfo:
    """``meters``: driven along its poses, None without any."""

    traverse: Traverse
    places: int
    meters: float | None


@dataclass(frozen=True)
class MapInfo:
    """``size_bytes`` is the file's, ``memory_bytes`` what search holds of it; ``bounds`` is (x min, y min, x max, y max) in meters."""

    path: str
    places: int
    traverses: list[TraverseInfo]
    with_pose: int
    bounds: tuple[float, float, float, float] | None
    dim: int
    sizes: tuple[int, ...]
    model_fingerprint: str
    model_family: str
    model_precision: str
    model_path: str
    created: str
    size_bytes: int
    memory_bytes: int


def map_info(place_map: PlaceMap) -> MapInfo:
    """Counts, bounds and origin of a map. Reads, and so checks, all descriptors.

    Raises:
        VprError: the map is damaged.
    """
    traverses = place_map.traverses()
    with place_map.loaded() as loaded:
        alive = loaded.alive
        counts = dict(zip(*np.unique(loaded.traverses[alive], return_counts=True), strict=True))
        known = loaded.positions[alive & ~np.isnan(loaded.positions[:, 0])]
        described = [
            TraverseInfo(one, int(counts.get(one.id, 0)), None if (way := loaded.driven(one.id))[1] is None else way[0])
            for one in traverses.values()
        ]
        memory = loaded.nbytes
    bounds = (*known[:, :2].min(0).tolist(), *known[:, :2].max(0).tolist()) if len(known) else None
    log = place_map.path.with_name(place_map.path.name + "-wal")
    return MapInfo(
        path=str(place_map.path),
        places=len(place_map),
        traverses=described,
        with_pose=len(known),
        bounds=bounds,
        dim=place_map.dim,
        sizes=place_map.sizes,
        model_fingerprint=place_map.model_fingerprint,
        model_family=place_map.model_family,
        model_precision=place_map.model_precision,
        model_path=str(place_map.model_path),
        created=place_map.created,
        size_bytes=place_map.path.stat().st_size + (log.stat().st_size if log.exists() else 0),
        memory_bytes=memory,
    )
