"""Exact search at any size, over rows that may grow. One FAISS index for each size asked for."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.projections.artifact import prefix

_PIECE = 65536  # rows copied at once: no second full copy in memory


class Rows(Protocol):
    """Descriptors [n, d] that can be counted and sliced: an array, or a :class:`~vpr_aesvc.placemap.codec.DescriptorStore`."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Any: ...


class SizedIndex:
    """Exact cosine search over prefixes of descriptors, in single precision.

    Args:
        descriptors: [n, d_max], an array or a growing store; rows that come later are found too.
    """

    def __init__(self, descriptors: Rows) -> None:
        self._descriptors = descriptors
        self._flat: dict[int, Any] = {}

    @property
    def nbytes(self) -> int:
        """Memory of the indices built so far; the descriptors themselves are not counted."""
        return sum(4 * size * index.ntotal for size, index in self._flat.items())

    def search(
        self, queries: NDArray[np.floating], k: int, size: int, params: Any = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The ``k`` most similar rows by the cosine of the first ``size`` components.

        Args:
            queries: float32 or float16 [q, d_max].
            params: FAISS SearchParameters, with the id selector.

        Returns:
            similarities float32 [q, k], descending, and rows int64 [q, k]; ``k`` is at most the number of rows.
        """
        index = self._kept_up(size)
        return index.search(prefix(queries, size), min(k, index.ntotal), params=params)  # type: ignore[no-any-return]

    def forget(self, size: int) -> None:
        """Frees the index of one size; it is built again when asked for."""
        self._flat.pop(size, None)

    def _kept_up(self, size: int) -> Any:
        import faiss

        index = self._flat.setdefault(size, faiss.IndexFlatIP(size))
        for start in range(index.ntotal, len(self._descriptors), _PIECE):
            index.add(prefix(self._descriptors[start : start + _PIECE], size))
        return index
