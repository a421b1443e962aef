"""The models that recognition learns from a map and stores in it: null model, similarity likelihood and inlier model."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import asdict
from typing import Any, NamedTuple, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.geometry.inlier_model import InlierModel, learn_inlier_model
from vpr_aesvc.recognition.geometry.local_features import StoredKeypoints
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.sequence.likelihood import SimilarityLikelihood, learn_similarity_likelihood
from vpr_aesvc.recognition.similarity.null_model import NullModel
from vpr_aesvc.runtime import bounded_threads

_Model = TypeVar("_Model", NullModel, SimilarityLikelihood, InlierModel)
Parameters = dict[str, Any]
INLIERS = "support"
"""Name of the inlier model in the map. The map format fixes this name, and the keys "worth", "null" and "evidence"."""
_MAX_GROWTH = 1.25
_TRAVERSE_OFFSET = 1e6  # separates traverses where places have no positions
_FAR = 20.0  # meters, or places along a traverse: from here on two places show nothing of each other


class _Pending(NamedTuple):
    """A model that is learned in the background, and the number of places it is learned from."""

    name: str
    places: int
    future: Future[Parameters]


class LearnedModels:
    """Reads the models from the map, or learns them at first use, and learns them again when the map has grown by a quarter.

    Attributes:
        null: null model of the similarity margin. likelihood: measurement model of the sequence filter.
        inlier_model: None if the map is too small for one.
        message: why a model could not be learned again or stored, which is no reason to stop; else None.
    """

    def __init__(self, place_map: PlaceMap, size: int) -> None:
        self._map = place_map
        self._size = size
        self._places: dict[str, int] = {}  # name -> number of places that the model in use was learned from
        self._pending: _Pending | None = None
        self.null: NullModel
        self.likelihood: SimilarityLikelihood
        self.inlier_model: InlierModel | None = None
        self.message: str | None = None

    def update(self, snapshot: MapSnapshot, geometry: bool, has_revisited: bool, background: bool = False) -> bool:
        """Learns the models that are missing or stale. Returns True if any changed.

        Args:
            geometry: whether the inlier model is needed.
            has_revisited: a match was accepted, so new places may duplicate stored ones. Without positions these duplicates would count
                as wrong answers: the inlier model is then not learned again.
            background: keep using stale models while new ones are learned; else wait.
        """
        snapshot, count = copy(snapshot), len(snapshot)  # its arrays are replaced as the map grows, never changed
        parameters = self._new_parameters(
            f"similarities/{self._size}", count, lambda: _learn_similarities(snapshot), background
        )
        changed = parameters is not None
        if parameters is not None:
            self.null = read_model(NullModel, "null model", parameters.get("null"))
            self.likelihood = read_model(SimilarityLikelihood, "similarity likelihood", parameters.get("evidence"))
        if geometry:
            keep = self.inlier_model if has_revisited and snapshot.positions is None else None
            parameters = self._new_parameters(
                INLIERS, count, lambda: asdict(keep) if keep else _learn_inliers(snapshot, self._map), background
            )
            if parameters is not None:
                self.inlier_model = read_model(InlierModel, "inlier model", parameters) if parameters else None
                changed = True
        return changed

    def _new_parameters(
        self, name: str, count: int, learn: Callable[[], Parameters], background: bool
    ) -> Parameters | None:
        """The parameters of a model if they changed. ``count`` is the number of places now."""
        pending = self._pending
        if pending is not None and pending.name == name and (pending.future.done() or not background):
            self._pending = None
            return self._finished(pending)
        if not self._is_stale(name, count):
            return None
        stored = self._read(name)
        if stored is not None and (name not in self._places or stored[0] > self._places[name]):
            self._places[name] = stored[0]
            if background or not self._is_stale(name, count):
                return stored[1]
        previous = {} if stored is None else stored[1]  # if the grown map gives no model
        if not background or name not in self._places:
            self._places[name] = count
            return self._store(name, count, learn() or previous)
        if self._pending is None:
            self._pending = _Pending(name, count, start_in_background(lambda: _on_one_thread(learn) or previous))
        return None

    def _finished(self, pending: _Pending) -> Parameters | None:
        """The result of the background thread. If it failed, the model in use stays until the map has grown by another quarter."""
        self._places[pending.name] = pending.places
        try:
            parameters = pending.future.result()
        except Exception as error:  # for example, the map was closed meanwhile
            self.message = f"the models of the map could not be learned again: {error}"
            return None
        return self._store(pending.name, pending.places, parameters)

    def _is_stale(self, name: str, count: int) -> bool:
        learned_from = self._places.get(name, -1)
        return not learned_from <= count <= _MAX_GROWTH * learned_from

    def _read(self, name: str) -> tuple[int, Parameters] | None:
        """The number of places a stored model was learned from, and its parameters."""
        stored = self._map.learned_parameters(name)
        if isinstance(stored, dict) and isinstance(stored.get("places"), int) and isinstance(stored.get("worth"), dict):
            return stored["places"], stored["worth"]
        return None

    def _store(self, name: str, count: int, parameters: Parameters) -> Parameters:
        try:
            self._map.store_learned_parameters(name, {"places": count, "worth": parameters})
        except VprError as error:  # a read-only map or a full disk: learned again next time
            self.message = f"the models learned from the map could not be stored in it: {error}"
        return parameters


def start_in_background(work: Callable[[], Parameters]) -> Future[Parameters]:
    """Runs ``work`` in a thread; it must not touch anything that other threads change. The interpreter waits for it at exit, because
    killing a thread inside OpenCV aborts the process. Work that reads a map ends when the map is closed."""
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vpr_aesvc learning")
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future


def _on_one_thread(learn: Callable[[], Parameters]) -> Parameters:
    """The other cores are the node's."""
    with bounded_threads(1):
        return learn()


def _learn_similarities(snapshot: MapSnapshot) -> Parameters:
    kept = snapshot.neighborhoods.kept  # without the repeats of a robot that stood still
    likelihood = learn_similarity_likelihood(snapshot.descriptors[kept], snapshot.traverses[kept])
    return {"null": NullModel.fit(snapshot.neighborhoods).model_dump(by_alias=True), "evidence": asdict(likelihood)}


def _learn_inliers(snapshot: MapSnapshot, place_map: PlaceMap) -> Parameters:
    kept = snapshot.neighborhoods.kept
    keypoints = StoredKeypoints(place_map)  # not the recognizer's, which another thread may be using
    keypoints.ids = snapshot.ids[kept]
    positions, far = np.column_stack([snapshot.runs[kept] * _TRAVERSE_OFFSET, np.arange(len(kept))]), _FAR
    if snapshot.positions is not None:  # in a flat of 10 m no two places are 20 m apart
        diagonal = np.nanmax(snapshot.positions, axis=0) - np.nanmin(snapshot.positions, axis=0)
        positions, far = snapshot.positions[kept], min(_FAR, float(np.linalg.norm(diagonal)) / 2)
    model = learn_inlier_model(keypoints, snapshot.descriptors[kept], positions, far)
    return {} if model is None else asdict(model)


def read_model(kind: type[_Model], name: str, data: object) -> _Model:
    """A model from its stored fields. Ignores unknown fields, which older maps hold.

    Raises:
        VprError: a field is missing or damaged.
    """
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "all of it"
        raise VprError(f"the map's {name} is damaged ({field}: {first['msg']}); learn it again from the map") from error
