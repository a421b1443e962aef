"""AE-SVC and its students as in the paper: random starts, the database embeddings alone, no shrinkage, all sizes with equal weight.

Omama, Li, Chinchali, ICLR 2025, arXiv 2410.07022. ``ASSUMED`` lists what the paper does not say and the value used here. The networks see
embeddings without their mean, divided by the standard deviation of their entries; the stored projections include both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from vpr_aesvc.projections import ss2d
from vpr_aesvc.projections.aesvc import WEIGHTS, loss_terms
from vpr_aesvc.projections.artifact import Array, Projection
from vpr_aesvc.projections.batches import BATCH, batches, steps_for
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.network import Network
from vpr_aesvc.projections.reduction import basis_of, reduced
from vpr_aesvc.projections.vae import train_vae
from vpr_aesvc.types import Progress

if TYPE_CHECKING:
    import torch

TEACHER_SIZE = 256
_RATE = 3e-3
STEPS, _EPOCHS = 5000, 100
_STUDENT_RATE, _TEMPERATURE = 3e-3, 0.5
STUDENT_STEPS, _STUDENT_EPOCHS = 500, 50
ASSUMED = {
    "AE-SVC, layers": "linear, as wide as the embedding, with ReLU between two of them; the decoder mirrors the encoder. One layer is used",
    "input": "embeddings of unit norm, minus their mean, divided by one number so that their entries have unit variance on average; the "
    "reconstruction error counts in the scale of unit norm",
    "AE-SVC, size": f"one latent of full size and one of {TEACHER_SIZE} numbers, which is the teacher; a smaller size is its first numbers, "
    "which have no order",
    "AE-SVC, training": f"Adam, batches of {BATCH}, {STEPS} steps or {_EPOCHS} epochs, whichever is more; the learning rate falls from "
    f"{_RATE:g} to 0 along a cosine",
    "(SS)2D and SSD, student": f"a linear layer beside a hidden layer of {ss2d.HIDDEN} numbers",
    "(SS)2D and SSD, training": f"AdamW, batches of {BATCH}, {STUDENT_STEPS} steps or {_STUDENT_EPOCHS} epochs, from "
    f"{_STUDENT_RATE:g}; cosines are divided by a temperature of {_TEMPERATURE:g}, the best of five on a part of an indoor set",
    "VAE": "an encoder like the student, a hidden layer of 512 numbers in the decoder, as many steps",
}
"""Part of the method -> what is used where the paper does not say it."""


@dataclass(frozen=True)
class Paper:
    """The paper's projections of one database, each trained at its first use.

    Attributes:
        sizes: of descriptors, ascending, at most ``data.rank``.
        progress_of: name of a stage -> its progress callback.
    """

    data: TrainingData
    sizes: tuple[int, ...]
    seed: int
    progress_of: Callable[[str], Progress | None]

    @property
    def aesvc(self) -> Projection:
        """The AE-SVC latent of full size."""
        return self._stored(self._full)

    @property
    def teacher(self) -> Projection:
        """The AE-SVC latent of 256 numbers, or of fewer where the data has fewer."""
        return self._stored(self._teacher)

    @property
    def student_sizes(self) -> tuple[int, ...]:
        """``sizes``, at most that of the teacher."""
        return tuple(sorted({min(size, TEACHER_SIZE) for size in self.sizes}))

    def student(self, sizes: Sequence[int]) -> Projection:
        """(SS)2D for these sizes; for a single size it is SSD."""
        teacher, steps = self._teacher, self._student_steps
        network = Network(self._start(teacher.mean, max(sizes)), ss2d.HIDDEN, 1.0, self.seed)
        pairs = ((rows, rows) for _, rows in batches(self._scaled, teacher.mean, steps, (0.0, 0.0), self.seed))
        progress = self.progress_of("(SS)2D (paper)" if len(sizes) > 1 else f"SSD (paper) {sizes[0]}")
        for done in ss2d.distill(
            network,
            network.parameters,
            pairs,
            teacher,
            sizes,
            learning_rate=_STUDENT_RATE,
            steps=steps,
            temperature=_TEMPERATURE,
            equal=True,
        ):
            if progress:
                progress(done, steps)
        return self._stored(network.projection())

    def vae(self, size: int) -> Projection:
        """The variational autoencoder of one size."""
        progress, start = self.progress_of(f"VAE (paper) {size}"), self._start(self._scaled.embeddings.mean(0), size)
        return self._stored(train_vae(self._scaled, start, self._student_steps, self.seed, progress))

    @cached_property
    def _basis(self) -> Array | None:
        found = basis_of(_alone(self.data))
        return None if found is None else found[0]

    @cached_property
    def _scaled(self) -> TrainingData:
        return standardized(self.data if self._basis is None else reduced(self.data, self._basis))

    @cached_property
    def _full(self) -> Projection:
        return self._latent(self.data.rank)

    @cached_property
    def _teacher(self) -> Projection:
        return self._full if self.data.rank <= TEACHER_SIZE else self._latent(TEACHER_SIZE)

    @property
    def _student_steps(self) -> int:
        return steps_for(len(self.data.embeddings), STUDENT_STEPS, _STUDENT_EPOCHS)

    def _latent(self, size: int) -> Projection:
        progress = self.progress_of(f"AE-SVC (paper) {size}")
        encoder = train_autoencoder(self._scaled, size, self.seed, progress=progress)
        weights, bias = (parameter.detach().numpy() for parameter in encoder.parameters())
        center = np.linalg.lstsq(weights.astype(np.float64), -bias, rcond=None)[0]  # (x - center) W' = x W' + bias
        return Projection.of(self._scaled.embeddings.mean(0) + center, weights.T)

    def _start(self, mean: Array, size: int) -> Projection:
        """A random linear map."""
        weights = np.random.default_rng(self.seed).standard_normal((len(mean), size)) / len(mean) ** 0.5
        return Projection.of(mean, weights)

    def _stored(self, scaled: Projection) -> Projection:
        """Converts a projection of ``_scaled`` to one of ``data``."""
        norm = _norm(self._scaled)
        projection = replace(
            scaled, mean=scaled.mean / norm, linear=scaled.linear * norm, hidden_in=scaled.hidden_in * norm
        )
        return projection if self._basis is None else projection.lifted(self._basis)


def train_autoencoder(
    data: TrainingData,
    size: int,
    seed: int,
    layers: int = 1,
    steps: int | None = None,
    progress: Progress | None = None,
    watch: Callable[[int, dict[str, float]], None] | None = None,
) -> torch.nn.Sequential:
    """Trains an autoencoder with the paper's four terms from a random start.

    Args:
        data: ``standardized`` embeddings.
        size: numbers of the latent.
        layers: of the encoder and of the decoder. ``Projection`` can store an encoder of one layer only.
        steps: by default 5,000, or 100 epochs if those are more.
        progress: called with (steps done, steps).
        watch: called with (step, the four unweighted terms of its batch, for unit-norm embeddings).

    Returns:
        the encoder: ``standardized`` embeddings minus their mean, float32 [n, D] -> latent [n, size].
    """
    import torch

    def stack(widths: Sequence[int]) -> list[torch.nn.Module]:
        parts: list[torch.nn.Module] = []
        for pair in pairwise(widths):
            parts += [torch.nn.Linear(*pair), torch.nn.ReLU()]
        return parts[:-1]

    dim, norm = data.embeddings.shape[1], float(_norm(data))
    with torch.random.fork_rng(devices=[]):  # does not change the caller's random state
        torch.manual_seed(seed)
        encoder = torch.nn.Sequential(*stack([dim] * layers + [size]))
        decoder = torch.nn.Sequential(*stack([size] + [dim] * layers))
    steps = steps or steps_for(len(data.embeddings), STEPS, _EPOCHS)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step, (_, rows) in enumerate(batches(data, data.embeddings.mean(0), steps, (0.0, 0.0), seed), 1):
        latent = encoder(rows)
        terms = loss_terms(rows / norm, latent, decoder(latent) / norm)
        optimizer.zero_grad()
        sum(WEIGHTS[name] * term for name, term in terms.items()).backward()  # type: ignore[union-attr]
        optimizer.step()
        schedule.step()
        if watch:
            watch(step, {name: term.item() for name, term in terms.items()})
        if progress:
            progress(step, steps)
    return encoder


def standardized(data: TrainingData) -> TrainingData:
    """The embeddings, without views, divided by the standard deviation of their entries."""
    deviation = np.square(data.embeddings.std(0, dtype=np.float64)).mean() ** 0.5
    return replace(_alone(data), embeddings=data.embeddings / np.float32(deviation), whole=None)


def _alone(data: TrainingData) -> TrainingData:
    return replace(data, views=data.views[:0], view_rows=data.view_rows[:0])


def _norm(scaled: TrainingData) -> np.float32:
    """The norm of all rows of ``standardized``."""
    return np.float32(np.linalg.norm(scaled.embeddings[0]))
