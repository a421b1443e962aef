"""The similarity margin of a frame: how much better the best neighborhood explains it than the best other one.

A frame is taken between map frames, so each place is scored together with two neighbors on either side. The score is the length of the
frame's descriptor within the span of the neighborhood (nearest feature line; Li and Lu, 1999), with a ridge that trusts a direction less
if only one neighbor has it. For unit descriptors, with ``s`` [5] the similarities of the frame to the neighborhood, ``s_0`` that to the
place itself and ``G`` [5, 5] the Gram matrix of the neighborhood:

    score = sqrt(s' (G + 0.2 I)^-1 s) + 0.02 s_0        the last term selects the place within overlapping neighborhoods
    margin = (score of the best place - score of the best other place) / standard deviation of the frame's similarities

If many places look alike the margin is 0. The division makes margins comparable for map frames, which the projection was fitted on and
which are less similar to each other, and new frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.similarity.runs import distinct, runs_of, separation_of
from vpr_aesvc.types import Floats, Rows

SAME_PLACE_METERS = 5.0
"""Places this near each other count as the same place."""
_REACH = 2  # neighbors on either side; with more, places some frames away score as high as the right one
_RIDGE = 0.2
_OWN_WEIGHT = 0.02
_CANDIDATES = 512  # the most similar places, which are scored; smaller maps are scored completely
_SAMPLE = 256  # places from which the usual spread of similarities is estimated


@dataclass(frozen=True)
class SimilarityMargin:
    """The best place for a frame and its lead.

    ``row`` is the best place and ``rival`` the best other place, rows of the map, -1 if there is none. ``score`` and ``rival_score`` lie
    between 0 and about 1; ``spread`` is the standard deviation of the frame's similarities. ``value`` is the margin; it is 0 without a
    rival, because then nothing tells how similar unrelated images are.
    """

    row: int
    score: float
    rival: int
    rival_score: float
    spread: float

    @property
    def value(self) -> float:
        return (self.score - self.rival_score) / self.spread if self.rival >= 0 else 0.0


class Neighborhoods:
    """The places of a map with their neighbors along the traverse, precomputed for scoring.

    Consecutive places with equal views (a robot that stands still) count as one. Two places are different if they are in different runs
    or more than ``separation`` frames apart, and no position says that one is within 5 m of the other or of its neighbors.
    **Without positions a place that was passed twice is its own rival**: descriptors cannot tell it from a similar-looking place.

    Attributes:
        kept: int64 [m], rows that are not repeats, in order.
        runs: int64 [m], the uninterrupted run of a traverse that each is in.
        descriptors: float32 [m, d].
        positions: float64 [m, 2 or 3], or None.
        separation: in kept frames along a run.
    """

    def __init__(
        self,
        descriptors: NDArray[np.floating],
        traverses: Sequence[str] | NDArray[np.generic] | None = None,
        positions: NDArray[np.floating] | None = None,
    ) -> None:
        """
        Args:
            descriptors: float32 or float16 [n, d], unit norm, in the order in which the places were passed.
            traverses: n names; by default all places are of one traverse.
            positions: [n, 2 or 3], meters in the map frame, NaN where unknown.

        Raises:
            VprError: lengths do not agree, or a descriptor is not finite.
        """
        rows = np.asarray(descriptors, np.float32)
        if rows.ndim != 2 or not np.isfinite(rows).all():
            raise VprError(f"expected finite descriptors of shape [n, d], found an array of shape {rows.shape}")
        names = np.zeros(len(rows), np.int64) if traverses is None else np.asarray(traverses)
        for what, given in (("traverse", names), ("position", positions)):
            if given is not None and len(given) != len(rows):
                raise VprError(f"expected the {what} of each of {len(rows)} places, found {len(given)}")
        self._count = len(rows)
        runs = runs_of(names)
        self.kept = distinct(rows, runs)
        self.runs = runs[self.kept]
        self.descriptors = rows if len(self.kept) == len(rows) else rows[self.kept]
        self.positions = None if positions is None else np.asarray(positions, np.float64)[self.kept]
        self.separation = separation_of(len(self.kept))
        self._min_spread = 0.5 * _usual_spread(self.descriptors)
        self._around, self._exists = _neighbors(self.runs)
        self._roots = _inverse_roots(self.descriptors, self._around, self._exists)

    def __len__(self) -> int:
        """The number of places, with repeats."""
        return self._count

    def margin(self, similarities: NDArray[np.floating]) -> SimilarityMargin:
        """The margin of a frame.

        Args:
            similarities: [n], cosines of the frame's descriptor and those of the places; ``-inf`` excludes a place.

        Raises:
            VprError: the number of similarities is not that of the places, or one is NaN.
        """
        given = np.asarray(similarities, np.float32)
        if given.shape != (self._count,):
            raise VprError(f"expected the similarities to {self._count} places, found an array of shape {given.shape}")
        if np.isnan(given).any():
            raise VprError("a similarity is NaN; describe the frame again")
        kept = given[self.kept]
        peaks = self.best_places(kept, count=2, among=self.fully_visible(kept > -np.inf))
        (best, score), (rival, rival_score) = (*peaks, (-1, 0.0), (-1, 0.0))[:2]
        return SimilarityMargin(
            row=self._best_repeat(best, given) if best >= 0 else -1,
            score=score,
            rival=int(self.kept[rival]) if rival >= 0 else -1,
            rival_score=rival_score,
            spread=self.spread(kept),
        )

    def spread(self, similarities: NDArray[np.float32]) -> float:
        """Standard deviation of the similarities that are not ``-inf``; at least half of the usual one in the map. A frame that is equally
        unlike all places, such as a wall, must not get a large margin from a small spread."""
        visible = similarities[similarities > -np.inf]
        return max(float(visible.std()), self._min_spread) if len(visible) else self._min_spread

    def best_places(
        self, similarities: NDArray[np.float32], count: int, among: Rows | None = None
    ) -> list[tuple[int, float]]:
        """The best places that differ from each other: (index into ``kept``, score), best first, at most ``count``.

        Args:
            similarities: float32 [m], to the kept places.
            among: the kept places to score, ascending; by default all.
        """
        rows = np.arange(len(self.kept)) if among is None else among
        if len(rows) > _CANDIDATES:
            rows = np.sort(rows[np.argpartition(similarities[rows], -_CANDIDATES)[-_CANDIDATES:]])
        around = np.where(self._exists[rows], similarities[self._around[rows]], 0)
        scores = np.linalg.norm(np.einsum("mij,mj->mi", self._roots[rows], around), axis=1)
        scores += _OWN_WEIGHT * similarities[rows]
        peaks: list[tuple[int, float]] = []
        while len(peaks) < count and len(rows):
            best = int(scores.argmax())
            peaks.append((int(rows[best]), float(scores[best])))
            others = ~self.same_place(int(rows[best]), rows)
            rows, scores = rows[others], scores[others]
        return peaks

    def fully_visible(self, visible: NDArray[np.bool_]) -> Rows:
        """The kept places whose neighbors are all ``visible``, bool [m]. The score of a partly excluded neighborhood is unknown."""
        return np.flatnonzero((visible[self._around] | ~self._exists).all(1))

    def same_place(self, one: int, others: Rows) -> NDArray[np.bool_]:
        """Whether the kept places ``others`` [k] show the same place as the kept place ``one``."""
        same = (self.runs[others] == self.runs[one]) & (np.abs(others - one) <= self.separation)
        if self.positions is not None:
            around = self.positions[self._around[one][self._exists[one]]]  # the frame may show any of them
            around = around[np.isfinite(around).all(1)]
            if len(around):
                reach = SAME_PLACE_METERS + float(np.sqrt(_squares(around - around[0]).max()))
                close = np.flatnonzero(_squares(self.positions[others] - around[0]) <= reach**2)  # False for NaN
                distances = _squares(self.positions[others[close], None] - around)
                same[close] |= (distances <= SAME_PLACE_METERS**2).any(1)
        return np.asarray(same)

    def _best_repeat(self, best: int, similarities: NDArray[np.float32]) -> int:
        """The most similar row among a kept one and its repeats."""
        first = int(self.kept[best])
        end = int(self.kept[best + 1]) if best + 1 < len(self.kept) else self._count
        return first + int(similarities[first:end].argmax())


def _squares(differences: Floats) -> Floats:
    """Squared lengths of vectors [..., 2 or 3]."""
    return np.asarray(np.einsum("...i,...i->...", differences, differences))


def _usual_spread(descriptors: NDArray[np.float32]) -> float:
    """Median over places of the standard deviation of the similarities to the others; at least 0.001."""
    sample = descriptors[:: max(1, len(descriptors) // _SAMPLE)]
    count = len(sample)
    if count < 3:
        return 1.0
    others = (sample @ sample.T)[~np.eye(count, dtype=np.bool_)].reshape(count, count - 1)
    return max(float(np.median(others.std(1))), 1e-3)


def _neighbors(runs: Rows) -> tuple[Rows, NDArray[np.bool_]]:
    """Indices int64 [m, 5] of each place and its neighbors, and which of them exist, bool [m, 5]."""
    count = len(runs)
    around = np.arange(count)[:, None] + np.arange(-_REACH, _REACH + 1)
    exists = (around >= 0) & (around < count)
    around = np.clip(around, 0, max(count - 1, 0))
    return around, exists & (runs[around] == runs[:, None])


def _inverse_roots(descriptors: NDArray[np.float32], around: Rows, exists: NDArray[np.bool_]) -> NDArray[np.float32]:
    """For each place a matrix A with ``A' A = (G + ridge I)^-1``: float32 [m, 5, 5]."""
    count, width = around.shape
    gram = np.zeros((count, width, width), np.float32)
    for lag in range(min(width, count)):  # dot products of places `lag` frames apart, shared by all neighborhoods
        dots = np.zeros(count, np.float32)
        dots[: count - lag] = np.einsum("nd,nd->n", descriptors[: count - lag], descriptors[lag:])
        for at in range(width - lag):
            both = exists[:, at] & exists[:, at + lag]
            gram[:, at, at + lag] = gram[:, at + lag, at] = np.where(both, dots[around[:, at]], 0)
    gram += _RIDGE * np.eye(width, dtype=np.float32)
    return np.asarray(np.linalg.inv(np.linalg.cholesky(gram)), np.float32)
