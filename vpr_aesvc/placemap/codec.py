"""Descriptors in memory: one FAISS scalar quantizer that keeps them in half precision or in bytes, and ranks by them."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.placemap.faiss_tools import load_faiss
from vpr_aesvc.projections.artifact import Array, unit

Precision = Literal["fp16", "int8"]
BYTES: dict[str, int] = {"fp16": 2, "int8": 1}  # a component


class DescriptorStore:
    """Rows 0 to n - 1 in the order of adding. Slicing gives them back as float32 [m, d].

    Args:
        dim: d.
        precision: ``fp16`` keeps what the map's file holds, to the bit. ``int8`` takes half of that; its step is the same for
            every map, so that nothing has to be trained and one place can be added alone.
    """

    def __init__(self, dim: int, precision: Precision = "fp16") -> None:
        faiss = load_faiss()
        if precision not in get_args(Precision):
            raise ValueError(f"precision is one of {', '.join(get_args(Precision))}, found {precision!r}")
        kind = faiss.ScalarQuantizer
        types = {"fp16": kind.QT_fp16, "int8": kind.QT_8bit_uniform}
        self.dim = dim
        self.precision: Precision = precision
        self.index: Any = faiss.IndexScalarQuantizer(dim, types[precision], faiss.METRIC_INNER_PRODUCT)
        if precision == "int8":
            reach = min(1.0, 8 / dim**0.5)  # eight times the spread of a unit vector's components; the rest is clipped
            self.index.train(np.array([[-reach] * dim, [reach] * dim], np.float32))

    def __len__(self) -> int:
        return int(self.index.ntotal)

    def __getitem__(self, rows: slice) -> Array:
        start, stop, step = rows.indices(len(self))
        if step != 1:
            return self.take(np.arange(start, stop, step))
        return self.index.reconstruct_n(start, max(stop - start, 0))  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        return len(self) * self.dim * BYTES[self.precision]

    def take(self, rows: NDArray[np.int64]) -> Array:
        """The descriptors of some rows, float32 [m, d]."""
        return self.index.reconstruct_batch(rows)  # type: ignore[no-any-return]

    def add(self, descriptors: NDArray[np.floating]) -> None:
        """float16 or float32 [n, d]; time for each is the same however many are there (amortized)."""
        if self.precision == "fp16":  # FAISS's codes are the half-precision numbers themselves
            half = np.ascontiguousarray(descriptors, np.dtype("<f2"))
            self.index.add_sa_codes(half.view(np.uint8))
        else:
            self.index.add(np.ascontiguousarray(descriptors, np.float32))

    def cosines(self, queries: Array, rows: NDArray[np.int64]) -> Array:
        """float32 [q, k]: cosines of queries [q, d], unit norm, to rows [q, k]. A row -1 has -inf."""
        found = np.full(rows.shape, -np.inf, np.float32)
        at = np.nonzero(rows >= 0)
        for start in range(0, len(at[0]), 16384):  # no copy of the whole store for long lists
            query, place = at[0][start : start + 16384], at[1][start : start + 16384]
            found[query, place] = np.einsum("nd,nd->n", queries[query], unit(self.take(rows[query, place])))
        return found
