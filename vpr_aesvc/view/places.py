"""The places of a map as the page draws them: from above, or without poses along lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.types import Floats, Place

_TALLEST = 0.6  # height of all lines, in parts of the longest one


@dataclass(frozen=True)
class DrawnPlaces:
    """Where each place is drawn.

    Attributes:
        places: n, in the order they were added.
        xy: float64 [n, 2], meters east and north, NaN where a map with poses lacks one; else the number along the traverse, and its line's height.
        spacing: height between two lines; 0 with poses.
    """

    places: Sequence[Place]
    xy: Floats
    spacing: float

    @classmethod
    def of(cls, place_map: OpenMap) -> DrawnPlaces:
        places = list(place_map.places().values())
        if any(place.pose for place in places):
            nan = (np.nan, np.nan)
            xy = np.array([(place.pose.x, place.pose.y) if place.pose else nan for place in places])
            return cls(places, xy, 0.0)
        lengths: dict[str, int] = {}
        positions = []
        for place in places:
            along = lengths[place.traverse] = lengths.get(place.traverse, -1) + 1
            positions.append((along, -list(lengths).index(place.traverse)))
        spacing = max(1.0, _TALLEST * max(lengths.values(), default=1) / max(len(lengths), 2))
        return cls(places, np.array(positions, np.float64).reshape(-1, 2) * (1, spacing), spacing)

    def content(self, name: str) -> dict[str, Any]:
        """For the page; ``name`` is that of the map."""
        traverses = {traverse: at for at, traverse in enumerate(dict.fromkeys(place.traverse for place in self.places))}
        return {
            "name": name,
            "lines": self.spacing > 0,
            "traverses": list(traverses),
            "ids": [place.id for place in self.places],
            "label": [place.label for place in self.places],
            "traverse": [traverses[place.traverse] for place in self.places],
            "x": rounded(self.xy[:, 0]),
            "y": rounded(self.xy[:, 1]),
        }


def rounded(values: Floats) -> list[float | None]:
    """To a centimeter, for JSON; None for NaN and infinity."""
    return [round(one, 2) if np.isfinite(one) else None for one in values.tolist()]
