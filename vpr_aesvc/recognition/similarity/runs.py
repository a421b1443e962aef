"""A map cut into what counts as one place: uninterrupted runs of a traverse, without the frames of a robot that stands still."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_REPEAT = 0.05  # a frame this much nearer to the one before than two frames of the map usually are shows nothing new
_SAMPLE = 512  # frames that say how near two frames usually are
_APART = 20  # frames; measured: nearer ones look down the same corridor
_LEAST_APART = 4  # neighborhoods of five that are further apart share no frame
_FEWEST_STRETCHES = 8  # a short map is cut finer, so that there is something to compare with


def runs_of(traverses: NDArray[np.generic]) -> NDArray[np.int64]:
    """Numbers the uninterrupted runs of equal names [n]: int64 [n], from 0."""
    if not len(traverses):
        return np.empty(0, np.int64)
    return np.concatenate([[0], np.cumsum(traverses[1:] != traverses[:-1])]).astype(np.int64)


def distinct(descriptors: NDArray[np.float32], run: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows that differ from the last such row of their run: int64 [m], in order.

    Args:
        descriptors: float32 [n, d], unit norm. What counts as a difference is relative to how far two rows usually are apart: raw embeddings
            are all alike, whitened ones are not.
    """
    count = len(descriptors)
    if count < 2:
        return np.arange(count)
    sample = descriptors[np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64)]
    usual = 1 - np.median((sample @ sample.T)[np.triu_indices(len(sample), 1)])
    level = 1 - _REPEAT * max(usual, 1e-6)
    near_last = np.einsum("nd,nd->n", descriptors[1:], descriptors[:-1]) >= level
    suspects = near_last & (run[1:] == run[:-1])
    kept = np.ones(count, np.bool_)
    for first, end in _true_runs(suspects):
        last = first  # the frame before the first suspect is kept; the row of suspect k is k + 1
        for row in range(first + 1, end + 1):
            kept[row] = descriptors[row] @ descriptors[last] < level
            last = row if kept[row] else last
    return np.flatnonzero(kept)


def apart_of(count: int) -> int:
    """How many kept frames along a traverse make another place, in a map of ``count``."""
    return int(np.clip(count // (2 * _FEWEST_STRETCHES), _LEAST_APART, _APART))


def _true_runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """(first, end) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
