"""What recognition learns from a map alone, and keeps with it: what evidence, similarities and inliers are worth there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.evidence import Evidence, learn_evidence
from vpr_aesvc.recognition.line import Floats
from vpr_aesvc.recognition.probability import NullModel

if TYPE_CHECKING:
    from vpr_aesvc.placemap import PlaceMap
    from vpr_aesvc.recognition.known_map import KnownMap
    from vpr_aesvc.recognition.stored_keypoints import StoredKeypoints
    from vpr_aesvc.recognition.support import Support

_GROWN = 1.25
_ASKED = 200  # places that teach what inliers are worth; ten comparisons and at most eleven pictures each
_ANOTHER_TRAVERSE = 1e6
_FAR = 20.0  # metres, or places along a traverse: from here on two places show nothing of each other


class Lessons:
    """Learned at first use, read from the map where it holds them, learned again when the map has grown by a quarter.

    Attributes:
        null: what evidence is worth. evidence: what similarities are worth. support: what inliers are; None where the map is too small.
        message: why something could not be kept with the map, which is no reason to stop; else None.
    """

    def __init__(self, place_map: PlaceMap, size: int) -> None:
        self._map = place_map
        self._size = size
        self._places: dict[str, int] = {}  # how many each was learned from
        self.null: NullModel
        self.evidence: Evidence
        self.support: Support | None = None
        self.message: str | None = None

    def keep_up(self, known: KnownMap, keypoints: StoredKeypoints | None, came_round: bool) -> bool:
        """Learns what is missing or stale. Returns whether anything is new.

        Args:
            keypoints: of the places; None where geometry is not wanted.
            came_round: whether places of this map were recognised, so that what it has grown by may show places that it has already.
                Without positions, right answers would then be taken for wrong ones: what inliers were worth before stands.
        """
        fresh = False
        name = f"similarities/{self._size}"
        if self._is_stale(name, len(known)):
            worth = self._kept_or(name, len(known), lambda: _learn_similarities(known))
            self.null, self.evidence = NullModel.from_dict(worth.get("null")), _evidence(worth.get("evidence"))
            fresh = True
        if keypoints is not None and self._is_stale("support", len(known)):
            before = self.support if came_round and known.positions is None else None
            worth = self._kept_or(
                "support", len(known), lambda: before.to_json() if before else _learn_support(known, keypoints)
            )
            self.support = _support(worth)
            fresh = True
        return fresh

    def _is_stale(self, name: str, places: int) -> bool:
        learned_from = self._places.get(name, -1)
        return not learned_from <= places <= _GROWN * learned_from

    def _kept_or(self, name: str, places: int, learn: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What the map keeps under a name, where it is not stale; else what is learned now, which the map keeps from now on."""
        kept = self._map.learned(name)
        known: dict[str, Any] = {}
        if isinstance(kept, dict) and isinstance(kept.get("places"), int) and isinstance(kept.get("worth"), dict):
            self._places[name], known = kept["places"], kept["worth"]
            if not self._is_stale(name, places):
                return known
        worth = learn() or known  # where a grown map teaches nothing any more, what it taught when it was smaller
        self._places[name] = places
        try:
            self._map.learn(name, {"places": places, "worth": worth})
        except VprError as error:  # a map that can only be read here, or a full disk: it is learned again next time
            self.message = f"what was learned is not kept with the map: {error}"
        return worth


def _learn_similarities(known: KnownMap) -> dict[str, Any]:
    evidence = learn_evidence(known.descriptors, known.traverses)
    return {"null": NullModel.fit(known.places).model_dump(), "evidence": asdict(evidence)}


def _learn_support(known: KnownMap, keypoints: StoredKeypoints) -> dict[str, Any]:
    from vpr_aesvc.recognition.support import learn_support

    along = np.column_stack([known.runs * _ANOTHER_TRAVERSE, np.arange(len(known))])
    where, far = along, _FAR
    if known.positions is not None:
        where, far = known.positions, min(_FAR, _extent(known.positions) / 2)
    found = learn_support(keypoints, known.descriptors, where, far=far, sample=_ASKED)
    return {} if found is None else found.to_json()


def _extent(positions: Floats) -> float:
    """The diagonal of what the map covers, metres: in a flat of ten metres nothing is twenty metres away."""
    return float(np.linalg.norm(np.nanmax(positions, axis=0) - np.nanmin(positions, axis=0)))


def _support(numbers: dict[str, Any]) -> Support | None:
    from vpr_aesvc.recognition.support import Support

    return Support.from_json(numbers) if numbers else None


def _evidence(numbers: Any) -> Evidence:
    try:
        found = Evidence(**{name: float(number) for name, number in numbers.items()})
    except (TypeError, ValueError, AttributeError) as error:
        raise VprError(f"what the map keeps of its similarities cannot be read ({error}); remove it") from error
    if not all(map(math.isfinite, asdict(found).values())):
        raise VprError("what the map keeps of its similarities holds a number that is not finite; remove it")
    return found
