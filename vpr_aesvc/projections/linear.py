"""Closed-form projections: PCA, the rotated raw embedding, and shrunk whitening.

Whitening divides each direction of the embedding space by its standard deviation. Few images estimate the small ones badly, and
whitening then amplifies noise. Therefore the covariance is regularized:

    M = C + isotropic * mean(eigenvalues of C) * I + view * N

``C`` is the covariance of the database embeddings, ``N`` the covariance of the change of an embedding under a change of view. With
``view`` = 0 this is shrinkage toward a sphere (Ledoit and Wolf, 2004). The last term shrinks directions that change with the view, as
within-class covariance normalization does (Hatch et al., 2006), but without labels. Directions are ordered by their ratio of
signal variance to regularized variance, so a prefix keeps the most repeatable ones.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.projections.data import TrainingData


def rotated_identity(data: TrainingData) -> Projection:
    """The raw embedding, rotated to its principal axes. Cosines at full size are those of the raw embedding."""
    mean = data.moments.mean
    _, vectors = _eigen(data.moments.covariance + np.outer(mean, mean))
    return Projection.of(np.zeros(len(mean), np.float32), vectors.astype(np.float32))


def pca(data: TrainingData) -> Projection:
    """Principal components of the centered embeddings, by descending variance; at most n - 1 of them."""
    _, vectors = _eigen(data.moments.covariance)
    return Projection.of(data.moments.mean.astype(np.float32), vectors[:, : data.rank].astype(np.float32))


def whitening(data: TrainingData, isotropic: float = 0.1, view: float = 0.0) -> Projection:
    """Shrunk whitening; the module docstring defines ``isotropic`` and ``view``. Without views, ``view`` has no effect.

    With ``isotropic`` = a / (1 - a) and ``view`` = 0 the covariance is shrunk by a toward its mean eigenvalue.
    """
    return next(whitenings(data, [isotropic], [view]))


def whitenings(data: TrainingData, isotropic: Sequence[float], views: Sequence[float]) -> Iterator[Projection]:
    """``whitening`` for each of ``views`` and, within it, each of ``isotropic``. What they share is computed once."""
    mean, covariance = data.moments.mean.astype(np.float32), data.moments.covariance
    change = view_covariance(data) if len(data.views) else np.zeros_like(covariance)
    variance = data.mean_variance
    for view in views:
        values, vectors = _eigen(covariance + view * change)
        for one in isotropic:
            enlarged = values + one * variance
            white = vectors / np.sqrt(np.maximum(enlarged, enlarged[0] * 1e-9))
            _, order = _eigen(white.T @ covariance @ white)  # by signal variance in the whitened space
            yield Projection.of(mean, (white @ order).astype(np.float32))


def view_covariance(data: TrainingData) -> np.ndarray:
    """Second moment of (view - original), float64 [D, D]."""
    change = (data.views - data.embeddings[data.view_rows]).astype(np.float64)
    return np.asarray(change.T @ change / len(change))


def _eigen(symmetric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Descending eigenvalues, eigenvectors in columns. The largest entry of each is positive, so that runs agree."""
    values, vectors = np.linalg.eigh(symmetric)
    values, vectors = values[::-1], vectors[:, ::-1]
    signs = np.sign(vectors[np.abs(vectors).argmax(0), np.arange(vectors.shape[1])])
    return values, vectors * np.where(signs == 0, 1, signs)
