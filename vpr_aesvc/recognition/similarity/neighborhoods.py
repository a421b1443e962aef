"""What one frame says about where it was taken: how well the places around the best match explain it, less the best other place.

A frame is hardly ever taken where a map frame was; it lies between some. So a place is judged with its neighbors along the traverse: its
*score* is the length of the frame's descriptor within their span, as in the nearest feature line (Li and Lu, 1999), with a ridge so that a
direction seen once is trusted less than one seen five times. For unit descriptors that needs only the similarities ``s`` of the frame to the
neighbors and their Gram matrix ``G``:

    score = sqrt(s' (G + ridge I)^-1 s)

and a little of the similarity to the place itself, which chooses among the neighborhoods that hold the very image.

The *margin* is the score of the best place less that of the best other place: what looks like many places is margin of none. It is counted in
standard deviations of the frame's own similarities to the map, so that a map is fair to frames its projection was not fitted on: those it
was fitted on are less like each other than a new frame is like them, all the more the smaller the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.similarity.runs import apart_of, distinct, runs_of

_REACH = 2  # neighbors on either side; with more, places some frames away are supported as well as the right one
_RIDGE = 0.2
_CANDIDATES = 512  # places whose score is computed, by similarity; a map of fewer places is judged whole
_OWN = 0.02  # part of the similarity to the place itself that counts
_SAMPLE = 256  # places that say how much similarities usually spread

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class SimilarityMargin:
    """What a frame says about a map.

    ``row`` is the best place and ``rival`` the best other one, rows of the map, -1 where there is none. ``score`` and ``rival_score`` lie
    between 0 and about 1; ``spread`` is the standard deviation of the frame's similarities. ``value``, the margin, is 0 where two places explain the
    frame equally well, and where there is no other place: nothing says then how alike all images are.
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
    """The places of a map, each with its neighbors along the traverse, ready to be asked about frames.

    Places that repeat the one before (a robot that stands still) count as one. Places of a traverse more than ``apart`` frames from each
    other are different places, and so are those of different traverses, unless ``positions`` say that they are near each other.
    **Without positions a place that was driven past twice is its own rival**: descriptors alone cannot tell it from one that looks the same.

    Attributes:
        kept: int64 [m], the rows that are not repeats, in order.
        run: int64 [m], which uninterrupted run of a traverse each of them is in.
        descriptors: float32 [m, d], theirs.
        positions: float64 [m, 2 or 3], theirs, or None.
        radius: meters; a place nearer than this to another, or to one of its neighbors, is the same place.
        apart: frames along a run, counted in kept ones.
    """

    def __init__(
        self,
        descriptors: NDArray[np.floating],
        traverses: Sequence[str] | NDArray[np.generic] | None = None,
        positions: NDArray[np.floating] | None = None,
        radius: float = 5.0,
    ) -> None:
        """
        Args:
            descriptors: float32 or float16 [n, d], unit norm, in the order in which the places were driven past.
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
        run = runs_of(names)
        self.kept = distinct(rows, run)
        self.run = run[self.kept]
        self.descriptors = rows if len(self.kept) == len(rows) else rows[self.kept]
        self.positions = None if positions is None else np.asarray(positions, np.float64)[self.kept]
        self.radius = radius
        self.apart = apart_of(len(self.kept))
        self._least_spread = 0.5 * _usual_spread(self.descriptors)
        self._around, self._known = _neighbors(self.run)
        self._root = _inverse_roots(self.descriptors, self._around, self._known)

    def __len__(self) -> int:
        """How many places the map has, repeats among them."""
        return self._count

    def margin(self, similarities: NDArray[np.floating]) -> SimilarityMargin:
        """What a frame says.

        Args:
            similarities: [n], cosines of the frame's descriptor and the places'; ``-inf`` for a place that must not be found.

        Raises:
            VprError: the number of similarities is not that of the places, or one is NaN.
        """
        given = np.asarray(similarities, np.float32)
        if given.shape != (self._count,):
            raise VprError(f"expected the similarities to {self._count} places, found an array of shape {given.shape}")
        if np.isnan(given).any():
            raise VprError("a similarity is not a number")
        similar = given[self.kept]
        chosen = self.wholly(similar > -np.inf)
        found = self._judge(self.peaks(similar, 2, chosen), self.spread(similar))
        first, end = self._span(found.row)
        repeat = first + int(given[first:end].argmax()) if found.row >= 0 else -1
        return replace(found, row=repeat)

    def spread(self, similarities: NDArray[np.float32]) -> float:
        """The standard deviation of similarities, hidden ones (``-inf``) left out. At least half of what is usual in the map: a frame that is
        equally unlike everything, such as a wall, says little, and little must not be divided by nothing."""
        visible = similarities[similarities > -np.inf]
        return max(float(visible.std()), self._least_spread) if len(visible) else self._least_spread

    def peaks(
        self, similarities: NDArray[np.float32], count: int, chosen: Rows | None = None
    ) -> list[tuple[int, float]]:
        """The best places that are different places: (index into ``kept``, score), best first, at most ``count``.

        Args:
            similarities: float32 [m], to the kept places. chosen: those that are judged, ascending; by default all.
        """
        chosen = np.arange(len(self.kept)) if chosen is None else chosen
        if len(chosen) > _CANDIDATES:
            chosen = np.sort(chosen[np.argpartition(similarities[chosen], -_CANDIDATES)[-_CANDIDATES:]])
        seen = np.where(self._known[chosen], similarities[self._around[chosen]], 0)
        scores = np.linalg.norm(np.einsum("mij,mj->mi", self._root[chosen], seen), axis=1)
        scores += _OWN * similarities[chosen]
        found: list[tuple[int, float]] = []
        while len(found) < count and len(chosen):
            best = int(scores.argmax())
            found.append((int(chosen[best]), float(scores[best])))
            others = ~self.same_place(int(chosen[best]), chosen)
            chosen, scores = chosen[others], scores[others]
        return found

    def wholly(self, visible: NDArray[np.bool_]) -> Rows:
        """The kept places whose neighbors are all ``visible``, bool [m]: what a place hidden in part would score is not known."""
        return np.flatnonzero((visible[self._around] | ~self._known).all(1))

    def same_place(self, one: int, others: Rows) -> NDArray[np.bool_]:
        """Whether kept places ``others`` [k] show the place that kept place ``one`` does."""
        same = (self.run[others] == self.run[one]) & (np.abs(others - one) <= self.apart)
        if self.positions is not None:
            shown = self.positions[self._around[one][self._known[one]]]  # any of them may be what the frame shows
            shown = shown[np.isfinite(shown).all(1)]
            if len(shown):
                reach = self.radius + float(np.sqrt(_squares(shown - shown[0]).max()))
                close = np.flatnonzero(
                    _squares(self.positions[others] - shown[0]) <= reach**2
                )  # NaN, not known, is not near
                apart = _squares(self.positions[others[close], None] - shown)
                same[close] |= (apart <= self.radius**2).any(1)
        return np.asarray(same)

    def _judge(self, peaks: list[tuple[int, float]], spread: float) -> SimilarityMargin:
        (best, score), (rival, rival_score) = (*peaks, (-1, 0.0), (-1, 0.0))[:2]
        row, other = (int(self.kept[place]) if place >= 0 else -1 for place in (best, rival))
        return SimilarityMargin(row, score, other, rival_score, spread)

    def _span(self, row: int) -> tuple[int, int]:
        """First and end of the rows that repeat a kept one."""
        after = int(np.searchsorted(self.kept, row, "right"))
        return row, int(self.kept[after]) if after < len(self.kept) else self._count


def _squares(apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared lengths of vectors [..., 2 or 3]."""
    return np.asarray(np.einsum("...i,...i->...", apart, apart))


