"""The models that recognition learns from a map and stores in it: null model, similarity likelihood and match model."""

import threading
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from copy import copy
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.recognition.learning import Parameters, Step, learn_matches, learn_similarities
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.match_model import MatchModel, stored_name
from vpr_aesvc.recognition.sequence.likelihood import DEFAULT_LIKELIHOOD, SimilarityLikelihood
from vpr_aesvc.recognition.similarity.null_model import NullModel
from vpr_aesvc.runtime import bounded_threads
from vpr_aesvc.types import Progress

_Model = TypeVar("_Model", NullModel, SimilarityLikelihood, MatchModel)
_MAX_GROWTH = 1.25
_PATIENCE = 0.2  # seconds that the first frame waits for the models of a small map


class _Task(NamedTuple):
    """A model that is being learned.

    Attributes:
        places: the number of places that it is learned from.
        learn: returns its parameters, empty if the map gives no model. previous: the stored ones, which then stay.
        parameters: the result.
    """

    name: str
    places: int
    learn: Callable[[Step], Parameters]
    previous: Parameters
    parameters: Future[Parameters]

    @property
    def share(self) -> float:
        """Its usual part of the time: most of it is spent on key points."""
        return 0.9 if self.name.startswith("matches") else 0.1


class _StoppedError(Exception):
    """Learning was told to end."""


