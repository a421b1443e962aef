"""The accuracy measures that tables and figures show. Both read them here, so that they agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vpr_aesvc.evaluation.results import MethodResult


@dataclass(frozen=True)
class Measure:
    """An accuracy between 0 and 1; more is better."""

    name: str  # column heading: "R@1"
    axis_label: str  # "recall at 1"
    file_prefix: str  # of the figures that show it: "recall"
    k: int
    is_map: bool  # mean average precision instead of recall

    def value(self, result: MethodResult) -> float | None:
        """None where it was not measured or is NaN."""
        value = (result.map_at if self.is_map else result.recall).get(self.k)
        return None if value is None or not math.isfinite(value) else float(value)

    def interval(self, result: MethodResult) -> tuple[float, float] | None:
        """The 95 % bootstrap interval, where there is one."""
        ends = None if self.is_map else result.interval.get(self.k)
        return ends if ends is not None and all(math.isfinite(end) for end in ends) else None


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("R@1", "recall at 1", "recall", 1, is_map=False),
        Measure("R@5", "recall at 5", "recall_at_5", 5, is_map=False),
        Measure("mAP@4", "mAP at 4", "map", 4, is_map=True),
    )
}


def headline_first(headline: str) -> list[Measure]:
    """All measures, the named one first."""
    return sorted(MEASURES.values(), key=lambda measure: measure.name != headline)


def by_method(results: Sequence[MethodResult], measure: Measure) -> dict[str, list[tuple[MethodResult, float]]]:
    """Method -> its results that have the measure, with the value, by rising size. Methods keep their order."""
    values: dict[str, list[tuple[MethodResult, float]]] = {result.method: [] for result in results}
    for result in sorted(results, key=lambda result: result.size):
        value = measure.value(result)
        if value is not None:
            values[result.method].append((result, value))
    return {name: pairs for name, pairs in values.items() if pairs}
