"""What a robot would pay: each stage of a frame, the rate, memory and disk, measured on this machine with model and map. Needs no ROS."""

import os
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.onboard.engine import Calibration, Engine, IncomingFrame
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.info import map_info
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.recordings.image_messages import rgb_of
from vpr_aesvc.types import Floats, Frame, Image, Pose, Progress

STAGES = ("decode", "describe", "pose", "search", "sequence", "geometry")
_FRAMES, _SECONDS = 200, 30  # measured, at most
_SIZE = (640, 480)  # of the images, if the map does not know its camera


@dataclass(frozen=True)
class Plan:
    """The cost of a frame, in the order of the frames.

    Attributes:
        milliseconds: stage, or ``total`` -> float64 [n].
        hz: the requested rate. dropped: part of the frames that are dropped at it. highest_hz: highest rate at which none is.
        memory: peak of this process, bytes. disk: of the map, bytes. kilometers: driven for the map, 0 without poses. places: of the map.
    """

    milliseconds: dict[str, Floats]
    hz: float
    dropped: float
    highest_hz: float
    memory: int
    disk: int
    kilometers: float
    places: int

    def verdict(self) -> str:
        """In one line: whether the rate is reached, else what to do."""
        total = self.milliseconds["total"]
        takes = f"a frame takes {np.median(total):.0f} ms (95 %: {np.percentile(total, 95):.0f})"
        most = f"nothing is dropped up to {self.highest_hz:.3g} Hz"
        if not self.dropped:
            return f"yes: {self.hz:g} Hz works here: {takes}, and {most}"
        longest = max(STAGES, key=lambda stage: float(np.median(self.milliseconds[stage])))
        advice = (
            "export the model with --precision int8, or use a smaller encoder"
            if longest == "describe"
            else "set max_rate, or turn recognition.geometry off"
            if longest == "geometry"
            else "set max_rate"
        )
        return f"no: at {self.hz:g} Hz {100 * self.dropped:.0f} % of the frames are dropped: {takes}, and {most}; {longest} takes longest: {advice}"


def measure_plan(
    model: Path,
    map: Path,
    hz: float = 10.0,
    cores: int | None = None,
    images: Sequence[Image] = (),
    progress: Progress | None = None,
) -> Plan:
    """Runs the robot's engine, warm, at the requested rate.

    Args:
        hz: images per second. cores: that this process, and the model, may use; by default all.
        images: RGB uint8 [H, W, 3], in order; by default the pictures that the map stores, enlarged to the size of the camera's images.

    Raises:
        VprError: model or map cannot be opened or do not belong together, the map has no pictures, or there are fewer cores.
    """
    if cores is not None:
        use_cores(cores)
    with PlaceMap.open(map) as place_map:
        describer = Describer.open(model, threads=cores)
        settings = RecognizerSettings(verify_every=1)  # the slow case: no sequence is sure
        engine = Engine(place_map, describer, "localization", settings, KeyframeSettings(), "")
        frames = _frames(place_map, images, hz)
        describer.warm_up()
        engine.prepare()
        while engine.learned.progress is not None:  # what the map lacks is learned in the background
            time.sleep(0.1)
            engine.learn()
        for incoming in frames:
            engine.process(incoming)
        engine.reset("measured from here")
        rows, start = [], time.perf_counter()
        for at, incoming in enumerate(frames):
            time.sleep(max(0.0, start + at / hz - time.perf_counter()))
            begun = time.perf_counter()
            outcome = engine.process(incoming)
            rows.append(outcome.milliseconds | {"total": 1000 * (time.perf_counter() - begun)})
            if progress:
                progress(at + 1, len(frames))
        info = map_info(place_map)
        engine.learned.stop()
    milliseconds = {name: np.array([row.get(name, 0.0) for row in rows]) for name in (*STAGES, "total")}
    return Plan(
        milliseconds=milliseconds,
        hz=hz,
        dropped=dropped_part(milliseconds["total"] / 1000, 1 / hz),
        highest_hz=_highest_rate(milliseconds["total"] / 1000),
        memory=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        disk=info.size_bytes,
        kilometers=sum(one.meters or 0.0 for one in info.traverses) / 1000,
        places=info.places,
    )


def use_cores(count: int) -> None:
    """Restricts all threads of this process to so many cores. Raises VprError: there are fewer."""
    available = sorted(os.sched_getaffinity(0))
    if count > len(available):
        raise VprError(f"--cores {count}: this machine gives {len(available)}; measure on the robot, or with fewer")
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), available[:count])


def dropped_part(seconds: Floats, period: float) -> float:
    """Part of the frames that ``LatestFrameWorker`` drops, where a frame comes every ``period`` seconds and takes as long as measured."""
    free, waits, dropped = 0.0, None, 0
    for at, taken in enumerate(seconds):
        now = at * period
        if waits is not None and free <= now:
            free, waits = free + waits, None
        if waits is not None:
            dropped += 1
        if waits is None and free <= now:
            free = now + taken
        else:
            waits = taken
    return dropped / len(seconds)


def _highest_rate(seconds: Floats) -> float:
    """Images per second at which none of the frames is dropped, found by bisection."""
    low, high = 0.5 / float(seconds.max()), 2 / float(seconds.min())
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if dropped_part(seconds, 1 / middle) else (middle, high)
    return low


def _frames(place_map: PlaceMap, images: Sequence[Image], hz: float) -> list[IncomingFrame]:
    """As the node gets them: raw images with stamps, poses as odometry, and the camera that the map knows."""
    places = list(place_map.places().values())[: max(10, min(_FRAMES, int(_SECONDS * hz)))]
    cameras = place_map.cameras()
    camera = next(iter(cameras.values())) if cameras else None
    if images:
        return [_incoming(f"image {at}", image, at / hz, None, camera) for at, image in enumerate(images)]
    frames = []
    for at, place in enumerate(places):
        picture = place_map.thumbnail(place.id)
        if picture is not None:
            size = _SIZE if camera is None else camera[1]
            image = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
            frames.append(_incoming(place.label, image, at / hz, place.pose, camera))
    if not frames:
        raise VprError(f"{place_map.path}: stores no pictures; give some with --images INPUT")
    return frames


def _incoming(label: str, image: Image, stamp: float, pose: Pose | None, camera: Calibration | None) -> IncomingFrame:
    height, width = image.shape[:2]
    message = SimpleNamespace(width=width, height=height, step=3 * width, encoding="rgb8", data=image.tobytes())
    return IncomingFrame("", Frame(label, stamp=stamp), partial(rgb_of, message, label), lambda: pose, camera)
