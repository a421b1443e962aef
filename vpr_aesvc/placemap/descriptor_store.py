"""Descriptors in memory, in half precision, and exact search over them at any size. FAISS is imported on first use."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.projections.artifact import Array, prefix, unit
from vpr_aesvc.types import Rows

_FLOATS = np.arange(65_536, dtype=np.uint16).view(np.float16).astype(np.float32)  # of each half-precision number
_PIECE, _COPIED_PIECE = 16_384, 65_536  # rows decoded, and rows copied, at once, to bound the memory


def load_faiss() -> Any:
    """The module, untyped: its stubs lack the keyword arguments that its Python layer adds."""
    import faiss

    return faiss


@contextmanager
def one_thread(wanted: bool = True) -> Iterator[None]:
    """FAISS distributes queries over threads, not places: for one query a second thread costs more than it saves."""
    faiss = load_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1 if wanted else before)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


class DescriptorStore:
    """Rows 0 to n - 1 [d] in the order of adding, as the map file has them. Slicing decodes rows to float32 [m, d]."""

    def __init__(self, dim: int) -> None:
        faiss = load_faiss()
        self.dim = dim
        kind = faiss.ScalarQuantizer.QT_fp16
        self.index: Any = faiss.IndexScalarQuantizer(dim, kind, faiss.METRIC_INNER_PRODUCT)

    def __len__(self) -> int:
        return int(self.index.ntotal)

    def __getitem__(self, rows: slice) -> Array:
        start, stop, step = rows.indices(len(self))
        if step != 1:
            return self.take(np.arange(start, stop, step))
        return np.asarray(self._halves()[start:stop], np.float32)

    @property
    def nbytes(self) -> int:
        return 2 * len(self) * self.dim

    def take(self, rows: NDArray[np.int64]) -> Array:
        """Decodes some rows to float32 [m, d]."""
        return _FLOATS.take(self._halves()[rows].view(np.uint16))  # by a table: five times faster than FAISS

    def _halves(self) -> NDArray[np.float16]:
        """FAISS's codes, not copied; valid until the next ``add``."""
        if not len(self):
            return np.empty((0, self.dim), np.float16)
        codes = load_faiss().rev_swig_ptr(self.index.codes.data(), self.index.codes.size())
        return codes.view(np.dtype("<f2")).reshape(-1, self.dim)  # type: ignore[no-any-return]

    def add(self, descriptors: NDArray[np.floating]) -> None:
        """float16 or float32 [n, d]; amortized constant time per row."""
        half = np.ascontiguousarray(descriptors, np.dtype("<f2"))
        self.index.add_sa_codes(half.view(np.uint8))  # FAISS's codes are the float16 numbers

    def cosines(self, queries: Array, rows: NDArray[np.int64]) -> Array:
        """float32 [q, k]: cosines of queries [q, d], unit norm, with rows [q, k]; -inf for a row -1."""
        cosines = np.full(rows.shape, -np.inf, np.float32)
        valid = np.nonzero(rows >= 0)
        for start in range(0, len(valid[0]), _PIECE):
            query, rank = valid[0][start : start + _PIECE], valid[1][start : start + _PIECE]
            descriptors = unit(self.take(rows[query, rank]))
            cosines[query, rank] = np.einsum("nd,nd->n", queries[query], descriptors)
        return cosines


class SizedIndex:
    """Exact cosine search over prefixes of descriptors, in single precision. ``descriptors``: [n, d_max]; rows added later
    are searched too."""

    def __init__(self, descriptors: NDArray[np.floating] | DescriptorStore) -> None:
        self._descriptors = descriptors
        self._flat: dict[int, Any] = {}

    @property
    def nbytes(self) -> int:
        """Memory of the FAISS indexes, without the descriptors."""
        return sum(4 * size * index.ntotal for size, index in self._flat.items())

    def search(self, queries: NDArray[np.floating], k: int, size: int, params: Any = None) -> tuple[Array, Rows]:
        """The ``k`` most similar rows by the cosine of the first ``size`` components. ``queries``: float32 or float16 [q,
        d_max]. ``params``: FAISS SearchParameters, for an id selector. Returns similarities float32 [q, k'], descending,
        and rows int64 [q, k'], where k' is ``k`` or n if that is less."""
        index = self._index_of(size)
        return index.search(prefix(queries, size), min(k, index.ntotal), params=params)  # type: ignore[no-any-return]

    def forget(self, size: int) -> None:
        """Frees the index of one size."""
        self._flat.pop(size, None)

    def _index_of(self, size: int) -> Any:
        index = self._flat.setdefault(size, load_faiss().IndexFlatIP(size))
        for start in range(index.ntotal, len(self._descriptors), _COPIED_PIECE):
            index.add(prefix(self._descriptors[start : start + _COPIED_PIECE], size))
        return index
