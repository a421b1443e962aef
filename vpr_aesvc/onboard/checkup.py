"""Checks of model, map and machine before a robot uses them. Needs no ROS."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.onboard.finding import Finding
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.repair import check_map
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.runtime import median_ms
from vpr_aesvc.types import Frame

_REPETITIONS = 15


def check_files(model: Path | None, map: Path | None, provider: str) -> Iterator[Finding]:
    """Checks the files and measures the time for an image. ``model`` is by default the one that the map names."""
    place_map = None
    if map is not None:
        try:
            problems = check_map(map).problems
            place_map = PlaceMap.open(map)
        except VprError as error:
            yield Finding("error", str(error), "make a map with `vpr map build`")
            return
        yield from _check_places(map, place_map, problems)
    try:
        model = model or (place_map.model_path if place_map is not None else None)
        if model is None:
            yield Finding("error", "neither a model nor a map was given", "add -m MODEL or --map MAP")
            return
        describer = Describer.open(model, provider=provider)
        describer.warm_up()
    except VprError as error:
        yield Finding("error", str(error), "make a model with `vpr train MY_BAG -o model`, or name it with -m")
        return
    yield Finding("ok", f"model {model}: {describer.dim} numbers, {describer.precision}, on {describer.provider}")
    noise = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    image = np.asarray(cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC), np.uint8)
    times = f"describe {median_ms(lambda _: describer.describe(image), _REPETITIONS):.1f} ms"
    if place_map is not None:
        with place_map:
            try:
                place_map.require(describer)
            except VprError as error:
                advice = "use the model that the map was made with, or build the map again"
                yield Finding("error", str(error), advice)
                return
            recognizer = Recognizer(place_map, describer)
            recognizer.prepare()
            whole = median_ms(lambda _: recognizer.recognize(Frame("now", image=image)), _REPETITIONS)
        yield Finding("ok", "model and map agree")
        times += f", and recognize {whole:.1f} ms"
    yield Finding("ok", f"an image of 640 x 480 on this machine: {times}")


def _check_places(path: Path, place_map: PlaceMap, problems: list[str]) -> Iterator[Finding]:
    if problems:
        advice = f"vpr map salvage {path} -o NEW_MAP saves the undamaged places"
        yield Finding("error", f"map {path}: {len(problems)} problems, the first: {problems[0]}", advice)
    places = list(place_map.places().values())
    with_pose = sum(place.pose is not None for place in places)
    yield Finding("ok", f"map {path}: {len(places)} places, {with_pose} with a pose")
    if places and not with_pose:
        what = "no place has a pose: matches come without one, and nothing is published on ~/pose"
        yield Finding("warning", what, "map with odometry, or import poses of a SLAM trajectory: vpr map import")
