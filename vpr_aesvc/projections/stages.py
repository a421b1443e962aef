"""The stages of a fit, each done once and when it is first asked for: shrinkage, AE-SVC, (SS)2D in its forms.

``fit`` takes what one model needs; a benchmark takes all of them, from the same shrinkage, the same teacher and the same seed.
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
_DEFAULT_SHRINKAGE = (0.1, 1.0)  # where nothing can be held out
FAITHFUL = ("rotation", "pair", "aesvc", "free")  # to the AE-SVC latent, most first
FORMS = ("rotation", "free", "pair")
Progress = Callable[[str, int, int], None]


class Stages:
    """One database, to be fitted on.

    Attributes:
        data: what is fitted on: the embeddings, or their coordinates in the span of the images where those are fewer.
        sizes: sizes the descriptor is trained for, ascending, at most ``data.rank``.

    The projections that methods and properties give are for ``data``; :meth:`lift` turns one into one for embeddings.
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
        """A projection of ``data`` as a projection of embeddings."""
        return projection if self._basis is None else projection.lifted(self._basis)

    @cached_property
    def held_out(self) -> HeldOut | None:
        return hold_out(self.data, self._frames, self.seed)

    @property
    def lacking(self) -> str:
        """Why nothing is held out, in words."""
        if not len(self.data.views) and len(self.data.embeddings) > 2 * MIN_IMAGES:
            return "too few images are said to show the same place as another (by poses or sequences), and there are no changed views"
        return f"{len(self.data.embeddings)} images are too few to hold any out"

    @cached_property
    def shrinkage(self) -> tuple[float, float]:
        """(isotropic, view): see :mod:`vpr_aesvc.projections.linear`."""
        return _DEFAULT_SHRINKAGE if self.held_out is None else _choose_shrinkage(self.held_out, self.sizes)

    @cached_property
    def whitening(self) -> Projection:
        return linear.whitening(self.data, *self.shrinkage)

    @property
    def tried_sizes(self) -> tuple[int, ...]:
        """The sizes that a projection fitted without the held-out frames can have."""
        assert self.held_out is not None
        return _within(self.sizes, self.held_out.data)

    @cached_property
    def trial(self) -> dict[str, Projection]:
        """The closed form and the trained AE-SVC, fitted without the held-out frames."""
        assert self.held_out is not None
        start = linear.whitening(self.held_out.data, *self.shrinkage)
        return {"whitening": start, "aesvc": self._train(self.held_out.data, start, "choosing: AE-SVC")}

    @cached_property
    def trial_forms(self) -> dict[str, Projection]:
        """(SS)2D in its forms, fitted without the held-out frames."""
        assert self.held_out is not None
        teacher = self.trial["aesvc" if self.steps_help else "whitening"]
        return self._make_forms(self.held_out.data, teacher, self.tried_sizes, FORMS, {}, "choosing: ")

    @cached_property
    def steps_help(self) -> bool:
        """Whether gradient steps from the closed form rank held-out frames better than the closed form does."""
        if self.held_out is None:
            return False
        scores = {name: self.held_out.score(form, self.tried_sizes) for name, form in self.trial.items()}
        return scores["aesvc"] > scores["whitening"]

    @cached_property
    def teacher(self) -> Projection:
        """The AE-SVC latent: trained on from the closed form where that helps, else the closed form, which meets the constraints."""
        return self._train(self.data, self.whitening, "AE-SVC") if self.steps_help else self.whitening

    def forms(self, *wanted: str) -> dict[str, Projection]:
        """(SS)2D in the forms wanted, among ``FORMS``."""
        missing = [name for name in wanted if name not in self._forms]
        if missing:
            self._make_forms(self.data, self.teacher, self.sizes, missing, self._forms, "")
        return {name: self._forms[name] for name in wanted}

    def student_of(self, size: int) -> Projection:
        """SSD: a student for this one size, the upper bound of (SS)2D."""
        return ss2d.train_free(self.data, self.teacher, [size], self.seed, self.tell(f"SSD {size}"))

    def tell(self, stage: str) -> Callable[[int, int], None] | None:
        """A progress callback for one stage."""
        progress = self._progress
        return None if progress is None else lambda done, of: progress(stage, done, of)

    def _train(self, data: TrainingData, start: Projection, stage: str) -> Projection:
        noise = self.shrinkage[0] ** 0.5  # the isotropic part of the shrinkage as a standard deviation
        return train_aesvc(data, start, self.seed, noise, self.tell(stage))

    def _make_forms(
        self,
        data: TrainingData,
        teacher: Projection,
        sizes: Sequence[int],
        wanted: Sequence[str],
        forms: dict[str, Projection],
        prefix: str,
    ) -> dict[str, Projection]:
        """Adds what is wanted to ``forms``; a pair is made of the two others, which are then there as well."""
        needed = {*wanted, *(("rotation", "free") if "pair" in wanted else ())}
        if "rotation" in needed and "rotation" not in forms:
            tell = self.tell(f"{prefix}(SS)2D rotation")
            forms["rotation"] = ss2d.train_rotation(data, teacher, sizes, self.seed, tell)
        if "free" in needed and "free" not in forms:
            forms["free"] = ss2d.train_free(data, teacher, sizes, self.seed, self.tell(f"{prefix}(SS)2D student"))
        if "pair" in needed:
            student = forms["free"].first(min(ss2d.PAIR_STUDENT, teacher.dim_out // 2))
            forms["pair"] = ss2d.make_pair(data, forms["rotation"], student)
        return forms


def most_faithful(held_out: HeldOut, candidates: dict[str, Projection], sizes: Sequence[int]) -> str:
    """Of the candidates that are as good as the best, within the uncertainty, the one closest to the AE-SVC latent: a rotation
    cannot lose what the latent knows; a free student can, on what was not held out."""
    best = max(candidates, key=lambda name: held_out.score(candidates[name], sizes))
    good = [name for name in candidates if is_as_good(held_out, candidates[name], candidates[best], sizes)]
    return min(good, key=FAITHFUL.index)


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


def _within(sizes: Sequence[int], data: TrainingData) -> tuple[int, ...]:
    return tuple(sorted({min(size, data.rank) for size in sizes}))