def _usual_spread(descriptors: NDArray[np.float32]) -> float:
    """The median standard deviation of a place's similarities to the others; never quite 0."""
    sample = descriptors[:: max(1, len(descriptors) // _SAMPLE)]
    count = len(sample)
    if count < 3:
        return 1.0
    others = (sample @ sample.T)[~np.eye(count, dtype=np.bool_)].reshape(count, count - 1)
    return max(float(np.median(others.std(1))), 1e-3)


def _neighbors(run: Rows) -> tuple[Rows, NDArray[np.bool_]]:
    """Indices int64 [m, 5] of each place and its neighbors, and which of them there are."""
    count = len(run)
    around = np.arange(count)[:, None] + np.arange(-_REACH, _REACH + 1)
    known = (around >= 0) & (around < count)
    around = np.clip(around, 0, max(count - 1, 0))
    return around, known & (run[around] == run[:, None])


def _inverse_roots(descriptors: NDArray[np.float32], around: Rows, known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Matrices A with ``A' A = (G + ridge I)^-1``, float32 [m, 5, 5], one for each place."""
    count, width = around.shape
    gram = np.zeros((count, width, width), np.float32)
    for lag in range(min(width, count)):  # places `lag` frames apart, once for all the neighborhoods they are both in
        dots = np.zeros(count, np.float32)
        dots[: count - lag] = np.einsum("nd,nd->n", descriptors[: count - lag], descriptors[lag:])
        for at in range(width - lag):
            both = known[:, at] & known[:, at + lag]
            gram[:, at, at + lag] = gram[:, at + lag, at] = np.where(both, dots[around[:, at]], 0)
    gram += _RIDGE * np.eye(width, dtype=np.float32)
    return np.asarray(np.linalg.inv(np.linalg.cholesky(gram)), np.float32)
