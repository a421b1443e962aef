"""Numbers that are known for some rows of a map, ascending, while all other rows share one number."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.types import Rows


def values_at(values: NDArray[Any], rows: Rows | None, wanted: Rows, rest: Any) -> NDArray[Any]:
    """The numbers of the rows ``wanted`` [w].

    Args:
        values: [..., k], of ``rows`` int64 [k], ascending; None if they are of all rows.
        rest: of the other rows, [..., 1] or a scalar.
    """
    if rows is None:
        return np.asarray(values[..., wanted])
    at, known = position_of(rows, wanted)
    return np.where(known, values[..., at], rest) if len(rows) else np.full((*values.shape[:-1], len(wanted)), rest)


def position_of(rows: Rows, wanted: Rows) -> tuple[Rows, NDArray[np.bool_]]:
    """For each of ``wanted`` the position in the ascending ``rows``, and whether it is there; else the position means nothing."""
    at = np.minimum(np.searchsorted(rows, wanted), max(len(rows) - 1, 0))
    return at, rows[at] == wanted if len(rows) else np.zeros(len(wanted), np.bool_)


def union(*parts: Rows) -> Rows:
    """The rows that are in any of the parts, ascending. Several times faster than ``numpy.union1d`` for sorted parts."""
    rows = np.sort(np.concatenate(parts), kind="stable")
    return rows[np.concatenate([[True], rows[1:] != rows[:-1]])] if len(rows) else rows


def union_of_ranges(first: Rows, last: Rows) -> Rows:
    """The rows within any of the ranges ``first`` to ``last``, int64 [k], both inclusive and in ascending order: ascending."""
    start = np.maximum(first, np.concatenate([[0], np.maximum.accumulate(last)[:-1] + 1])[: len(first)])
    lengths = np.maximum(last - start + 1, 0)
    before = np.cumsum(lengths) - lengths
    return np.asarray(np.repeat(start - before, lengths) + np.arange(int(lengths.sum())), np.int64)
