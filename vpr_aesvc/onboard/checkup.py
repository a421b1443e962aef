"""Checks of model, map and machine before a robot uses them. Needs no ROS."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.onboard.finding import Finding
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.repair import check_map
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Frame

_FEW_PLACES = 20  # with fewer, the null model of similarities cannot be learned from the map
_REPETITIONS = 15


@dataclass(frozen=True)
class ImageTime:
    """Median milliseconds for a 640 x 480 image on this machine; ``recognize`` is None without a map."""

    describe: float
    recognize: float | None = None

    @property
    def total(self) -> float:
        return self.describe + (self.recognize or 0.0)


def check_files(
    model: Path | None, map: Path | None, provider: str, recognition: RecognizerSettings | None = None
) -> tuple[list[Finding], ImageTime | None]:
    """Checks the files and measures the time per image; None if a file cannot be used. ``model`` is by default the one that the map names."""
    findings: list[Finding] = []
    place_map = None
    if map is not None:
        try:
            problems = check_map(map).problems
            place_map = PlaceMap.open(map)
        except VprError as error:
            return [Finding("error", str(error), "make a map with `vpr map build`")], None
        findings += _check_places(map, place_map, problems)
    try:
        model = model or (place_map.model_path if place_map is not None else None)
        if model is None:
            return [Finding("error", "neither a model nor a map was given", "add -m MODEL or --map MAP")], None
        describer = Describer.open(model, provider=provider)
        describer.warm_up()
    except VprError as error:
        advice = "make a model with `vpr train MY_BAG -o model`, or name it with -m"
        return [*findings, Finding("error", str(error), advice)], None
    details = f"{describer.dim} numbers, {describer.precision}, on {describer.provider}"
    findings.append(Finding("ok", f"model {model}: {details}"))
    if place_map is None:
        return findings, ImageTime(_median_milliseconds(describer.describe))
    with place_map:
        try:
            place_map.require(describer)
        except VprError as error:
            advice = "use the model that the map was made with, or build the map again"
            findings.append(Finding("error", str(error), advice))
            return findings, ImageTime(_median_milliseconds(describer.describe))
        findings.append(Finding("ok", "model and map agree"))
        return findings, _measure(place_map, describer, recognition)


def _check_places(path: Path, place_map: PlaceMap, problems: list[str]) -> list[Finding]:
    findings = []
    if problems:
        advice = f"vpr map salvage {path} -o NEW_MAP saves the undamaged places"
        findings.append(Finding("error", f"map {path}: {len(problems)} problems, the first: {problems[0]}", advice))
    places = list(place_map.places().values())
    with_pose = sum(place.pose is not None for place in places)
    findings.append(Finding("ok", f"map {path}: {len(places)} places, {with_pose} with a pose"))
    if len(places) < _FEW_PLACES:
        what = f"the map has only {len(places)} places: hardly any match will be accepted"
        findings.append(Finding("warning", what, "map a longer drive"))
    if places and not with_pose:
        what = "no place has a pose: matches come without one, and nothing is published on ~/pose"
        advice = "map with odometry, or import poses of a SLAM trajectory: vpr map import"
        findings.append(Finding("warning", what, advice))
    return findings


def _measure(place_map: PlaceMap, describer: Describer, settings: RecognizerSettings | None) -> ImageTime:
    recognizer = Recognizer(place_map, describer, settings)
    recognizer.prepare()
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    descriptor = describer.describe(noise)
    return ImageTime(
        describe=_median_milliseconds(describer.describe),
        recognize=_median_milliseconds(
            lambda image: recognizer.recognize(Frame("now", image=image), descriptor=descriptor)
        ),
    )


def _median_milliseconds(work: Callable[[NDArray[np.uint8]], object]) -> float:
    """Median time of ``work`` on a 640 x 480 image with texture."""
    noise = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    image = np.asarray(cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC), np.uint8)
    times = []
    for _ in range(_REPETITIONS):
        start = time.perf_counter()
        work(image)
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))
