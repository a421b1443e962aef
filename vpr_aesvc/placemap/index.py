"""The FAISS index over a map's descriptors: exact while the map is small, a funnel when that pays. Derived from the map, never
the only copy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.placemap.codec import DescriptorStore, Precision
from vpr_aesvc.placemap.exact import SizedIndex
from vpr_aesvc.placemap.faiss_tools import load_faiss, one_thread
from vpr_aesvc.placemap.funnel import SMALLEST, Funnel
from vpr_aesvc.projections.artifact import Array, prefix, unit

__all__ = ["FUNNEL_FROM", "PlaceIndex", "SHORTLIST", "SizedIndex"]

FUNNEL_FROM = 20_000  # places; below, the exact search takes under a millisecond (docs/search.md)
SHORTLIST = 1000  # places the codes hand on; half a millisecond to rank
_SPARE = 8  # more than asked for: stored norms are off by up to 4e-5, which may swap neighbors at the end of the list
_PIECE = 1024  # rows decoded at once: they stay in the processor's cache


class PlaceIndex:
    """Rows 0 to n - 1 in the order of adding.

    Args:
        dim: length of the descriptors added and of the queries.
        size: keep only the first so many components, renormalized; all by default. A :class:`~vpr_aesvc.placemap.budget.Plan` says
            what that costs.
        precision: of the descriptors in memory.
    """

    def __init__(self, dim: int, size: int | None = None, precision: Precision = "fp16") -> None:
        self.dim = dim
        self.size = dim if size is None else size
        self._store = DescriptorStore(self.size, precision)
        self._exact = SizedIndex(self._store)
        self._funnels: dict[int, Funnel] = {}

    def emptied(self) -> PlaceIndex:
        """An index without rows, of the same size and precision."""
        return PlaceIndex(self.dim, self.size, self.precision)

    def __len__(self) -> int:
        return len(self._store)

    @property
    def precision(self) -> Precision:
        return self._store.precision

    @property
    def nbytes(self) -> int:
        """Memory of what has been built so far: descriptors, codes, and a copy for each smaller size searched exactly."""
        return self._store.nbytes + self._exact.nbytes + sum(funnel.nbytes for funnel in self._funnels.values())

    def add(self, descriptors: NDArray[np.floating]) -> None:
        """Adds rows; the time for each does not depend on how many are there (amortized).

        Args:
            descriptors: float16 or float32 [n, dim], unit norm.
        """
        self._check(descriptors)
        kept = descriptors if self.size == self.dim else prefix(descriptors, self.size)
        self._store.add(kept)

    def search(
        self,
        queries: NDArray[np.floating],
        k: int,
        size: int | None = None,
        *,
        allowed: NDArray[np.bool_] | None = None,
        exact: bool | None = None,
        shortlist: int | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The ``k`` most similar rows among those allowed.

        Exact: every allowed row is ranked by the cosine of the first ``size`` components. Funnel: codes of the first ``size``
        components shortlist, and the whole descriptor ranks. Both leave out what is not allowed inside FAISS.

        Args:
            queries: float16 or float32 [q, dim].
            size: all that the index keeps by default.
            allowed: bool [n], True for rows that may be returned.
            exact: which of the two; by default the funnel from :data:`FUNNEL_FROM` rows on, or where a shortlist is given. Its
                codes are then made a piece at a time, and the exact search answers until they are there.
                Maps too small to train codes on are always searched exactly.
            shortlist: how many rows the codes hand on; by default :data:`SHORTLIST`.

        Returns:
            similarities float32 [q, k'], descending, and rows int64 [q, k'], where k' is ``k`` or n if that is less. Where fewer
            are allowed, rows end in -1 and similarities in -inf.
        """
        queries = np.atleast_2d(queries)
        self._check(queries)
        size = self._checked(size)
        count, k = len(self), min(k, len(self))
        if not k:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        if exact is None:
            exact = shortlist is None and count < FUNNEL_FROM
            if not exact and shortlist is None and not self._funnel(size).step():
                exact, size = True, self.size  # as the funnel ranks, while its codes are being made
        asked = prefix(queries, self.size)
        with one_thread(len(queries) == 1):
            if exact or count < SMALLEST or size < 2:
                return self._search_exactly(asked, k, size, _selector(allowed, count))
            length = SHORTLIST if shortlist is None else shortlist
            spare = min(k + _SPARE, max(length, k), count)
            _, rows = self._funnel(size).search(asked, spare, min(length, count), _selector(allowed, count))
            return self._ranked(asked, rows, k)

    def similarities(self, queries: NDArray[np.floating], size: int | None = None) -> NDArray[np.float32]:
        """float32 [q, n]: cosines of the first ``size`` components to every row, decoded a piece at a time."""
        queries = np.atleast_2d(queries)
        self._check(queries)
        size = self._checked(size)
        asked = prefix(queries, size)
        found = np.empty((len(asked), len(self)), np.float32)
        for start in range(0, len(self), _PIECE):
            rows = self._store[start : start + _PIECE][:, :size]
            lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
            found[:, start : start + _PIECE] = asked @ rows.T / np.maximum(lengths, np.float32(1e-12))
        return found

    def descriptors(self, rows: NDArray[np.int64]) -> Array:
        """Stored descriptors of some rows, float32 [m, size], unit norm."""
        return unit(self._store.take(rows))

    def forget(self, size: int) -> None:
        """Frees what was built for one size."""
        self._exact.forget(size)
        self._funnels.pop(size, None)

    def _search_exactly(
        self, asked: Array, k: int, size: int, selector: Any
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        faiss = load_faiss()
        params = faiss.SearchParameters(sel=selector) if selector else None
        if size == self.size:
            _, rows = self._store.index.search(asked, min(k + _SPARE, len(self)), params=params)
            return self._ranked(asked, rows, k)
        similarities, rows = self._exact.search(asked, k, size, params)
        return np.where(rows < 0, -np.inf, similarities).astype(np.float32), rows

    def _ranked(self, asked: Array, rows: NDArray[np.int64], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The best ``k`` by the cosine proper, whatever found them."""
        similarities = self._store.cosines(asked, rows)
        order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(similarities, order, 1), np.take_along_axis(rows, order, 1)

    def _funnel(self, size: int) -> Funnel:
        if size not in self._funnels:
            self._funnels[size] = Funnel(self._store, size)
        return self._funnels[size]

    def _checked(self, size: int | None) -> int:
        if size is not None and not 1 <= size <= self.size:
            raise ValueError(f"the index keeps descriptors of {self.size} components, size {size} was asked for")
        return self.size if size is None else size

    def _check(self, rows: NDArray[np.floating]) -> None:
        if rows.ndim != 2 or rows.shape[1] != self.dim:
            raise ValueError(f"expected descriptors [n, {self.dim}], found shape {rows.shape}")


def _selector(allowed: NDArray[np.bool_] | None, count: int) -> Any:
    if allowed is None:
        return None
    if allowed.shape != (count,):
        raise ValueError(f"expected a mask of {count} rows, found shape {allowed.shape}")
    return load_faiss().IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
