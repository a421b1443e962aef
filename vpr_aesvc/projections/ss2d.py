"""(SS)2D: one student for all descriptor sizes, distilled from the AE-SVC latent (the teacher). Each prefix is a descriptor.

Omama, Li, Chinchali, ICLR 2025, arXiv 2410.07022. For each size m, the first m components of the student, renormalized, give a
cosine matrix over the batch. The loss is the KL divergence of its row-wise softmax from the teacher's, summed over the sizes. Forms:

- ``free``: the paper's student, a separate network on the raw embedding;
- ``rotation``: an orthogonal transform of the teacher's latent; cosines at full size are exactly the teacher's;
- ``pair``: a short free student, followed by the teacher's latent. The student is better at small sizes, the latent at large ones.

Two differences from the paper. Each size is weighted by its inverse: all sizes share the first components, and with equal weights the
many large sizes would determine them. Rows of the cosine matrix are augmented views and columns the clean images, so the student
learns to give another visit the neighbors of the original.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vpr_aesvc.projections.artifact import Projection, unit
from vpr_aesvc.projections.batches import batches, steps_for
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.network import Network

_TEMPERATURE = 0.05
_NOISE = 0.4  # standard deviation, relative to that of the embeddings
PAIR_STUDENT = 32  # dimensions of the free student at the start of a pair
_PAIR_GAIN = 0.5  # median norm of the student's part relative to the latent's
_HIDDEN = 512
_ROTATED = 256  # latent dimensions that the rotation mixes; cost is cubic, and later dimensions gain little from order
Progress = Callable[[int, int], None]


def train_free(
    data: TrainingData, teacher: Projection, sizes: Sequence[int], seed: int, progress: Progress | None = None
) -> Projection:
    """The free student, with as many dimensions as the largest of ``sizes``."""
    start = teacher.first(max(sizes))
    network = Network(Projection.of(start.mean, start.linear), _HIDDEN, input_scale=3 * teacher.dim_in**0.5, seed=seed)
    steps = steps_for(len(data.embeddings))
    _distill(
        network, network.parameters, data, teacher, sizes, seed=seed, learning_rate=1e-3, steps=steps, progress=progress
    )
    return network.projection()


def train_rotation(
    data: TrainingData, teacher: Projection, sizes: Sequence[int], seed: int, progress: Progress | None = None
) -> Projection:
    """The orthogonal student: rotates the first 256 dimensions of the teacher's latent. If all sizes are larger, returns the
    teacher: there is no prefix to improve."""
    import torch

    mixed = min(_ROTATED, teacher.dim_out)
    within = [size for size in sizes if size <= mixed]
    if not within:
        return teacher
    skew = torch.zeros(mixed, mixed, requires_grad=True)
    eye = torch.eye(mixed)

    def rotation() -> torch.Tensor:  # Cayley transform: orthogonal for every skew-symmetric matrix
        antisymmetric = skew.triu(1) - skew.triu(1).T
        return torch.linalg.solve(eye + antisymmetric, eye - antisymmetric)

    def student(centered: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(teacher.of_centered(centered.numpy())[:, :mixed]) @ rotation()

    steps = steps_for(len(data.embeddings), floor=100, epochs=10)
    _distill(student, [skew], data, teacher, within, seed=seed, learning_rate=3e-3, steps=steps, progress=progress)
    full = np.eye(teacher.dim_out, dtype=np.float32)
    full[:mixed, :mixed] = rotation().detach().numpy()
    return teacher.rotated(full)


def make_pair(data: TrainingData, teacher: Projection, student: Projection) -> Projection:
    """Concatenates the student and a prefix of the teacher's latent, to the size of the latent."""
    latent = teacher.first(teacher.dim_out - student.dim_out)
    gain = _PAIR_GAIN * _median_norm(latent, data) / _median_norm(student, data)
    return student.rotated(np.eye(student.dim_out, dtype=np.float32) * np.float32(gain)).joined(latent)


def _median_norm(projection: Projection, data: TrainingData) -> float:
    return float(np.median(np.linalg.norm(projection.raw(data.sample()), axis=1)))


def _distill(
    student: Callable[..., object],
    parameters: list,  # type: ignore[type-arg]
    data: TrainingData,
    teacher: Projection,
    sizes: Sequence[int],
    *,
    seed: int,
    learning_rate: float,
    steps: int,
    progress: Progress | None,
) -> None:
    import torch
    from torch.nn.functional import normalize

    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.01 if len(parameters) > 1 else 0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step, (augmented, clean) in enumerate(batches(data, teacher.mean, steps, _NOISE, seed)):
        latent = torch.from_numpy(unit(teacher.of_centered(clean.numpy())))
        target = (latent @ latent.T / _TEMPERATURE).softmax(1)
        rows, columns = student(augmented), student(clean)
        loss = torch.zeros(())
        for size in sizes:
            cosines = normalize(rows[:, :size]) @ normalize(columns[:, :size]).T  # type: ignore[index]
            # KL divergence without the target's entropy, which is constant.
            divergence = -(target * (cosines / _TEMPERATURE).log_softmax(1)).sum(1).mean()
            loss = loss + divergence * (max(sizes) / size)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress:
            progress(step + 1, steps)
