"""A route the project draws itself: a street driven in the morning (database) and again in the evening (queries).

Poses are known, and nothing is downloaded: houses, cars, trees and people are painted and seen by a pinhole camera.
The evening has another sun, lit windows, other cars at the kerb, other people, and a driver who keeps to another line.
The same seed gives the same pictures.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vpr_aesvc.demo.light import Daylight
from vpr_aesvc.demo.render import Air, Camera, render
from vpr_aesvc.demo.scene import Scene
from vpr_aesvc.demo.town import Leg, Town, plan
from vpr_aesvc.files import new_folder

COLUMNS = ("path", "split", "sequence", "index", "easting", "northing", "heading", "stamp")
SPACING = 1.75  # between database frames along the middle of the road, meters
SPEED = 1.5  # of the robot, meters a second
CAMERA_HEIGHT, CAMERA_PITCH = 1.2, np.deg2rad(4.0)  # meters above the road, radians upwards
LANE = -0.9  # where the robot drives, meters to the left of the middle of the road
MIN_PLACES = 10
_LEAD_IN = 14.0  # meters of street before the first frame
_LOOK_AHEAD = 12.0  # meters of street after the last frame
_CORNER = 9.0  # meters that the way cuts off a corner
_JPEG_QUALITY = 92

# Evening: the sun has gone round to the south-west and sunk, the street's shades have changed sides.
MORNING = Daylight(
    azimuth=-70,
    elevation=47,
    sun=(0.66, 0.59, 0.46),
    ambient=(0.57, 0.61, 0.67),
    lamps=False,
    zenith=(84, 138, 206),
    horizon=(196, 216, 232),
    cloud=(250, 250, 250),
    cloudiness=0.50,
    air=Air(haze_color=(202, 214, 226), haze_distance=260, shadow=(0.64, 0.67, 0.73)),
)
EVENING = Daylight(
    azimuth=-116,
    elevation=25,
    sun=(0.70, 0.43, 0.23),
    ambient=(0.60, 0.57, 0.64),
    lamps=True,
    zenith=(72, 92, 150),
    horizon=(250, 186, 132),
    cloud=(246, 190, 160),
    cloudiness=0.56,
    air=Air(haze_color=(226, 180, 150), haze_distance=200, shadow=(0.66, 0.70, 0.82)),
)


@dataclass(frozen=True)
class Traverse:
    """One drive along the street.

    Sway (sideways), height, yaw and pitch wander smoothly with these standard deviations, meters and radians.
    """

    name: str
    split: str
    light: Daylight
    starts: float  # seconds
    occupied: float  # share of the parking bays
    people: float  # per 100 m of street
    sway: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    height: float = 0.0
    noise: float = 1.0  # gray levels
    blur: float = 0.0  # pixels


TRAVERSES = (
    Traverse(
        "morning",
        "database",
        MORNING,
        starts=0.0,
        occupied=0.34,
        people=9,
        sway=0.06,
        yaw=np.deg2rad(0.3),
        pitch=np.deg2rad(0.15),
    ),
    Traverse(
        "evening",
        "query",
        EVENING,
        starts=36000.0,
        occupied=0.42,
        people=14,
        sway=0.45,
        yaw=np.deg2rad(1.8),
        pitch=np.deg2rad(0.5),
        height=0.05,
        noise=2.5,
        blur=0.4,
    ),
)


@dataclass(frozen=True)
class _Poses:
    """The camera at each frame: x, y, z [n, 3] in meters, heading and pitch [n] in radians, stamp [n] in seconds."""

    position: np.ndarray
    heading: np.ndarray
    pitch: np.ndarray
    stamp: np.ndarray


def draw_route(
    out: Path,
    *,
    places: int = 240,
    queries: int = 120,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Draws the route: `images/<traverse>/<nnnn>.jpg` and `frames.csv`, 320 x 240 pixels each.

    The folder appears under its name only when it is complete.

    Args:
        out: a folder that is empty or does not exist yet.
        places: database frames, 1.75 m apart along the street.
        queries: query frames, spread evenly over the same way.
        seed: of everything: street, weather, traffic and the robot's line.
        progress: called with (frames done, frames in all) after each frame.

    Returns:
        The path of `frames.csv`.

    Raises:
        FileExistsError: `out` exists and is not an empty folder.
        ValueError: too few places or queries.
    """
    out = Path(out)
    if places < MIN_PLACES:
        raise ValueError(f"places is {places}; a route needs at least {MIN_PLACES}")
    if queries < 1:
        raise ValueError(f"queries is {queries}; a route needs at least 1")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} exists and is not an empty folder; give a new folder, or empty this one")
    out.parent.mkdir(parents=True, exist_ok=True)
    with new_folder(out, "route") as draft:  # an empty folder of that name gives way
        _draw(draft, places, queries, seed, progress)
    return out / "frames.csv"


