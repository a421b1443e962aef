"""Which search fits a robot's time and memory: every way to search is measured on the map and on this machine."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.descriptor_store import Precision
from vpr_aesvc.placemap.funnel import SMALLEST
from vpr_aesvc.placemap.index import SHORTLIST, PlaceIndex
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.runtime import median_ms
from vpr_aesvc.types import Progress

_QUERIES = 500  # for recall
_TIMED = 30  # queries that are timed
_MIXED = 512  # places in each random mixture
_SHORTLISTS = (200, SHORTLIST, 5000)
_PRECISIONS: tuple[Precision, ...] = ("fp16", "int8")
_SIMILARITY = (0.3, 0.5, 0.7)  # of another visit to its place, as measured on indoor images (docs/search.md)


@dataclass(frozen=True)
class Budget:
    """The limits of one query: milliseconds, and megabytes (10^6 bytes) of descriptors and codes. None is no limit."""

    ms: float | None = None
    mb: float | None = None


@dataclass(frozen=True)
class Plan:
    """One way to search a map, and its cost. ``PlaceMap.use`` applies it.

    Attributes:
        size: components kept in memory.
        precision: of these components.
        shortlist: places that the codes select; None is exact search.
        ms: median time of one query.
        mb: memory of descriptors and codes, megabytes.
        recall: fraction of the queries that get the same place as in exact search at full size.
    """

    size: int
    precision: Precision
    shortlist: int | None
    ms: float
    mb: float
    recall: float

    def __str__(self) -> str:
        search = "exact" if self.shortlist is None else f"shortlist {self.shortlist}"
        return (
            f"size {self.size} in {self.precision}, {search}: {self.ms:.2g} ms, {self.mb:.3g} MB, finds the same place as the full "
            f"search for {100 * self.recall:.1f} % of queries"
        )

    def fits(self, budget: Budget) -> bool:
        return (budget.ms is None or self.ms <= budget.ms) and (budget.mb is None or self.mb <= budget.mb)


def survey(
    descriptors: NDArray[np.floating],
    sizes: tuple[int, ...],
    queries: NDArray[np.floating],
    progress: Progress | None = None,
) -> list[Plan]:
    """Measures every way to search. Takes a second for 10,000 places, minutes for a million.

    Args:
        descriptors: float16 [n, d_max] of the map, unit norm.
        sizes: the map's prefix sizes.
        queries: float32 [q, d_max], for example from ``sample_queries``.
        progress: called with (combinations of size and precision done, total).
    """
    dim = descriptors.shape[1]
    full = PlaceIndex(dim)
    full.add(descriptors)
    expected = full.search(queries, 1, exact=True)[1][:, 0]
    del full  # frees its memory
    plans = []
    variants = [(size, precision) for size in sorted({*sizes, dim}, reverse=True) for precision in _PRECISIONS]
    for done, (size, precision) in enumerate(variants):
        if progress:
            progress(done, len(variants))
        index = PlaceIndex(dim, size, precision)
        index.add(descriptors)
        for shortlist in (None, *_SHORTLISTS):  # exact search first, while there are no codes in memory
            if shortlist is not None and (len(index) < SMALLEST or shortlist >= len(index) or size < 2):
                continue
            rows = index.search(queries, 1, exact=shortlist is None, shortlist=shortlist)[1][:, 0]
            mb = index.nbytes / 1e6
            ms = _milliseconds(index, queries, shortlist)
            plans.append(Plan(size, precision, shortlist, ms, mb, recall=float((rows == expected).mean())))
    if progress:
        progress(len(variants), len(variants))
    return plans


def choose(plans: list[Plan], budget: Budget) -> Plan:
    """The plan with the highest recall within the budget; among equals the fastest, then the smallest.

    Raises:
        VprError: no plan fits; the message names the plan that comes closest.
    """
    fitting = [plan for plan in plans if plan.fits(budget)]
    if fitting:
        return max(fitting, key=lambda plan: (plan.recall, -plan.ms, -plan.mb))
    limits = [f"{value:g} {unit}" for value, unit in ((budget.ms, "ms"), (budget.mb, "MB")) if value is not None]
    in_time = [plan for plan in plans if plan.fits(Budget(ms=budget.ms))]
    closest = min(in_time, key=lambda plan: plan.mb) if in_time else min(plans, key=lambda plan: plan.ms)
    raise VprError(
        f"nothing fits {' and '.join(limits)} on this map; raise the limits to those of the closest plan, {closest}; or prune the map"
    )


def sample_queries(descriptors: NDArray[np.floating], seed: int = 0) -> NDArray[np.float32]:
    """Descriptors as another visit to places of the map may give them: float32 [q, d_max], unit norm.

    A random mixture of many places, which has the map's spectrum, is added to each place's descriptor; the cosine of the two is then
    0.3, 0.5 or 0.7. As with difficult frames, some queries are more similar to other places than to their own.

    Args:
        descriptors: float16 or float32 [n, d_max] of the map, n at least 1.
    """
    random = np.random.default_rng(seed)
    count = min(_QUERIES, max(len(descriptors), 50))
    places = descriptors[random.integers(0, len(descriptors), count)].astype(np.float32)
    mixed = descriptors[random.integers(0, len(descriptors), _MIXED)].astype(np.float32)
    change = random.standard_normal((count, _MIXED), np.float32) @ mixed
    change += 1e-3 * random.standard_normal(change.shape, np.float32)  # else zero in a map of one place
    change = unit(change - np.sum(change * places, 1, keepdims=True) * places)
    similarity = random.choice(np.array(_SIMILARITY, np.float32), count)[:, None]
    return similarity * places + np.sqrt(1 - similarity**2) * change


def _milliseconds(index: PlaceIndex, queries: NDArray[np.floating], shortlist: int | None) -> float:
    """Median of single queries for five places."""
    how: dict[str, Any] = {"exact": shortlist is None, "shortlist": shortlist}
    return median_ms(lambda at: index.search(queries[at % len(queries)][None], 5, **how), _TIMED)
