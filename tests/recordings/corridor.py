"""The frames of the corridor, real or drawn, with odometry along a loop that is consistent with them."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from vpr_aesvc.types import Pose

STEP = 0.6
"""Meters between frames."""
LAP = 39.5
"""Frames in a lap: frame 40.5 would be where frame 1 is."""
START = 1_700_000_000.0
PERIOD = 0.5
"""Seconds between frames."""
SMEARED = 40
"""The number of the one frame that is too blurred to become a place."""


@dataclass(frozen=True)
class CorridorFrame:
    """``number`` counts from 1; ``stamp`` in seconds; ``pose`` is the robot's, on a circle, x forward."""

    number: int
    path: Path
    stamp: float
    pose: Pose
    lap: int


def pose_at(number: float) -> Pose:
    """Of the robot at a frame number, driving a circle counter-clockwise from the origin toward +x."""
    radius = STEP * LAP / (2 * math.pi)
    turned = 2 * math.pi * (number - 1) / LAP
    return Pose.planar(radius * math.sin(turned), radius * (1 - math.cos(turned)), turned)


def corridor_frames(folder: Path) -> list[CorridorFrame]:
    """All 84 of ``corridor_loop``, or of a drawn loop, in the order they were taken: two laps and the start of a third."""
    with (folder / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    frames = []
    for row in rows:
        number = int(Path(row["path"]).stem)
        stamp = START + PERIOD * (number - 1)
        frames.append(CorridorFrame(number, folder / row["path"], stamp, pose_at(number), int(row["lap"])))
    return sorted(frames, key=lambda frame: frame.number)