class LearnedModels:
    """Reads the models from the map, or learns and stores them, and learns them again when the map has grown by a quarter.

    Several recognizers of one map may share it, in one thread.

    Attributes:
        null: null model of the similarity margin; not set before ``is_ready``.
        likelihood: measurement model of the sequence filter, the default until it is learned.
        match_model: what verified matches mean; None until it is learned.
        progress: part of the learning in the background that is done, 0 to 1; None while nothing is learned there.
        copies: copies of the map that get the models which are learned in the background, too.
        message: an event, such as why a model could not be learned again or stored, which is no reason to stop; else None.
    """

    def __init__(self, place_map: OpenMap, size: int) -> None:
        self.size = size
        self.null: NullModel
        self.likelihood = DEFAULT_LIKELIHOOD
        self.match_model: MatchModel | None = None
        self.progress: float | None = None
        self.copies: list[Path] = []
        self.message: str | None = None
        self._map = place_map
        self._similarities, self._matches = f"similarities/{size}", stored_name(size)
        self._places: dict[str, int] = {}  # name -> number of places that the model in use was learned from
        self._pending: dict[str, _Task] = {}
        self._stopped = threading.Event()

    def is_ready(self, geometry: bool) -> bool:
        """Whether all models are there, with ``geometry`` also the match model; else no match can be accepted."""
        return self._similarities in self._places and (not geometry or self._matches in self._places)

    def stop(self) -> None:
        """Ends learning in the background within a fraction of a second. Later calls learn nothing in the background."""
        self._stopped.set()

    def update(
        self,
        snapshot: MapSnapshot,
        geometry: bool,
        has_revisited: bool = False,
        background: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Learns the models that are missing or stale, and takes those that have been learned.

        Args:
            geometry: whether the match model is needed.
            has_revisited: a match was accepted, so new places may duplicate stored ones. Without positions these duplicates would count
                as wrong answers: the match model is then not learned again.
            background: do not wait; keep using stale models while a thread learns new ones. It learns on one core, and stores them.
            progress: called with (percent done, 100), if models are learned and ``background`` is not set.

        Raises:
            VprError: the map is damaged.
        """
        snapshot, count = copy(snapshot), len(snapshot)  # its arrays are replaced as the map grows, never changed
        keep = self.match_model if has_revisited and snapshot.positions is None else None
        models: dict[str, Callable[[Step], Parameters]] = {self._similarities: partial(learn_similarities, snapshot)}
        if geometry:
            models[self._matches] = lambda step: keep.model_dump() if keep else self._learn_matches(snapshot, step)
        tasks = []
        for name, learn in models.items():
            self._take(name, wait=not background)
            if name not in self._pending and _is_stale(self._places.get(name, -1), count):
                places, stored = self._read(name)
                if places > self._places.get(name, -1) and (background or not _is_stale(places, count)):
                    self._use(name, places, stored)
                if _is_stale(self._places.get(name, -1), count):
                    tasks.append(_Task(name, count, learn, stored, Future()))
        if tasks and not background:
            self._learn(tasks, lambda part: progress(round(100 * part), 100) if progress else None)
        elif tasks and not self._pending:
            self.progress = 0.0
            threading.Thread(target=self._learn_on_one_core, args=(tasks,), name="vpr_aesvc learning").start()
            if not self.is_ready(geometry):  # a small map is learned at once
                futures.wait([task.parameters for task in tasks], _PATIENCE)
        else:
            tasks = []
        self._pending |= {task.name: task for task in tasks}
        for name in models:
            self._take(name, wait=not background)

    def _learn_matches(self, snapshot: MapSnapshot, step: Step) -> Parameters:
        """With the similarity likelihood that is stored: it is learned first."""
        stored = self._read(self._similarities)[1].get("evidence")
        likelihood = read_model(SimilarityLikelihood, "similarity likelihood", stored) if stored else self.likelihood
        return learn_matches(snapshot, self._map, likelihood, step)

    def _learn(self, tasks: list[_Task], report: Step) -> None:
        """Learns models one after the other, and stores them. ``report`` is called often with the part that is done; it may raise."""
        total, before = sum(task.share for task in tasks), 0.0
        for task in tasks:
            step = partial(_report_share, report, before / total, task.share / total)
            try:
                parameters = task.learn(step) or task.previous
                self._store(task.name, task.places, parameters)
                task.parameters.set_result(parameters)
            except Exception as error:
                task.parameters.set_exception(error)
            before += task.share

    def _learn_on_one_core(self, tasks: list[_Task]) -> None:
        """In a thread. The other cores are the node's. A thread that is killed at exit inside OpenCV would abort the process: this one ends
        by itself, because ``report`` is called often."""

        def report(part: float) -> None:
            if self._stopped.is_set() or not threading.main_thread().is_alive():
                raise _StoppedError
            self.progress = part

        with bounded_threads(1):
            self._learn(tasks, report)
        self.progress = None
        self.copies.clear()

    def _take(self, name: str, wait: bool) -> None:
        """Uses what was learned, if it was. If learning failed, the model in use stays until the map has grown by another quarter."""
        task = self._pending.get(name)
        if task is None or not (wait or task.parameters.done()):
            return
        try:
            parameters = task.parameters.result()
        except Exception as error:  # for example, the map was closed meanwhile
            if name not in self._places:
                raise
            self.message = f"the models of the map could not be learned again: {error}"
            self._places[name] = task.places
        else:
            self._use(name, task.places, parameters)
        del self._pending[name]

    def _use(self, name: str, places: int, parameters: Parameters) -> None:
        if name == self._matches:
            self.match_model = read_model(MatchModel, "match model", parameters)
        else:
            self.null = read_model(NullModel, "null model", parameters.get("null"))
            self.likelihood = read_model(SimilarityLikelihood, "similarity likelihood", parameters.get("evidence"))
        self._places[name] = places

    def _read(self, name: str) -> tuple[int, Parameters]:
        """The number of places a stored model was learned from, and its parameters; (-1, {}) if there is none."""
        stored = self._map.learned_parameters(name)
        if isinstance(stored, dict) and isinstance(stored.get("places"), int) and isinstance(stored.get("worth"), dict):
            return stored["places"], stored["worth"]
        return -1, {}

    def _store(self, name: str, count: int, parameters: Parameters) -> None:
        value = {"places": count, "worth": parameters}
        try:
            self._map.store_learned_parameters(name, value)
            for path in self.copies:
                with PlaceMap.open(path) as copied:
                    copied.store_learned_parameters(name, value)
        except VprError as error:  # a read-only map or a full disk: learned again next time
            self.message = f"the models learned from the map could not be stored in it: {error}"


def learn_map(place_map: OpenMap, progress: Progress | None = None) -> None:
    """Learns what recognition needs and the map lacks, for descriptors of full size, and stores it: 25 seconds for 10,000 places.

    Args:
        progress: called with (percent done, 100).

    Raises:
        VprError: the map is damaged.
    """
    snapshot = MapSnapshot(place_map, place_map.dim)
    snapshot.update()
    LearnedModels(place_map, place_map.dim).update(snapshot, geometry=True, progress=progress)


def _is_stale(learned_from: int, count: int) -> bool:
    return not learned_from <= count <= _MAX_GROWTH * learned_from


def _report_share(report: Step, before: float, share: float, part: float) -> None:
    report(before + share * part)


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
