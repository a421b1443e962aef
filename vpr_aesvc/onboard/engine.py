"""Processes one frame on the robot: recognizes it, adds it to the map, or both."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.keyframes.gate import KeyframeGate, KeyframeSettings
from vpr_aesvc.keyframes.image_quality import ImageQuality
from vpr_aesvc.keyframes.selection import moved_between
from vpr_aesvc.onboard.loop_closure import ConsistencyCheck, LoopClosure, loop_closure
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.copies import backup
from vpr_aesvc.recognition.learned_models import LearnedModels
from vpr_aesvc.recognition.patches.projection import PatchProjection
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.recognition.run import RunFollower
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.runtime import timed
from vpr_aesvc.types import Frame, Image, Intrinsics, Pose

Mode = Literal["localization", "mapping", "slam"]
_EXCLUSIONS = ("recent_seconds", "recent_meters", "recent_places")
_WARM_UP = 1.0  # seconds at most: about a hundred places
Calibration = tuple[Intrinsics, tuple[int, int]]  # and (width, height) of the images they are of, zeros if unknown
SLAM_RECENT_SECONDS = 30.0
"""Default exclusion of recent places in mode ``slam``: what the robot saw just now is not a loop."""


@dataclass(frozen=True)
class IncomingFrame:
    """A frame from a camera, not yet decoded.

    Attributes:
        camera: its name; empty if there is only one.
        decode: returns RGB uint8 [H, W, 3]; raises VprError if the image is bad.
        pose: returns the camera's pose at the frame's stamp, in the odometry frame, or None; may wait shortly for it.
        calibration: of the camera; None if unknown.
    """

    camera: str
    frame: Frame
    decode: Callable[[], Image] = field(repr=False, compare=False)
    pose: Callable[[], Pose | None] = field(default=lambda: None, repr=False, compare=False)
    calibration: Calibration | None = None


@dataclass
class Outcome:
    """The result for a frame.

    Attributes:
        skip_reason: why it was neither recognized nor added; ``bad_image`` if its image cannot be decoded.
        intrinsics: of the camera, in pixels of the image; None if unknown or if ``calibration_error`` says why they do not fit the image.
        place_error: why its place or its camera could not be stored, for example a full disk.
        milliseconds: duration by stage.
    """

    camera: str
    frame: Frame
    intrinsics: Intrinsics | None = None
    calibration_error: str | None = None
    descriptor: NDArray[np.float32] | None = None
    recognition: Recognition | None = None
    place_id: int | None = None
    loop_closure: LoopClosure | None = None
    skip_reason: str | None = None
    bad_image: bool = False
    place_error: str | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        with timed(self.milliseconds, name):
            yield


class Engine:
    """One map, one model, any number of cameras. Not thread-safe.

    Args:
        mode: ``localization`` recognizes every frame; ``mapping`` adds each keyframe as a place; ``slam`` recognizes each keyframe among the
            places that are not recent, then adds it.
        traverse: name of the traverse of new places; empty: the time of its first place.

    Raises:
        VprError: the map was made with another model, or the settings do not fit the map.
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
        self.describer = describer = describer.of_size(place_map.dim)
        self.mode = mode
        self.traverse = traverse
        self.learned = LearnedModels(place_map, place_map.check_size(recognition.size))  # of all cameras
        self._projection = PatchProjection.of(place_map) if describer.patch_grid else None
        if self._projection is not None:
            describer.require_patches()
        self._keyframes = keyframes
        self._settings = _with_exclusion(recognition) if mode == "slam" else recognition
        self._followers: dict[str, RunFollower] = {}
        self._gates: dict[str, KeyframeGate] = {}
        self._qualities: dict[str, ImageQuality] = {}
        self._consistency = ConsistencyCheck()
        self._last_keyframes: dict[str, Frame] = {}  # by camera, without images

    def prepare(self) -> None:
        """Reads the map and detects its key points for up to a second, so that the first frames do not wait, and starts ``learn``; not in mode
        ``mapping``, which needs none of it.

        Raises:
            VprError: the map is damaged.
        """
        if self.mode != "mapping":
            self.learn()
            self._follower("").recognizer.warm_up(_WARM_UP)

    def learn(self) -> None:
        """Starts to learn what the map lacks in the background. While models are missing no match is accepted.

        Raises:
            VprError: the map is damaged.
        """
        one = self._recognizer(self._settings) if self.mode == "mapping" else self._follower("").recognizer
        one.update()

    def save(self, output: Path) -> None:
        """Copies the map. What it lacks is learned in the background, for the map and for the copy.

        Raises:
            VprError: the map is damaged, the output exists, or the disk refuses.
        """
        backup(self.map, output)
        self.learned.copies.append(output)
        self.learn()
        if self.learned.progress is None:
            self.learned.copies.clear()

    def close(self) -> None:
        """Ends learning in the background, and closes the map."""
        self.learned.stop()
        self.map.close()

    def set_recognition(self, settings: RecognizerSettings) -> None:
        """Applies from the next frame on; each camera's sequence starts again.

        Raises:
            VprError: the settings do not fit the map; nothing has changed.
        """
        size = self.map.check_size(settings.size)
        if size != self.learned.size:
            self.learned.stop()
            self.learned = LearnedModels(self.map, size)
        self._settings = _with_exclusion(settings) if self.mode == "slam" else settings
        self._followers.clear()

    def set_keyframes(self, settings: KeyframeSettings) -> None:
        """Applies from the next frame on."""
        self._keyframes = settings
        for gate in self._gates.values():
            gate.settings = settings

    def reset(self, reason: str) -> None:
        """Restarts each camera's sequence; ``reason`` is the message of its next recognition."""
        for follower in self._followers.values():
            follower.reset(reason)

    def process(self, incoming: IncomingFrame) -> Outcome:
        """A bad image and a place that cannot be stored do not raise: the outcome has the reason, and the recognition if there is one.

        Raises:
            VprError: the map is damaged.
        """
        outcome = Outcome(incoming.camera, incoming.frame)
        if self.mode == "localization":
            if self._describe(incoming, outcome):
                with outcome.stage("pose"):
                    outcome.frame = replace(outcome.frame, pose=incoming.pose())
                self._recognize(outcome)
            return outcome
        with outcome.stage("pose"):
            outcome.frame = replace(incoming.frame, pose=incoming.pose())
        gate = self._gates.setdefault(incoming.camera, KeyframeGate(self._keyframes))
        if not gate.is_far_enough(outcome.frame):
            outcome.skip_reason = "too near to the last place"
        elif self._describe(incoming, outcome):
            if self.mode == "slam":
                self._recognize(outcome)
            self._add_keyframe(outcome, gate)
        return outcome

    def decode_ahead(self, camera: str, decode: Callable[[], Image]) -> Future[Image] | None:
        """Decodes a frame that waits, and detects its key points, while the one before it is processed; None where nothing is gained. For any thread."""
        follower = self._followers.get(camera)
        return None if follower is None or self.mode != "localization" else follower.recognizer.decode_ahead(decode)

    def query(self, image: Image, top: int | None = None) -> Recognition:
        """Recognizes a single image. The cameras' sequences are neither used nor changed.

        Raises:
            VprError: the map is damaged, or ``top`` is out of range.
        """
        overrides: dict[str, object] = {"sequence": False} | dict.fromkeys(_EXCLUSIONS)
        overrides |= {} if top is None else {"candidates": top}
        try:
            settings = type(self._settings).model_validate(self._settings.model_dump() | overrides)
        except ValidationError as error:
            raise VprError(f"candidates: {error.errors()[0]['msg'].lower()}, found {top}") from error
        return self._recognizer(settings).recognize(Frame("query", image=image))

    def recognize_of_peer(
        self, peer: str, frame: Frame, descriptor: NDArray[np.float32], intrinsics: Intrinsics | None
    ) -> Recognition:
        """Recognizes a place of another robot in the map, after the place before it. ``frame``: with its stored picture; without one there is no
        geometry. ``intrinsics``: of the picture.

        Raises:
            VprError: the map is damaged, or the descriptor is of another model.
        """
        name = f"@{peer}{'' if frame.image is not None else ', without pictures'}"
        if name not in self._followers:
            update: dict[str, object] = {"verify_every": 1} | dict.fromkeys(_EXCLUSIONS)
            update |= {} if frame.image is not None else {"geometry": False}
            self._followers[name] = RunFollower(self._recognizer(self._settings.model_copy(update=update)))
        return self._followers[name].recognize(frame, descriptor, intrinsics)

    def add(
        self, frame: Frame, image: Image, traverse: str | None = None, calibration: Calibration | None = None
    ) -> int:
        """Adds a frame as a place, keyframe or not; returns its id.

        Raises:
            VprError: the map cannot be written.
        """
        descriptor = self.describer.describe(image)
        traverse = traverse or self._traverse_of(frame)
        place = self.map.add([frame], descriptor[None], [image], traverse, self._patches_of(image))[0]
        self._store_camera(frame, traverse, _fitted(calibration, image)[0], image)
        return place

    def _store_camera(self, place: Frame, traverse: str, intrinsics: Intrinsics | None, image: Image) -> None:
        """The first one of a traverse counts: the intrinsics of a lens with autofocus change from image to image."""
        camera = place.extra.get("camera", "")
        if intrinsics is not None and (traverse, camera) not in self.map.cameras():
            self.map.set_camera(traverse, intrinsics, (image.shape[1], image.shape[0]), camera)

    def _patches_of(self, image: Image) -> list[bytes] | None:
        """Of the image described last, as the map stores them; None if the map or the model has no patches."""
        return None if self._projection is None else [self._projection.encode(self.describer.patches(image))]

    def _traverse_of(self, frame: Frame) -> str:
        if not self.traverse:
            when = time.time() if frame.stamp is None else frame.stamp
            self.traverse = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(when))
        return self.traverse

    def _follower(self, camera: str) -> RunFollower:
        if camera not in self._followers:
            self._followers[camera] = RunFollower(self._recognizer(self._settings))
        return self._followers[camera]

    def _recognizer(self, settings: RecognizerSettings) -> Recognizer:
        return Recognizer(self.map, self.describer, settings, learn_in_background=True, learned=self.learned)

    def _describe(self, incoming: IncomingFrame, outcome: Outcome) -> bool:
        """Decodes and describes; False if the image is bad or, for a keyframe, of too low quality."""
        try:
            with outcome.stage("decode"):
                image = incoming.decode()
        except VprError as error:
            outcome.skip_reason, outcome.bad_image = str(error), True
            return False
        outcome.frame = replace(outcome.frame, image=image)
        outcome.intrinsics, outcome.calibration_error = _fitted(incoming.calibration, image)
        if self.mode != "localization":
            with outcome.stage("quality"):
                last = self._last_keyframes.get(incoming.camera)
                quality = self._qualities.setdefault(incoming.camera, ImageQuality())
                moved = None if last is None else moved_between(last, outcome.frame)
                outcome.skip_reason = quality.reason(image, moved)
            if outcome.skip_reason is not None:
                return False
        with outcome.stage("describe"):
            if self.mode != "mapping":
                self._follower(incoming.camera).recognizer.look_ahead(image)
            outcome.descriptor = self.describer.describe(image)
        return True

    def _recognize(self, outcome: Outcome) -> None:
        follower = self._follower(outcome.camera)
        outcome.recognition = follower.recognize(outcome.frame, outcome.descriptor, outcome.intrinsics)
        outcome.milliseconds |= follower.recognizer.milliseconds

    def _add_keyframe(self, outcome: Outcome, gate: KeyframeGate) -> None:
        """Adds the frame as a place; in mode ``slam`` with a loop closure if its recognition was accepted and nothing contradicts it."""
        assert outcome.descriptor is not None
        frame = replace(outcome.frame, image=None)
        place = replace(frame, extra={"camera": outcome.camera} if outcome.camera else {})
        image, traverse = outcome.frame.image, self._traverse_of(place)
        assert image is not None
        try:
            with outcome.stage("add"):
                patches = self._patches_of(image)
                outcome.place_id = self.map.add([place], outcome.descriptor[None], [image], traverse, patches)[0]
        except VprError as error:
            outcome.place_error = str(error)
            return
        self._last_keyframes[outcome.camera] = frame
        gate.set_last(frame)
        try:
            self._store_camera(place, traverse, outcome.intrinsics, image)
        except VprError as error:
            outcome.place_error = str(error)
        self._consistency.add(outcome.place_id, place.pose)
        recognition = outcome.recognition
        if recognition is not None and recognition.accepted and recognition.best is not None:
            closure = loop_closure(recognition, outcome.place_id)
            if self._consistency.accepts(closure, recognition.best.place, place.pose):
                outcome.loop_closure = closure


def _fitted(calibration: Calibration | None, image: Image) -> tuple[Intrinsics | None, str | None]:
    """The intrinsics in pixels of the image, and why they do not fit it."""
    if calibration is None or not all(calibration[1]):
        return None if calibration is None else calibration[0], None
    try:
        return calibration[0].fitted(calibration[1], (image.shape[1], image.shape[0])), None
    except VprError as error:
        return None, str(error)


def _with_exclusion(settings: RecognizerSettings) -> RecognizerSettings:
    """For loop closures, each of which is verified."""
    update: dict[str, object] = {"verify_every": 1}
    if all(getattr(settings, name) is None for name in _EXCLUSIONS):
        update["recent_seconds"] = SLAM_RECENT_SECONDS
    return settings.model_copy(update=update)
