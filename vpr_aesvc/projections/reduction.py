"""More dimensions than images: projections are fitted in the subspace that the images span, so no D x D eigenproblem is solved.

PCA and the students stay in that subspace. Whitening also keeps the directions outside it: all images of the map are zero there, but
places that are added later are not. Their variance is that of the shrinkage alone, so any orthonormal directions serve. Precomputed
embeddings often have 4,096 or 8,448 dimensions; of those, 2,048 directions are kept.
"""

import numpy as np

from vpr_aesvc.projections.artifact import Array
from vpr_aesvc.projections.data import TrainingData, evenly_spaced

MAX_DIMENSIONS = 2048


def basis_of(data: TrainingData) -> tuple[Array, Array] | None:
    """(inside, outside): orthonormal columns float32 [D, r] that span the rows, and [D, min(D, 2048) - r] at right angles to them. None if
    the data needs no reduction."""
    dim = data.embeddings.shape[1]
    kept = min(dim, MAX_DIMENSIONS)
    if len(data.embeddings) + len(data.views) < kept:
        rows = np.concatenate([data.embeddings, data.views])
    elif dim > MAX_DIMENSIONS:
        rows = evenly_spaced(data.embeddings, MAX_DIMENSIONS)
    else:
        return None
    random = np.random.default_rng(0).standard_normal((kept - len(rows), dim), np.float32)
    basis = np.ascontiguousarray(np.linalg.qr(np.concatenate([rows, random]).T)[0], np.float32)
    return basis[:, : len(rows)], basis[:, len(rows) :]


def reduced(data: TrainingData, inside: Array) -> TrainingData:
    """The data in coordinates of ``inside``."""
    ambient = data.ambient or data.embeddings.shape[1]
    whole = data.whole and data.whole.reduced(inside)
    return TrainingData(data.embeddings @ inside, data.views @ inside, data.view_rows, ambient, whole)
