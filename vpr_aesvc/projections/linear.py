"""Closed-form projections: identity, PCA, and whitening shrunk by what is known of the noise.

Whitening divides every direction of the embedding space by its spread. Where the spread is estimated from few images it is
mostly noise, and whitening then blows noise up. The covariance that is divided by is therefore enlarged:

    M = C + isotropic * mean(eigenvalues of C) * I + view * N

``C`` is the covariance of the database embeddings and ``N`` that of what a change of view does to an embedding. With ``view`` 0
this is the usual shrinkage toward a sphere (Ledoit and Wolf, 2004); the second term shrinks more where another visit moves the
embedding more, as within-class covariance normalization does (Hatch et al., 2006), without labels. Directions are then
ordered by how much of their enlarged variance is signal, so that a prefix keeps what repeats.
"""

from __future__ import annotations

import numpy as np

from vpr_aesvc.projections.artifact import Array, Projection
from vpr_aesvc.projections.data import TrainingData


def identity(data: TrainingData) -> Projection:
    """The embedding itself; only its full size means anything."""
    dim = data.embeddings.shape[1]
    return Projection.of(np.zeros(dim, np.float32), np.eye(dim, dtype=np.float32))


def rotated_identity(data: TrainingData) -> Projection:
    """The embedding turned so that its first components matter most: cosines at full size are the raw embedding's."""
    dim = data.embeddings.shape[1]
    _, vectors = _eigen(_second_moment(data.embeddings, np.zeros(dim)))
    return Projection.of(np.zeros(dim, np.float32), vectors.astype(np.float32))


def pca(data: TrainingData) -> Projection:
    """Principal components of the centerd embeddings, by falling variance; at most n - 1 of them."""
    mean, covariance = _moments(data)
    _, vectors = _eigen(covariance)
    return Projection.of(mean, vectors[:, : data.rank].astype(np.float32))


def whitening(data: TrainingData, isotropic: float = 0.1, view: float = 0.0) -> Projection:
    """Shrunk whitening; see the module's text for ``isotropic`` and ``view``. Without views, ``view`` has no effect.

    With ``isotropic`` = a / (1 - a) and ``view`` = 0 the covariance is shrunk by a toward its mean eigenvalue.
    """
    mean, covariance = _moments(data)
    enlarged = covariance + isotropic * data.mean_variance * np.eye(len(covariance))
    if view and len(data.views):
        enlarged += view * view_covariance(data)
    values, vectors = _eigen(enlarged)
    white = vectors / np.sqrt(np.maximum(values, values[0] * 1e-9))
    _, order = _eigen(white.T @ covariance @ white)  # by what is left of the signal in the whitened space
    return Projection.of(mean, (white @ order)[:, : data.rank].astype(np.float32))


def view_covariance(data: TrainingData) -> np.ndarray:
    """Second moment of (view - original), float64 [D, D]."""
    change = (data.views - data.embeddings[data.view_rows]).astype(np.float64)
    return np.asarray(change.T @ change / len(change))


def _moments(data: TrainingData) -> tuple[Array, np.ndarray]:
    mean = data.embeddings.mean(0, dtype=np.float64)
    return mean.astype(np.float32), _second_moment(data.embeddings, mean)


def _second_moment(rows: Array, mean: np.ndarray) -> np.ndarray:
    """About ``mean``, in float64, a piece at a time: no second copy of a large map."""
    total = np.zeros((rows.shape[1], rows.shape[1]))
    for at in range(0, len(rows), 4096):
        centerd = rows[at : at + 4096] - mean
        total += centerd.T @ centerd
    return total / len(rows)


def _eigen(symmetric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues falling, eigenvectors in columns, each with its largest entry positive so that runs agree."""
    values, vectors = np.linalg.eigh(symmetric)
    values, vectors = values[::-1], vectors[:, ::-1]
    signs = np.sign(vectors[np.abs(vectors).argmax(0), np.arange(vectors.shape[1])])
    return values, vectors * np.where(signs == 0, 1, signs)
