"""A robot with a front and a rear camera that see different places of the corridor, and what is right for it."""

from __future__ import annotations

import numpy as np

from tests.recordings.corridor import LAP, CorridorFrame, pose_at
from tests.ros import world
from vpr_aesvc import read_image
from vpr_aesvc.transforms import compose, inverse
from vpr_aesvc.types import Pose

AHEAD = 12
"""The rear camera sees what the front camera sees so many frames later. On a circle the motion between the two is constant."""
MOUNTS = {
    "front": (front := Pose(0.3, 0.0, 0.5)),
    "rear": compose(front, compose(inverse(pose_at(1)), pose_at(1 + AHEAD))),
}
"""Poses of the cameras in base_link."""


def number_seen(frame: CorridorFrame, camera: str) -> int:
    """The frame number whose picture a camera sees when the front camera sees that of ``frame``."""
    return frame.number + (AHEAD if camera == "rear" else 0)


def image_seen(frame: CorridorFrame, camera: str) -> np.ndarray:
    return read_image(next(one for one in world.corridor() if one.number == number_seen(frame, camera)).path)


def base_at(frame: CorridorFrame) -> Pose:
    """Pose of the base when the front camera sees the picture of ``frame``. A place's pose is that of the camera."""
    return compose(frame.pose, inverse(MOUNTS["front"]))


def frame_at(stamp: object) -> CorridorFrame:
    """The frame with the stamp of a message."""
    return next(frame for frame in world.corridor() if abs(frame.stamp - stamp.sec - 1e-9 * stamp.nanosec) < 0.01)


def frames_apart(one: float, other: float) -> float:
    """Between two frame numbers, around the loop."""
    around = (one - other) % LAP
    return min(around, LAP - around)
