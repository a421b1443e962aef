"""The whole fit: shrinkage chosen, AE-SVC trained, (SS)2D distilled in its forms, the best form kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vpr_aesvc.errors import VprError
from vpr_aesvc.projections import linear
from vpr_aesvc.projections.aesvc import constraint_terms, cosine_sample
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.reduction import MOST_DIRECTIONS
from vpr_aesvc.projections.selection import is_harmful
from vpr_aesvc.projections.stages import Progress, Stages, most_faithful
from vpr_aesvc.types import Frame

METHODS = ("auto", "raw", "pca", "whitening", "aesvc", "rotation", "free", "pair")


@dataclass(frozen=True)
class Fit:
    """A fitted projection and how it came about. All of it is plain data for ``model.json`` and reports."""

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
    """8, 16, 32, ... below ``dim``, then ``dim``."""
    return (*(size for size in (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096) if size < dim), dim)


def fit(
    data: TrainingData,
    frames: Sequence[Frame],
    sizes: Sequence[int] | None = None,
    method: str = "auto",
    seed: int = 0,
    progress: Progress | None = None,
) -> Fit:
    """Fits every stage that ``method`` needs and, for ``auto``, keeps the form that does best on held-out frames.

    Args:
        data: embeddings of the database images.
        frames: one for each row; read only for who is near whom.
        sizes: sizes the descriptor is trained for; the full size is added. By default powers of two from 8.
        method: one of ``METHODS``.
        seed: same data and seed, same bytes.
        progress: called with (stage, steps done, steps).

    Raises:
        VprError: an unknown method or a size out of range.
    """
    if method not in METHODS:
        raise VprError(f"method {method!r} is not known; choose one of {', '.join(METHODS)}")
    most = data.embeddings.shape[1] if method == "raw" else min(data.rank, MOST_DIRECTIONS)
    if sizes and not 1 <= min(sizes) <= max(sizes) <= most:
        wrong = max(sizes) if max(sizes) > most else min(sizes)
        raise VprError(
            f"size {wrong} is more than these {len(data.embeddings)} images can fill; choose sizes up to {most}"
            if wrong > most
            else f"sizes must be at least 1, found {wrong}"
        )
    full = min(data.rank, MOST_DIRECTIONS)
    wanted = (*(size for size in sizes or default_sizes(full) if size < full), full)
    stages = Stages(data, frames, wanted, seed, progress)
    if method == "raw":
        return _raw(data, stages, sizes, "asked for", {})
    if method == "pca":
        return _result(stages, linear.pca(stages.data), "pca", "asked for", {}, None)
    if method == "auto" and stages.held_out is None:
        return _raw(data, stages, sizes, f"{stages.lacking}, and the raw embedding cannot do harm", {})
    scores: dict[str, float] = {}
    why = "asked for"
    if method == "auto":
        method, why, scores = _choose(data, stages)
        if method == "raw":
            return _raw(data, stages, sizes, why, scores)
    if method == "whitening":
        return _result(stages, stages.whitening, method, why, scores, None)
    projection = stages.teacher if method == "aesvc" else stages.forms(method)[method]
    if stages.held_out is None:
        why += f"; {stages.lacking}, so AE-SVC is its closed form with the usual shrinkage"
    elif not stages.steps_help:
        why += "; gradient steps did not improve the closed-form start of AE-SVC, which is kept"
    return _result(stages, projection, method, why, scores, stages.teacher)


def _choose(data: TrainingData, stages: Stages) -> tuple[str, str, dict[str, float]]:
    """Which candidate, why in one sentence, and every score: among those that do no harm at full size, the most faithful to the
    AE-SVC latent that is as good as the best."""
    held_out = stages.held_out
    assert held_out is not None
    candidates = {"aesvc": stages.trial["aesvc" if stages.steps_help else "whitening"], **stages.trial_forms}
    raw = linear.rotated_identity(held_out.data)
    tried = {"raw": raw, "whitening": stages.trial["whitening"], "aesvc": stages.trial["aesvc"], **stages.trial_forms}
    scores = {name: held_out.score(projection, stages.tried_sizes) for name, projection in tried.items()}
    harmless = {name: one for name, one in candidates.items() if not is_harmful(held_out, one, raw)}
    on = f"on {held_out.kind}"
    if not harmless:
        why = f"no projection beat the raw embedding by more than the uncertainty {on}, so it is used as it is"
        return "raw", why, scores
    chosen = most_faithful(held_out, harmless, stages.tried_sizes)
    reached = {name: held_out.score(one, stages.tried_sizes) for name, one in harmless.items()}
    best = max(reached, key=lambda name: reached[name])
    also = "" if chosen == best else f" (as good as {best} within the uncertainty, and closer to the AE-SVC latent)"
    score = f"{reached[chosen]:.3f} against {scores['raw']:.3f} raw"
    return chosen, f"best mean reciprocal rank over the sizes, {score}, {on}{also}", scores


def _raw(data: TrainingData, stages: Stages, sizes: Sequence[int] | None, why: str, scores: dict[str, float]) -> Fit:
    """The embedding turned so that its first numbers matter most. A very long one keeps only the directions its images span, in
    which their cosines to any query are in the proportions that all numbers would give."""
    dim = data.embeddings.shape[1]
    if dim <= MOST_DIRECTIONS:
        projection = linear.rotated_identity(data)
    else:
        projection = stages.lift(linear.rotated_identity(stages.data))
        why += f"; of its {dim} numbers, the {projection.dim_out} directions that the images span are kept"
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
