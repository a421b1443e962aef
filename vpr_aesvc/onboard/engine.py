"""What is done with a frame on the robot: recognize it, make a place of it, or both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from vpr_aesvc.errors import VprError
from vpr_aesvc.keyframes.gate import KeyframeGate, KeyframeSettings
from vpr_aesvc.keyframes.image_quality import ImageQuality
from vpr_aesvc.keyframes.selection import moved_between
from vpr_aesvc.onboard.loop_closure import LoopClosure, loop_closure
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.run import Run
from vpr_aesvc.types import Frame, Pose

if TYPE_CHECKING:
    from vpr_aesvc.describer import Describer
    from vpr_aesvc.placemap import PlaceMap
    from vpr_aesvc.recognition.result import Recognition
    from vpr_aesvc.recognition.settings import RecognizerSettings
    from vpr_aesvc.types import Intrinsics

Mode = Literal["localization", "mapping", "slam"]
Image = NDArray[np.uint8]
SLAM_RECENT_SECONDS = 30.0
"""Left out of the search in ``slam`` where nothing else is said: what the robot has just seen is not a loop."""


@dataclass(frozen=True)
class Arrival:
    """A frame as it comes from a camera.

    Attributes:
        camera: its name; empty for the only one.
        decode: gives RGB uint8 [H, W, 3]; raises VprError where the picture is bad.
        pose: gives the camera's pose at the frame's stamp, in the frame of the odometry; may wait a little for it.
        intrinsics: of the camera, in pixels of the picture; None where they are not known.
    """

    camera: str
    frame: Frame
    decode: Callable[[], Image] = field(repr=False, compare=False)
    pose: Callable[[], Pose | None] = field(default=lambda: None, repr=False, compare=False)
    intrinsics: Intrinsics | None = None


@dataclass
class Outcome:
    """What came of a frame. ``milliseconds`` by stage; ``skipped`` says why nothing came of it, ``bad`` whether its picture is at fault;
    ``failed`` why no place could be made of it, as where the disk is full."""

    camera: str
    frame: Frame
    descriptor: NDArray[np.float32] | None = None
    recognition: Recognition | None = None
    place: int | None = None
    closure: LoopClosure | None = None
    skipped: str | None = None
    bad: bool = False
    failed: str | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times what is done in it."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.milliseconds[name] = 1000 * (time.perf_counter() - start)


class Engine:
    """One map, one model, any number of cameras. Not for several threads.

    Args:
        mode: ``localization`` recognizes every frame; ``mapping`` makes places of keyframes; ``slam`` recognizes each keyframe among the
            places that are not recent, then makes a place of it.
        traverse: names the drive that begins now; empty for the time of its first place.

    Raises:
        VprError: the model is not the map's, or the settings do not fit the map.
    """

    def __init__(
        self,
        place_map: PlaceMap,
        describer: Describer,
        mode: Mode,
        recognition: RecognizerSettings,
        keyframes: KeyframeSettings,
        traverse: str,
    ) -> None:
        place_map.require(describer)
        self.map = place_map
        self.describer = describer
        self.mode = mode
        self.traverse = traverse
        self._keyframes = keyframes
        self._settings = _with_exclusion(recognition) if mode == "slam" else recognition
        self._runs: dict[str, Run] = {}
        self._gates: dict[str, KeyframeGate] = {}
        self._qualities: dict[str, ImageQuality] = {}
        self._taken: dict[str, Frame] = {}  # each camera's last place
        if mode != "mapping":
            self._run("").recognizer.prepare()

    def set_recognition(self, settings: RecognizerSettings) -> None:
        """Other settings, from the next frame on; each camera's sequence begins anew.

        Raises:
            VprError: they do not fit the map; nothing was changed.
        """
        self.map.check_size(settings.size)
        self._settings = _with_exclusion(settings) if self.mode == "slam" else settings
        self._runs.clear()

    def set_keyframes(self, settings: KeyframeSettings) -> None:
        """Another spacing of places, from the next frame on."""
        self._keyframes = settings
        for gate in self._gates.values():
            gate.settings = settings

    def reset(self, reason: str) -> None:
        """Forgets where the robot was; ``reason`` is the message of each camera's next recognition."""
        for run in self._runs.values():
            run.reset(reason)

    def process(self, arrival: Arrival) -> Outcome:
        """A bad picture is an outcome, with the reason; so is a disk that refuses the place, and what was recognized is told all the same.

        Raises:
            VprError: the map is damaged.
        """
        outcome = Outcome(arrival.camera, arrival.frame)
        if self.mode == "localization":
            if self._see(arrival, outcome):
                with outcome.stage("pose"):
                    outcome.frame = replace(outcome.frame, pose=arrival.pose())
                self._recognize(outcome, arrival.intrinsics)
            return outcome
        with outcome.stage("pose"):
            outcome.frame = replace(arrival.frame, pose=arrival.pose())
        gate = self._gates.setdefault(arrival.camera, KeyframeGate(self._keyframes))
        if not gate.wants(outcome.frame):
            outcome.skipped = "too near to the last place"
            return outcome
        if self._see(arrival, outcome):
            if self.mode == "slam":
                self._recognize(outcome, arrival.intrinsics)
            try:
                self._add(outcome)
            except VprError as error:
                outcome.failed = str(error)
                return outcome
            self._taken[arrival.camera] = replace(outcome.frame, image=None)
            gate.took(self._taken[arrival.camera])
            found = outcome.recognition
            if found is not None and found.accepted and found.best is not None and outcome.place is not None:
                outcome.closure = loop_closure(found, outcome.place)
        return outcome

    def query(self, image: Image, top: int | None = None) -> Recognition:
        """Where an image was taken, of itself: what the robot has seen before takes no part, and is not changed.

        Raises:
            VprError: the map is damaged, or ``top`` is out of range.
        """
        asked: dict[str, object] = {
            "sequence": False,
            "recent_seconds": None,
            "recent_meters": None,
            "recent_places": None,
        }
        asked |= {} if top is None else {"candidates": top}
        try:
            settings = type(self._settings).model_validate(self._settings.model_dump() | asked)
        except ValidationError as error:
            raise VprError(f"candidates: {error.errors()[0]['msg'].lower()}, found {top}") from error
        single = Recognizer(self.map, self.describer, settings)
        return single.recognize(Frame("query", image=image))

    def add(self, frame: Frame, image: Image, traverse: str | None = None) -> int:
        """Makes a place of a frame, whatever the keyframe rule says; returns its id.

        Raises:
            VprError: the map's disk refuses.
        """
        descriptor = self.describer.describe(image)
        return self.map.add([frame], descriptor[None], [image], traverse or self._drive(frame))[0]

    def _drive(self, frame: Frame) -> str:
        if not self.traverse:
            when = time.time() if frame.stamp is None else frame.stamp
            self.traverse = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(when))
        return self.traverse

    def _run(self, camera: str) -> Run:
        if camera not in self._runs:
            recognizer = Recognizer(self.map, self.describer, self._settings, learn_in_background=True)
            self._runs[camera] = Run(recognizer)
        return self._runs[camera]

    def _see(self, arrival: Arrival, outcome: Outcome) -> bool:
        """Decodes and describes; False where the picture is bad, or shows nothing that a place could be known by."""
        try:
            with outcome.stage("decode"):
                outcome.frame = replace(outcome.frame, image=arrival.decode())
        except VprError as error:
            outcome.skipped, outcome.bad = str(error), True
            return False
        image = outcome.frame.image
        assert image is not None
        if self.mode != "localization":
            with outcome.stage("quality"):
                taken = self._taken.get(arrival.camera)
                quality = self._qualities.setdefault(arrival.camera, ImageQuality())
                outcome.skipped = quality.reason(image, None if taken is None else moved_between(taken, outcome.frame))
            if outcome.skipped is not None:
                return False
        with outcome.stage("describe"):
            outcome.descriptor = self.describer.describe(image)
        return True

    def _recognize(self, outcome: Outcome, intrinsics: Intrinsics | None) -> None:
        with outcome.stage("recognize"):
            outcome.recognition = self._run(outcome.camera).recognize(outcome.frame, outcome.descriptor, intrinsics)

    def _add(self, outcome: Outcome) -> None:
        assert outcome.descriptor is not None
        with outcome.stage("add"):
            extra = {"camera": outcome.camera} if outcome.camera else {}
            place = replace(outcome.frame, image=None, extra=extra)
            outcome.place = self.map.add([place], outcome.descriptor[None], [outcome.frame.image], self._drive(place))[
                0
            ]


def _with_exclusion(settings: RecognizerSettings) -> RecognizerSettings:
    if (settings.recent_seconds, settings.recent_meters, settings.recent_places) != (None, None, None):
        return settings
    return settings.model_copy(update={"recent_seconds": SLAM_RECENT_SECONDS})
