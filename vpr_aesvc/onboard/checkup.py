"""Is a robot ready: do model and map agree, are they whole, and how fast is this machine with them? Needs no ROS."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.check import check_map
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Frame

Level = Literal["ok", "warning", "error"]
_FEW = 20  # places: below that nothing is learned from a map
_ROUNDS = 15


@dataclass(frozen=True)
class Finding:
    """``what`` was found; ``advice`` says what to change, empty where nothing need be."""

    level: Level
    what: str
    advice: str = ""


@dataclass(frozen=True)
class Speed:
    """Median milliseconds of a 640 x 480 image on this machine; ``recognize`` is None without a map."""

    describe: float
    recognize: float | None = None

    @property
    def total(self) -> float:
        return self.describe + (self.recognize or 0.0)


def check_files(
    model: Path | None, map: Path | None, settings: RecognizerSettings | None = None, provider: str = "cpu"
) -> tuple[list[Finding], Speed | None]:
    """What can be said of the files alone.

    Args:
        model: by default the one that the map names.
        settings: of recognition, as the robot will use it.
    """
    found: list[Finding] = []
    place_map = None
    if map is not None:
        try:
            report = check_map(map)
            place_map = PlaceMap.open(map)
        except VprError as error:
            return [Finding("error", str(error), "make a map with `vpr map build`")], None
        found += _of_map(map, place_map, report.problems)
    try:
        model = model or (place_map.model_path if place_map is not None else None)
        if model is None:
            return [Finding("error", "neither a model nor a map was named", "say -m MODEL or --map MAP")], None
        describer = Describer.open(model, provider=provider)
        describer.warm_up()
    except VprError as error:
        found.append(Finding("error", str(error), "make a model with `vpr train MY_BAG -o model`, or name it with -m"))
        return found, None
    found.append(
        Finding("ok", f"model {model}: {describer.dim} numbers, {describer.precision}, on {describer.provider}")
    )
    if place_map is None:
        return found, Speed(_median_of(lambda image: describer.describe(image)))
    with place_map:
        try:
            place_map.require(describer)
        except VprError as error:
            found.append(Finding("error", str(error), "use the model that the map was made with, or make the map anew"))
            return found, Speed(_median_of(lambda image: describer.describe(image)))
        found.append(Finding("ok", "model and map agree"))
        return found, _speed(place_map, describer, settings or RecognizerSettings())


def _of_map(path: Path, place_map: PlaceMap, problems: list[str]) -> list[Finding]:
    found = []
    if problems:
        advice = f"vpr map salvage {path} -o NEW_MAP saves the places that are whole"
        found.append(Finding("error", f"map {path}: {len(problems)} problems, the first: {problems[0]}", advice))
    places = list(place_map.places().values())
    posed = sum(place.pose is not None for place in places)
    found.append(Finding("ok", f"map {path}: {len(places)} places, {posed} with a pose"))
    if len(places) < _FEW:
        found.append(
            Finding(
                "warning",
                f"{len(places)} places teach nothing: hardly any match will be accepted",
                "map a longer drive",
            )
        )
    if places and not posed:
        found.append(
            Finding(
                "warning",
                "no place has a pose: matches come without one, and nothing is published on ~/pose",
                "map with odometry, or give the places a SLAM trajectory: vpr map import",
            )
        )
    return found


def _speed(place_map: PlaceMap, describer: Describer, settings: RecognizerSettings) -> Speed:
    recognizer = Recognizer(place_map, describer, settings)
    recognizer.prepare()
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (60, 80, 3), np.uint8)
    descriptor = describer.describe(small)

    def recognize(image: np.ndarray) -> None:
        recognizer.recognize(Frame("now", image=image), descriptor=descriptor)

    return Speed(_median_of(describer.describe), _median_of(recognize))


def _median_of(work) -> float:  # type: ignore[no-untyped-def]
    """Milliseconds that ``work`` takes on a 640 x 480 picture with texture."""
    import cv2

    noise = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    image = np.asarray(cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC))
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        work(image)
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))
