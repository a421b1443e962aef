"""What ``vpr map info`` prints."""

from dataclasses import dataclass

import numpy as np

from vpr_aesvc.placemap.cameras import Camera
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.placemap.traverses import Traverse

_DESCRIPTION = ("dim", "sizes", "model_fingerprint", "model_family", "model_precision", "created", "size_bytes")


@dataclass(frozen=True)
class TraverseInfo:
    """``meters``: length of the driven path, None without poses. ``cameras``: by name, those that are known."""

    traverse: Traverse
    places: int
    meters: float | None
    cameras: dict[str, Camera]


@dataclass(frozen=True)
class MapInfo:
    """``size_bytes``: on disk; ``memory_bytes``: of the search arrays; ``bounds``: (x min, y min, x max, y max), meters;
    ``with_patches``: places that have patches; ``patch_bytes``: of all patches."""

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
    with_patches: int
    patch_bytes: int


def map_info(place_map: OpenMap) -> MapInfo:
    """Counts, bounds and origin of a map. Reads all descriptors and raises VprError if the map is damaged."""
    traverses, cameras = place_map.traverses(), place_map.cameras()
    with_patches, patch_bytes = place_map.patch_sizes()
    with place_map.arrays() as arrays:
        alive = arrays.alive
        counts = dict(zip(*np.unique(arrays.traverses[alive], return_counts=True), strict=True))
        positions = arrays.positions[alive & ~np.isnan(arrays.positions[:, 0])]
        odometers = {traverse.id: arrays.odometer(traverse.id) for traverse in traverses.values()}
        memory = arrays.nbytes
    bounds = (*positions[:, :2].min(0).tolist(), *positions[:, :2].max(0).tolist()) if len(positions) else None
    infos = []
    for one in traverses.values():
        (meters, position), count = odometers[one.id], int(counts.get(one.id, 0))
        seen = {name: camera for (of, name), camera in cameras.items() if of == one.name}
        infos.append(TraverseInfo(one, count, None if position is None else meters, seen))
    return MapInfo(
        path=str(place_map.path),
        places=len(place_map),
        traverses=infos,
        with_pose=len(positions),
        bounds=bounds,
        model_path=str(place_map.model_path),
        **{name: getattr(place_map, name) for name in _DESCRIPTION},
        memory_bytes=memory,
        with_patches=with_patches,
        patch_bytes=patch_bytes,
    )
