"""The search index over a map's descriptors, built from the map: exact for small maps, a funnel for large ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.placemap.descriptor_store import DescriptorStore, SizedIndex, load_faiss, one_thread
from vpr_aesvc.placemap.funnel import SMALLEST, Funnel
from vpr_aesvc.projections.artifact import Array, unit
from vpr_aesvc.types import Rows

__all__ = ["FUNNEL_FROM", "PlaceIndex", "SHORTLIST", "SizedIndex"]

FUNNEL_FROM = 20_000  # places; below, exact search takes less than 1 ms (docs/search.md)
SHORTLIST = 1000  # places that the codes select; ranking them takes 0.5 ms
_SPARE = 8  # results beyond k: stored norms deviate by up to 4e-5, which can swap neighbors at the end of the list


class PlaceIndex:
    """Rows 0 to n - 1 in the order of adding. ``dim``: length of the descriptors and of the queries."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._store = DescriptorStore(dim)
        self._exact = SizedIndex(self._store)
        self._funnels: dict[int, Funnel] = {}

    def __len__(self) -> int:
        return len(self._store)

    @property
    def nbytes(self) -> int:
        """Current memory: descriptors, codes, and a copy for each smaller size that was searched exactly."""
        return self._store.nbytes + self._exact.nbytes + sum(funnel.nbytes for funnel in self._funnels.values())

    def add(self, descriptors: NDArray[np.floating]) -> None:
        """Adds rows, in amortized constant time per row. ``descriptors``: float16 or float32 [n, dim], unit norm."""
        self._check_shape(descriptors)
        self._store.add(descriptors)

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

        Exact search ranks every allowed row by the cosine of the first ``size`` components. The funnel makes a shortlist by codes of
        the first ``size`` components and ranks it by the whole descriptor. Both apply ``allowed`` inside FAISS.

        Args:
            queries: float16 or float32 [q, dim].
            size: by default all components.
            allowed: bool [n], True for rows that may be returned.
            exact: by default False from ``FUNNEL_FROM`` rows on or with a shortlist. Without a shortlist, the codes are then
                built step by step, and exact search answers until they are complete. Maps below 1,024 rows are always
                searched exactly.
            shortlist: how many rows the codes select; by default ``SHORTLIST``.

        Returns:
            similarities float32 [q, k'], descending, and rows int64 [q, k'], where k' is ``k`` or n if that is less. Where fewer
            are allowed, the last rows are -1 and their similarities -inf.
        """
        queries = np.atleast_2d(queries)
        self._check_shape(queries)
        size = self.dim if size is None else size
        if not 1 <= size <= self.dim:
            raise ValueError(f"the index has {self.dim} components, found size {size}")
        count, k = len(self), min(k, len(self))
        if not k:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        if exact is None:
            exact = shortlist is None and count < FUNNEL_FROM
            if not exact and shortlist is None and not self._funnel(size).build_step():
                exact, size = True, self.dim  # ranks as the funnel will
        queries = unit(queries)
        with one_thread(len(queries) == 1):
            if exact or count < SMALLEST or size < 2:
                return self._search_exactly(queries, k, size, _selector(allowed, count))
            shortlist = SHORTLIST if shortlist is None else shortlist
            spare = min(k + _SPARE, max(shortlist, k), count)
            _, rows = self._funnel(size).search(queries, spare, min(shortlist, count), _selector(allowed, count))
            return self._ranked(queries, rows, k)

    def descriptors(self, rows: NDArray[np.int64]) -> Array:
        """Stored descriptors of some rows, float32 [m, dim], unit norm."""
        return unit(self._store.take(rows))

    def cosines(self, query: Array, rows: NDArray[np.int64]) -> Array:
        """Of a query, float32 [size], and some rows, float32 [m]."""
        found = self._store.take(rows)
        squares = np.einsum("nd,nd->n", found, found)
        return np.asarray(np.einsum("nd,d->n", found, query) / np.sqrt(np.maximum(squares, np.float32(1e-24))))

    def _search_exactly(self, queries: Array, k: int, size: int, selector: Any) -> tuple[Array, Rows]:
        params = load_faiss().SearchParameters(sel=selector) if selector else None
        if size == self.dim:
            _, rows = self._store.index.search(queries, min(k + _SPARE, len(self)), params=params)
            return self._ranked(queries, rows, k)
        similarities, rows = self._exact.search(queries, k, size, params)
        return np.where(rows < 0, -np.inf, similarities).astype(np.float32), rows

    def _ranked(self, queries: Array, rows: NDArray[np.int64], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The best ``k`` of some rows [q, r], by the exact cosine."""
        similarities = self._store.cosines(queries, rows)
        order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(similarities, order, 1), np.take_along_axis(rows, order, 1)

    def _funnel(self, size: int) -> Funnel:
        return self._funnels.setdefault(size, Funnel(self._store, size))

    def _check_shape(self, rows: NDArray[np.floating]) -> None:
        if rows.ndim != 2 or rows.shape[1] != self.dim:
            raise ValueError(f"expected descriptors [n, {self.dim}], found shape {rows.shape}")


def _selector(allowed: NDArray[np.bool_] | None, count: int) -> Any:
    if allowed is None:
        return None
    if allowed.shape != (count,):
        raise ValueError(f"expected a mask of {count} rows, found shape {allowed.shape}")
    return load_faiss().IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
