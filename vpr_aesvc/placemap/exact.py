"""Exact search at any descriptor size: one flat FAISS index for each size in use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.placemap.descriptor_store import DescriptorStore
from vpr_aesvc.placemap.faiss_tools import load_faiss
from vpr_aesvc.projections.artifact import prefix

_PIECE = 65_536  # rows copied at once, to bound the memory


class SizedIndex:
    """Exact cosine search over prefixes of descriptors, in single precision.

    Args:
        descriptors: [n, d_max]; rows added later are searched too.
    """

    def __init__(self, descriptors: NDArray[np.floating] | DescriptorStore) -> None:
        self._descriptors = descriptors
        self._flat: dict[int, Any] = {}

    @property
    def nbytes(self) -> int:
        """Memory of the FAISS indexes, without the descriptors."""
        return sum(4 * size * index.ntotal for size, index in self._flat.items())

    def search(
        self, queries: NDArray[np.floating], k: int, size: int, params: Any = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The ``k`` most similar rows by the cosine of the first ``size`` components.

        Args:
            queries: float32 or float16 [q, d_max].
            params: FAISS SearchParameters, for an id selector.

        Returns:
            similarities float32 [q, k'], descending, and rows int64 [q, k'], where k' is ``k`` or n if that is less.
        """
        index = self._index_of(size)
        return index.search(prefix(queries, size), min(k, index.ntotal), params=params)  # type: ignore[no-any-return]

    def forget(self, size: int) -> None:
        """Frees the index of one size."""
        self._flat.pop(size, None)

    def _index_of(self, size: int) -> Any:
        index = self._flat.setdefault(size, load_faiss().IndexFlatIP(size))
        for start in range(index.ntotal, len(self._descriptors), _PIECE):
            index.add(prefix(self._descriptors[start : start + _PIECE], size))
        return index