def _draw(folder: Path, places: int, queries: int, seed: int, progress: Callable[[int, int], None] | None) -> None:
    length, done = (places - 1) * SPACING, 0
    town = plan(_LEAD_IN + length + _LOOK_AHEAD, seed)
    # queries lie between the database frames, at ever other distances from them
    spread = (np.arange(queries) + 0.5) / queries * length
    along = {"database": np.arange(places) * SPACING, "query": spread}
    with (folder / "frames.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, traverse in enumerate(TRAVERSES):
            (folder / "images" / traverse.name).mkdir(parents=True)
            rng = np.random.default_rng([seed, 20 + number])
            poses = _drive(town, along[traverse.split], traverse, rng)
            scene = Scene(town, traverse.light, 30 + number, traverse.occupied, traverse.people)
            for index in range(len(poses.stamp)):
                camera = Camera(poses.position[index], poses.heading[index], poses.pitch[index])
                stamp = float(poses.stamp[index])
                picture = render(scene.passers_by(stamp - traverse.starts), camera, scene.sky, traverse.light.air)
                path = f"images/{traverse.name}/{index:04d}.jpg"
                _write(folder / path, _expose(picture, traverse, rng))
                x, y, _ = poses.position[index]
                writer.writerow(
                    [
                        path,
                        traverse.split,
                        traverse.name,
                        index,
                        f"{x:.3f}",
                        f"{y:.3f}",
                        f"{poses.heading[index]:.5f}",
                        f"{stamp:.3f}",
                    ]
                )
                done += 1
                if progress:
                    progress(done, places + queries)


def _drive(town: Town, along: np.ndarray, traverse: Traverse, rng: np.random.Generator) -> _Poses:
    """Camera poses at the given distances from the route's start, measured along the middle of the road."""
    middle, tangent = _center_line(town.legs)
    distance = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(middle, axis=0), axis=1))])
    at = along + _LEAD_IN
    x, y = (np.interp(at, distance, middle[:, i]) for i in (0, 1))
    course = np.interp(at, distance, np.unwrap(tangent))
    sway, yaw, pitch, height = (_wander(rng, along, 9.0) for _ in range(4))
    offset = LANE + np.clip(traverse.sway * sway, -1, 1)
    position = np.stack(
        [x - offset * np.sin(course), y + offset * np.cos(course), CAMERA_HEIGHT + traverse.height * height], axis=1
    )
    heading = course + np.clip(traverse.yaw * yaw, -2.2 * traverse.yaw, 2.2 * traverse.yaw)
    heading = (heading + np.pi) % (2 * np.pi) - np.pi
    return _Poses(position, heading, CAMERA_PITCH + traverse.pitch * pitch, traverse.starts + along / SPEED)


def _center_line(legs: tuple[Leg, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Fine points [n, 2] along the middle of the road, corners rounded by arcs, and the heading at each."""
    points: list[np.ndarray] = []
    headings: list[np.ndarray] = []
    begin = 0.0
    for leg in legs:
        turn = leg.turn_after
        cut = _CORNER if abs(turn) > 1e-6 else 0.0
        along = np.arange(begin, leg.length - cut, 0.05)
        points.append(leg.start + along[:, None] * leg.ahead[:2])
        headings.append(np.full(len(along), leg.heading))
        if cut:
            radius = cut / np.tan(abs(turn) / 2)
            side = np.sign(turn)
            center = (leg.start + (leg.length - cut) * leg.ahead[:2]) + side * radius * leg.left[:2]
            angles = leg.heading + np.linspace(0, turn, max(8, int(abs(turn) * radius / 0.05)))
            points.append(center + side * radius * np.stack([np.sin(angles), -np.cos(angles)], axis=1))
            headings.append(angles)
        begin = cut
    return np.concatenate(points), np.concatenate(headings)


def _wander(rng: np.random.Generator, along: np.ndarray, correlation: float) -> np.ndarray:
    """A smooth random line over the way, about unit variance, that forgets itself within `correlation` meters."""
    knots = np.arange(along[0] - 2 * correlation, along[-1] + 3 * correlation, correlation)
    values = rng.normal(0, 1.25, len(knots))
    return np.interp(along, knots, values)


def _expose(picture: np.ndarray, traverse: Traverse, rng: np.random.Generator) -> np.ndarray:
    """The camera's own part: softness, a little fall-off to the corners, sensor noise."""
    if traverse.blur:
        picture = cv2.GaussianBlur(picture, (0, 0), traverse.blur)
    rows, columns = picture.shape[:2]
    y, x = np.linspace(-1, 1, rows)[:, None], np.linspace(-1, 1, columns)[None]
    fall_off = (1 - 0.10 * (x**2 + y**2) / 2)[:, :, None].astype(np.float32)
    noise = rng.standard_normal(picture.shape, np.float32) * np.float32(traverse.noise)
    return np.clip(picture * fall_off + noise, 0, 255).astype(np.uint8)


def _write(path: Path, picture: np.ndarray) -> None:
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    if not done:
        raise OSError(f"could not encode {path}")
    path.write_bytes(data.tobytes())
