"""Descriptors in memory: a FAISS scalar quantizer in half precision or 8 bits."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.placemap.faiss_tools import load_faiss
from vpr_aesvc.projections.artifact import Array, unit

Precision = Literal["fp16", "int8"]
BYTES: dict[str, int] = {"fp16": 2, "int8": 1}  # per component
_PIECE = 16_384  # rows decoded at once, to bound the memory


class DescriptorStore:
    """Rows 0 to n - 1 in the order of adding. Slicing decodes rows to float32 [m, d].

    Args:
        dim: d.
        precision: ``fp16`` is exact for the map file's descriptors. ``int8`` takes half the memory; its step is fixed, so it needs
            no training and rows can be added one by one.
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
            limit = min(
                1.0, 8 / dim**0.5
            )  # 8 standard deviations of a unit vector's components; larger values are clipped
            self.index.train(np.array([[-limit] * dim, [limit] * dim], np.float32))

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
        """Decodes some rows to float32 [m, d]."""
        return self.index.reconstruct_batch(rows)  # type: ignore[no-any-return]

    def add(self, descriptors: NDArray[np.floating]) -> None:
        """float16 or float32 [n, d]; amortized constant time per row."""
        if self.precision == "fp16":  # FAISS's codes are the float16 numbers
            half = np.ascontiguousarray(descriptors, np.dtype("<f2"))
            self.index.add_sa_codes(half.view(np.uint8))
        else:
            self.index.add(np.ascontiguousarray(descriptors, np.float32))

    def cosines(self, queries: Array, rows: NDArray[np.int64]) -> Array:
        """float32 [q, k]: cosines of queries [q, d], unit norm, with rows [q, k]; -inf for a row -1."""
        cosines = np.full(rows.shape, -np.inf, np.float32)
        valid = np.nonzero(rows >= 0)
        for start in range(0, len(valid[0]), _PIECE):
            query, rank = valid[0][start : start + _PIECE], valid[1][start : start + _PIECE]
            descriptors = unit(self.take(rows[query, rank]))
            cosines[query, rank] = np.einsum("nd,nd->n", queries[query], descriptors)
        return cosines
