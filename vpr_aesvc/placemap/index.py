"""The FAISS index over a map's descriptors, one for each size asked for. Derived from the map, never the only copy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.projections.artifact import prefix


class SizedIndex:
    """Exact cosine search over prefixes of descriptors.

    Args:
        descriptors: float16 or float32 [n, d_max].
    """

    def __init__(self, descriptors: NDArray[np.floating[Any]]) -> None:
        self._descriptors = descriptors
        self._flat: dict[int, Any] = {}

    def search(
        self, queries: NDArray[np.floating[Any]], k: int, size: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The ``k`` most similar rows by the cosine of the first ``size`` components.

        Args:
            queries: float32 or float16 [q, d_max].

        Returns:
            similarities float32 [q, k], descending, and rows int64 [q, k]; ``k`` is at most the number of rows.
        """
        if size not in self._flat:
            self._flat[size] = self._build(size)
        return self._flat[size].search(prefix(queries, size), min(k, len(self._descriptors)))  # type: ignore[no-any-return]

    def forget(self, size: int) -> None:
        """Frees the index of one size; it is built again when asked for."""
        self._flat.pop(size, None)

    def _build(self, size: int) -> Any:
        import faiss

        index = faiss.IndexFlatIP(size)
        for start in range(0, len(self._descriptors), 65536):  # in pieces: no second full copy in memory
            index.add(prefix(self._descriptors[start : start + 65536], size))
        return index
