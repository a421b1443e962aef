"""Divides a map into uninterrupted runs of a traverse, and removes the repeated frames of a robot that stood still."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.recognition.similarity.sampled import StoredDescriptors
from vpr_aesvc.types import Rows

_REPEAT = 0.05  # a frame whose distance to the previous one is below this part of the median distance is a repeat
_SAMPLE = 512  # frames from which the median distance is estimated
_PIECE = 16_384  # descriptors compared at once, to bound the memory
SEPARATION = 20  # frames; measured: nearer ones look down the same corridor
_MIN_SEPARATION = 4  # neighborhoods of five that are further apart share no frame
_MIN_SEGMENTS = 8  # a short map uses a smaller separation, to have something to compare with


def runs_of(traverses: NDArray[np.generic]) -> Rows:
    """Numbers the uninterrupted runs of equal names [n]: int64 [n], from 0."""
    if not len(traverses):
        return np.empty(0, np.int64)
    return np.concatenate([[0], np.cumsum(traverses[1:] != traverses[:-1])]).astype(np.int64)


def distinct(descriptors: NDArray[np.float32] | StoredDescriptors, runs: Rows) -> Rows:
    """The rows that differ from the last such row of their run: int64 [m], in order.

    Args:
        descriptors: float32 [n, d], unit norm. The threshold is relative to the median distance of two rows, because raw embeddings
            are all similar and whitened ones are not.
    """
    count = len(descriptors)
    if count < 2:
        return np.arange(count)
    sample = descriptors[np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64)]
    median = 1 - np.median((sample @ sample.T)[np.triu_indices(len(sample), 1)])
    threshold = 1 - _REPEAT * max(median, 1e-6)
    near_previous = np.zeros(count - 1, np.bool_)
    for start in range(0, count - 1, _PIECE):
        piece = descriptors[start : start + _PIECE + 1]
        near_previous[start : start + _PIECE] = np.einsum("nd,nd->n", piece[1:], piece[:-1]) >= threshold
    suspects = near_previous & (runs[1:] == runs[:-1])
    kept = np.ones(count, np.bool_)
    for first, end in _true_intervals(suspects):
        last = first  # the frame before the first suspect is kept; the row of suspect k is k + 1
        for row in range(first + 1, end + 1):
            one, other = descriptors[np.array([row, last])]
            kept[row] = one @ other < threshold
            last = row if kept[row] else last
    return np.flatnonzero(kept)


def separation_of(count: int) -> int:
    """How many kept frames along a run separate two places, in a map of ``count`` kept frames."""
    return int(np.clip(count // (2 * _MIN_SEGMENTS), _MIN_SEPARATION, SEPARATION))


def _true_intervals(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """(first, end) of each interval of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
