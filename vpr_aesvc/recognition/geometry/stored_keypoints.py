"""Key points of the places of a map, detected in their stored thumbnails at first use."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from vpr_aesvc.types import Rows

if TYPE_CHECKING:
    from vpr_aesvc.placemap import PlaceMap
    from vpr_aesvc.recognition.geometry.local_features import Keypoints

_CACHED = 512  # places whose key points stay in memory, at most 66 kB each


class StoredKeypoints:
    """Key points by row of the map snapshot. A place without a thumbnail has none.

    Attributes:
        ids: int64 [n], the place of each row; replaced as the map grows.
    """

    def __init__(self, place_map: PlaceMap) -> None:
        self.ids: Rows = np.empty(0, np.int64)
        self._map = place_map
        self._of_place = lru_cache(maxsize=_CACHED)(self._detect)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> Keypoints:
        return self._of_place(int(self.ids[row]))

    def _detect(self, place: int) -> Keypoints:
        from vpr_aesvc.recognition.geometry.local_features import detect_keypoints

        picture = self._map.thumbnail(place)
        return detect_keypoints(np.zeros((1, 1, 3), np.uint8) if picture is None else picture)
