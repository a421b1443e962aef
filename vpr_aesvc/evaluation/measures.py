"""The measures that a report shows, each by its name. Tables and figures take them from here, so both say the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vpr_aesvc.evaluation.results import MethodResult


@dataclass(frozen=True)
class Measure:
    """A number between 0 and 1, more is better."""

    name: str  # "R@1": heads a column, and names the measure in a report
    words: str  # "recall at 1": names an axis
    stem: str  # "recall": begins the name of a figure's file
    k: int
    mean: bool  # mean average precision rather than recall

    def of(self, result: MethodResult) -> float | None:
        """None where it was not measured or is not a number."""
        value = (result.map_at if self.mean else result.recall).get(self.k)
        return None if value is None or not math.isfinite(value) else float(value)

    def interval(self, result: MethodResult) -> tuple[float, float] | None:
        """The 95 % bootstrap interval, where there is one."""
        found = None if self.mean else result.interval.get(self.k)
        return found if found is not None and all(math.isfinite(end) for end in found) else None


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("R@1", "recall at 1", "recall", 1, mean=False),
        Measure("R@5", "recall at 5", "recall_at_5", 5, mean=False),
        Measure("mAP@4", "mAP at 4", "map", 4, mean=True),
    )
}


def headline_first(headline: str) -> list[Measure]:
    """All measures, the named one before the others."""
    return sorted(MEASURES.values(), key=lambda measure: measure.name != headline)


def by_method(results: Sequence[MethodResult], measure: Measure) -> dict[str, list[tuple[MethodResult, float]]]:
    """The results that have the measure, with its value: methods in the order given, sizes rising."""
    curves: dict[str, list[tuple[MethodResult, float]]] = {result.method: [] for result in results}
    for result in sorted(results, key=lambda result: result.size):
        value = measure.of(result)
        if value is not None:
            curves[result.method].append((result, value))
    return {name: found for name, found in curves.items() if found}
