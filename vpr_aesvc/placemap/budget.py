"""What a robot can afford, and which search that buys on this map: measured on the map itself, on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.codec import BYTES, Precision
from vpr_aesvc.placemap.funnel import SMALLEST
from vpr_aesvc.placemap.index import SHORTLIST, PlaceIndex
from vpr_aesvc.projections.artifact import unit

_ASKED = 500  # queries that recall is measured with
_TIMED = 30
_MIXED = 512  # places a change of view is mixed of
_SHORTLISTS = (200, SHORTLIST, 5000)
_SIMILARITY = (0.3, 0.5, 0.7)  # of another visit to its place, as measured on indoor images (docs/search.md)


@dataclass(frozen=True)
class Budget:
    """The most that one query may take, in milliseconds, and that descriptors and codes may fill, in megabytes (10^6 bytes).
    None is no limit."""

    ms: float | None = None
    mb: float | None = None


@dataclass(frozen=True)
class Plan:
    """One way to search a map, and what it costs.

    Attributes:
        size: components kept in memory.
        precision: of those.
        shortlist: places that the codes hand on; None is the exact search.
        ms: median time of one query.
        mb: memory of descriptors and codes, megabytes.
        recall: for what part of the queries it finds the place that exact search at full size finds.
    """

    size: int
    precision: Precision
    shortlist: int | None
    ms: float
    mb: float
    recall: float

    def __str__(self) -> str:
        how = "exact" if self.shortlist is None else f"shortlist {self.shortlist}"
        return (
            f"size {self.size} in {self.precision}, {how}: {self.ms:.2g} ms, {self.mb:.3g} MB, finds the same place as the full "
            f"search for {100 * self.recall:.1f} % of queries"
        )

    def fits(self, budget: Budget) -> bool:
        return (budget.ms is None or self.ms <= budget.ms) and (budget.mb is None or self.mb <= budget.mb)


def survey(
    descriptors: NDArray[np.floating],
    sizes: tuple[int, ...],
    queries: NDArray[np.floating],
    progress: Callable[[int, int], None] | None = None,
) -> list[Plan]:
    """Every way to search, measured. Takes a second for some 10,000 places, minutes for a million.

    Args:
        descriptors: float16 [n, d_max] of the map, unit norm.
        sizes: those that prefixes are valid for.
        queries: float32 [q, d_max], as :func:`sample_queries` makes them.
        progress: called with (sizes and precisions done, of).
    """
    dim = descriptors.shape[1]
    reference = PlaceIndex(dim)
    reference.add(descriptors)
    right = reference.search(queries, 1, exact=True)[1][:, 0]
    del reference
    plans = []
    kept = list(_kept(sizes, dim))
    for done, (size, precision) in enumerate(kept):
        if progress:
            progress(done, len(kept))
        index = PlaceIndex(dim, size, precision)
        index.add(descriptors)
        for shortlist in (None, *_SHORTLISTS):
            if shortlist is not None and (len(index) < SMALLEST or shortlist >= len(index) or size < 2):
                continue
            found = index.search(queries, 1, exact=shortlist is None, shortlist=shortlist)[1][:, 0]
            mb = index.nbytes / 1e6  # the exact search comes first, when there are no codes yet
            ms = _milliseconds(index, queries, shortlist)
            plans.append(Plan(size, precision, shortlist, ms, mb, float((found == right).mean())))
    if progress:
        progress(len(kept), len(kept))
    return plans


def choose(plans: list[Plan], budget: Budget) -> Plan:
    """The plan that finds most within the budget; of equal ones the quickest, then the smallest.

    Raises:
        VprError: nothing fits; says the least that would.
    """
    fitting = [plan for plan in plans if plan.fits(budget)]
    if fitting:
        return max(fitting, key=lambda plan: (plan.recall, -plan.ms, -plan.mb))
    wanted = [f"{value:g} {name}" for value, name in ((budget.ms, "ms"), (budget.mb, "MB")) if value is not None]
    in_time = [plan for plan in plans if plan.fits(Budget(ms=budget.ms))]
    least = min(in_time, key=lambda plan: plan.mb) if in_time else min(plans, key=lambda plan: plan.ms)
    raise VprError(f"nothing fits {' and '.join(wanted)} on this map; the least that would is {least}")


def plan(
    descriptors: NDArray[np.floating],
    sizes: tuple[int, ...],
    budget: Budget,
    queries: NDArray[np.floating] | None = None,
) -> Plan:
    """Measures the map and chooses; see :func:`survey` and :func:`choose`.

    Args:
        queries: float32 [q, d_max] of real frames where there are some; by default :func:`sample_queries`.

    Raises:
        VprError: the map is empty, or nothing fits.
    """
    if not len(descriptors):
        raise VprError("the map holds no places; there is nothing to plan for")
    asked = sample_queries(descriptors) if queries is None else np.asarray(queries, np.float32)
    return choose(survey(descriptors, sizes, asked), budget)


def sample_queries(descriptors: NDArray[np.floating], seed: int = 0) -> NDArray[np.float32]:
    """Places of the map as another visit may see them: float32 [q, d_max], unit norm.

    Each is brought to a similarity of .3 to .7 with its place by adding a random mixture of many places, which has the map's own
    spectrum. Some then resemble other places more than their own, as hard frames do.
    """
    random = np.random.default_rng(seed)
    count = min(_ASKED, max(len(descriptors), 50))
    seen = descriptors[random.integers(0, len(descriptors), count)].astype(np.float32)
    mixed = descriptors[random.integers(0, len(descriptors), _MIXED)].astype(np.float32)
    change = random.standard_normal((count, _MIXED), np.float32) @ mixed
    change += 1e-3 * random.standard_normal(change.shape, np.float32)  # a map of one place has nothing else
    change = unit(change - np.sum(change * seen, 1, keepdims=True) * seen)
    similarity = random.choice(np.array(_SIMILARITY, np.float32), count)[:, None]
    return similarity * seen + np.sqrt(1 - similarity**2) * change


def _kept(sizes: tuple[int, ...], dim: int) -> Iterator[tuple[int, Precision]]:
    precisions: tuple[Precision, ...] = ("fp16", "int8")
    for size in sorted({*sizes, dim}, reverse=True):
        for precision in sorted(precisions, key=lambda name: -BYTES[name]):
            yield size, precision


def _milliseconds(index: PlaceIndex, queries: NDArray[np.float32], shortlist: int | None) -> float:
    """Median of one query at a time, five places each."""
    taken = []
    for at in range(_TIMED):
        query = queries[at % len(queries)][None]
        start = time.perf_counter()
        index.search(query, 5, exact=shortlist is None, shortlist=shortlist)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)) * 1000
