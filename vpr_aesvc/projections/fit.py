"""The whole fit: shrinkage chosen, AE-SVC trained, (SS)2D distilled in its forms, the best form kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.projections import linear, ss2d
from vpr_aesvc.projections.aesvc import constraint_terms, cosine_sample, train_aesvc
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.projections.data import MIN_IMAGES, TrainingData
from vpr_aesvc.projections.selection import HeldOut, hold_out, is_as_good, is_harmful
from vpr_aesvc.types import Frame

_ISOTROPIC = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
_VIEW = (0.1, 0.3, 1.0, 3.0, 10.0)
_DEFAULT_SHRINKAGE = (0.1, 1.0)  # where nothing can be held out
_FAITHFUL = ("rotation", "pair", "aesvc", "free")
METHODS = ("auto", "raw", "pca", "whitening", "aesvc", "rotation", "free", "pair")
Progress = Callable[[str, int, int], None]


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
    dim = data.embeddings.shape[1] if method == "raw" else min(len(data.embeddings) - 1, data.embeddings.shape[1])
    sizes = tuple(sorted({*(sizes or default_sizes(dim)), dim}))
    if sizes[0] < 1 or sizes[-1] > dim:
        raise VprError(
            f"size {sizes[-1]} is more than these {len(data.embeddings)} images can fill; choose sizes up to {dim}"
        )
    if method in ("raw", "pca"):
        projection = linear.rotated_identity(data) if method == "raw" else linear.pca(data)
        return _result(data, projection, method, sizes, "asked for", (0.0, 0.0), {}, None)
    held_out = hold_out(data, frames, seed)
    if held_out is None:
        return _without_held_out(data, sizes, method, seed, progress)
    shrinkage = _choose_shrinkage(held_out, sizes)
    if method == "whitening":
        return _result(data, linear.whitening(data, *shrinkage), method, sizes, "asked for", shrinkage, {}, None)

    # The trial: everything on the fitted part alone, scored on the held-out part.
    within = _within(sizes, held_out.data)
    start = linear.whitening(held_out.data, *shrinkage)
    trained = train_aesvc(held_out.data, start, seed, _noise(shrinkage), _tell(progress, "choosing: AE-SVC"))
    scores = {"whitening": held_out.score(start, within), "aesvc": held_out.score(trained, within)}
    train_on = scores["aesvc"] > scores["whitening"]
    why = "asked for"
    if method == "auto":
        raw = linear.rotated_identity(held_out.data)
        teacher = trained if train_on else start
        forms = _forms(held_out.data, teacher, within, seed, ("rotation", "free", "pair"), progress, "choosing: ")
        scores |= {"raw": held_out.score(raw, within)} | {
            name: held_out.score(form, within) for name, form in forms.items()
        }
        method, why = _choose(held_out, raw, {"aesvc": teacher, **forms}, scores, within)
        if method == "raw":
            full = data.embeddings.shape[1]
            sizes = (*(size for size in sizes if size < dim), full)
            return _result(data, linear.rotated_identity(data), method, sizes, why, shrinkage, scores, None)

    # The real thing: only what was chosen, on all database images.
    start = linear.whitening(data, *shrinkage)
    teacher = train_aesvc(data, start, seed, _noise(shrinkage), _tell(progress, "AE-SVC")) if train_on else start
    if not train_on:
        why += "; gradient steps did not improve the closed-form start of AE-SVC, which is kept"
    forms = {"aesvc": teacher} if method == "aesvc" else _forms(data, teacher, sizes, seed, (method,), progress, "")
    return _result(data, forms[method], method, sizes, why, shrinkage, scores, teacher)


def _without_held_out(
    data: TrainingData, sizes: tuple[int, ...], method: str, seed: int, progress: Progress | None
) -> Fit:
    """Nothing to choose by: what was asked for in its closed form, or the raw embedding, which cannot do harm."""
    count = len(data.embeddings)
    lacking = f"{count} images are too few to hold any out"
    if len(data.views) == 0 and count > 2 * MIN_IMAGES:
        lacking = "nothing says which images show the same place (no poses, no sequences, no changed views)"
    if method == "auto":
        full = data.embeddings.shape[1]
        why = f"{lacking}, and the raw embedding cannot do harm"
        sizes = (*(size for size in sizes if size < len(data.embeddings) - 1), full)
        return _result(data, linear.rotated_identity(data), "raw", sizes, why, _DEFAULT_SHRINKAGE, {}, None)
    teacher = linear.whitening(data, *_DEFAULT_SHRINKAGE)
    chosen = (
        teacher
        if method in ("whitening", "aesvc")
        else _forms(data, teacher, sizes, seed, (method,), progress, "")[method]
    )
    why = f"asked for; {lacking}, so AE-SVC is its closed form with the usual shrinkage"
    return _result(data, chosen, method, sizes, why, _DEFAULT_SHRINKAGE, {}, teacher)


def _choose_shrinkage(held_out: HeldOut, sizes: Sequence[int]) -> tuple[float, float]:
    """The (isotropic, view) whose closed form does best on held-out frames.

    The best of a grid is often best by chance among several as good, and then at an edge. So each is weighted by how likely it is,
    given the noise of the held-out frames, to be as good as the best, and the weighted geometric mean is taken.
    """
    grid = np.array([(isotropic, view) for view in _VIEW for isotropic in _ISOTROPIC])
    if not len(held_out.data.views):
        grid = np.array([(isotropic, _VIEW[0]) for isotropic in _ISOTROPIC])
    within = _within(sizes, held_out.data)
    ranks = np.stack([held_out.reciprocal_ranks(linear.whitening(held_out.data, *pair), within) for pair in grid])
    behind = ranks[ranks.mean(1).argmax()] - ranks
    error = behind.std(1, ddof=1) / behind.shape[1] ** 0.5
    weights = np.exp(-0.5 * np.square(behind.mean(1) / np.maximum(error, 1e-9)))
    isotropic, view = np.exp(np.average(np.log(grid), axis=0, weights=weights))
    return float(f"{isotropic:.2g}"), float(f"{view:.2g}")


def _forms(
    data: TrainingData,
    teacher: Projection,
    sizes: Sequence[int],
    seed: int,
    wanted: Sequence[str],
    progress: Progress | None,
    prefix: str,
) -> dict[str, Projection]:
    """(SS)2D in the forms wanted, by name. The pair needs both others, which are then given as well."""
    forms: dict[str, Projection] = {}
    if "rotation" in wanted or "pair" in wanted:
        forms["rotation"] = ss2d.train_rotation(data, teacher, sizes, seed, _tell(progress, f"{prefix}(SS)2D rotation"))
    if "free" in wanted or "pair" in wanted:
        forms["free"] = ss2d.train_free(data, teacher, sizes, seed, _tell(progress, f"{prefix}(SS)2D student"))
    if "pair" in wanted:
        student = forms["free"].first(min(ss2d.PAIR_STUDENT, teacher.dim_out // 2))
        forms["pair"] = ss2d.make_pair(data, forms["rotation"], student)
    return forms


def _choose(
    held_out: HeldOut,
    raw: Projection,
    candidates: dict[str, Projection],
    scores: dict[str, float],
    sizes: Sequence[int],
) -> tuple[str, str]:
    """Which candidate, and why in one sentence: among those that do no harm at full size, the most faithful to the AE-SVC
    latent that is as good as the best. A rotation cannot lose what the latent knows; a free student can, on what was not held out."""
    harmless = [name for name, candidate in candidates.items() if not is_harmful(held_out, candidate, raw)]
    on = f"on {held_out.kind}"
    if not harmless:
        return "raw", f"no projection beat the raw embedding by more than the uncertainty {on}, so it is used as it is"
    best = max(harmless, key=lambda name: scores[name])
    good = [name for name in harmless if is_as_good(held_out, candidates[name], candidates[best], sizes)]
    chosen = min(good, key=_FAITHFUL.index)
    also = "" if chosen == best else f" (as good as {best} within the uncertainty, and closer to the AE-SVC latent)"
    score = f"{scores[chosen]:.3f} against {scores['raw']:.3f} raw"
    return chosen, f"best mean reciprocal rank over the sizes, {score}, {on}{also}"


def _result(
    data: TrainingData,
    projection: Projection,
    method: str,
    sizes: tuple[int, ...],
    why: str,
    shrinkage: tuple[float, float],
    scores: dict[str, float],
    teacher: Projection | None,
) -> Fit:
    before = linear.pca(data)
    terms = {"before": constraint_terms(data, before)}
    variance = {"before": float(cosine_sample(data.sample()).var())}
    if method != "raw":
        terms["after"] = constraint_terms(data, teacher or projection)
        variance["after"] = float(cosine_sample(projection(data.sample())).var())
    return Fit(projection, method, sizes, why, shrinkage[0], shrinkage[1], scores, terms, variance)


def _noise(shrinkage: tuple[float, float]) -> float:
    """The isotropic part of the shrinkage as the standard deviation of a noise, in mean spreads of the embeddings."""
    return shrinkage[0] ** 0.5


def _within(sizes: Sequence[int], data: TrainingData) -> tuple[int, ...]:
    """The sizes that a projection fitted on ``data`` can have."""
    most = min(len(data.embeddings) - 1, data.embeddings.shape[1])
    return tuple(sorted({min(size, most) for size in sizes}))


def _tell(progress: Progress | None, stage: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, of: progress(stage, done, of)
