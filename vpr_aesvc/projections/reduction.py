"""More dimensions than images: projections are fitted in the subspace that the images span, so no D x D matrix is needed.

Whitening, PCA and the linear part of the students stay in that subspace, so this is exact while the basis spans all rows. Precomputed
embeddings often have 4,096 or 8,448 dimensions; above 2,048 dimensions the basis spans only 2,048 evenly spaced rows.
"""

from __future__ import annotations

import numpy as np

from vpr_aesvc.projections.artifact import Array
from vpr_aesvc.projections.data import TrainingData, evenly_spaced

MAX_DIMENSIONS = 2048


def basis_of(data: TrainingData) -> Array | None:
    """Orthonormal columns float32 [D, r] that span the rows, r at most 2,048; None if the data needs no reduction."""
    dim = data.embeddings.shape[1]
    if len(data.embeddings) + len(data.views) < min(dim, MAX_DIMENSIONS):
        rows = np.concatenate([data.embeddings, data.views])
    elif dim > MAX_DIMENSIONS:
        rows = evenly_spaced(data.embeddings, MAX_DIMENSIONS)
    else:
        return None
    return np.ascontiguousarray(np.linalg.qr(rows.T)[0], np.float32)


def reduced(data: TrainingData, basis: Array) -> TrainingData:
    """The data in coordinates of ``basis``."""
    ambient = data.ambient or data.embeddings.shape[1]
    return TrainingData(data.embeddings @ basis, data.views @ basis, data.view_rows, ambient)
