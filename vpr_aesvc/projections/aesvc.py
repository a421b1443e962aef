"""AE-SVC: an autoencoder whose latent has uncorrelated, unit-variance, zero-mean dimensions.

Omama, Li, Chinchali, "Exploiting Distribution Constraints for Scalable and Efficient Image Retrieval", ICLR 2025,
arXiv 2410.07022. The four loss terms have the paper's weights. With random initialization and early stopping the autoencoder does not
meet its constraints, so it starts from the closed form that does (``whitening``). The training
rows get the noise that this shrunk whitening assumes, so the constraints hold on them from the first step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from vpr_aesvc.projections.artifact import Array, Projection, unit
from vpr_aesvc.projections.batches import batches, steps_for
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.network import Network

if TYPE_CHECKING:
    import torch

WEIGHTS = {"reconstruction": 25.0, "orthogonality": 1.0, "variance": 15.0, "mean": 1.0}
_HIDDEN = 256
_LEARNING_RATE = 1e-4
_MAX_COSINE_ROWS = 1000


def train_aesvc(
    data: TrainingData,
    start: Projection,
    seed: int,
    noise: float,
    progress: Callable[[int, int], None] | None = None,
) -> Projection:
    """Trains the encoder from ``start``.

    Args:
        data: database embeddings and their views.
        start: a shrunk whitening of the same data.
        seed: of the batches and the hidden layer.
        noise: standard deviation of the added isotropic noise, relative to that of the embeddings, averaged over the dimensions.
        progress: called with (steps done, steps).
    """
    import torch

    network = Network(start, _HIDDEN, input_scale=3 * start.dim_in**0.5, seed=seed)
    decoder = torch.from_numpy(_decoder(data, start)).requires_grad_()
    parameters = [*network.parameters, decoder]
    steps = steps_for(len(data.embeddings), floor=150, epochs=10)
    optimizer = torch.optim.Adam(parameters, lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step, (changed, _) in enumerate(batches(data, start.mean, steps, noise, seed)):
        latent = network(changed)
        loss = sum(WEIGHTS[name] * term for name, term in _terms(changed, latent, latent @ decoder).items())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()
        schedule.step()
        if progress:
            progress(step + 1, steps)
    return network.projection()


def _terms(rows: torch.Tensor, latent: torch.Tensor, reconstruction: torch.Tensor) -> dict[str, torch.Tensor]:
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
    return {name: float(term) for name, term in _terms(centered, latent, reconstruction).items()}


def cosine_sample(rows: Array) -> Array:
    """Cosines of all pairs among at most 1,000 random rows, float32 [pairs]. The paper's Figure 3 is their histogram."""
    if len(rows) > _MAX_COSINE_ROWS:
        rows = rows[np.sort(np.random.default_rng(0).choice(len(rows), _MAX_COSINE_ROWS, replace=False))]
    normed = unit(rows)
    return np.asarray((normed @ normed.T)[np.triu_indices(len(normed), 1)], np.float32)
