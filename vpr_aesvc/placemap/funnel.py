"""The funnel: product-quantization codes of a prefix make a shortlist, the stored descriptors rank it.

A code has four bits for every two components and is compared in SIMD registers (FAISS FastScan; André, Kermarrec, Le Scouarnec,
VLDB 2015): 64 bytes and three nanoseconds per place for 256 components. All codes are scanned, with the id selector inside the scan,
so as many places come back as are allowed. FAISS's FastScan takes a selector only in an inverted file; ours has one list.
RaBitQ FastScan in the same index is slower and finds less on whitened descriptors (docs/search.md).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.placemap.descriptor_store import DescriptorStore, load_faiss, one_thread
from vpr_aesvc.projections.artifact import Array

SMALLEST = 1024  # places; a smaller map gains nothing and has too few descriptors for training
_WIDTH = 2  # components per code of four bits
_SAMPLE = 4096  # descriptors that the quantizer is trained on; it has 16 centroids per code
_GROWTH = 4  # trained again when the map has grown by this factor: each place is coded 4 / 3 times on average
_PIECE = 65_536  # rows decoded at once, to bound the memory
_STEP = 16_384  # places coded at most during one search: about 0.1 s


class Funnel:
    """Shortlists by codes of the first ``size`` components, over a store that grows. ``store``: the descriptors [n, d], at
    least ``SMALLEST`` at the first search. ``size``: at least 2; of an odd size, the codes leave out the last component."""

    def __init__(self, store: DescriptorStore, size: int) -> None:
        self._store = store
        self._parts = size // _WIDTH
        self._trained_on = 0
        self._requested = False
        self._codes: Any = None
        self._refine: Any = None

    @property
    def nbytes(self) -> int:
        """Memory of the codes and of the id that FAISS stores with each."""
        return 0 if self._codes is None else self._codes.ntotal * (-(-self._parts // 2) + 8)

    def search(self, queries: Array, k: int, shortlist: int, selector: Any) -> tuple[Array, NDArray[np.int64]]:
        """Inner products with the stored descriptors, descending, and rows; -1 where fewer than ``k`` are allowed.
        ``queries``: float32 [q, d]. ``selector``: a FAISS IDSelector, or None for all places."""
        faiss = load_faiss()
        if self._needs_training():
            self._train()
        self._code(len(self._store))
        scan = faiss.SearchParametersIVF(nprobe=1, sel=selector) if selector else faiss.SearchParametersIVF(nprobe=1)
        params = faiss.IndexRefineSearchParameters(
            k_factor=(max(shortlist, k) + 0.5) / k,
            base_index_params=faiss.SearchParametersPreTransform(index_params=scan),
        )
        return self._refine.search(queries, k, params=params)  # type: ignore[no-any-return]

    def build_step(self) -> bool:
        """Does at most some tenths of a second of training or coding, and returns whether all places are coded. The exact search
        answers meanwhile. The first call does nothing: the first answer after opening a map must come at once."""
        if not self._requested:
            self._requested = True
        elif self._needs_training():
            self._train()
        else:
            self._code(_STEP)
        return self._codes is not None and self._codes.ntotal == len(self._store)

    def _needs_training(self) -> bool:
        return self._codes is None or len(self._store) >= _GROWTH * self._trained_on

    def _code(self, most: int) -> None:
        """Codes at most so many of the places added since the last call."""
        faiss = load_faiss()
        coded, count = self._codes.ntotal, len(self._store)
        if coded == count:
            return
        end = min(coded + most, count)
        for start in range(coded, end, _PIECE):
            self._codes.add(self._store[start : min(start + _PIECE, end)])
        if end == count:
            self._refine = faiss.IndexRefine(self._codes, self._store.index)

    def _train(self) -> None:
        faiss = load_faiss()
        count, size = len(self._store), self._parts * _WIDTH
        one_list = faiss.IndexFlatIP(size)
        one_list.add(np.zeros((1, size), np.float32))  # all places go to this list; no coarse quantizer to train
        inner = faiss.IndexIVFPQFastScan(one_list, size, 1, self._parts, 4, faiss.METRIC_INNER_PRODUCT)
        inner.by_residual = False
        inner.pq.cp.niter = 10  # as good as FAISS's 25 for 16 centroids
        inner.pq.cp.min_points_per_centroid = 1  # FAISS would print a warning for a map of a few hundred places
        cut = faiss.RemapDimensionsTransform(self._store.dim, size, False)
        self._codes = faiss.IndexPreTransform(cut, inner)
        with one_thread():
            self._codes.train(self._store[:: -(-count // _SAMPLE)])
        self._trained_on = count
