"""A smaller map of the same area. The loss of recall is measured on the map itself.

A place may be removed if a kept place *covers* it: the kept place is near (within ``radius`` meters and 45 degrees of heading; without
poses, within three places along the traverse) and the cosine of their descriptors is at least a level. A lower level keeps fewer
places; the level is found by bisection.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.transforms import heading
from vpr_aesvc.types import FARTHEST, Place, Progress, Rows

_HEADING = math.radians(45)
_NEIGHBORS = 3  # places along the traverse that are near, without poses
_MOST_QUERIES = 2000
_CHUNK = 256  # queries searched at once, to bound the memory
_STEPS = 12  # of the bisection
_RADIUS_STEPS = 3.0  # the default radius, in median distances between consecutive places


@dataclass(frozen=True)
class Pruned:
    """Which places are kept, and the loss.

    Attributes:
        kept: ids, ascending. removed: number of places removed.
        radius: meters, None without poses.
        asked: number of removed places used as queries. The query and its neighbors along the traverse are left out of the map,
            because another visit's image is less similar to a place than the next frame is. Places covered by such a neighbor are
            not used.
        right_before, right_after: number of queries whose best match is near, in the whole and in the pruned map.
        loss: fraction of ``right_before`` that is lost.
    """

    kept: NDArray[np.int64]
    removed: int
    radius: float | None
    asked: int
    right_before: int
    right_after: int

    @property
    def loss(self) -> float:
        return (self.right_before - self.right_after) / max(self.right_before, 1)


def prune(
    place_map: PlaceMap,
    most: int | None = None,
    max_loss: float = 0.01,
    radius: float | None = None,
    progress: Progress | None = None,
) -> Pruned:
    """Chooses the places to keep; does not change the map.

    Args:
        most: keep at most this many; by default as few as ``max_loss`` allows.
        max_loss: limit for ``Pruned.loss``.
        radius: meters within which a place covers another; by default three times the median distance of consecutive places.
        progress: called with (levels measured, levels).

    Raises:
        VprError: ``most`` is too low for this radius, fewer than two places, a radius below 1 mm, or a damaged map.
    """
    with place_map.snapshot():
        places = list(place_map.places().values())
        ids, descriptors = place_map.descriptors()
    if len(places) < 2:
        raise VprError(f"{place_map.path}: holds {len(places)} places; there is nothing to prune")
    if radius is not None and not 1e-3 <= radius < math.inf:
        raise VprError(f"the radius must be a millimeter or more, found {radius} m; raise --radius")
    pruner = _Pruner(places, ids, descriptors, radius)
    low, high = -1.0, 1.0
    best = fewest = pruner.prune_at(low)
    if most is not None and len(fewest.kept) > most:
        within = f"{pruner.radius:.2f} m" if pruner.radius else f"{_NEIGHBORS} places along its traverse"
        least = f"at least {len(fewest.kept)} places must stay"
        raise VprError(f"{least} for every place to have one within {within}; raise --places or --radius")
    if most is None:
        if fewest.loss <= max_loss:
            return fewest
        best = Pruned(ids, 0, pruner.radius, 0, 0, 0)
    for step in range(_STEPS):
        if progress:
            progress(step + 1, _STEPS)
        level = (low + high) / 2
        result = pruner.prune_at(level)
        fits = result.loss <= max_loss if most is None else len(result.kept) <= most
        best = result if fits else best
        # The level rises if more places may be kept (most), or must be kept (max_loss).
        low, high = (level, high) if fits == (most is not None) else (low, level)
    return best


class _Pruner:
    """Prunes at a given level, and measures the loss. ``near``: of each row, the rows of the places near it, ascending."""

    def __init__(self, places: list[Place], ids: Rows, descriptors: NDArray[np.float16], radius: float | None) -> None:
        self.ids = ids
        self.descriptors = descriptors.astype(np.float32)
        along: dict[str, list[int]] = defaultdict(list)  # rows by traverse
        for row, place in enumerate(places):
            along[place.traverse].append(row)
        xy = np.array([(place.pose.x, place.pose.y) if place.pose else (np.nan, np.nan) for place in places])
        steps = np.concatenate([np.linalg.norm(np.diff(xy[rows], axis=0), axis=1) for rows in along.values()])
        moving = steps[steps > 0]
        default = _RADIUS_STEPS * float(np.median(moving)) if len(moving) else None
        self.radius = radius or default
        reach = self.radius or 1.0
        headings = np.array([heading(place.pose) if place.pose else 0.0 for place in places])
        self.adjacent: list[list[int]] = [[]] * len(places)  # the row, and those before and after it along its traverse
        for number, rows in enumerate(along.values()):
            for at, row in enumerate(rows):
                self.adjacent[row] = rows[max(at - 1, 0) : at + 2]
                if np.isnan(xy[row, 0]) or self.radius is None:  # far from all poses, in steps along the traverse
                    xy[row], headings[row] = (at * reach / _NEIGHBORS, 2 * FARTHEST + number * 2 * reach), 0.0
        line = xy[:, np.ptp(xy, axis=0).argmax()]  # only places near each other along the longer axis are compared
        order = np.argsort(line)
        first, last = (np.searchsorted(line[order], line + side * reach * 1.001) for side in (-1, 1))
        self.near: list[Rows] = []
        for row, (begin, end) in enumerate(zip(first, last, strict=True)):
            rows_near = order[begin:end]
            turn = np.abs((headings[rows_near] - headings[row] + math.pi) % (2 * math.pi) - math.pi)
            distance = np.linalg.norm(xy[rows_near] - xy[row], axis=1)
            self.near.append(np.sort(rows_near[(distance <= reach * (1 + 1e-6)) & (turn <= _HEADING)]))

    def prune_at(self, level: float) -> Pruned:
        covers = self._covers(level)
        kept = covers == np.arange(len(self.ids))
        queries = np.array([row for row in np.flatnonzero(~kept) if covers[row] not in self.adjacent[row]], np.int64)
        if len(queries) > _MOST_QUERIES:
            queries = queries[np.linspace(0, len(queries) - 1, _MOST_QUERIES).astype(np.int64)]
        right = np.zeros(2, np.int64)
        for at in range(0, len(queries), _CHUNK):
            rows = queries[at : at + _CHUNK]
            similarities = self.descriptors[rows] @ self.descriptors.T
            for one, row in zip(similarities, rows, strict=True):
                one[self.adjacent[row]] = -np.inf
                right[0] += one.argmax() in self.near[row]
                right[1] += np.where(kept, one, -np.inf).argmax() in self.near[row]
        removed, (before, after) = int(np.sum(~kept)), right.tolist()
        return Pruned(self.ids[kept], removed, self.radius, len(queries), before, after)

    def _covers(self, level: float) -> Rows:
        """int64 [n]: the row that covers each row; a kept row covers itself. Of rows that cover each other, the first is kept."""
        covers = np.arange(len(self.ids))
        kept = np.zeros(len(self.ids), bool)
        for row, descriptor in enumerate(self.descriptors):
            near = self.near[row]
            near = near[kept[near]]
            cosines = self.descriptors[near] @ descriptor
            if len(near) and cosines.max() >= level:
                covers[row] = near[cosines.argmax()]
            else:
                kept[row] = True
        return covers
