"""What an evaluation finds: plain data that the metrics fill, and that reports, figures and files show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.recognition.similarity.calibration import Reliability


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


@dataclass(frozen=True)
class AcceptedMatches:
    """What recognition accepts: counts of queries, and ``recall``, the part of those with a right place whose accepted match is right."""

    right: int
    wrong: int  # those of queries without a right place among them
    absent: int  # of queries without a right place
    recall: float


@dataclass(frozen=True)
class PartResult:
    """One form of recognition: a single frame's similarity, or the parts that are added to it.

    Attributes:
        recall_at_1: of the best match, accepted or not.
        gained, lost: queries whose best match is right with this form only, or by similarity alone only.
        curve: as the level of acceptance falls; its recall is of the queries that have a right place. None where nothing is right.
        at_rate: what is accepted at the rate asked for; everything, for similarity alone.
        wrong_at_recall: recall -> wrong matches that are accepted where it is first reached; None where it never is.
        reliability: of the probability of the best match; None for similarity alone.
        ms: to recognize one frame, without describing it, median.
    """

    name: str  # "similarity", "+ probability", "+ sequence", "+ geometry", "all"
    recall_at_1: float
    gained: int
    lost: int
    curve: PrecisionRecall | None
    at_rate: AcceptedMatches
    wrong_at_recall: dict[float, int | None]
    reliability: Reliability | None
    ms: float


@dataclass(frozen=True)
class RecognitionResult:
    """Recognition on a map of the database frames.

    Attributes:
        rate: the false-positive rate asked for.
        parts: similarity alone first.
        queries: how many were asked. absent: how many of them have no right place in the map.
        protocol: all that the numbers depend on, in words.
    """

    rate: float
    parts: list[PartResult]
    queries: int
    absent: int
    protocol: dict[str, Any]
