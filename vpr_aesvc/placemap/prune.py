"""A smaller map of the same area. The loss of recall is measured on the map itself.

A place may be removed if a kept place *covers* it: the kept place is near (within ``radius`` meters and 45 degrees of heading; without
poses, within three places along the traverse) and the cosine of their descriptors is at least a level. A lower level keeps fewer
places; the level is found by bisection.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, product

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.index import PlaceIndex
from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.transforms import heading
from vpr_aesvc.types import Place, Pose, Progress

_HEADING = math.radians(45)
_NEIGHBORS = 3  # places along the traverse that are near, without poses
_MOST_QUERIES = 2000
_STEPS = 12  # of the bisection
_RADIUS_STEPS = 3.0  # the default radius, in median distances between consecutive places


@dataclass(frozen=True)
class Pruned:
    """Which places are kept, and the loss.

    Attributes:
        kept: ids, ascending. removed: number of places removed.
        level: lowest cosine between a removed place and the one that covers it.
        radius: meters, None without poses.
        asked: number of removed places used as queries. The query and its neighbors along the traverse are left out of the map,
            because another visit's image is less similar to a place than the next frame is. Places covered by such a neighbor are
            not used.
        right_before, right_after: number of queries whose best match is near, in the whole and in the pruned map.
        loss: fraction of ``right_before`` that is lost.
    """

    kept: NDArray[np.int64]
    removed: int
    level: float
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
    pruner = _Pruner(ids, descriptors, _Neighborhood(places, radius or _default_radius(places)))
    radius = pruner.neighborhood.radius
    steps = count(1)

    def measure(level: float) -> Pruned:
        if progress:
            progress(next(steps), _STEPS + 1)
        return pruner.prune_at(level)

    def fits(result: Pruned) -> bool:
        return result.loss <= max_loss if most is None else len(result.kept) <= most

    fewest = measure(-1.0)
    if most is None:
        if fits(fewest):
            return fewest
        best = Pruned(ids, 0, 1.0, radius, 0, 0, 0)
    else:
        best = fewest
        if not fits(fewest):
            raise VprError(
                f"at least {len(fewest.kept)} places must stay for every place to have one within "
                f"{f'{radius:.2f} m' if radius else f'{_NEIGHBORS} places along its traverse'}; raise --places or --radius"
            )
    low, high = -1.0, 1.0
    for _ in range(_STEPS):
        level = (low + high) / 2
        result = measure(level)
        if fits(result):
            best = result
        # The level rises if more places may be kept (most), or must be kept (max_loss).
        low, high = (level, high) if fits(result) == (most is not None) else (low, level)
    return best


class _Neighborhood:
    """Which places are near each other."""

    def __init__(self, places: list[Place], radius: float | None) -> None:
        self.poses: list[Pose | None] = [place.pose for place in places]
        self.radius = radius
        lengths: dict[str, int] = defaultdict(int)
        self._order = []  # of each row: traverse and position along it
        for place in places:
            self._order.append((place.traverse, lengths[place.traverse]))
            lengths[place.traverse] += 1
        self._rows = {order: row for row, order in enumerate(self._order)}

    def adjacent(self, row: int) -> list[int]:
        """The row, and those before and after it along its traverse."""
        traverse, at = self._order[row]
        return [self._rows[traverse, other] for other in (at - 1, at, at + 1) if (traverse, other) in self._rows]

    def cell(self, row: int) -> tuple[object, ...]:
        """Places near each other are in the same or in neighboring cells."""
        pose = self.poses[row]
        if pose is None or self.radius is None:
            traverse, at = self._order[row]
            return traverse, at // (_NEIGHBORS + 1), 0
        return "", math.floor(pose.x / self.radius), math.floor(pose.y / self.radius)

    def cells_around(self, row: int) -> Iterator[tuple[object, ...]]:
        name, x, y = self.cell(row)
        for dx, dy in product((-1, 0, 1), repeat=2):
            yield name, x + dx, y + dy  # type: ignore[operator]

    def is_near(self, row: int, other: int | None) -> bool:
        if other is None:
            return False
        a, b = self.poses[row], self.poses[other]
        if a is None or b is None or self.radius is None:
            (traverse, at), (other_traverse, other_at) = self._order[row], self._order[other]
            return traverse == other_traverse and abs(at - other_at) <= _NEIGHBORS
        turn = abs((heading(a) - heading(b) + math.pi) % (2 * math.pi) - math.pi)
        return math.hypot(a.x - b.x, a.y - b.y) <= self.radius and turn <= _HEADING


class _Pruner:
    """Prunes at a given level, and measures the loss."""

    def __init__(self, ids: NDArray[np.int64], descriptors: NDArray[np.float16], neighborhood: _Neighborhood) -> None:
        self.ids = ids
        self.descriptors = descriptors.astype(np.float32)
        self.neighborhood = neighborhood
        self.index = PlaceIndex(descriptors.shape[1])
        self.index.add(descriptors)

    def prune_at(self, level: float) -> Pruned:
        near = self.neighborhood
        covers = self._covers(level)
        kept = covers == np.arange(len(self.ids))
        removed = np.flatnonzero(~kept)
        queries = np.array([row for row in removed if covers[row] not in near.adjacent(int(row))], np.int64)
        if len(queries) > _MOST_QUERIES:
            queries = queries[np.linspace(0, len(queries) - 1, _MOST_QUERIES).astype(np.int64)]
        right_before = right_after = 0
        for row in queries.tolist():
            allowed = np.ones(len(self.ids), bool)
            allowed[near.adjacent(row)] = False
            right_before += near.is_near(row, self._best_match(row, allowed))
            right_after += near.is_near(row, self._best_match(row, allowed & kept))
        return Pruned(
            kept=self.ids[kept],
            removed=len(removed),
            level=level,
            radius=near.radius,
            asked=len(queries),
            right_before=right_before,
            right_after=right_after,
        )

    def _covers(self, level: float) -> NDArray[np.int64]:
        """int64 [n]: the row that covers each row; a kept row covers itself. Of rows that cover each other, the first is kept."""
        near = self.neighborhood
        cells: dict[tuple[object, ...], list[int]] = defaultdict(list)
        covers = np.arange(len(self.ids))
        for row, descriptor in enumerate(self.descriptors):
            kept = [
                other for cell in near.cells_around(row) for other in cells.get(cell, ()) if near.is_near(row, other)
            ]
            if kept:
                cosines = self.descriptors[kept] @ descriptor
                best = int(cosines.argmax())
                if cosines[best] >= level:
                    covers[row] = kept[best]
                    continue
            cells[near.cell(row)].append(row)
        return covers

    def _best_match(self, row: int, allowed: NDArray[np.bool_]) -> int | None:
        match = int(self.index.search(self.descriptors[row][None], 1, allowed=allowed)[1][0, 0])
        return None if match < 0 else match


def _default_radius(places: list[Place]) -> float | None:
    last: dict[str, Pose] = {}
    steps = []
    for place in places:
        if place.pose:
            if before := last.get(place.traverse):
                steps.append(math.hypot(place.pose.x - before.x, place.pose.y - before.y))
            last[place.traverse] = place.pose
    moving = [step for step in steps if step > 0]
    return _RADIUS_STEPS * float(np.median(moving)) if moving else None
