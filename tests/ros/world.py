"""Data of the ROS tests: a model and a map of the first lap of the corridor, made once per test process."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

import pytest

from tests.conftest import DATA, has_data
from tests.recordings.corridor import SMEARED, CorridorFrame, corridor_frames
from tests.stand_ins import write_encoder, write_loop


@lru_cache(maxsize=1)
def folder() -> Path:
    """A temporary folder, removed at the end of the process."""
    path = Path(tempfile.mkdtemp(prefix="vpr_ros_test_"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@lru_cache(maxsize=1)
def loop() -> Path:
    """``corridor_loop``, or a drawn loop where it is absent."""
    if has_data("corridor_loop"):
        return DATA / "corridor_loop"
    from vpr_aesvc.demo import draw_route

    return write_loop(draw_route(folder() / "route", places=40, queries=1).parent, folder() / "loop")


@lru_cache(maxsize=1)
def corridor() -> list[CorridorFrame]:
    """All frames that can become places."""
    return [frame for frame in corridor_frames(loop()) if frame.number != SMEARED]


@lru_cache(maxsize=1)
def model() -> Path:
    """The model that ``VPR_TEST_ROS_MODEL`` names, else MobileNetV3 and whitening, fitted on the first lap.

    Where MobileNetV3 is absent, an encoder of random weights.
    """
    if path := os.environ.get("VPR_TEST_ROS_MODEL"):
        return Path(path)
    pytest.importorskip("torch", reason="these tests train a model: pip install '.[train]'")
    from vpr_aesvc import open_backbone, train
    from vpr_aesvc.inputs import open_input

    path = folder() / "model"
    name = "models/mobilenet_v3_small"
    encoder = DATA / name if has_data(name) else write_encoder(folder() / "encoder")
    train(open_input(loop()).split("database").frames, open_backbone(str(encoder)), path, method="aesvc")
    return path


@lru_cache(maxsize=1)
def lap_map() -> Path:
    """A map of the first lap, as mode ``mapping`` makes it."""
    from functools import partial

    from vpr_aesvc import Describer, PlaceMap, read_image
    from vpr_aesvc.keyframes.gate import KeyframeSettings
    from vpr_aesvc.onboard.engine import Engine, IncomingFrame
    from vpr_aesvc.recognition.learned_models import learn_map
    from vpr_aesvc.recognition.settings import RecognizerSettings
    from vpr_aesvc.types import Frame

    path = folder() / "lap.vprmap"
    describer = Describer.open(model())
    with PlaceMap.create(path, describer) as place_map:
        engine = Engine(place_map, describer, "mapping", RecognizerSettings(), KeyframeSettings(), "lap 1")
        for frame in corridor():
            if frame.lap == 1:
                engine.process(
                    IncomingFrame(
                        "",
                        Frame(str(frame.number), stamp=frame.stamp),
                        partial(read_image, frame.path),
                        lambda frame=frame: frame.pose,
                    )
                )
        learn_map(place_map)  # as at the end of mapping
    return path
