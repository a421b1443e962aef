"""The four terms of AE-SVC, an autoencoder whose latent has uncorrelated, unit-variance, zero-mean dimensions.

Omama, Li, Chinchali, "Exploiting Distribution Constraints for Scalable and Efficient Image Retrieval", ICLR 2025, arXiv 2410.07022. A whitening
(``linear``) meets the constraints exactly, so this project's AE-SVC is that closed form, shrunk. ``paper`` trains the paper's autoencoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vpr_aesvc.projections.artifact import Array, Projection, unit
from vpr_aesvc.projections.data import TrainingData

if TYPE_CHECKING:
    import torch

WEIGHTS = {"reconstruction": 25.0, "orthogonality": 1.0, "variance": 15.0, "mean": 1.0}
_MAX_COSINE_ROWS = 1000


def loss_terms(rows: torch.Tensor, latent: torch.Tensor, reconstruction: torch.Tensor) -> dict[str, torch.Tensor]:
    """The four unweighted terms of a batch: rows and reconstruction [n, D], latent [n, d]."""
    mean = latent.mean(0)
    centered = latent - mean
    covariance = centered.T @ centered / len(latent)
    diagonal = covariance.diagonal()
    return {
        "reconstruction": (rows - reconstruction).square().sum(1).mean(),
        "orthogonality": (covariance.square().sum() - diagonal.square().sum()) / latent.shape[1],
        "variance": (diagonal - 1).square().mean(),
        "mean": mean.square().mean(),
    }


def _decoder(data: TrainingData, encoder: Projection) -> Array:
    """Least-squares linear decoder: ridge regression of the centered embeddings on the latent, float32 [d, D]."""
    rows = data.sample()
    latent = encoder.raw(rows).astype(np.float64)
    gram = latent.T @ latent
    gram += 1e-6 * np.trace(gram) / len(gram) * np.eye(len(gram))
    return np.linalg.solve(gram, latent.T @ (rows - encoder.mean)).astype(np.float32)


def constraint_terms(data: TrainingData, encoder: Projection) -> dict[str, float]:
    """The paper's four unweighted terms on the database embeddings without noise, with the least-squares linear decoder."""
    import torch

    centered = torch.from_numpy(data.sample() - encoder.mean).double()
    latent = torch.from_numpy(encoder.raw(data.sample())).double()
    reconstruction = latent @ torch.from_numpy(_decoder(data, encoder)).double()
    return {name: float(term) for name, term in loss_terms(centered, latent, reconstruction).items()}


def cosine_sample(rows: Array) -> Array:
    """Cosines of all pairs among at most 1,000 random rows, float32 [pairs]. The paper's Figure 3 is their histogram."""
    if len(rows) > _MAX_COSINE_ROWS:
        rows = rows[np.sort(np.random.default_rng(0).choice(len(rows), _MAX_COSINE_ROWS, replace=False))]
    normed = unit(rows)
    return np.asarray((normed @ normed.T)[np.triu_indices(len(normed), 1)], np.float32)
