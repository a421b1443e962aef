"""Data of the ROS tests: a model and a map of the first lap of the corridor, made once per test process."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

import pytest

from tests.conftest import DATA
from tests.recordings.corridor import SMEARED, CorridorFrame, corridor_frames


@lru_cache(maxsize=1)
def corridor() -> list[CorridorFrame]:
    """All frames that can become places. Skips the test if the data are missing."""
    if not (DATA / "corridor_loop").is_dir():
        pytest.skip(f"real data is absent: {DATA / 'corridor_loop'} (set VPR_TEST_DATA)", allow_module_level=True)
    return [frame for frame in corridor_frames(DATA / "corridor_loop") if frame.number != SMEARED]


@lru_cache(maxsize=1)
def folder() -> Path:
    """A temporary folder, removed at the end of the process."""
    path = Path(tempfile.mkdtemp(prefix="vpr_ros_test_"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@lru_cache(maxsize=1)
def model() -> Path:
    """MobileNetV3 with whitening, fitted on the first lap; or the model that ``VPR_TEST_ROS_MODEL`` names."""
    if path := os.environ.get("VPR_TEST_ROS_MODEL"):
        return Path(path)
    pytest.importorskip("torch", reason="these tests train a model: pip install '.[train]'")
    from vpr_aesvc import open_backbone, train
    from vpr_aesvc.inputs import open_input

    corridor()
    path = folder() / "model"
    frames = open_input(DATA / "corridor_loop").split("database").frames
    train(frames, open_backbone(str(DATA / "models" / "mobilenet_v3_small")), path, method="whitening")
    return path


@lru_cache(maxsize=1)
def lap_map() -> Path:
    """A map of the first lap, as mode ``mapping`` makes it."""
    from functools import partial

    from vpr_aesvc import Describer, PlaceMap, read_image
    from vpr_aesvc.keyframes.gate import KeyframeSettings
    from vpr_aesvc.onboard.engine import Engine, IncomingFrame
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
    return path
