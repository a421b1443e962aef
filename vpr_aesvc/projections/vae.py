"""A variational autoencoder, the paper's baseline: the mean of its latent is the descriptor (Kingma & Welling, ICLR 2014).

Its latent has no order, so each size has a network of its own. The encoder starts from PCA, scaled to unit variance, so that it
is not held back by an early stop.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vpr_aesvc.projections import linear
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.projections.batches import batches, steps_for
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.network import Network

_HIDDEN = 512
_RATE = 1e-3


def train_vae(
    data: TrainingData, size: int, seed: int, progress: Callable[[int, int], None] | None = None
) -> Projection:
    """The encoder's mean for a latent of ``size`` numbers, at most ``data.rank``."""
    import torch

    components = linear.pca(data).first(size)
    spread = components.raw(data.sample()).std(0) + 1e-9
    start = Projection.of(components.mean, components.linear / spread)
    scale = 3 * start.dim_in**0.5
    mean = Network(start, _HIDDEN, scale, seed)
    log_variance = Network(Projection.of(start.mean, np.zeros_like(start.linear)), _HIDDEN, scale, seed + 1)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay the caller's
        torch.manual_seed(seed)
        decoder = torch.nn.Sequential(
            torch.nn.Linear(size, _HIDDEN), torch.nn.ReLU(), torch.nn.Linear(_HIDDEN, start.dim_in)
        )
    steps = steps_for(len(data.embeddings))
    optimizer = torch.optim.Adam([*mean.parameters, *log_variance.parameters, *decoder.parameters()], lr=_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    unit_variance = data.mean_variance**0.5
    for step, (_, clean) in enumerate(batches(data, start.mean, steps, 0.0, seed)):
        center, spread_log = mean(clean), log_variance(clean)
        latent = center + (0.5 * spread_log).exp() * torch.randn(center.shape, generator=generator)
        rebuilt = (clean / unit_variance - decoder(latent)).square().sum(1).mean()
        divergence = 0.5 * (center.square() + spread_log.exp() - 1 - spread_log).sum(1).mean()
        optimizer.zero_grad()
        (rebuilt + divergence).backward()
        optimizer.step()
        schedule.step()
        if progress:
            progress(step + 1, steps)
    return mean.projection()
