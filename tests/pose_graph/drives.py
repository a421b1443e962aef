"""Drives with exact poses and intrinsics, in which the robot returns: two laps of a drawn circuit, and ``kitti_clip`` there and back."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vpr_aesvc import Intrinsics, Pose, read_image
from vpr_aesvc.demo.light import EVENING, MORNING
from vpr_aesvc.demo.render import HEIGHT, WIDTH, Camera, render
from vpr_aesvc.demo.scene import Fixed, Traffic, light_up
from vpr_aesvc.demo.street import Street
from vpr_aesvc.trajectory import read_trajectory
from vpr_aesvc.transforms import compose, distance, pose_from_euler, relative_pose

_FOCAL = WIDTH / 2 / math.tan(math.radians(75.0) / 2)
DRAWN_CAMERA = Intrinsics(_FOCAL, _FOCAL, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)
_START, _SPEED = 1_700_000_000.0, 3.0  # seconds, meters a second


@dataclass(frozen=True)
class Seen:
    """An image, RGB uint8 [H, W, 3], with the exact pose of its camera; ``part`` is the lap, or 1 there and 2 back."""

    image: np.ndarray
    pose: Pose
    stamp: float
    part: int


def _closed_street(sides: tuple[float, float], radius: float) -> Street:
    """A rectangle with round corners, counter-clockwise."""
    knots, headings = [0.0], [0.0]
    for corner in range(4):
        knots += [knots[-1] + sides[corner % 2], knots[-1] + sides[corner % 2] + radius * math.pi / 2]
        headings += [headings[-1], headings[-1] + math.pi / 2]
    along = np.linspace(0, knots[-1], round(knots[-1] / 0.25) + 1)
    course = np.interp((along[1:] + along[:-1]) / 2, knots, headings)
    x, y = (np.concatenate([[0], np.cumsum(f(course)) * along[1]]) for f in (np.cos, np.sin))
    return Street(along, x, y, np.interp(along, knots, headings))


def drawn_laps(spacing: float = 2.4, evening: bool = False, seed: int = 0, meters: float = math.inf) -> list[Seen]:
    """Two laps of a circuit of 118 m; the second on another line (0.6 m further left) with other parked cars, in the evening if so asked.

    Args:
        meters: of each lap, at most.
    """
    street, rng = _closed_street((4.0, 8.0), 15.0), np.random.default_rng([seed, 1])
    fixed, seen = Fixed(street, rng), []
    for lap in (1, 2):
        rng = np.random.default_rng([seed, 2, lap])
        light = EVENING if evening and lap == 2 else MORNING
        world = light_up(fixed, Traffic(street, rng, 0.34), light)
        along = np.arange(0 if lap == 1 else spacing / 2, min(street.length, meters), spacing)
        knots = np.arange(-9.0, street.length + 18, 9.0)
        sway, yaw, pitch = (np.interp(along, knots, rng.normal(0, 1, len(knots))) for _ in range(3))
        offset = (-0.9 if lap == 1 else -0.3) + 0.2 * sway
        headings, pitches = street.heading_at(along) + 0.02 * yaw, 0.07 + 0.004 * pitch
        for at, position, heading, up in zip(along, street.point(along, offset, 1.2), headings, pitches, strict=True):
            image = render(world, Camera(position, heading, up)).astype(np.float32)
            image += rng.standard_normal(image.shape, np.float32)
            pose = pose_from_euler(*position, 0.0, -up, heading)
            stamp = _START + (at + (lap - 1) * street.length) / _SPEED
            seen.append(Seen(np.clip(image, 0, 255).astype(np.uint8), pose, stamp, lap))
    return seen


def opposed_drive(spacing: float = 1.75, seed: int = 3) -> list[Seen]:
    """A drawn street, driven there and back: the camera always looks ahead."""
    rng = np.random.default_rng([seed, 1])
    street = Street.plan(150.0, rng)
    world, seen = light_up(Fixed(street, rng), Traffic(street, rng, 0.34), MORNING), []
    there = np.arange(30.0, 110.0, spacing)
    for at, back in [*((one, 0) for one in there), *((one, 1) for one in there[::-1] - spacing / 2)]:
        position, heading = street.point(at, 0.9 if back else -0.9, 1.2), float(street.heading_at(at)) + back * math.pi
        image = render(world, Camera(position, heading, 0.07))
        seen.append(Seen(image, pose_from_euler(*position, 0.0, -0.07, heading), _START + len(seen) / 2, back + 1))
    return seen


def kitti_there_and_back(folder: Path) -> tuple[list[Seen], Intrinsics]:
    """The images of even number, then those of odd number in reverse order, as if the car had driven back in reverse gear."""
    images, poses = sorted((folder / "image_0").glob("*.png")), read_trajectory(folder / "poses.txt").poses
    order = [*range(0, len(images), 2), *range(len(images) - 1 - len(images) % 2, 0, -2)]
    parts = [1] * ((len(images) + 1) // 2) + [2] * (len(images) // 2)
    seen = [
        Seen(read_image(images[at]), poses[at], _START + number / 2, part)
        for number, (at, part) in enumerate(zip(order, parts, strict=True))
    ]
    fx, _, cx, _, _, fy, cy = map(float, (folder / "calib.txt").read_text().split("P0:")[1].split()[:7])
    return seen, Intrinsics(fx, fy, cx, cy)


def drifted(poses: list[Pose], drift: float = 0.02, seed: int = 0) -> list[Pose]:
    """Odometry that ends ``drift`` of the distance away from the true end: scale and yaw are wrong by slowly varying parts."""
    steps = [relative_pose(one, other) for one, other in itertools.pairwise(poses)]
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(size=(len(steps), 2)), (1, 31), 0.1, sigmaY=6.0)
    target, size = drift * sum(math.hypot(*step.as_tuple()[:3]) for step in steps), 0.01
    for _ in range(20):
        made = [poses[0]]
        for step, (scale, turn) in zip(steps, size * noise, strict=True):
            wrong = Pose(*((1 + scale * 5) * one for one in step.as_tuple()[:3]), *step.as_tuple()[3:])
            made.append(compose(made[-1], compose(wrong, pose_from_euler(0, 0, 0, 0, 0, turn))))
        size *= target / distance(made[-1], poses[-1])
    return made
