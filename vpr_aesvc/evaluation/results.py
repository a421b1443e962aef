"""Results of an evaluation and what a report shows of them: plain data, filled by the metrics and shown by tables, figures and files."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall of the best matches as the acceptance threshold falls.

    Attributes:
        precision, recall: float64 [points], recall rising.
        area: average precision, 0 to 1.
        recall_at_full_precision: the largest recall before the first wrong match is accepted.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    area: float
    recall_at_full_precision: float


@dataclass(frozen=True, eq=False)
class MethodResult:
    """One method at one descriptor size. What was not measured is empty or None."""

    method: str  # "raw", "PCA", "whitening", "AE-SVC", "(SS)2D rotation", "SSD (paper)"
    size: int  # numbers per descriptor
    recall: dict[int, float]  # k -> recall at k, 0 to 1; NaN when no query has a right place
    bytes_per_place: int
    interval: dict[int, tuple[float, float]] = field(default_factory=dict)  # k -> 95 % bootstrap interval of the recall
    map_at: dict[int, float] = field(default_factory=dict)  # k -> mean average precision at k
    curve: PrecisionRecall | None = None
    search_ms: float | None = None  # measured, one query against all places, median
    seconds: float | None = None  # to fit the method
    describe_ms: float | None = None  # measured, one image in memory -> its descriptor, median
    encoder: str = ""

    @property
    def frame_ms(self) -> float | None:
        """To describe and to search, milliseconds; None where one is unknown."""
        return None if self.describe_ms is None or self.search_ms is None else self.describe_ms + self.search_ms


@dataclass(frozen=True)
class Measure:
    """An accuracy between 0 and 1, as tables and figures show it; more is better."""

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


def pareto_front(results: Sequence[MethodResult], cost: str) -> list[MethodResult]:
    """The results that none with the same or a lower cost (the name of an attribute) beats in recall at 1; cheapest first."""
    front: list[MethodResult] = []
    for one in sorted(results, key=lambda one: (getattr(one, cost), -one.recall[1])):
        if not front or one.recall[1] > front[-1].recall[1]:
            front.append(one)
    return front


R1 = Measure("R@1", "recall at 1", "recall", 1, is_map=False)
R5 = Measure("R@5", "recall at 5", "recall_at_5", 5, is_map=False)
MAP4 = Measure("mAP@4", "mAP at 4", "map", 4, is_map=True)


@dataclass(frozen=True)
class GroupResult:
    """Recall over a group of queries, such as those taken at night, or under another protocol ("panoramas")."""

    method: str
    size: int
    group: str
    queries: int
    recall: dict[int, float]


@dataclass(frozen=True)
class Prediction:
    """One query and its best match."""

    query: NDArray[np.uint8]  # RGB [H, W, 3]
    match: NDArray[np.uint8]  # RGB [H, W, 3]
    query_label: str
    match_label: str
    similarity: float | None  # cosine; None where ``reason`` tells more
    right: bool
    distance: float | None  # meters between the poses; None where one is unknown
    reason: str = ""  # of recognition, in words
    accepted: bool = True


@dataclass(frozen=True)
class Report:
    """Everything that a report shows. What is empty or None is left out. All given predictions are shown: the caller selects them, wrong ones
    included."""

    title: str
    summary: list[str]  # sentences for the top
    results: list[MethodResult]
    predictions: list[Prediction]
    notes: list[tuple[str, str]]  # how the report was made: name and value
    groups: list[GroupResult] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)  # what to use, in sentences
    use: MethodResult | None = None  # the recommended result
    # Method -> cosines of pairs of the same place [n] and of different places [m], in standard deviations from the mean of the latter.
    cosines: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict)
    shown: list[MethodResult] = field(
        default_factory=list
    )  # of each method the result at the recommended size, or at its nearest


def to_json(value: Any) -> Any:
    """Values that JSON has: data classes become dicts, arrays and tuples lists, numbers as keys text, NaN and infinity null."""
    if is_dataclass(value):
        value = vars(value)
    if isinstance(value, dict):
        return {key if isinstance(key, str) else f"{key:g}": to_json(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [to_json(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
