"""A smaller map that still covers the same ground, and what that costs, measured on the map itself.

A place may go when a place that stays *covers* it: it lies near (within ``radius`` meters and 45 degrees of heading, or within
three places along the traverse where there are no poses) and its descriptor is at least as similar as a level. The level is
what is searched for: the lower, the fewer places stay.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.index import PlaceIndex
from vpr_aesvc.placemap.placemap import PlaceMap
from vpr_aesvc.types import Place, Pose

_HEADING = math.radians(45)
_ALONG = 3  # places, without poses
_ASKED = 2000  # removed places that are asked for, to measure recall
_STEPS = 12  # halvings of the range of similarity levels
_STRIDES = 3.0  # the default radius, in median distances between consecutive places


@dataclass(frozen=True)
class Pruned:
    """Which places stay, and the cost.

    Attributes:
        kept: ids, rising. removed: how many go.
        level: cosine of the least similar place that was let go with the one that covers it.
        radius: meters, None without poses.
        asked: how many of the removed places were asked for, as if they were new images. They and the places next to them along
            the traverse are left out of the map then: another visit's image is less like a place than the next frame is. Places
            that are covered by the very next one are therefore not asked for.
        right_before, right_after: for how many of them the best match lies near, in the whole map and in the pruned one.
        loss: the part of the right answers that is lost.
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


class _Ground:
    """Who lies near whom."""

    def __init__(self, places: list[Place], radius: float | None) -> None:
        self.poses: list[Pose | None] = [place.pose for place in places]
        self.radius = radius
        along: dict[str, int] = defaultdict(int)
        self.order = []
        for place in places:
            self.order.append((place.traverse, along[place.traverse]))
            along[place.traverse] += 1
        self.rows = {where: row for row, where in enumerate(self.order)}

    def next_to(self, at: int) -> list[int]:
        """The row, and those before and after it along its traverse."""
        traverse, position = self.order[at]
        return [self.rows[traverse, p] for p in (position - 1, position, position + 1) if (traverse, p) in self.rows]

    def cell(self, at: int) -> tuple[object, ...]:
        """Places near each other lie in the same or in neighboring cells."""
        pose = self.poses[at]
        if pose is None or self.radius is None:
            traverse, position = self.order[at]
            return traverse, position // (_ALONG + 1), 0
        return "", math.floor(pose.x / self.radius), math.floor(pose.y / self.radius)

    def cells_around(self, at: int) -> Iterator[tuple[object, ...]]:
        name, x, y = self.cell(at)
        for dx, dy in product((-1, 0, 1), repeat=2):
            yield name, x + dx, y + dy  # type: ignore[operator]

    def is_near(self, a: int, b: int | None) -> bool:
        if b is None:
            return False
        one, other = self.poses[a], self.poses[b]
        if one is None or other is None or self.radius is None:
            return self.order[a][0] == self.order[b][0] and abs(self.order[a][1] - self.order[b][1]) <= _ALONG
        turn = abs((heading(one) - heading(other) + math.pi) % (2 * math.pi) - math.pi)
        return math.hypot(one.x - other.x, one.y - other.y) <= self.radius and turn <= _HEADING


