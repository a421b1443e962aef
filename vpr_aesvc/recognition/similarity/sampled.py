"""Similarities of a frame in a map that is too large to compare it with every place: those to the most similar places, which the search index
finds, and those to a fixed random sample, which stands for all other places."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.placemap.index import SHORTLIST
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.projections.artifact import Array, prefix
from vpr_aesvc.recognition.row_sets import position_of
from vpr_aesvc.types import Floats, Rows

_SAMPLE = 4096  # places, from which the median of all similarities is estimated
_MOMENTS = 131_072  # places from which the moments of the descriptors are computed
_PIECE = 16_384  # descriptors decoded at once, to bound the memory


class StoredDescriptors:
    """Descriptors of places, read from the index of the map when they are used: ``descriptors[rows]`` is float32 [k, size], unit norm. They
    are to be made again after places were removed.

    Args:
        at: int64 [n], rows of the index, ascending.
        size: number of components.
    """

    def __init__(self, place_map: OpenMap, at: Rows, size: int) -> None:
        self._map = place_map
        self.at = at
        self.size = size
        random = np.random.default_rng(0)
        self.sample: Rows = np.sort(random.choice(len(at), min(_SAMPLE, len(at)), replace=False))

    def __len__(self) -> int:
        return len(self.at)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.at), self.size

    def __getitem__(self, rows: Rows | slice) -> Array:
        with self._map.arrays() as arrays:  # another process may have removed places just now
            found = arrays.index.descriptors(np.minimum(self.at[rows], len(arrays) - 1))
        return found if found.shape[1] == self.size else prefix(found, self.size)

    def cosines(self, query: Array, rows: Rows) -> Array:
        """Of a query [size] and some places, float32 [k]."""
        with self._map.arrays() as arrays:
            if arrays.index.dim == self.size:
                return arrays.index.cosines(query, np.minimum(self.at[rows], len(arrays) - 1))
        return np.einsum("nd,d->n", self[rows], query)

    def subset(self, rows: Rows) -> StoredDescriptors:
        """Those of some rows, ascending."""
        return StoredDescriptors(self._map, self.at[rows], self.size)

    def rows_of(self, at: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """The rows of rows of the index, and whether they are among the places."""
        if len(self) and self.at[-1] == len(self) - 1:  # no place was left out
            return at, at < len(self)
        return position_of(self.at, at)

    @cached_property
    def sampled(self) -> Array:
        """Descriptors of the sample, float32 [s, size]."""
        return self[self.sample]

    @cached_property
    def moments(self) -> tuple[Floats, Floats]:
        """The mean of the descriptors, float64 [size], and of their outer products, [size, size]. They give the mean and the variance of the
        similarities of a query to all places. In a very large map, of an even part of the places."""
        rows = np.arange(0, len(self), -(-len(self) // _MOMENTS))
        mean, products = np.zeros(self.size), np.zeros((self.size, self.size))
        for start in range(0, len(rows), _PIECE):
            piece = self[rows[start : start + _PIECE]]
            mean += piece.sum(0, dtype=np.float64) / len(rows)
            products += piece.T @ piece / len(rows)
        return mean, products

    def similarities(self, query: Array, where: Where | None = None) -> SampledSimilarities:
        """Of a query [size]: those to the shortlist of the index and to the sample.

        Args:
            where: places that it does not allow are excluded.
        """
        padded = np.zeros((1, self._map.dim), np.float32)
        padded[0, : self.size] = query
        with self._map.arrays() as arrays:
            allowed = None if where is None else where.mask(arrays, {})
            excluded = None if allowed is None else ~allowed
            if arrays.removed:
                allowed = arrays.alive if allowed is None else allowed & arrays.alive
            (cosines,), (found,) = arrays.index.search(padded, SHORTLIST, self.size, allowed=allowed)
            whole = arrays.index.dim == self.size
        order = np.argsort(found[found >= 0])
        rows, known = self.rows_of(found[found >= 0][order])
        values = np.einsum("nd,d->n", self.sampled, query)
        sample = SampledSimilarities(self, query, excluded, self.sample, values, np.ones(len(values), np.bool_))
        values[sample.is_excluded(self.sample)] = -np.inf
        return sample.including(rows[known], cosines[found >= 0][order][known] if whole else None)


@dataclass(frozen=True)
class SampledSimilarities:
    """The similarities of one frame that are known.

    Attributes:
        places: of the map. query: float32 [size].
        excluded: bool, by row of the index; None if no place is excluded.
        rows: int64 [k], ascending. values: float32 [k], minus infinity for excluded places.
        only_sampled: bool [k], the places of the sample that the frame was not to be compared with: they stand for all unknown ones.
    """

    places: StoredDescriptors
    query: Array
    excluded: NDArray[np.bool_] | None
    rows: Rows
    values: NDArray[np.float32]
    only_sampled: NDArray[np.bool_]

    @property
    def weights(self) -> Floats:
        """float64 [k], the number of places that each stands for."""
        sampled = int(self.only_sampled.sum())
        stands_for = (len(self.places) - len(self.rows) + sampled) / max(sampled, 1)
        return np.where(self.only_sampled, stands_for, 1.0)

    def spread(self, among: NDArray[np.bool_]) -> float:
        """Standard deviation of the similarities to all places; of those that the frame was compared with only ``among``, bool [k]. Places that
        are excluded make it an estimate from the sample."""
        if self.excluded is not None:
            used = among & (self.values > -np.inf)
            values, weights = self.values[used].astype(np.float64), self.weights[used]
            count, total, squares = weights.sum(), values @ weights, np.square(values) @ weights
        else:
            (mean, products), query = self.places.moments, self.query.astype(np.float64)
            left = self.values[~among & ~self.only_sampled].astype(np.float64)
            count, total = len(self.places) - len(left), len(self.places) * (query @ mean) - left.sum()
            squares = len(self.places) * (query @ products @ query) - left @ left
        return float(np.sqrt(max(squares - total**2 / max(count, 1), 0) / max(count, 1)))

    def is_excluded(self, rows: Rows) -> NDArray[np.bool_]:
        if self.excluded is None:
            return np.zeros(len(rows), np.bool_)
        return self.excluded[np.minimum(self.places.at[rows], len(self.excluded) - 1)]

    def at(self, rows: Rows) -> NDArray[np.float32]:
        """The similarities to any places [w]; unknown ones are computed."""
        at, known = position_of(self.rows, rows)
        values = self.values[at]
        if not known.all():
            missing = rows[~known]
            values[~known] = self.places.cosines(self.query, missing)
            values[np.flatnonzero(~known)[self.is_excluded(missing)]] = -np.inf
        return values

    def including(self, rows: Rows, values: NDArray[np.float32] | None = None) -> SampledSimilarities:
        """With the similarities to ``rows``, ascending, too; ``values`` if they are known."""
        new = rows[~position_of(self.rows, rows)[1]]
        added = self.at(new) if values is None else values[~position_of(self.rows, rows)[1]]
        order = np.argsort(np.concatenate([self.rows, new]), kind="stable")
        only_sampled = np.concatenate(
            [self.only_sampled & ~position_of(rows, self.rows)[1], np.zeros(len(new), np.bool_)]
        )
        return replace(
            self,
            rows=np.concatenate([self.rows, new])[order],
            values=np.concatenate([self.values, added])[order],
            only_sampled=only_sampled[order],
        )

    def within(self, places: StoredDescriptors) -> SampledSimilarities:
        """Those to a part of the places, with the rows of this part."""
        if places is self.places:
            return self
        at, known = places.rows_of(self.places.at[self.rows])
        parts = self.values[known], self.only_sampled[known]
        return SampledSimilarities(places, self.query, self.excluded, at[known], *parts)


Similarities = NDArray[np.float32] | SampledSimilarities
"""To all places, float32 [n], or in a large map to some."""


def similarities_at(similarities: Similarities, rows: Rows) -> NDArray[np.float32]:
    """Those to the places ``rows``."""
    return similarities.at(rows) if isinstance(similarities, SampledSimilarities) else similarities[rows]


def most_similar(similarities: Similarities, count: int) -> Rows:
    """Rows of the ``count`` most similar places, best first; equal ones in the order of rows."""
    if isinstance(similarities, SampledSimilarities):
        return similarities.rows[most_similar(similarities.values, count)]
    chosen = np.arange(len(similarities))
    if count < len(similarities):
        chosen = np.sort(np.argpartition(-similarities, count)[:count])
    return chosen[np.argsort(-similarities[chosen], kind="stable")]


def without(similarities: Similarities, rows: Rows) -> Similarities:
    """As if the places ``rows``, ascending, were not in the map."""
    if isinstance(similarities, SampledSimilarities):
        at = similarities.places.at
        excluded = (
            np.zeros(int(at[-1]) + 1, np.bool_) if similarities.excluded is None else similarities.excluded.copy()
        )
        excluded[at[rows]] = True
        values = np.where(position_of(rows, similarities.rows)[1], -np.inf, similarities.values).astype(np.float32)
        return replace(similarities, excluded=excluded, values=values)
    similarities = similarities.copy()
    similarities[rows] = -np.inf
    return similarities
