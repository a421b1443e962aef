"""The corridor as a user has it: a model, a map of its first lap, and bags of its runs. Made once a session."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

from tests.recordings.bags.bags import camera_pose, write_bag
from tests.recordings.corridor import CorridorFrame, corridor_frames
from vpr_aesvc import Describer, Frame, PlaceMap, open_backbone, read_image, train


@dataclass(frozen=True)
class CorridorBags:
    """``map`` holds the 40 frames of lap 1, place n being frame n; ``later`` is a bag of the other 44 frames, ``whole`` of all 84."""

    model: Path
    map: Path
    later: Path
    whole: Path
    frames: list[CorridorFrame]

    @property
    def later_frames(self) -> list[CorridorFrame]:
        return self.frames[40:]


@pytest.fixture(scope="session")
def corridor_bags(loop_folder, encoder, tmp_path_factory) -> CorridorBags:
    return _made(loop_folder, encoder, tmp_path_factory.getbasetemp())


@lru_cache(maxsize=1)  # a fixture that several modules import is made once for each of them
def _made(data: Path, encoder: Path, base: Path) -> CorridorBags:
    folder = base / "corridor_bags"
    folder.mkdir()
    frames = corridor_frames(data)
    first, later = frames[:40], frames[40:]
    known = [Frame(f"{one.number:03d}", one.path, stamp=one.stamp, pose=camera_pose(one)) for one in first]
    train(known, open_backbone(str(encoder)), folder / "model", method="aesvc")
    describer = Describer.open(folder / "model")
    with PlaceMap.create(folder / "lap.vprmap", describer) as place_map:
        images = [read_image(one.path) for one in first]
        place_map.add(known, describer.describe_batch(images), images)
    return CorridorBags(
        folder / "model",
        folder / "lap.vprmap",
        write_bag(folder / "later", later, "sqlite3", compressed=True),
        write_bag(folder / "whole", frames, "mcap", compressed=True),
        frames,
    )
