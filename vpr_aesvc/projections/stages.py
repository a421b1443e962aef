"""The stages of a fit: shrinkage, AE-SVC, the forms of (SS)2D. Each is computed at its first use and kept.

``fit`` uses the stages that one model needs. A benchmark uses all of them, with the same shrinkage, teacher and seed.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from vpr_aesvc.projections import linear, ss2d
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.projections.data import MIN_IMAGES, TrainingData
from vpr_aesvc.projections.paper import Paper
from vpr_aesvc.projections.reduction import basis_of, reduced
from vpr_aesvc.projections.selection import HeldOut, hold_out, is_above_zero
from vpr_aesvc.types import Frame, Progress, StageProgress

_ISOTROPIC = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_VIEW = (0.3, 1.0, 3.0, 10.0, 30.0)
_PRIOR = (2.0, 10.0)
"""(isotropic, view) before any held-out frame is seen. Best on average over 40 maps of 40 to 320 places cut from an indoor set, one corridor
and a drawn street, with up to three encoders (benchmarks/small_maps.py). Their queries were used for it."""
_SAME_RANK = 1e-3  # mean reciprocal ranks differ by less through rounding
_PRIOR_IMAGES = 300  # images for which the logarithm of each has a prior variance of one; it grows with the images
_STRONGER = (1, 3, 10, 30, 100)  # times the chosen ``isotropic``, if that harms a size


class Stages:
    """The stages for one database.

    Attributes:
        data: training data: the embeddings, or their coordinates in the subspace that the images span if that is smaller.
        sizes: descriptor sizes to train for, ascending.

    Args:
        shrinkage: (isotropic, view), in place of the choice on held-out frames; no frame is held out.

    All methods and properties return projections of ``data``; ``lift`` converts one to a projection of embeddings.
    """

    def __init__(
        self,
        data: TrainingData,
        frames: Sequence[Frame],
        sizes: Sequence[int],
        seed: int = 0,
        progress: StageProgress | None = None,
        shrinkage: tuple[float, float] | None = None,
    ) -> None:
        self._basis = basis_of(data)
        self.data = data if self._basis is None else reduced(data, self._basis[0])
        self.sizes = tuple(sorted(set(sizes)))
        self.seed = seed
        self._frames, self._progress, self._given = frames, progress, shrinkage

    def lift(self, projection: Projection, outside: float = 0.0) -> Projection:
        """Converts a projection of ``data`` to a projection of embeddings.

        Args:
            outside: weight of the directions that ``data`` does not span, which are appended; 0 for none.
        """
        if self._basis is None:
            return projection
        lifted = projection.lifted(self._basis[0])
        return lifted.with_outputs(np.float32(outside) * self._basis[1]) if outside else lifted

    @property
    def outside(self) -> float:
        """Weight of the directions that ``data`` does not span, in AE-SVC: their variance is that of the shrinkage alone."""
        return float(self.shrinkage[0] * self.data.mean_variance) ** -0.5

    @cached_property
    def held_out(self) -> HeldOut | None:
        return None if self._given else hold_out(self.data, self._frames, self.seed)

    @property
    def why_not_held_out(self) -> str:
        """Reason why there are no held-out frames."""
        if not len(self.data.views) and len(self.data.embeddings) > 2 * MIN_IMAGES:
            return "too few images have neighbors by pose or sequence, and there are no augmented views"
        return f"{len(self.data.embeddings)} images are too few to hold any out"

    @cached_property
    def shrinkage(self) -> tuple[float, float]:
        """(isotropic, view): see ``vpr_aesvc.projections.linear``. Where the choice harms a size, it is shrunk more, toward the raw embedding."""
        if self.held_out is None:
            return self._given or _PRIOR
        prior_variance = len(self.data.embeddings) / _PRIOR_IMAGES
        progress = self.progress_of("choosing: shrinkage")
        isotropic, view = _choose_shrinkage(self.held_out, self.trial_sizes, prior_variance, progress)
        raw = linear.rotated_identity(self.held_out.data)
        for stronger in _STRONGER:
            form = linear.whitening(self.held_out.data, stronger * isotropic, view)
            if not self.held_out.harmed_sizes(form, raw, self.trial_sizes):
                return stronger * isotropic, view
        return isotropic, view

    @cached_property
    def teacher(self) -> Projection:
        """The AE-SVC latent."""
        return linear.whitening(self.data, *self.shrinkage)

    @property
    def trial_sizes(self) -> tuple[int, ...]:
        """``sizes``, limited to the dimensions of ``data``."""
        return tuple(sorted({min(size, self.data.embeddings.shape[1]) for size in self.sizes}))

    @cached_property
    def trial(self) -> Projection:
        """AE-SVC, fitted without the held-out frames."""
        assert self.held_out is not None
        return linear.whitening(self.held_out.data, *self.shrinkage)

    @cached_property
    def trial_rotation(self) -> tuple[float, Projection]:
        """Part of the training after which the rotation ranks held-out frames best, and that rotation, fitted without them. It is ahead of the
        latent by more than one standard error (the rule of Breiman et al., 1984), and behind at no size; where there is none, (0, the latent)."""
        held_out, sizes, stops = self.held_out, self.trial_sizes, (0.0, *ss2d.STOPS)
        assert held_out is not None
        progress = self.progress_of("choosing: (SS)2D rotation")
        students = ss2d.train_rotation(held_out.data, self.trial, sizes, self.shrinkage, self.seed, stops, progress)
        ranks = np.stack([held_out.reciprocal_ranks(one, sizes) for one in students])  # [stops, held-out frames, sizes]
        gains = ranks - ranks[0]
        each = gains.mean(2)
        allowed = [is_above_zero(one, 1.0) for one in each] & (gains.mean(1) > -_SAME_RANK).all(1)
        best = int(np.where(allowed, each.mean(1), 0.0).argmax())
        return stops[best], students[best]

    @cached_property
    def rotation(self) -> Projection:
        """The orthogonal form of (SS)2D, trained as long as held-out frames say, else to the end."""
        stop = 1.0 if self.held_out is None else self.trial_rotation[0]
        progress = self.progress_of("(SS)2D rotation")
        return ss2d.train_rotation(self.data, self.teacher, self.sizes, self.shrinkage, self.seed, [stop], progress)[0]

    @cached_property
    def paper(self) -> Paper:
        """The projections as in the paper."""
        return Paper(self.data, self.sizes, self.seed, self.progress_of)

    def progress_of(self, stage: str) -> Progress | None:
        """The progress callback of one stage."""
        progress = self._progress
        return None if progress is None else lambda done, of: progress(stage, done, of)


def _choose_shrinkage(
    held_out: HeldOut, sizes: Sequence[int], prior_variance: float, progress: Progress | None
) -> tuple[float, float]:
    """The (isotropic, view) whose whitening ranks held-out frames best, where they can tell.

    The best grid point is often best by chance among several equally good ones. So the result is the posterior mean, a weighted geometric
    mean of the grid. Each weight is the prior times the likelihood, given the noise of the held-out frames, that the grid point is as
    good as the best. The fewer images, the more the prior counts.
    """
    views = _VIEW if len(held_out.data.views) else _PRIOR[1:]
    grid = np.array([(isotropic, view) for view in views for isotropic in _ISOTROPIC])
    rows = []
    for form in linear.whitenings(held_out.data, _ISOTROPIC, views):
        rows.append(held_out.reciprocal_ranks(form, sizes).mean(1))
        if progress:
            progress(len(rows), len(grid))
    ranks = np.stack(rows)  # [grid points, held-out frames]
    behind = ranks[ranks.mean(1).argmax()] - ranks
    error = behind.std(1, ddof=1) / behind.shape[1] ** 0.5
    from_prior = np.square(np.log(grid / _PRIOR)).sum(1) / prior_variance
    exponent = np.square(behind.mean(1) / np.maximum(error, 1e-9)) + from_prior
    weights = np.exp(-0.5 * (exponent - exponent.min()))
    isotropic, view = np.exp(np.average(np.log(grid), axis=0, weights=weights))
    return float(f"{isotropic:.2g}"), float(f"{view:.2g}")
