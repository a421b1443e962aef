"""(SS)2D: one student whose every prefix is a descriptor, distilled from the AE-SVC latent in one shot.

Omama, Li, Chinchali, ICLR 2025, arXiv 2410.07022. For each size m the first m numbers of the student, renormalized, give a
cosine matrix over the batch; its row-wise softmax is brought close to the teacher's in KL divergence; the sum over sizes is the
loss. Three forms:

- ``free``: the paper's student, a network of its own on the raw embedding;
- ``rotation``: an orthogonal turn of the teacher's latent. Cosines at full size stay the teacher's exactly;
- ``pair``: a short free student, then the teacher's latent. Short prefixes are the student's, which is better there; long ones are
  mostly the latent's, which is better there.

Beyond the paper, a size counts in the sum by its inverse: every size shares the first numbers, and with equal weights the many long
prefixes decide what the short ones are. Rows are views of the images (another visit) and columns the clean images, so that the student learns to give
another visit the neighbors of the original.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vpr_aesvc.projections.artifact import Projection, unit
from vpr_aesvc.projections.batches import batches, steps_for
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.network import Network

TEMPERATURE = 0.05
NOISE = 0.4  # of the mean spread of the embeddings
PAIR_STUDENT = 32  # numbers of the free student that a pair begins with
_PAIR_GAIN = 0.5  # length of the student's part against the latent's
_HIDDEN = 512
_ROTATED = 256  # dimensions of the latent that the rotation mixes; after them order hardly matters, and cost is cubic
Progress = Callable[[int, int], None]


def train_free(
    data: TrainingData, teacher: Projection, sizes: Sequence[int], seed: int, progress: Progress | None = None
) -> Projection:
    """The free student with as many numbers as the largest of ``sizes``."""
    start = teacher.first(max(sizes))
    network = Network(Projection.of(start.mean, start.linear), _HIDDEN, input_scale=3 * teacher.dim_in**0.5, seed=seed)
    _distil(network, network.parameters, data, teacher, sizes, seed, 1e-3, steps_for(len(data.embeddings)), progress)
    return network.projection()


def train_rotation(
    data: TrainingData, teacher: Projection, sizes: Sequence[int], seed: int, progress: Progress | None = None
) -> Projection:
    """The orthogonal student: the teacher's latent, turned within its first 256 dimensions. Where no size is within those,
    there is no prefix to improve, and the latent is returned as it is."""
    import torch

    mixed = min(_ROTATED, teacher.dim_out)
    within = [size for size in sizes if size <= mixed]
    if not within:
        return teacher
    skew = torch.zeros(mixed, mixed, requires_grad=True)
    eye = torch.eye(mixed)

    def turn() -> torch.Tensor:  # Cayley's map: orthogonal for every skew-symmetric matrix
        part = skew.triu(1) - skew.triu(1).T
        return torch.linalg.solve(eye + part, eye - part)

    def student(centerd: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(teacher.of_centerd(centerd.numpy())[:, :mixed]) @ turn()

    steps = steps_for(len(data.embeddings), floor=100, epochs=10)
    _distil(student, [skew], data, teacher, within, seed, 3e-3, steps, progress)
    rotation = np.eye(teacher.dim_out, dtype=np.float32)
    rotation[:mixed, :mixed] = turn().detach().numpy()
    return teacher.rotated(rotation)


def make_pair(data: TrainingData, teacher: Projection, student: Projection) -> Projection:
    """The student, then as much of the teacher's latent as makes the whole as long as the latent."""
    latent = teacher.first(teacher.dim_out - student.dim_out)
    gain = _PAIR_GAIN * _length(latent, data) / _length(student, data)
    return student.rotated(np.eye(student.dim_out, dtype=np.float32) * np.float32(gain)).joined(latent)


def _length(projection: Projection, data: TrainingData) -> float:
    return float(np.median(np.linalg.norm(projection.raw(data.sample()), axis=1)))


def _distil(
    student: Callable[..., object],
    parameters: list,  # type: ignore[type-arg]
    data: TrainingData,
    teacher: Projection,
    sizes: Sequence[int],
    seed: int,
    rate: float,
    steps: int,
    progress: Progress | None,
) -> None:
    import torch
    from torch.nn.functional import normalize

    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01 if len(parameters) > 1 else 0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step, (changed, clean) in enumerate(batches(data, teacher.mean, steps, NOISE, seed)):
        latent = torch.from_numpy(unit(teacher.of_centerd(clean.numpy())))
        target = (latent @ latent.T / TEMPERATURE).softmax(1)
        rows, columns = student(changed), student(clean)
        loss = torch.zeros(())
        for size in sizes:
            cosines = normalize(rows[:, :size]) @ normalize(columns[:, :size]).T  # type: ignore[index]
            # The KL divergence, up to the target's entropy, which no student can change.
            divergence = -(target * (cosines / TEMPERATURE).log_softmax(1)).sum(1).mean()
            loss = loss + divergence * (max(sizes) / size)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress:
            progress(step + 1, steps)
