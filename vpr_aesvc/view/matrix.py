"""The distance matrix of two sides, each a traverse of the map or a run: the cosine of every place of one and every place of the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.types import Rows
from vpr_aesvc.view.places import DrawnPlaces
from vpr_aesvc.view.recognized_run import RecognizedRun

_MOST = 1000  # rows, and columns; of a longer side every n-th place is taken
_UNKNOWN = -32768
_UNIT = 32767


class Matrices:
    """Sides are numbered: the traverses in the order of the page, then the runs."""

    def __init__(self, place_map: OpenMap, drawn: DrawnPlaces, runs: Sequence[RecognizedRun]) -> None:
        self._map, self._runs = place_map, runs
        places = drawn.places
        by_traverse: dict[str, list[int]] = {place.traverse: [] for place in places}
        for place in places:
            by_traverse[place.traverse].append(place.id)
        self._traverses = [np.array(ids, np.int64) for ids in by_traverse.values()]

    def cosines(self, rows: int, columns: int) -> bytes:
        """Of two sides, for the page: uint32 rows, columns, places of the rows' side, places of the columns' side; then int16 [rows, columns], cosine times
        32767, -32768 where a frame's descriptor is unknown. Row i is place ``i * places // rows`` of its side. Raises LookupError: no such side,
        or one without descriptors."""
        (left, of_rows), (right, of_columns) = self._side(rows), self._side(columns)
        cosines = np.clip(left @ right.T, -1, 1)
        values = np.where(np.isnan(cosines), _UNKNOWN, np.rint(_UNIT * cosines)).astype("<i2")
        return np.array([*values.shape, of_rows, of_columns], "<u4").tobytes() + values.tobytes()

    def _side(self, number: int) -> tuple[NDArray[np.float32], int]:
        """Descriptors float32 [at most 1,000, d_max], and how many places the side has."""
        run = number - len(self._traverses)
        if run >= 0:
            count = len(self._runs[run])
            found = self._runs[run].descriptors(_sample(count).tolist(), self._map.dim)
        else:
            ids = self._traverses[number]
            count = len(ids)
            with self._map.arrays() as arrays:
                found = arrays.index.descriptors(arrays.rows_of(ids[_sample(count)]))
        if not count or np.isnan(found).all():
            raise LookupError(number)
        return found, count


def _sample(count: int) -> Rows:
    """int64 [at most 1,000], evenly from 0 to ``count``."""
    shown = min(count, _MOST)
    return np.arange(shown) * count // max(shown, 1)
