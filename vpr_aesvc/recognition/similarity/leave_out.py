"""The map asked about itself: frames that stand in for queries, with the answers that a real query would get.

*Absent*: a frame of the map, with all of its own surroundings hidden, is a frame from elsewhere in the same environment. *Present*: every fifth frame
taken out, its neighbors left in, is a frame from between two places of the map. No labels, no images and no queries are needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.recognition.similarity.neighborhoods import Neighborhoods, Rows

_MOST = 800  # frames asked about: more would cost more and say the same
_AT_ONCE = 200  # frames compared at once, so that memory does not grow with their number
_EVERY = 5
_NEAR = 3  # kept frames along the traverse that still count as the right place
_ENOUGH = 1200  # frames present


@dataclass(frozen=True)
class LeaveOutResult:
    """What came of it.

    Attributes:
        gaps: float64 [q, 2], for frames that are absent: score of the best place less the second, and of the second less the third,
            counted as margin is; NaN where there are no more places.
        groups: int64 [q], which stretch of the map each of these frames is in.
        present: float64 [p], the margin of frames that are present.
        right: bool [p], whether their best place is the right one.
    """

    gaps: NDArray[np.float64]
    groups: Rows
    present: NDArray[np.float64]
    right: NDArray[np.bool_]


def leave_neighborhood_out(places: Neighborhoods) -> LeaveOutResult:
    """Asks a map about at most some hundred of its own frames, evenly chosen. The same map gives the same answers."""
    present, right = _present(places)
    asked = _even(np.arange(len(places.kept)))
    every = np.arange(len(places.kept))
    gaps = np.full((len(asked), 2), np.nan)
    for at, frame, similarities in _compare(places.descriptors, asked, places.descriptors):
        elsewhere = places.wholly(~places.same_place(frame, every))
        scores = [score for _, score in places.peaks(similarities, 3, elsewhere)]
        found = -np.diff(scores)
        gaps[at, : len(found)] = found / places.spread(similarities[elsewhere])
    _, run = np.unique(places.run[asked], return_inverse=True)
    groups = run * (len(places.kept) + 1) + asked // (2 * places.apart + 1)
    return LeaveOutResult(gaps, groups.astype(np.int64), present, right)


def _present(places: Neighborhoods) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values: list[float] = []
    right: list[bool] = []
    for fold in range(_EVERY):
        taken = _even(np.arange(fold, len(places.kept), _EVERY))
        rest = np.setdiff1d(np.arange(len(places.kept)), np.arange(fold, len(places.kept), _EVERY))
        if not len(taken) or not len(rest) or len(values) >= _ENOUGH:
            break
        others = Neighborhoods(
            places.descriptors[rest],
            places.run[rest],
            None if places.positions is None else places.positions[rest],
            places.radius,
        )
        for _, frame, similarities in _compare(places.descriptors, taken, others.descriptors):
            peaks = others.peaks(similarities, 2)
            if not peaks:
                continue
            best = int(rest[others.kept[peaks[0][0]]])
            values.append((peaks[0][1] - peaks[1][1]) / others.spread(similarities) if len(peaks) > 1 else 0.0)
            near = places.run[best] == places.run[frame] and abs(best - frame) <= _NEAR
            right.append(bool(near or _at_one_position(places, best, frame)))
    return np.array(values), np.array(right, np.bool_)


def _at_one_position(places: Neighborhoods, one: int, other: int) -> bool:
    if places.positions is None:
        return False
    return bool(np.linalg.norm(places.positions[one] - places.positions[other]) <= places.radius)  # NaN: not known


def _compare(
    descriptors: NDArray[np.float32], asked: Rows, to: NDArray[np.float32]
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """(position in ``asked``, frame, similarities float32 [n]) for each frame asked about."""
    for start in range(0, len(asked), _AT_ONCE):
        part = asked[start : start + _AT_ONCE]
        for at, row in enumerate(descriptors[part] @ to.T):
            yield start + at, int(part[at]), row


def _even(rows: Rows) -> Rows:
    return rows if len(rows) <= _MOST else rows[np.linspace(0, len(rows) - 1, _MOST).astype(np.int64)]
