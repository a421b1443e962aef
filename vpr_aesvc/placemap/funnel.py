"""The funnel: short codes of a prefix make a shortlist, the stored descriptors rank it.

The codes are product quantization, four bits for every two components, compared in registers (FAISS FastScan; André, Kermarrec,
Le Scouarnec, VLDB 2015): 64 bytes and three nanoseconds a place for 256 components. All are scanned, so that an id selector acts inside
the scan and as many places come back as are allowed. FAISS's FastScan takes a selector only behind an inverted file; ours has one
list. RaBitQ FastScan in the same frame is slower and finds less on whitened descriptors (docs/search.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.placemap.codec import DescriptorStore
from vpr_aesvc.placemap.faiss_tools import load_faiss, one_thread
from vpr_aesvc.projections.artifact import Array

SMALLEST = 1024  # places: for fewer there is nothing to gain, and hardly enough to train on
_WIDTH = 2  # components that share four bits
_SAMPLE = 4096  # places the quantizer is trained on; it has sixteen centroids a part
_GROWTH = 4  # trained again when the map has grown so many times: in all, a place is coded 4 / 3 times
_PIECE = 65_536
_STEP = 16_384  # places coded at most within one search: about a tenth of a second


class Funnel:
    """Shortlists by codes of the first ``size`` components, over a store that grows.

    Args:
        store: the descriptors [n, d], at least :data:`SMALLEST` of them at the first search.
        size: at least 2; of an odd size the last component is left to the ranking.
    """

    def __init__(self, store: DescriptorStore, size: int) -> None:
        self._store = store
        self._parts = size // _WIDTH
        self._trained_on = 0
        self._asked = False
        self._codes: Any = None
        self._refine: Any = None

    @property
    def nbytes(self) -> int:
        """Codes, and the id that FAISS keeps beside each."""
        return 0 if self._codes is None else self._codes.ntotal * (-(-self._parts // 2) + 8)

    def search(self, queries: Array, k: int, shortlist: int, selector: Any) -> tuple[Array, NDArray[np.int64]]:
        """Rows by falling inner product with the stored descriptors; -1 where there are no more.

        Args:
            queries: float32 [q, d].
            selector: a FAISS IDSelector, or None for all places.
        """
        faiss = load_faiss()

        self._keep_up()
        scan = faiss.SearchParametersIVF(nprobe=1, sel=selector) if selector else faiss.SearchParametersIVF(nprobe=1)
        params = faiss.IndexRefineSearchParameters(
            k_factor=(max(shortlist, k) + 0.5) / k,
            base_index_params=faiss.SearchParametersPreTransform(index_params=scan),
        )
        return self._refine.search(queries, k, params=params)  # type: ignore[no-any-return]

    def step(self) -> bool:
        """Does a bounded piece of the work that is due, a few tenths of a second at the most, and says whether the codes are up to
        date. A robot must not wait a second for an answer that the exact search can give; nothing at all is done the first time, so
        that the first answer after opening a map comes at once."""
        if not self._asked:
            self._asked = True
        elif self._codes is None or len(self._store) >= _GROWTH * self._trained_on:
            self._train()
        else:
            self._code(_STEP)
        return self._codes is not None and self._codes.ntotal == len(self._store)

    def _keep_up(self) -> None:
        """Codes the places that came since; the same work for each, however large the map (amortized)."""
        if self._codes is None or len(self._store) >= _GROWTH * self._trained_on:
            self._train()
        self._code(len(self._store))

    def _code(self, most: int) -> None:
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
        one_list.add(np.zeros((1, size), np.float32))  # every place lands in it; nothing to train
        inner = faiss.IndexIVFPQFastScan(one_list, size, 1, self._parts, 4, faiss.METRIC_INNER_PRODUCT)
        inner.by_residual = False
        inner.pq.cp.niter = 10  # as good as FAISS's 25 for so few centroids
        inner.pq.cp.min_points_per_centroid = 1  # FAISS would print a warning for a map of a few hundred places
        cut = faiss.RemapDimensionsTransform(self._store.dim, size, False)
        self._codes = faiss.IndexPreTransform(cut, inner)
        with one_thread():
            self._codes.train(self._store[:: -(-count // _SAMPLE)])
        self._trained_on = count