def prune(
    place_map: PlaceMap,
    most: int | None = None,
    max_loss: float = 0.01,
    radius: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Pruned:
    """Chooses the places to keep; changes nothing.

    Args:
        most: keep at most so many; by default as few as ``max_loss`` allows.
        max_loss: recall that may be lost, as :attr:`Pruned.loss`.
        radius: meters within which a place covers another; by default three times the median distance of consecutive places.

    Raises:
        VprError: ``most`` is fewer than this radius leaves, or the map is damaged.
    """
    with place_map.snapshot():
        places = list(place_map.places().values())
        ids, stored = place_map.descriptors()
    descriptors = stored.astype(np.float32)
    index = PlaceIndex(place_map.dim)
    index.add(stored)
    if len(places) < 2:
        raise VprError(f"{place_map.path}: holds {len(places)} places; there is nothing to prune")
    if radius is not None and not 1e-3 <= radius < math.inf:
        raise VprError(f"the radius must be a millimeter or more, found {radius} m")
    ground = _Ground(places, radius or _usual_radius(places))
    done = 0

    def at(level: float) -> Pruned:
        nonlocal done
        done += 1
        if progress:
            progress(done, _STEPS + 1)
        return _measure(index, ids, descriptors, _covers(ground, descriptors, level), ground, level)

    def fits(found: Pruned) -> bool:
        return found.loss <= max_loss if most is None else len(found.kept) <= most

    best = at(-1.0)  # the fewest that can stay
    if most is None and fits(best):
        return best
    if most is not None and not fits(best):
        raise VprError(
            f"at least {len(best.kept)} places must stay for every place to have one within "
            f"{f'{ground.radius:.2f} m' if ground.radius else f'{_ALONG} places along its traverse'}; "
            "allow more, or a larger radius"
        )
    if most is None:
        best = Pruned(ids, 0, 1.0, ground.radius, 0, 0, 0)
    low, high = -1.0, 1.0
    for _ in range(_STEPS):
        level = (low + high) / 2
        found = at(level)
        if fits(found):
            best = found
        # Up where more may stay, and where more has to.
        low, high = (level, high) if fits(found) == (most is not None) else (low, level)
    return best


def _covers(ground: _Ground, descriptors: NDArray[np.float32], level: float) -> NDArray[np.int64]:
    """int64 [n]: the row that covers each row; a row that stays covers itself. In the order of driving, the first stays."""
    cells: dict[tuple[object, ...], list[int]] = defaultdict(list)
    covers = np.arange(len(descriptors))
    for at in range(len(descriptors)):
        near = [other for cell in ground.cells_around(at) for other in cells.get(cell, ()) if ground.is_near(at, other)]
        if near:
            cosines = descriptors[near] @ descriptors[at]
            closest = int(cosines.argmax())
            if cosines[closest] >= level:
                covers[at] = near[closest]
                continue
        cells[ground.cell(at)].append(at)
    return covers


def _measure(
    index: PlaceIndex,
    ids: NDArray[np.int64],
    descriptors: NDArray[np.float32],
    covers: NDArray[np.int64],
    ground: _Ground,
    level: float,
) -> Pruned:
    every = np.arange(len(ids))
    gone = np.flatnonzero(covers != every)
    asked = np.array([at for at in gone if covers[at] not in ground.next_to(int(at))], np.int64)
    if len(asked) > _ASKED:
        asked = asked[np.linspace(0, len(asked) - 1, _ASKED).astype(np.int64)]
    before = after = 0
    stays = covers == every
    for at in asked:
        others = np.ones(len(ids), bool)
        others[ground.next_to(int(at))] = False
        before += ground.is_near(int(at), _best(index, descriptors[at], others))
        after += ground.is_near(int(at), _best(index, descriptors[at], others & stays))
    return Pruned(ids[stays], len(gone), level, ground.radius, len(asked), before, after)


def _best(index: PlaceIndex, descriptor: NDArray[np.float32], allowed: NDArray[np.bool_]) -> int | None:
    """The row of the most similar of the allowed places, None where none is."""
    row = int(index.search(descriptor[None], 1, allowed=allowed)[1][0, 0])
    return None if row < 0 else row


def heading(pose: Pose) -> float:
    """Rotation about the z axis, radians."""
    return math.atan2(2 * (pose.qw * pose.qz + pose.qx * pose.qy), 1 - 2 * (pose.qy**2 + pose.qz**2))


def _usual_radius(places: list[Place]) -> float | None:
    last: dict[str, Pose] = {}
    steps = []
    for place in places:
        if place.pose:
            if before := last.get(place.traverse):
                steps.append(math.hypot(place.pose.x - before.x, place.pose.y - before.y))
            last[place.traverse] = place.pose
    driven = [step for step in steps if step > 0]
    return _STRIDES * float(np.median(driven)) if driven else None
