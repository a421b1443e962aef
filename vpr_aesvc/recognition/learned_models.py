"""What recognition learns from a map alone, and keeps with it: what evidence, similarities and inliers are worth there."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.background import Background
from vpr_aesvc.recognition.sequence.arc_length import Floats
from vpr_aesvc.recognition.sequence.likelihood import SimilarityLikelihood, learn_similarity_likelihood
from vpr_aesvc.recognition.similarity.null_model import NullModel

if TYPE_CHECKING:
    from vpr_aesvc.placemap import PlaceMap
    from vpr_aesvc.recognition.geometry.inlier_model import InlierModel
    from vpr_aesvc.recognition.map_snapshot import MapSnapshot

Worth = dict[str, Any]
_GROWN = 1.25
_ASKED = 200  # places that teach what inliers are worth; ten comparisons and at most eleven pictures each
_ANOTHER_TRAVERSE = 1e6
_FAR = 20.0  # meters, or places along a traverse: from here on two places show nothing of each other


class LearnedModels:
    """Learned at first use, read from the map where it holds them, learned again when the map has grown by a quarter.

    Attributes:
        null: what evidence is worth. likelihood: what similarities are worth. inlier_model: what inliers are; None where the map is too small.
        message: why something could not be learned again or kept with the map, which is no reason to stop; else None.
    """

    def __init__(self, place_map: PlaceMap, size: int) -> None:
        self._map = place_map
        self._size = size
        self._places: dict[str, int] = {}  # how many each was learned from
        self._learning: tuple[str, int] | None = None  # what the worker learns again, and from how many places
        self._worker = Background()
        self.null: NullModel
        self.likelihood: SimilarityLikelihood
        self.inlier_model: InlierModel | None = None
        self.message: str | None = None

    def keep_up(self, known: MapSnapshot, geometry: bool, has_revisited: bool, background: bool = False) -> bool:
        """Learns what is missing or stale. Returns whether anything is new.

        Args:
            geometry: whether inliers matter.
            has_revisited: whether places of this map were recognized, so that what it has grown by may show places that it has already.
                Without positions, right answers would then be taken for wrong ones: what inliers were worth before stands.
            background: what was learned before serves on while it is learned again; else this waits.
        """
        known, count = copy(known), len(known)  # its arrays are replaced as the map grows, never changed
        worth = self._news(f"similarities/{self._size}", count, lambda: _learn_similarities(known), background)
        fresh = worth is not None
        if worth is not None:
            self.null, self.likelihood = NullModel.from_dict(worth.get("null")), _likelihood(worth.get("likelihood"))
        if geometry:
            before = self.inlier_model if has_revisited and known.positions is None else None
            worth = self._news(
                "inliers",
                count,
                lambda: before.to_json() if before else _learn_inlier_model(known, self._map),
                background,
            )
            if worth is not None:
                self.inlier_model, fresh = _inlier_model(worth), True
        return fresh

    def _news(self, name: str, places: int, learn: Callable[[], Worth], background: bool) -> Worth | None:
        """What a name is worth now, where that has changed."""
        if self._learning is not None and self._learning[0] == name and (self._worker.done or not background):
            (_, learned_from), self._learning = self._learning, None
            self._places[name] = learned_from
            try:
                return self._keep(name, learned_from, self._worker.take())
            except VprError as error:  # what was learned before stands, until the map has grown by another quarter
                self.message = f"what the map teaches could not be learned again: {error}"
                return None
        if not self._is_stale(name, places):
            return None
        stored = self._stored(name)
        if stored is not None and (name not in self._places or stored[0] > self._places[name]):
            self._places[name] = stored[0]
            if background or not self._is_stale(name, places):
                return stored[1]
        known = {} if stored is None else stored[1]  # for a grown map that teaches nothing any more
        if not background or name not in self._places:
            self._places[name] = places
            return self._keep(name, places, learn() or known)
        if self._learning is None:
            self._learning = name, places
            self._worker.begin(lambda: learn() or known)
        return None

    def _is_stale(self, name: str, places: int) -> bool:
        learned_from = self._places.get(name, -1)
        return not learned_from <= places <= _GROWN * learned_from

    def _stored(self, name: str) -> tuple[int, Worth] | None:
        """What the map keeps under a name, and how many places it was learned from."""
        kept = self._map.learned(name)
        if isinstance(kept, dict) and isinstance(kept.get("places"), int) and isinstance(kept.get("worth"), dict):
            return kept["places"], kept["worth"]
        return None

    def _keep(self, name: str, places: int, worth: Worth) -> Worth:
        """The map keeps it from now on."""
        try:
            self._map.learn(name, {"places": places, "worth": worth})
        except VprError as error:  # a map that can only be read here, or a full disk: it is learned again next time
            self.message = f"what was learned is not kept with the map: {error}"
        return worth


def _learn_similarities(known: MapSnapshot) -> Worth:
    kept = known.neighborhoods.kept  # a robot that stood still is no neighbor of itself
    likelihood = learn_similarity_likelihood(known.descriptors[kept], known.traverses[kept])
    return {"null": NullModel.fit(known.neighborhoods).model_dump(), "likelihood": asdict(likelihood)}


def _learn_inlier_model(known: MapSnapshot, place_map: PlaceMap) -> Worth:
    from vpr_aesvc.recognition.geometry.inlier_model import learn_inlier_model
    from vpr_aesvc.recognition.geometry.stored_keypoints import StoredKeypoints

    kept = known.neighborhoods.kept
    keypoints = StoredKeypoints(place_map)  # not the recognizer's, which another thread may be using
    keypoints.ids = known.ids[kept]
    where, far = np.column_stack([known.runs[kept] * _ANOTHER_TRAVERSE, np.arange(len(kept))]), _FAR
    if known.positions is not None:
        where, far = known.positions[kept], min(_FAR, _extent(known.positions) / 2)
    found = learn_inlier_model(keypoints, known.descriptors[kept], where, far=far, sample=_ASKED)
    return {} if found is None else found.to_json()


def _extent(positions: Floats) -> float:
    """The diagonal of what the map covers, meters: in a flat of ten meters nothing is twenty meters away."""
    return float(np.linalg.norm(np.nanmax(positions, axis=0) - np.nanmin(positions, axis=0)))


def _inlier_model(numbers: Worth) -> InlierModel | None:
    from vpr_aesvc.recognition.geometry.inlier_model import InlierModel

    return InlierModel.from_json(numbers) if numbers else None


def _likelihood(numbers: Any) -> SimilarityLikelihood:
    try:
        found = SimilarityLikelihood(**{name: float(number) for name, number in numbers.items()})
    except (TypeError, ValueError, AttributeError) as error:
        raise VprError(f"what the map keeps of its similarities cannot be read ({error}); remove it") from error
    if not all(map(math.isfinite, asdict(found).values())):
        raise VprError("what the map keeps of its similarities holds a number that is not finite; remove it")
    return found
