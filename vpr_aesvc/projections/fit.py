"""The complete fit: chooses the shrinkage, trains AE-SVC, distills the forms of (SS)2D and keeps the best form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vpr_aesvc.errors import VprError
from vpr_aesvc.projections import linear
from vpr_aesvc.projections.aesvc import constraint_terms, cosine_sample
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.reduction import MAX_DIMENSIONS
from vpr_aesvc.projections.selection import is_harmful
from vpr_aesvc.projections.stages import Progress, Stages, most_faithful
from vpr_aesvc.types import Frame

METHODS = ("auto", "raw", "pca", "whitening", "aesvc", "rotation", "free", "pair")


@dataclass(frozen=True)
class Fit:
    """A fitted projection and the record of the fit, for ``model.json`` and reports."""

    projection: Projection
    method: str
    sizes: tuple[int, ...]
    why: str
    isotropic: float
    view: float
    scores: dict[str, float]
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
    progress: Progress | None = None,
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
    full = min(data.rank, MAX_DIMENSIONS)
    _check_sizes(sizes, data, data.embeddings.shape[1] if method == "raw" else full)
    stages = Stages(
        data, frames, (*(size for size in sizes or default_sizes(full) if size < full), full), seed, progress
    )
    why = "requested"
    scores: dict[str, float] = {}
    if method == "raw":
        return _raw(data, stages, sizes, why, scores)
    if method == "pca":
        return _result(stages, linear.pca(stages.data), "pca", why, scores, None)
    if method == "auto" and stages.held_out is None:
        return _raw(data, stages, sizes, f"{stages.why_not_held_out}, and the raw embedding cannot do harm", scores)
    if method == "auto":
        method, why, scores = _choose(stages)
        if method == "raw":
            return _raw(data, stages, sizes, why, scores)
    if method == "whitening":
        return _result(stages, stages.whitening, method, why, scores, None)
    projection = stages.teacher if method == "aesvc" else stages.forms(method)[method]
    if stages.held_out is None:
        why += f"; {stages.why_not_held_out}, so AE-SVC is its closed form with the default shrinkage"
    elif not stages.steps_help:
        why += "; gradient steps did not improve the closed form of AE-SVC, which is kept"
    return _result(stages, projection, method, why, scores, stages.teacher)


def _check_sizes(sizes: Sequence[int] | None, data: TrainingData, largest: int) -> None:
    if sizes and max(sizes) > largest:
        raise VprError(
            f"size {max(sizes)} is more than these {len(data.embeddings)} images can fill; choose sizes up to {largest}"
        )
    if sizes and min(sizes) < 1:
        raise VprError(f"sizes must be at least 1, found {min(sizes)}")


def _choose(stages: Stages) -> tuple[str, str, dict[str, float]]:
    """(method, reason in one sentence, all scores). Of the candidates that do no harm at full size and are as good as the best, it
    is the one closest to the AE-SVC latent."""
    held_out = stages.held_out
    assert held_out is not None
    candidates = {"aesvc": stages.trial["aesvc" if stages.steps_help else "whitening"], **stages.trial_forms}
    raw = linear.rotated_identity(held_out.data)
    scored = {"raw": raw, "whitening": stages.trial["whitening"], "aesvc": stages.trial["aesvc"], **stages.trial_forms}
    scores = {name: held_out.score(projection, stages.trial_sizes) for name, projection in scored.items()}
    harmless = {name: one for name, one in candidates.items() if not is_harmful(held_out, one, raw)}
    if not harmless:
        why = f"no projection beat the raw embedding by more than the uncertainty on {held_out.kind}, so the raw embedding is used"
        return "raw", why, scores
    chosen = most_faithful(held_out, harmless, stages.trial_sizes)
    harmless_scores = {name: held_out.score(one, stages.trial_sizes) for name, one in harmless.items()}
    best = max(harmless_scores, key=lambda name: harmless_scores[name])
    also = "" if chosen == best else f" (as good as {best} within the uncertainty, and closer to the AE-SVC latent)"
    score = f"{harmless_scores[chosen]:.3f} against {scores['raw']:.3f} raw"
    return chosen, f"best mean reciprocal rank over the sizes, {score}, on {held_out.kind}{also}", scores


def _raw(data: TrainingData, stages: Stages, sizes: Sequence[int] | None, why: str, scores: dict[str, float]) -> Fit:
    """The raw embedding rotated to its principal axes. Above 2,048 dimensions only the subspace that the images span is kept; cosines
    to a query are then scaled by one factor, so rankings stay the same."""
    dim = data.embeddings.shape[1]
    if dim <= MAX_DIMENSIONS:
        projection = linear.rotated_identity(data)
    else:
        projection = stages.lift(linear.rotated_identity(stages.data))
        why += f"; of its {dim} dimensions, the {projection.dim_out} directions that the images span are kept"
    full = projection.dim_out
    kept = (*sorted(size for size in {*(sizes or default_sizes(full))} if size < full), full)
    return _result(stages, projection, "raw", why, scores, None, lifted=True, sizes=kept)


def _result(
    stages: Stages,
    projection: Projection,
    method: str,
    why: str,
    scores: dict[str, float],
    teacher: Projection | None,
    lifted: bool = False,
    sizes: tuple[int, ...] | None = None,
) -> Fit:
    data = stages.data
    terms = {"before": constraint_terms(data, linear.pca(data))}
    variance = {"before": float(cosine_sample(data.sample()).var())}
    if method != "raw":
        terms["after"] = constraint_terms(data, teacher or projection)
        variance["after"] = float(cosine_sample(projection(data.sample())).var())
    chosen = stages.shrinkage if scores or method not in ("raw", "pca") else (0.0, 0.0)
    final = projection if lifted else stages.lift(projection)
    return Fit(final, method, sizes or stages.sizes, why, *chosen, scores, terms, variance)
