"""The variational autoencoder (Kingma & Welling, ICLR 2014), the paper's baseline. The mean of the latent is the descriptor.

The latent dimensions have no order, so each size needs its own network.
"""

import numpy as np

from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.projections.batches import batches
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.network import Network
from vpr_aesvc.types import Progress

_HIDDEN = 512
_LEARNING_RATE = 1e-3


def train_vae(
    data: TrainingData, start: Projection, steps: int, seed: int, progress: Progress | None = None
) -> Projection:
    """The encoder's mean for a latent of as many dimensions as the linear map ``start``, from which it is trained."""
    import torch

    size = start.dim_out
    scale = 3 * start.dim_in**0.5
    mean = Network(start, _HIDDEN, scale, seed)
    log_variance = Network(Projection.of(start.mean, np.zeros_like(start.linear)), _HIDDEN, scale, seed + 1)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # does not change the caller's random state
        torch.manual_seed(seed)
        decoder = torch.nn.Sequential(
            torch.nn.Linear(size, _HIDDEN), torch.nn.ReLU(), torch.nn.Linear(_HIDDEN, start.dim_in)
        )
    optimizer = torch.optim.Adam([*mean.parameters, *log_variance.parameters, *decoder.parameters()], lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    unit_variance = data.mean_variance**0.5
    for step, (_, clean) in enumerate(batches(data, start.mean, steps, (0.0, 0.0), seed)):
        center, spread_log = mean(clean), log_variance(clean)
        latent = center + (0.5 * spread_log).exp() * torch.randn(center.shape, generator=generator)
        reconstruction = (clean / unit_variance - decoder(latent)).square().sum(1).mean()
        divergence = 0.5 * (center.square() + spread_log.exp() - 1 - spread_log).sum(1).mean()
        optimizer.zero_grad()
        (reconstruction + divergence).backward()
        optimizer.step()
        schedule.step()
        if progress:
            progress(step + 1, steps)
    return mean.projection()
