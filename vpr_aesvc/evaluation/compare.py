"""The methods side by side: same embeddings, same split, same seed, fitted on database images only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.positives import Positives
from vpr_aesvc.evaluation.metrics import recall
from vpr_aesvc.evaluation.results import MethodResult
from vpr_aesvc.placemap.index import SizedIndex
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.fit import fit
from vpr_aesvc.types import Frame

STUDENTS = ("rotation", "free", "pair")
_BYTES = 2  # descriptors are stored in half precision


def fit_methods(
    data: TrainingData,
    frames: Sequence[Frame],
    model: Projection,
    model_method: str,
    sizes: Sequence[int],
    seed: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Projection]:
    """Raw, PCA, AE-SVC and (SS)2D by the name a report shows. The model at hand is used for the method it is."""

    def fitted(method: str) -> Projection:
        if method == model_method:
            return model
        kept = [size for size in sizes if size < min(len(data.embeddings) - 1, data.embeddings.shape[1])]
        return fit(data, frames, kept, method, seed, progress).projection

    student = model_method if model_method in STUDENTS else "rotation"
    return {
        "raw": fitted("raw"),
        "PCA": fitted("pca"),
        "AE-SVC": fitted("aesvc"),
        f"(SS)2D, {student}": fitted(student),
    }


def evaluate(
    projections: dict[str, Projection],
    database: NDArray[np.float32],
    queries: NDArray[np.float32],
    right: Positives,
    sizes: Sequence[int],
) -> list[MethodResult]:
    """Recall of each method at each size it can have; the raw embedding has only its full size.

    Args:
        database, queries: embeddings float32 [n, D], [q, D].
    """
    results = []
    for name, projection in projections.items():
        full = projection.dim_out
        asked, index = projection(queries), SizedIndex(projection(database))
        for size in [full] if name == "raw" else sorted({*(size for size in sizes if size < full), full}):
            _, ranked = index.search(asked, 10, size)
            results.append(MethodResult(name, size, recall(ranked, right).at, size * _BYTES))
    return results
