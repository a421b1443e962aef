"""AE-SVC: an autoencoder whose latent has uncorrelated, unit-variance, zero-mean dimensions.

Omama, Li, Chinchali, "Exploiting Distribution Constraints for Scalable and Efficient Image Retrieval", ICLR 2025,
arXiv 2410.07022. The four terms carry the paper's weights. A randomly started autoencoder that is stopped early does not meet its
constraints; this one starts at the closed form that does (:func:`vpr_aesvc.projections.linear.whitening`). It sees embeddings
with the noise that closed form allows for, so the start meets the constraints on what is trained on, and training goes on from there.
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
_RATE = 1e-4


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
        seed: fixes the batches and the hidden layer.
        noise: standard deviation of the added isotropic noise, in mean spreads of the embeddings.
        progress: called with (steps done, steps).
    """
    import torch

    network = Network(start, _HIDDEN, input_scale=3 * start.dim_in**0.5, seed=seed)
    decoder = torch.from_numpy(_decoder(data, start)).requires_grad_()
    parameters = [*network.parameters, decoder]
    steps = steps_for(len(data.embeddings), floor=150, epochs=10)
    optimizer = torch.optim.Adam(parameters, lr=_RATE)
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


def _terms(rows: torch.Tensor, latent: torch.Tensor, rebuilt: torch.Tensor) -> dict[str, torch.Tensor]:
    mean = latent.mean(0)
    centerd = latent - mean
    covariance = centerd.T @ centerd / len(latent)
    diagonal = covariance.diagonal()
    return {
        "reconstruction": (rows - rebuilt).square().sum(1).mean(),
        "orthogonality": (covariance.square().sum() - diagonal.square().sum()) / latent.shape[1],
        "variance": (diagonal - 1).square().mean(),
        "mean": mean.square().mean(),
    }


def _decoder(data: TrainingData, encoder: Projection) -> Array:
    """The best linear decoder: ridge regression of the centerd embeddings on the latent, float32 [d, D]."""
    rows = data.sample()
    latent = encoder.raw(rows).astype(np.float64)
    gram = latent.T @ latent
    gram += 1e-6 * np.trace(gram) / len(gram) * np.eye(len(gram))
    return np.linalg.solve(gram, latent.T @ (rows - encoder.mean)).astype(np.float32)


def constraint_terms(data: TrainingData, encoder: Projection) -> dict[str, float]:
    """The paper's four unweighted terms on the database embeddings as they are, with the best linear decoder."""
    import torch

    centerd = torch.from_numpy(data.sample() - encoder.mean).double()
    latent = torch.from_numpy(encoder.raw(data.sample())).double()
    rebuilt = latent @ torch.from_numpy(_decoder(data, encoder)).double()
    return {name: float(term) for name, term in _terms(centerd, latent, rebuilt).items()}


def cosine_sample(rows: Array, most: int = 1000, seed: int = 0) -> Array:
    """Cosines of all pairs among at most ``most`` rows, float32 [pairs]: the paper's Figure 3 is their histogram."""
    chosen = rows
    if len(rows) > most:
        chosen = rows[np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))]
    normed = unit(chosen)
    return np.asarray((normed @ normed.T)[np.triu_indices(len(normed), 1)], np.float32)
