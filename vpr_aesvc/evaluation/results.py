"""What an evaluation finds: plain data that the metrics fill, and that reports, figures and files show."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PrecisionRecall:
    """The best match of each query accepted from some similarity up: precision and recall as that level falls.

    Attributes:
        precision, recall: float64 [points], by rising recall.
        area: average precision, 0 to 1.
        recall_at_full_precision: the largest recall before the first wrong match is accepted.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    area: float
    recall_at_full_precision: float


@dataclass(frozen=True)
class MethodResult:
    """One method at one descriptor size. What was not measured is empty or None."""

    method: str  # "raw", "PCA", "whitening", "VAE", "AE-SVC", "SSD", "(SS)2D rotation"
    size: int  # numbers a descriptor
    recall: dict[int, float]  # k -> recall at k, 0 to 1; nan when no query has a right place
    bytes_per_place: int
    interval: dict[int, tuple[float, float]] = field(default_factory=dict)  # k -> 95 % bootstrap interval of the recall
    map_at: dict[int, float] = field(default_factory=dict)  # k -> mean average precision at k
    curve: PrecisionRecall | None = None
    multiply_adds: int | None = None  # of one query: projecting its embedding and comparing it with every place
    search_ms: float | None = None  # measured, one query against all places, median
    seconds: float | None = None  # to fit the method


@dataclass(frozen=True)
class GroupResult:
    """Recall over some of the queries, such as those taken at night."""

    method: str
    size: int
    group: str  # "day", "sunset", "night"; or another protocol, such as "panoramas"
    queries: int
    recall: dict[int, float]


@dataclass(frozen=True)
class Published:
    """A figure of the authors' beside ours for the same set, backbone, method and size."""

    what: str  # "mAP@4, AE-SVC, 768 numbers"
    theirs: float
    ours: float
    source: str  # "read off Figure 4 of arXiv 2410.07022"
