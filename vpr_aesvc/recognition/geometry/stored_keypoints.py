"""Key points of a map's places, detected in their stored pictures when they are first asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vpr_aesvc.placemap import PlaceMap
    from vpr_aesvc.recognition.geometry.local_features import Keypoints

_KEPT = 512  # places whose key points stay in memory, at most 66 kB each


class StoredKeypoints(Sequence["Keypoints"]):
    """By row of the map as it is known. A place without a picture has none, and then geometry cannot tell.

    Attributes:
        ids: int64 [n], the place of each row; set anew as the map grows.
    """

    def __init__(self, place_map: PlaceMap) -> None:
        self.ids: NDArray[np.int64] = np.empty(0, np.int64)
        self._map = place_map
        self._kept: OrderedDict[int, Keypoints] = OrderedDict()

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, row: int) -> Keypoints: ...
    @overload
    def __getitem__(self, row: slice) -> list[Keypoints]: ...
    def __getitem__(self, row: int | slice) -> Keypoints | list[Keypoints]:
        if isinstance(row, slice):
            return [self[at] for at in range(len(self))[row]]
        place = int(self.ids[row])
        found = self._kept.pop(place, None)
        found = self._detect(place) if found is None else found
        self._kept[place] = found  # the latest last
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found

    def _detect(self, place: int) -> Keypoints:
        from vpr_aesvc.recognition.geometry.local_features import detect_keypoints

        picture = self._map.thumbnail(place)
        return detect_keypoints(np.zeros((1, 1, 3), np.uint8) if picture is None else picture)
