"""What a report shows: plain data, no drawing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.results import GroupResult, MethodResult, Published, RecognitionResult


@dataclass(frozen=True)
class Prediction:
    """One query and its best match."""

    query: NDArray[np.uint8]  # RGB [H, W, 3]
    match: NDArray[np.uint8]  # RGB [H, W, 3]
    query_label: str
    match_label: str
    similarity: float  # cosine
    right: bool
    distance: float | None  # meters between the poses; None where one is unknown


@dataclass(frozen=True)
class Report:
    """Everything that a report shows. What is empty or None is left out. All given predictions are shown: the caller selects them, wrong ones
    included."""

    title: str
    summary: list[str]  # sentences for the top
    results: list[MethodResult]
    predictions: list[Prediction]
    cosines: dict[str, NDArray[np.float32]]  # method -> cosines of pairs of database images [n]
    notes: list[tuple[str, str]]  # how the report was made: name and value
    groups: list[GroupResult] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    upper_bound: tuple[str, str] | None = None  # names of (SS)2D and SSD in ``results``
    metric: Literal["R@1", "mAP@4"] = "R@1"  # headline: first in the tables, and the accuracy in the figures
    # method -> cosines of pairs of images of the same place [n], and of different places [m]
    pairs: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = field(default_factory=dict)
    recognition: RecognitionResult | None = None
