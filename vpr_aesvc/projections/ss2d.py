"""(SS)2D: one student for all descriptor sizes, distilled from the AE-SVC latent (the teacher). Each prefix is a descriptor.

Omama, Li, Chinchali, ICLR 2025, arXiv 2410.07022. For each size m, the first m components of the student, renormalized, give a
cosine matrix over the batch. The loss is the KL divergence of its row-wise softmax from the teacher's, summed over the sizes. ``paper`` trains the
paper's student, a network on the raw embedding. The one here is a rotation of the teacher's latent.

Two more differences. Each size is weighted by its inverse: all sizes share the first components, and with equal weights the
many large sizes would determine them. Rows of the cosine matrix are other visits and columns the clean images, so the student learns to
give another visit the neighbors of the original. Such a visit changes as much as the shrinkage of the teacher assumes (``batches``):
with the changes of the augmented views alone, the student prefers details that a real second visit does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vpr_aesvc.projections.artifact import Projection, unit
from vpr_aesvc.projections.batches import batches, steps_for
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.runtime import bounded_threads
from vpr_aesvc.types import Progress

if TYPE_CHECKING:
    import torch

_TEMPERATURE = 0.05
HIDDEN = 512
_MIXED = 64
"""So many of the latent's first dimensions a rotation mixes. With 128 or 256 it gained less at 16 and 32 dimensions, and lost beyond."""
_BATCH = 512
STOPS = (0.1, 0.25, 0.5, 1.0)
"""Parts of the training after which a rotation may end."""


def train_rotation(
    data: TrainingData,
    teacher: Projection,
    sizes: Sequence[int],
    shrinkage: tuple[float, float],
    seed: int,
    stops: Sequence[float] = (1.0,),
    progress: Progress | None = None,
) -> list[Projection]:
    """The orthogonal student: rotates the first 64 dimensions of the teacher's latent, starting from no rotation. Descriptors of that size and of
    larger ones keep the latent's cosines.

    Args:
        sizes: to train for. If all are larger than 64, the result is the teacher: there is no prefix to improve.
        shrinkage: (isotropic, view) of the teacher.
        stops: ascending parts of the training, 0 to 1.

    Returns:
        The student at each of ``stops``.
    """
    import torch

    mixed = min(_MIXED, teacher.dim_out)
    within = [size for size in sizes if size <= mixed]
    if not within or max(stops) == 0:
        return [teacher] * len(stops)
    head, eye = teacher.first(mixed), torch.eye(mixed)
    skew = torch.zeros(mixed, mixed, requires_grad=True)

    def rotation() -> torch.Tensor:  # Cayley transform: orthogonal for every skew-symmetric matrix
        antisymmetric = skew.triu(1) - skew.triu(1).T
        return torch.linalg.solve(eye + antisymmetric, eye - antisymmetric)

    def student(centered: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(head.of_centered(centered.numpy())) @ rotation()

    def rotated() -> Projection:
        full = np.eye(teacher.dim_out, dtype=np.float32)
        full[:mixed, :mixed] = rotation().detach().numpy()
        return teacher.rotated(full)

    steps = steps_for(len(data.embeddings), floor=100, epochs=10)
    ends = [round(part * steps) for part in stops]
    students = [teacher] * ends.count(0)
    pairs = batches(data, teacher.mean, steps, shrinkage, seed, _BATCH)
    with bounded_threads(1):  # more threads wait for each other in steps this small
        for done in distill(student, [skew], pairs, teacher, within, learning_rate=3e-3, steps=steps):
            students += [rotated() for end in ends if end == done]
            if progress:
                progress(done, ends[-1])
            if done == ends[-1]:
                break
    return students


def distill(
    student: Callable[..., object],
    parameters: list,  # type: ignore[type-arg]
    pairs: Iterable[tuple[torch.Tensor, torch.Tensor]],
    teacher: Projection,
    sizes: Sequence[int],
    *,
    learning_rate: float,
    steps: int,
    temperature: float = _TEMPERATURE,
    equal: bool = False,
) -> Iterator[int]:
    """Yields the number of steps after each. ``pairs``: (augmented, clean) of ``batches``. ``equal``: all sizes have the same weight."""
    import torch
    from torch.nn.functional import normalize

    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.01 if len(parameters) > 1 else 0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step, (augmented, clean) in enumerate(pairs):
        latent = torch.from_numpy(unit(teacher.of_centered(clean.numpy())))
        target = (latent @ latent.T / temperature).softmax(1)
        rows, columns = student(augmented), student(clean)
        loss = torch.zeros(())
        for size in sizes:
            cosines = normalize(rows[:, :size]) @ normalize(columns[:, :size]).T  # type: ignore[index]
            # KL divergence without the target's entropy, which is constant.
            divergence = -(target * (cosines / temperature).log_softmax(1)).sum(1).mean()
            loss = loss + divergence * (1.0 if equal else max(sizes) / size)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        yield step + 1
