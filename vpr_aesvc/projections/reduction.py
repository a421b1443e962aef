"""More dimensions than images: everything is fitted in the span of the images, and nothing is ever D x D.

Whitening, PCA and the students' linear parts never leave that span, so this loses nothing while all rows fit. Embeddings computed
elsewhere often have 4,096 or 8,448 numbers; beyond 2,048 directions the span of an even choice of 2,048 rows stands for all.
"""

from __future__ import annotations

import numpy as np

from vpr_aesvc.projections.artifact import Array
from vpr_aesvc.projections.data import TrainingData, even

MOST_DIRECTIONS = 2048


def basis_of(data: TrainingData) -> Array | None:
    """Orthonormal columns float32 [D, r] that span the rows, r at most 2,048; None where D is small enough as it is."""
    dim = data.embeddings.shape[1]
    if len(data.embeddings) + len(data.views) < min(dim, MOST_DIRECTIONS):
        rows = np.concatenate([data.embeddings, data.views])
    elif dim > MOST_DIRECTIONS:
        rows = even(data.embeddings, MOST_DIRECTIONS)
    else:
        return None
    return np.ascontiguousarray(np.linalg.qr(rows.T)[0], np.float32)


def reduced(data: TrainingData, basis: Array) -> TrainingData:
    """The data as coordinates in ``basis``."""
    ambient = data.ambient or data.embeddings.shape[1]
    return TrainingData(data.embeddings @ basis, data.views @ basis, data.view_rows, ambient)
