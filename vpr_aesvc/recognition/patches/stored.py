"""The patches of the places of a map, and of a frame."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vpr_aesvc.describer import Describer
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.projections.artifact import Array
from vpr_aesvc.recognition.patches.matching import PatchMatch, match_patches
from vpr_aesvc.recognition.patches.projection import PatchProjection
from vpr_aesvc.types import Rows

_CACHED = 2048  # places whose patches stay in memory, 25 kB each


class StoredPatches:
    """Patches of the places of a map, by row of the map snapshot. A place can have none.

    Attributes:
        ids: int64 [n], the place of each row; replaced as the map grows.
    """

    def __init__(self, place_map: OpenMap, projection: PatchProjection) -> None:
        self.ids: Rows = np.empty(0, np.int64)
        self.projection = projection
        self._map = place_map
        self._of_place = lru_cache(maxsize=_CACHED)(self._read)

    @classmethod
    def of(cls, place_map: OpenMap, describer: Describer | None) -> StoredPatches | None:
        """None if the map or the model has no patches. Else ``describer`` keeps the patches of what it describes from now on."""
        projection = PatchProjection.of(place_map)
        if projection is None or describer is None or describer.patch_grid is None:
            return None
        describer.require_patches()
        return cls(place_map, projection)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> Array | None:
        """float32 [h * w, s], unit norm; None for a place without patches."""
        return self._of_place(int(self.ids[row]))

    def match(self, patches: Array, row: int) -> PatchMatch | None:
        """Compares a frame's projected patches with a place's."""
        stored = self[row]
        return None if stored is None else match_patches(patches, stored, self.projection.grid)

    def _read(self, place: int) -> Array | None:
        stored = self._map.patches(place)
        return None if stored is None else self.projection.decode(stored)
