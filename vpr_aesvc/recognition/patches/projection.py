"""Patches in 32 bytes each: whitened principal components, learned from the first places of a map and stored with it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.projections.artifact import Array, unit
from vpr_aesvc.projections.data import TrainingData, evenly_spaced
from vpr_aesvc.projections.linear import whitening

_SIZE = 32  # numbers of a stored patch
_MOST_LEARNED = 20_000  # patches that a projection is learned from
_SHRINKAGE = 0.1  # fraction of the mean eigenvalue added to the covariance
_STORED = np.dtype("<f2")
_SCALE = 127.0  # of a stored number, int8


@dataclass(frozen=True, eq=False)
class PatchProjection:
    """Patches [n, c] -> ``unit(unit(patch) @ linear - offset)``, [n, s].

    Attributes:
        grid: rows h and columns w of the patches of an image.
        linear: float32 [c, s]. offset: float32 [s].
    """

    grid: tuple[int, int]
    linear: Array = field(repr=False)
    offset: Array = field(repr=False)

    @classmethod
    def learn(cls, patches: NDArray[np.floating], grid: tuple[int, int]) -> PatchProjection:
        """Shrunk whitening of the patches of some images, float [n, h * w, c]; of its s components the first 32, or fewer if c is less."""
        rows = evenly_spaced(patches.reshape(-1, patches.shape[-1]), _MOST_LEARNED)
        white = whitening(TrainingData.of(rows), _SHRINKAGE)
        linear = (
            white.linear[:, :_SIZE].astype(_STORED).astype(np.float32)
        )  # as stored: equal for the first places, too
        return cls(grid, linear, (white.mean @ linear).astype(_STORED).astype(np.float32))

    @classmethod
    def of(cls, place_map: OpenMap) -> PatchProjection | None:
        """That of a map; None if the map stores no patches.

        Raises:
            VprError: it is damaged.
        """
        if place_map.patch_projection is None:
            return None
        try:
            stored = json.loads(place_map.patch_projection)
            rows, columns = map(int, stored["grid"])
            weights = np.frombuffer(base64.b64decode(stored["weights"]), _STORED).astype(np.float32)
            weights = weights.reshape(-1, int(stored["size"]))
        except (KeyError, TypeError, ValueError) as error:
            raise VprError(
                f"{place_map.path}: its projection of patches cannot be read ({error}); build the map again"
            ) from error
        return cls((rows, columns), weights[:-1], weights[-1])

    def to_text(self) -> str:
        """As stored in a map."""
        weights = np.vstack([self.linear, self.offset]).astype(_STORED).tobytes()
        stored = {"grid": self.grid, "size": len(self.offset), "weights": base64.b64encode(weights).decode()}
        return json.dumps(stored)

    def __call__(self, patches: NDArray[np.floating]) -> Array:
        """float32 [n, s], unit norm. Raises VprError for patches of another encoder."""
        if patches.shape != (prod(self.grid), len(self.linear)):
            raise VprError(
                f"expected {prod(self.grid)} patches of {len(self.linear)} numbers as in the map, found {list(patches.shape)}; use the map's model"
            )
        return unit(unit(patches) @ self.linear - self.offset)

    def encode(self, patches: NDArray[np.floating]) -> bytes:
        """The patches [h * w, c] of a place as stored, int8 [h * w, s]."""
        return np.rint(self(patches) * _SCALE).astype(np.int8).tobytes()

    def decode(self, stored: bytes) -> Array:
        """float32 [h * w, s], unit norm up to rounding. Raises VprError for another number of bytes."""
        if len(stored) != prod(self.grid) * len(self.offset):
            raise VprError(f"expected {prod(self.grid)} patches of {len(self.offset)} bytes, found {len(stored)} bytes")
        return unit(np.frombuffer(stored, np.int8).reshape(-1, len(self.offset)).astype(np.float32))
