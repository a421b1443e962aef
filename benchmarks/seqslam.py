"""SeqSLAM (Milford and Wyeth, ICRA 2012), the baseline for sequences, with cosines of descriptors in place of image differences.

Each frame's row of similarities is normalized locally. The score of a place is that of the best straight line through the last frames that
ends there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPEEDS = (0.8, 0.9, 1.0, 1.1, 1.2)
"""Places per frame, as in the paper."""


def seqslam(
    similarities: NDArray[np.floating],
    traverses: NDArray[np.integer],
    length: int = 10,
    speeds: tuple[float, ...] = SPEEDS,
    begins: NDArray[np.bool_] | None = None,
    about: int | None = 10,
) -> NDArray[np.float32]:
    """The score of each place for each frame.

    Args:
        similarities: float [q, n] of q frames in order to n places in order.
        traverses: int [n]; a line stays in one traverse.
        length: frames in the window; fewer at the beginning of a sequence.
        speeds: slopes to try, in places per frame; negative against the traverse.
        begins: bool [q], first frames of sequences; by default only the first frame.
        about: width in places of the local normalization, as in the paper; None for the whole row.

    Returns:
        float32 [q, n], the mean normalized similarity along the best line that ends there.
    """
    queries, count = similarities.shape
    if begins is None:
        begins = np.arange(queries) == 0
    normal = _normalized(np.asarray(similarities, np.float64), similarities.shape[1] if about is None else about // 2)
    first = np.maximum.accumulate(np.where(begins, np.arange(queries), 0))
    scores = np.full((queries, count), -np.inf)
    places = np.arange(count)
    for speed in speeds:
        total = np.zeros((queries, count))
        frames = np.zeros((queries, count))
        for back in range(length):
            from_row = places - round(speed * back)
            row_ok = (from_row >= 0) & (from_row < count)
            source = np.clip(from_row, 0, count - 1)
            row_ok &= traverses[source] == traverses
            frame = np.arange(queries) - back
            frame_ok = frame >= first
            ok = frame_ok[:, None] & row_ok[None]
            total += np.where(ok, normal[np.maximum(frame, 0)][:, source], 0.0)
            frames += frame_ok[:, None]  # beyond the traverse a line gets 0
        scores = np.maximum(scores, total / np.maximum(frames, 1))
    return scores.astype(np.float32)


def _normalized(rows: NDArray[np.float64], half: int) -> NDArray[np.float64]:
    """Each entry minus the mean, divided by the standard deviation, of the entries around it in its row."""
    queries, count = rows.shape
    low = np.maximum(np.arange(count) - half, 0)
    high = np.minimum(np.arange(count) + half + 1, count)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.concatenate([np.zeros((queries, 1)), np.cumsum(values, axis=1)], axis=1)
        return np.asarray((sums[:, high] - sums[:, low]) / (high - low))

    center = mean(rows)
    spread = np.sqrt(np.maximum(mean(np.square(rows)) - np.square(center), 1e-12))
    return (rows - center) / spread
