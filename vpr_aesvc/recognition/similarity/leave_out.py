"""Queries simulated from the map itself, without labels, images or real queries.

*Absent*: a frame of the map with all places around it excluded simulates a frame from elsewhere in the same environment.
*Present*: every fifth frame is taken out of the map; it simulates a frame taken between two places of the map.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.recognition.similarity.neighborhoods import SAME_PLACE_METERS, Neighborhoods, subset
from vpr_aesvc.recognition.similarity.sampled import Similarities, StoredDescriptors
from vpr_aesvc.types import Floats, Rows

_MAX_FRAMES = 800  # simulated queries of a kind or fold: more change the result little
_ENOUGH_PRESENT = 1200
_BATCH = 200  # frames compared at once, which bounds the memory
_FOLDS = 5
_NEAR = 3  # frames along the traverse within which the best place is right


@dataclass(frozen=True)
class LeaveOutResult:
    """The answers to the simulated queries.

    Attributes:
        gaps: float64 [q, 2], of absent frames: the lead of the best place over the second, and of the second over the third, divided by
            the spread like a margin; NaN if there are fewer places.
        segments: int64 [q], the independent segment of the map that each absent frame is in.
        present: float64 [p], the margins of present frames.
        right: bool [p], whether their best place is right.
    """

    gaps: Floats
    segments: Rows
    present: Floats
    right: NDArray[np.bool_]


def leave_neighborhood_out(places: Neighborhoods, step: Callable[[float], None] = lambda part: None) -> LeaveOutResult:
    """Simulates some hundred evenly spaced queries. Deterministic. ``step`` is called often with the part that is done, 0 to 1."""
    present, right = _present(places, lambda part: step(part / 2))
    every = np.arange(len(places.kept))
    queries = _evenly(every)
    gaps = np.full((len(queries), 2), np.nan)
    for at, frame, similarities in _compare(places.descriptors, queries, places.descriptors):
        step(0.5 + 0.5 * at / len(queries))
        elsewhere = places.visible(similarities, hidden=frame)
        scores = [score for _, score in places.best_places(similarities, count=3, among=elsewhere)]
        leads = -np.diff(scores)
        gaps[at, : len(leads)] = leads / places.spread(similarities, elsewhere)
    _, run = np.unique(places.runs[queries], return_inverse=True)
    segments = run * (len(places.kept) + 1) + queries // (2 * places.separation + 1)
    return LeaveOutResult(gaps, segments.astype(np.int64), present, right)


def _present(places: Neighborhoods, step: Callable[[float], None]) -> tuple[Floats, NDArray[np.bool_]]:
    """Margins of frames taken out of the map, and whether their best place is right."""
    margins: list[float] = []
    right: list[bool] = []
    for fold in range(_FOLDS):
        removed = np.arange(fold, len(places.kept), _FOLDS)
        queries = _evenly(removed)
        rest = np.setdiff1d(np.arange(len(places.kept)), removed)
        if not len(queries) or not len(rest) or len(margins) >= _ENOUGH_PRESENT:
            break
        positions = None if places.positions is None else places.positions[rest]
        others = Neighborhoods(subset(places.descriptors, rest), places.runs[rest], positions)
        for _, frame, similarities in _compare(places.descriptors, queries, others.descriptors):
            step(len(margins) / (_ENOUGH_PRESENT + _MAX_FRAMES))
            peaks = others.best_places(similarities, count=2)
            if not peaks:
                continue
            best = int(rest[others.kept[peaks[0][0]]])
            margins.append((peaks[0][1] - peaks[1][1]) / others.spread(similarities) if len(peaks) > 1 else 0.0)
            near = places.runs[best] == places.runs[frame] and abs(best - frame) <= _NEAR
            right.append(bool(near or _same_position(places.positions, best, frame)))
    return np.array(margins), np.array(right, np.bool_)


def _same_position(positions: Floats | None, one: int, other: int) -> bool:
    """False if a position is unknown."""
    return positions is not None and bool(np.linalg.norm(positions[one] - positions[other]) <= SAME_PLACE_METERS)


def _compare(
    descriptors: NDArray[np.float32] | StoredDescriptors,
    queries: Rows,
    places: NDArray[np.float32] | StoredDescriptors,
) -> Iterator[tuple[int, int, Similarities]]:
    """For each query: its position in ``queries``, its row, and its similarities."""
    for start in range(0, len(queries), _BATCH):
        batch = queries[start : start + _BATCH]
        rows = descriptors[batch]
        found = map(places.similarities, rows) if isinstance(places, StoredDescriptors) else rows @ places.T
        for at, similarities in enumerate(found):
            yield start + at, int(batch[at]), similarities


def _evenly(rows: Rows) -> Rows:
    return rows if len(rows) <= _MAX_FRAMES else rows[np.linspace(0, len(rows) - 1, _MAX_FRAMES).astype(np.int64)]
