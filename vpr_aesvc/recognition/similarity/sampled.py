"""Similarities of a frame in a map that is too large to compare it with every place: those to the most similar places, which the search index
finds, and those to a fixed random sample, which stands for all other places."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.index import SHORTLIST
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.projections.artifact import Array, prefix
from vpr_aesvc.recognition.row_sets import position_of, union
from vpr_aesvc.types import Floats, Rows

_SAMPLE = 4096  # places; the standard deviation of all similarities is then known to 1 %
_PIECE = 16_384  # descriptors decoded at once, to bound the memory


class StoredDescriptors:
    """Descriptors of places, read from the index of the map when they are used: ``descriptors[rows]`` is float32 [k, size], unit norm.

    Args:
        ids: int64 [n], of the places, ascending.
        size: number of components.
    """

    def __init__(self, place_map: PlaceMap, ids: Rows, size: int) -> None:
        self._map = place_map
        self.ids = ids
        self.size = size
        random = np.random.default_rng(0)
        self.sample: Rows = np.sort(random.choice(len(ids), min(_SAMPLE, len(ids)), replace=False))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.ids), self.size

    def __getitem__(self, rows: Rows | slice) -> Array:
        with self._map.arrays() as arrays:
            at = np.minimum(arrays.rows_of(self.ids[rows]), len(arrays) - 1)
            found = arrays.index.descriptors(at)
        return found if found.shape[1] == self.size else prefix(found, self.size)

    def subset(self, rows: Rows) -> StoredDescriptors:
        """Those of some rows, ascending."""
        return StoredDescriptors(self._map, self.ids[rows], self.size)

    @cached_property
    def sampled(self) -> Array:
        """Descriptors of the sample, float32 [s, size]."""
        return self[self.sample]

    def cosines(self, query: Array) -> Array:
        """Of a query [size] and all places, float32 [n]: exact, and slow."""
        pieces = [np.einsum("nd,d->n", self[at : at + _PIECE], query) for at in range(0, len(self), _PIECE)]
        return np.concatenate(pieces or [np.empty(0, np.float32)])

    def similarities(self, query: Array, where: Where | None = None) -> SampledSimilarities:
        """Of a query [size]: those to the shortlist of the index and to the sample.

        Args:
            where: places that it does not allow are excluded.
        """
        padded = np.zeros((1, self._map.dim), np.float32)
        padded[0, : self.size] = query
        with self._map.arrays() as arrays:
            allowed = None if where is None else where.mask(arrays, {})
            excluded = None if allowed is None else arrays.ids[~allowed]
            if arrays.removed:
                allowed = arrays.alive if allowed is None else allowed & arrays.alive
            (found,) = arrays.index.search(padded, SHORTLIST, self.size, allowed=allowed)[1]
            ids = np.sort(arrays.ids[found[found >= 0]])
        at, known = position_of(self.ids, ids)
        none = np.empty(0, np.int64), np.empty(0, np.float32)
        start = SampledSimilarities(self, query, excluded, *none, np.empty(0, np.bool_))
        values = np.einsum("nd,d->n", self.sampled, query)
        values[start.is_excluded(self.sample)] = -np.inf
        sample = replace(start, rows=self.sample, values=values, only_sampled=np.ones(len(values), np.bool_))
        return sample.including(at[known])


@dataclass(frozen=True)
class SampledSimilarities:
    """The similarities of one frame that are known.

    Attributes:
        places: of the map. query: float32 [size].
        excluded: ids of the excluded places, ascending; None if there are none.
        rows: int64 [k], ascending. values: float32 [k], minus infinity for excluded places.
        only_sampled: bool [k], the places of the sample that the frame was not to be compared with: they stand for all unknown ones.
    """

    places: StoredDescriptors
    query: Array
    excluded: Rows | None
    rows: Rows
    values: NDArray[np.float32]
    only_sampled: NDArray[np.bool_]

    @property
    def weights(self) -> Floats:
        """float64 [k], the number of places that each stands for."""
        sampled = int(self.only_sampled.sum())
        stands_for = (len(self.places) - len(self.rows) + sampled) / max(sampled, 1)
        return np.where(self.only_sampled, stands_for, 1.0)

    def is_excluded(self, rows: Rows) -> NDArray[np.bool_]:
        if self.excluded is None:
            return np.zeros(len(rows), np.bool_)
        return position_of(self.excluded, self.places.ids[rows])[1]

    def at(self, rows: Rows) -> NDArray[np.float32]:
        """The similarities to any places [w]; unknown ones are computed."""
        at, known = position_of(self.rows, rows)
        values = self.values[at] if len(self.rows) else np.empty(len(rows), np.float32)
        if not known.all():
            missing = rows[~known]
            values[~known] = np.einsum("nd,d->n", self.places[missing], self.query)
            values[np.flatnonzero(~known)[self.is_excluded(missing)]] = -np.inf
        return values

    def including(self, rows: Rows) -> SampledSimilarities:
        """With the similarities to ``rows``, ascending, too."""
        both = union(self.rows, rows)
        at, known = position_of(self.rows, both)
        only_sampled = known & (self.only_sampled[at] if len(self.rows) else False) & ~position_of(rows, both)[1]
        return replace(self, rows=both, values=self.at(both), only_sampled=only_sampled)

    def within(self, places: StoredDescriptors) -> SampledSimilarities:
        """Those to a part of the places, with the rows of this part."""
        if places is self.places:
            return self
        at, known = position_of(places.ids, self.places.ids[self.rows])
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
