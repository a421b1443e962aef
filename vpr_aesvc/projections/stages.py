"""The stages of a fit: shrinkage, AE-SVC, the forms of (SS)2D. Each is computed at its first use and kept.

``fit`` uses the stages that one model needs. A benchmark uses all of them, with the same shrinkage, teacher and seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from vpr_aesvc.projections import linear, ss2d
from vpr_aesvc.projections.aesvc import train_aesvc
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.projections.data import MIN_IMAGES, TrainingData
from vpr_aesvc.projections.reduction import basis_of, reduced
from vpr_aesvc.projections.selection import HeldOut, hold_out, is_as_good
from vpr_aesvc.types import Frame

_ISOTROPIC = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
_VIEW = (0.1, 0.3, 1.0, 3.0, 10.0)
_DEFAULT_SHRINKAGE = (0.1, 1.0)  # without held-out frames
_FAITHFUL = ("rotation", "pair", "aesvc", "free")  # by closeness to the AE-SVC latent
FORMS = ("rotation", "free", "pair")
Progress = Callable[[str, int, int], None]


class Stages:
    """The stages for one database.

    Attributes:
        data: training data: the embeddings, or their coordinates in the subspace that the images span if that is smaller.
        sizes: descriptor sizes to train for, ascending, at most ``data.rank``.

    All methods and properties return projections of ``data``; ``lift`` converts one to a projection of embeddings.
    """

    def __init__(
        self,
        data: TrainingData,
        frames: Sequence[Frame],
        sizes: Sequence[int],
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self._basis = basis_of(data)
        self.data = data if self._basis is None else reduced(data, self._basis)
        self.sizes = tuple(sorted(set(sizes)))
        self.seed = seed
        self._frames, self._progress = frames, progress
        self._forms: dict[str, Projection] = {}

    def lift(self, projection: Projection) -> Projection:
        """Converts a projection of ``data`` to a projection of embeddings."""
        return projection if self._basis is None else projection.lifted(self._basis)

    @cached_property
    def held_out(self) -> HeldOut | None:
        return hold_out(self.data, self._frames, self.seed)

    @property
    def why_not_held_out(self) -> str:
        """Reason why there are no held-out frames."""
        if not len(self.data.views) and len(self.data.embeddings) > 2 * MIN_IMAGES:
            return "too few images have neighbors by pose or sequence, and there are no augmented views"
        return f"{len(self.data.embeddings)} images are too few to hold any out"

    @cached_property
    def shrinkage(self) -> tuple[float, float]:
        """(isotropic, view): see ``vpr_aesvc.projections.linear``."""
        return _DEFAULT_SHRINKAGE if self.held_out is None else _choose_shrinkage(self.held_out, self.sizes)

    @cached_property
    def whitening(self) -> Projection:
        return linear.whitening(self.data, *self.shrinkage)

    @property
    def trial_sizes(self) -> tuple[int, ...]:
        """``sizes``, limited to the rank of the data without the held-out frames."""
        assert self.held_out is not None
        return _within(self.sizes, self.held_out.data)

    @cached_property
    def trial(self) -> dict[str, Projection]:
        """Whitening and the trained AE-SVC, fitted without the held-out frames."""
        assert self.held_out is not None
        start = linear.whitening(self.held_out.data, *self.shrinkage)
        return {"whitening": start, "aesvc": self._train(self.held_out.data, start, "choosing: AE-SVC")}

    @cached_property
    def trial_forms(self) -> dict[str, Projection]:
        """The forms of (SS)2D, fitted without the held-out frames."""
        assert self.held_out is not None
        teacher = self.trial["aesvc" if self.steps_help else "whitening"]
        return self._make_forms(self.held_out.data, teacher, self.trial_sizes, FORMS, {}, "choosing: ")

    @cached_property
    def steps_help(self) -> bool:
        """Whether the trained AE-SVC ranks held-out frames better than its closed form."""
        if self.held_out is None:
            return False
        scores = {name: self.held_out.score(form, self.trial_sizes) for name, form in self.trial.items()}
        return scores["aesvc"] > scores["whitening"]

    @cached_property
    def teacher(self) -> Projection:
        """The AE-SVC latent: the trained one if gradient steps help, else the closed form."""
        return self._train(self.data, self.whitening, "AE-SVC") if self.steps_help else self.whitening

    def forms(self, *names: str) -> dict[str, Projection]:
        """The requested forms of (SS)2D, of ``FORMS``."""
        missing = [name for name in names if name not in self._forms]
        if missing:
            self._make_forms(self.data, self.teacher, self.sizes, missing, self._forms, "")
        return {name: self._forms[name] for name in names}

    def ssd_student(self, size: int) -> Projection:
        """SSD: a student for this size alone, the upper bound of (SS)2D."""
        return ss2d.train_free(self.data, self.teacher, [size], self.seed, self.progress_of(f"SSD {size}"))

    def progress_of(self, stage: str) -> Callable[[int, int], None] | None:
        """The progress callback of one stage."""
        progress = self._progress
        return None if progress is None else lambda done, of: progress(stage, done, of)

    def _train(self, data: TrainingData, start: Projection, stage: str) -> Projection:
        noise = self.shrinkage[0] ** 0.5  # the isotropic variance of the shrinkage as a standard deviation
        return train_aesvc(data, start, self.seed, noise, self.progress_of(stage))

    def _make_forms(
        self,
        data: TrainingData,
        teacher: Projection,
        sizes: Sequence[int],
        names: Sequence[str],
        forms: dict[str, Projection],
        stage: str,
    ) -> dict[str, Projection]:
        """Adds the forms ``names`` to ``forms``. A pair consists of the two others, which are then added too."""
        needed = {*names, *(("rotation", "free") if "pair" in names else ())}
        if "rotation" in needed and "rotation" not in forms:
            progress = self.progress_of(f"{stage}(SS)2D rotation")
            forms["rotation"] = ss2d.train_rotation(data, teacher, sizes, self.seed, progress)
        if "free" in needed and "free" not in forms:
            progress = self.progress_of(f"{stage}(SS)2D student")
            forms["free"] = ss2d.train_free(data, teacher, sizes, self.seed, progress)
        if "pair" in needed:
            student = forms["free"].first(min(ss2d.PAIR_STUDENT, teacher.dim_out // 2))
            forms["pair"] = ss2d.make_pair(data, forms["rotation"], student)
        return forms


def most_faithful(held_out: HeldOut, candidates: dict[str, Projection], sizes: Sequence[int]) -> str:
    """Of the candidates within one standard error of the best, the one closest to the AE-SVC latent. A rotation keeps all information of
    the latent; a free student may lose information on places that were not held out."""
    best = max(candidates, key=lambda name: held_out.score(candidates[name], sizes))
    good = [name for name in candidates if is_as_good(held_out, candidates[name], candidates[best], sizes)]
    return min(good, key=_FAITHFUL.index)


def _choose_shrinkage(held_out: HeldOut, sizes: Sequence[int]) -> tuple[float, float]:
    """The (isotropic, view) whose whitening ranks held-out frames best.

    The best grid point is often best by chance among several equally good ones. So the result is a weighted geometric mean of the grid.
    Each weight is the likelihood, given the noise of the held-out frames, that the grid point is as good as the best.
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


def _within(sizes: Sequence[int], data: TrainingData) -> tuple[int, ...]:
    return tuple(sorted({min(size, data.rank) for size in sizes}))
