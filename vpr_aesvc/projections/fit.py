"""The complete fit: chooses the shrinkage of AE-SVC, distills (SS)2D from its latent and keeps the better one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.projections import linear
from vpr_aesvc.projections.aesvc import constraint_terms, cosine_sample
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.neighbor_pooling import NEIGHBOR_WEIGHT
from vpr_aesvc.projections.paper import TEACHER_SIZE
from vpr_aesvc.projections.reduction import MAX_DIMENSIONS
from vpr_aesvc.projections.selection import is_above_zero, smallest_size
from vpr_aesvc.projections.stages import Stages
from vpr_aesvc.types import Frame, StageProgress

METHODS = ("auto", "raw", "pca", "aesvc", "rotation", "aesvc-paper", "ss2d-paper")
_SHRUNK = ("aesvc", "rotation")
_ALL_DIMENSIONS = ("auto", "raw", "aesvc", "rotation")  # not limited to what the images span


@dataclass(frozen=True)
class Fit:
    """A fitted projection and the record of the fit, for ``model.json`` and reports.

    ``neighbor_weight``: weight of a place's neighbors along the drive in its descriptor, 0 for none (``vpr_aesvc.projections.neighbor_pooling``).
    ``size_scores``: mean reciprocal rank of held-out frames at each size that the images span; empty if none were held out.
    ``recommended_size``: see ``vpr_aesvc.projections.selection.smallest_size``; None where held-out frames cannot tell.
    """

    projection: Projection
    method: str
    sizes: tuple[int, ...]
    why: str
    isotropic: float
    view: float
    scores: dict[str, float]
    neighbor_weight: float
    size_scores: dict[int, float]
    recommended_size: int | None
    terms: dict[str, dict[str, float]]
    cosine_variance: dict[str, float]


def default_sizes(dim: int) -> tuple[int, ...]:
    """8, 16, 32, ... up to 4,096, those below ``dim``, and ``dim``."""
    return (*(size for size in (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096) if size < dim), dim)


def fit(
    data: TrainingData,
    frames: Sequence[Frame],
    sizes: Sequence[int] | None = None,
    method: str = "auto",
    seed: int = 0,
    progress: StageProgress | None = None,
) -> Fit:
    """Fits the stages that ``method`` needs. ``auto`` keeps the form that ranks held-out frames best.

    Args:
        data: embeddings of the database images.
        frames: one for each row; their poses or sequences define neighbors.
        sizes: descriptor sizes to train for, by default powers of two from 8; the full size is added.
        method: one of ``METHODS``.
        seed: the same data and seed give the same bytes.
        progress: called with (stage, steps done, steps).

    Raises:
        VprError: an unknown method or a size out of range.
    """
    if method not in METHODS:
        raise VprError(f"method {method!r} is not known; choose one of {', '.join(METHODS)}")
    full = min(data.embeddings.shape[1] if method in _ALL_DIMENSIONS else data.rank, MAX_DIMENSIONS)
    full = min(full, TEACHER_SIZE) if method == "ss2d-paper" else full
    if sizes and max(sizes) > full:
        images = f"{len(data.embeddings)} images of these embeddings"
        raise VprError(f"size {max(sizes)} is too large for {images}; choose sizes up to {full}")
    if sizes and min(sizes) < 1:
        raise VprError(f"sizes must be at least 1, found {min(sizes)}")
    within = (size for size in sizes or default_sizes(full) if size < full)
    stages = Stages(data, frames, (*within, full), seed, progress)
    why = "requested"
    scores: dict[str, float] = {}
    if method == "auto" and stages.held_out is None:
        method, why = "aesvc", "the default"
    elif method == "auto":
        method, why, scores = _choose(stages)
    forms = {
        "raw": lambda: linear.rotated_identity(stages.data),
        "pca": lambda: linear.pca(stages.data),
        "aesvc": lambda: stages.teacher,
        "rotation": lambda: stages.rotation,
        "aesvc-paper": lambda: stages.paper.aesvc,
        "ss2d-paper": lambda: stages.paper.student(stages.sizes),
    }
    projection = forms[method]()
    if method in _SHRUNK and stages.held_out is None:
        why += f"; {stages.why_not_held_out}, so the shrinkage is the one that is best on other maps"
    elif method == "rotation" and stages.trial_rotation[0] == 0:
        why += "; no (SS)2D student ranks held-out frames better, so it is the AE-SVC latent"
    return _result(stages, projection, method, why, scores)


def _choose(stages: Stages) -> tuple[str, str, dict[str, float]]:
    """(method, reason in one sentence, all scores): the rotation where it helps, else the AE-SVC latent; the raw embedding if that does harm."""
    held_out = stages.held_out
    assert held_out is not None
    raw = linear.rotated_identity(held_out.data)
    stop, chosen = stages.trial_rotation
    scored = {"raw": raw, "aesvc": stages.trial, "rotation": chosen}
    scores = {name: held_out.score(projection, stages.trial_sizes) for name, projection in scored.items()}
    harmed = held_out.harmed_sizes(chosen, raw, stages.trial_sizes)
    if harmed:
        sizes = ", ".join(map(str, harmed))
        return "raw", f"the projection ranks {held_out.kind} worse than the raw embedding at {sizes} numbers", scores
    why = f"mean reciprocal rank over the sizes {scores['rotation']:.3f} against {scores['raw']:.3f} raw, on {held_out.kind}"
    if stop == 0:
        return "aesvc", f"{why}; no (SS)2D student ranks them better at each size", scores
    return "rotation", why, scores


def _result(stages: Stages, projection: Projection, method: str, why: str, scores: dict[str, float]) -> Fit:
    data, shrunk = stages.data, method in _SHRUNK
    terms = {"before": constraint_terms(data, linear.pca(data))}
    variance = {"before": float(cosine_sample(data.sample()).var())}
    if method != "raw":
        latent = stages.teacher if shrunk else stages.paper.teacher if method == "ss2d-paper" else projection
        terms["after"] = constraint_terms(data, latent)
        variance["after"] = float(cosine_sample(projection(data.sample())).var())
    outside = 1.0 if method == "raw" else stages.outside if method in _ALL_DIMENSIONS else 0.0
    chosen = stages.shrinkage if scores or shrunk else (0.0, 0.0)
    weight, ranks = _ranks_by_size(stages, method) if scores else (0.0, np.empty((1, 0)))
    measured = [*stages.trial_sizes[:-1], stages.sizes[-1]] if scores else []
    # Augmented views are easier than another visit: sizes that find them lost .03 of R@1 (benchmarks/small_maps.py).
    smallest = smallest_size(ranks) if stages.held_out is not None and stages.held_out.has_neighbors else None
    return Fit(
        stages.lift(projection, outside),
        method,
        stages.sizes,
        why,
        *chosen,
        scores,
        neighbor_weight=weight,
        size_scores=dict(zip(measured, ranks.mean(0).tolist(), strict=True)),
        recommended_size=None if smallest is None else measured[smallest],
        terms=terms,
        cosine_variance=variance,
    )


def _ranks_by_size(stages: Stages, method: str) -> tuple[float, NDArray[np.float64]]:
    """The neighbor weight, ``NEIGHBOR_WEIGHT`` where it helps, and the reciprocal ranks of held-out frames with it: [held-out frames, sizes]."""
    held_out = stages.held_out
    assert held_out is not None
    form = linear.rotated_identity(held_out.data) if method == "raw" else stages.trial_rotation[1]
    alone, together = (held_out.reciprocal_ranks(form, stages.trial_sizes, weight) for weight in (0.0, NEIGHBOR_WEIGHT))
    return (NEIGHBOR_WEIGHT, together) if is_above_zero((together - alone).mean(1)) else (0.0, alone)
