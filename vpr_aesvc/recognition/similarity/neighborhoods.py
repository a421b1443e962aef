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
from vpr_aesvc.recognition.row_sets import position_of, union
from vpr_aesvc.recognition.similarity.runs import distinct, runs_of, separation_of
from vpr_aesvc.recognition.similarity.sampled import (
    SampledSimilarities,
    Similarities,
    StoredDescriptors,
    similarities_at,
)
from vpr_aesvc.types import Floats, Rows

SAME_PLACE_METERS = 5.0
"""Places this near each other count as the same place."""
_REACH = 2  # neighbors on either side; with more, places some frames away score as high as the right one
_RIDGE = 0.2
_OWN_WEIGHT = 0.02
_CANDIDATES = 512  # the most similar places, which are scored; smaller maps are scored completely
_PIECE = 16_384  # descriptors compared at once, to bound the memory
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
        descriptors: float32 [m, d], or of a large map ``StoredDescriptors``.
        positions: float64 [m, 2 or 3], or None.
        separation: in kept frames along a run.
    """

    def __init__(
        self,
        descriptors: NDArray[np.floating] | StoredDescriptors,
        traverses: Sequence[str] | NDArray[np.generic] | None = None,
        positions: NDArray[np.floating] | None = None,
    ) -> None:
        """
        Args:
            descriptors: float32 or float16 [n, d], unit norm, in the order in which the places were passed. With ``StoredDescriptors``
                the matrices for scoring are made for each frame.
            traverses: n names; by default all places are of one traverse.
            positions: [n, 2 or 3], meters in the map frame, NaN where unknown.

        Raises:
            VprError: lengths do not agree, or a descriptor is not finite.
        """
        rows = descriptors if isinstance(descriptors, StoredDescriptors) else np.asarray(descriptors, np.float32)
        if not isinstance(rows, StoredDescriptors) and (rows.ndim != 2 or not np.isfinite(rows).all()):
            raise VprError(f"expected finite descriptors of shape [n, d], found an array of shape {rows.shape}")
        names = np.zeros(len(rows), np.int64) if traverses is None else np.asarray(traverses)
        for what, given in (("traverse", names), ("position", positions)):
            if given is not None and len(given) != len(rows):
                raise VprError(f"expected the {what} of each of {len(rows)} places, found {len(given)}")
        self._count = len(rows)
        runs = runs_of(names)
        self.kept = distinct(rows, runs)
        all_kept = len(self.kept) == len(rows)
        self.runs = runs if all_kept else runs[self.kept]
        self.descriptors = rows if all_kept else subset(rows, self.kept)
        self.positions = None if positions is None else np.asarray(positions, np.float64)
        if self.positions is not None and not all_kept:
            self.positions = self.positions[self.kept]
        self.separation = separation_of(len(self.kept))
        self._min_spread = 0.5 * _usual_spread(self.descriptors)
        self._dots = _dots(self.descriptors)
        if not isinstance(self.descriptors, StoredDescriptors):
            self._around, self._exists = _neighbors(self.runs, np.arange(len(self.runs)))
            self._roots = _inverse_roots(_gram(self._dots, self._around, self._exists))

    def __len__(self) -> int:
        """The number of places, with repeats."""
        return self._count

    def margin(self, similarities: NDArray[np.floating] | SampledSimilarities) -> SimilarityMargin:
        """The margin of a frame.

        Args:
            similarities: [n], cosines of the frame's descriptor and those of the places, or some of them; ``-inf`` excludes a place.

        Raises:
            VprError: the number of similarities is not that of the places, or one is NaN.
        """
        given: Similarities
        kept: Similarities
        if isinstance(similarities, SampledSimilarities):
            assert isinstance(self.descriptors, StoredDescriptors)
            given, kept = similarities, similarities.within(self.descriptors)
        else:
            given = np.asarray(similarities, np.float32)
            if given.shape != (self._count,):
                raise VprError(
                    f"expected the similarities to {self._count} places, found an array of shape {given.shape}"
                )
            if np.isnan(given).any():
                raise VprError("a similarity is NaN; describe the frame again")
            kept = given[self.kept]
        peaks = self.best_places(kept, count=2, among=self.visible(kept))
        (best, score), (rival, rival_score) = (*peaks, (-1, 0.0), (-1, 0.0))[:2]
        return SimilarityMargin(
            row=self._best_repeat(best, given) if best >= 0 else -1,
            score=score,
            rival=int(self.kept[rival]) if rival >= 0 else -1,
            rival_score=rival_score,
            spread=self.spread(kept),
        )

    def spread(self, similarities: Similarities, among: Rows | None = None) -> float:
        """Standard deviation of the similarities that are not ``-inf``; at least half of the usual one in the map. A frame that is equally
        unlike all places, such as a wall, must not get a large margin from a small spread. ``among``: as in ``best_places``."""
        if isinstance(similarities, SampledSimilarities):
            every = np.ones(len(similarities.rows), np.bool_)
            return max(
                similarities.spread(every if among is None else position_of(among, similarities.rows)[1]),
                self._min_spread,
            )
        values = similarities if among is None else similarities[among]
        visible = values[values > -np.inf]
        return max(float(visible.std()), self._min_spread) if len(visible) else self._min_spread

    def best_places(self, similarities: Similarities, count: int, among: Rows | None = None) -> list[tuple[int, float]]:
        """The best places that differ from each other: (index into ``kept``, score), best first, at most ``count``.

        Args:
            similarities: float32 [m], to the kept places, or to some of them.
            among: the kept places to score, ascending, of those with known similarities; by default all.
        """
        rows = self.visible(similarities) if among is None else among
        own = similarities_at(similarities, rows)
        if len(rows) > _CANDIDATES:
            chosen = np.sort(np.argpartition(own, -_CANDIDATES)[-_CANDIDATES:])
            rows, own = rows[chosen], own[chosen]
        rows, around, roots = self._scored(similarities, rows)
        scores = np.linalg.norm(np.einsum("mij,mj->mi", roots, around), axis=1)
        scores += _OWN_WEIGHT * around[:, _REACH]
        peaks: list[tuple[int, float]] = []
        while len(peaks) < count and len(rows):
            best = int(scores.argmax())
            peaks.append((int(rows[best]), float(scores[best])))
            others = ~self.same_place(int(rows[best]), rows)
            rows, scores = rows[others], scores[others]
        return peaks

    def _scored(self, similarities: Similarities, rows: Rows) -> tuple[Rows, NDArray[np.float32], NDArray[np.float32]]:
        """The kept places ``rows``, the similarities to them and their neighbors, 0 where there is none, and their inverse roots."""
        if not isinstance(self.descriptors, StoredDescriptors):
            assert not isinstance(similarities, SampledSimilarities)
            return rows, np.where(self._exists[rows], similarities[self._around[rows]], 0), self._roots[rows]
        around, exists = _neighbors(self.runs, rows)
        needed = union(around.ravel())
        known = similarities_at(similarities, needed)[np.searchsorted(needed, around)]
        seen = ((known > -np.inf) | ~exists).all(1)
        roots = _inverse_roots(_gram(self._dots, around[seen], exists[seen]))
        return rows[seen], np.where(exists, known, 0)[seen], roots

    def visible(self, similarities: Similarities, hidden: int | None = None) -> Rows:
        """The kept places that are not excluded, nor their neighbors: the score of a partly excluded neighborhood is unknown. Of
        ``SampledSimilarities`` those that are known; whether neighbors are excluded is only looked up for ``hidden``.

        Args:
            hidden: a kept place; it and all that show the same place are excluded, too.
        """
        if isinstance(similarities, SampledSimilarities):
            rows = similarities.rows[similarities.values > -np.inf]
            if hidden is None:
                return rows
            around, exists = _neighbors(self.runs, rows)
            return rows[~(self.same_place(hidden, around.ravel()).reshape(around.shape) & exists).any(1)]
        visible = similarities > -np.inf
        if hidden is not None:
            visible &= ~self.same_place(hidden, np.arange(len(self.kept)))
        if isinstance(self.descriptors, StoredDescriptors):
            return np.flatnonzero(visible)
        return np.flatnonzero((visible[self._around] | ~self._exists).all(1))

    def same_place(self, one: int, others: Rows) -> NDArray[np.bool_]:
        """Whether the kept places ``others`` [k] show the same place as the kept place ``one``."""
        same = (self.runs[others] == self.runs[one]) & (np.abs(others - one) <= self.separation)
        if self.positions is not None:
            neighbors, exists = _neighbors(self.runs, np.array([one]))
            around = self.positions[neighbors[exists]]  # the frame may show any of them
            around = around[np.isfinite(around).all(1)]
            if len(around):
                reach = SAME_PLACE_METERS + float(np.sqrt(_squares(around - around[0]).max()))
                close = np.flatnonzero(_squares(self.positions[others] - around[0]) <= reach**2)  # False for NaN
                distances = _squares(self.positions[others[close], None] - around)
                same[close] |= (distances <= SAME_PLACE_METERS**2).any(1)
        return np.asarray(same)

    def _best_repeat(self, best: int, similarities: Similarities) -> int:
        """The most similar row among a kept one and its repeats."""
        first = int(self.kept[best])
        end = int(self.kept[best + 1]) if best + 1 < len(self.kept) else self._count
        return first + int(similarities_at(similarities, np.arange(first, end)).argmax())


def _squares(differences: Floats) -> Floats:
    """Squared lengths of vectors [..., 2 or 3]."""
    return np.asarray(np.einsum("...i,...i->...", differences, differences))


def subset(descriptors: NDArray[np.float32] | StoredDescriptors, rows: Rows) -> NDArray[np.float32] | StoredDescriptors:
    """The descriptors of some rows."""
    return descriptors.subset(rows) if isinstance(descriptors, StoredDescriptors) else descriptors[rows]


def _usual_spread(descriptors: NDArray[np.float32] | StoredDescriptors) -> float:
    """Median over places of the standard deviation of the similarities to the others; at least 0.001."""
    sample = descriptors[:: max(1, len(descriptors) // _SAMPLE)]
    count = len(sample)
    if count < 3:
        return 1.0
    others = (sample @ sample.T)[~np.eye(count, dtype=np.bool_)].reshape(count, count - 1)
    return max(float(np.median(others.std(1))), 1e-3)


def _neighbors(runs: Rows, rows: Rows) -> tuple[Rows, NDArray[np.bool_]]:
    """Indices int64 [k, 5] of the places ``rows`` and their neighbors, and which of them exist, bool [k, 5]."""
    count = len(runs)
    around = rows[:, None] + np.arange(-_REACH, _REACH + 1)
    exists = (around >= 0) & (around < count)
    around = np.clip(around, 0, max(count - 1, 0))
    return around, exists & (runs[around] == runs[rows][:, None])


def _dots(descriptors: NDArray[np.float32] | StoredDescriptors) -> NDArray[np.float32]:
    """Dot products of places 0 to 4 frames apart, shared by all neighborhoods: float32 [5, m], by the first of the two."""
    count, width = len(descriptors), 2 * _REACH + 1
    dots = np.zeros((width, count), np.float32)
    for start in range(0, count, _PIECE):
        piece = descriptors[start : start + _PIECE + width]
        for lag in range(min(width, len(piece))):
            end = min(_PIECE, len(piece) - lag)
            dots[lag, start : start + end] = np.einsum("nd,nd->n", piece[:end], piece[lag : lag + end])
    return dots


def _gram(dots: NDArray[np.float32], around: Rows, exists: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The Gram matrices of neighborhoods: float32 [k, 5, 5]."""
    width = around.shape[1]
    gram = np.zeros((len(around), width, width), np.float32)
    for lag in range(width):
        for at in range(width - lag):
            both = exists[:, at] & exists[:, at + lag]
            gram[:, at, at + lag] = gram[:, at + lag, at] = np.where(both, dots[lag, around[:, at]], 0)
    return gram


def _inverse_roots(gram: NDArray[np.float32]) -> NDArray[np.float32]:
    """For each neighborhood a matrix A with ``A' A = (G + ridge I)^-1``: float32 [m, 5, 5]."""
    gram += _RIDGE * np.eye(gram.shape[1], dtype=np.float32)
    return np.asarray(np.linalg.inv(np.linalg.cholesky(gram)), np.float32)
