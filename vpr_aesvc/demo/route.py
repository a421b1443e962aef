"""Draws the route: the street driven in the morning (database) and again in the evening (queries), with known poses."""

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vpr_aesvc.demo.light import EVENING, MORNING, Light
from vpr_aesvc.demo.render import Camera, render
from vpr_aesvc.demo.scene import Fixed, Traffic, light_up
from vpr_aesvc.demo.street import Street
from vpr_aesvc.files import new_folder
from vpr_aesvc.types import Progress

COLUMNS = ("path", "split", "sequence", "index", "easting", "northing", "heading", "pitch", "stamp")
SPACING = 1.75  # between database frames along the middle of the road, meters
MIN_PLACES = 10
_SPEED = 1.5  # of the robot, meters a second
_CAMERA_HEIGHT, _CAMERA_PITCH = 1.2, np.deg2rad(4.0)  # meters above the road, radians upwards
_LANE = -0.9  # where the robot drives, meters to the left of the middle of the road
_LEAD_IN, _LOOK_AHEAD = 8.0, 110.0  # meters of street before the first frame and after the last


@dataclass(frozen=True)
class Traverse:
    """One drive. Sway (sideways), yaw and pitch vary smoothly with these standard deviations, meters and radians."""

    name: str
    split: str
    light: Light
    start: float  # seconds
    cars: float  # share of the parking bays that are taken
    sway: float
    yaw: float
    pitch: float
    noise: float  # of the sensor, gray levels
    lane: float = _LANE


TRAVERSES = (
    Traverse("morning", "database", MORNING, 0.0, 0.34, 0.20, 0.015, 0.003, noise=1.0),
    Traverse("evening", "query", EVENING, 36000.0, 0.42, 0.45, 0.031, 0.009, noise=2.5),
)


def draw_route(
    out: Path,
    *,
    places: int = 240,
    queries: int = 120,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Draws the route: `images/<traverse>/<nnnn>.jpg` and `frames.csv`, 320 x 240 pixels each.

    The folder appears under its name only when it is complete. The same seed gives the same files.

    Args:
        out: a folder that is empty or does not exist yet.
        places: database frames, 1.75 m apart along the street.
        queries: query frames, spread evenly over the same street.
        seed: of everything: street, weather, traffic and the robot's path.
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
    with new_folder(out, "route") as draft:  # replaces an empty folder of that name
        _draw(draft, places, queries, seed, progress or (lambda done, total: None))
    return out / "frames.csv"


def _draw(folder: Path, places: int, queries: int, seed: int, progress: Progress) -> None:
    length, rows = (places - 1) * SPACING, [COLUMNS]
    rng = np.random.default_rng([seed, 1])
    street = Street.plan(_LEAD_IN + length + _LOOK_AHEAD, rng)
    fixed = Fixed(street, rng)
    # queries lie between the database frames, at varying distances from them
    positions = {"database": np.arange(places) * SPACING, "query": (np.arange(queries) + 0.5) / queries * length}
    for number, traverse in enumerate(TRAVERSES):
        (folder / "images" / traverse.name).mkdir(parents=True)
        rng, along = np.random.default_rng([seed, 2, number]), positions[traverse.split]
        world = light_up(fixed, Traffic(street, rng, traverse.cars), traverse.light)
        for index, camera in enumerate(_drive(street, along, traverse, rng)):
            path = f"images/{traverse.name}/{index:04d}.jpg"
            image = cv2.cvtColor(render(world, camera), cv2.COLOR_RGB2BGR)
            image = np.clip(image + traverse.noise * rng.standard_normal(image.shape, np.float32), 0, 255)
            (folder / path).write_bytes(cv2.imencode(".jpg", image.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 92])[1])
            x, y, _ = camera.position
            angles = f"{camera.heading:.5f}", f"{camera.pitch:.5f}"
            pose = f"{x:.3f}", f"{y:.3f}", *angles, f"{traverse.start + along[index] / _SPEED:.3f}"
            rows.append((path, traverse.split, traverse.name, str(index), *pose))
            progress(len(rows) - 1, places + queries)
    with (folder / "frames.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def _drive(street: Street, along: np.ndarray, traverse: Traverse, rng: np.random.Generator) -> list[Camera]:
    """The cameras at the given distances from the start of the route, measured along the middle of the road."""
    knots = np.arange(along[0] - 9, along[-1] + 27, 9.0)  # deviations of frames farther apart than 9 m are independent
    sway, yaw, pitch = (np.interp(along, knots, rng.normal(0, 1.25, len(knots))) for _ in range(3))
    offset = traverse.lane + np.clip(traverse.sway * sway, -1, 1)
    position = street.point(along + _LEAD_IN, offset, _CAMERA_HEIGHT)
    heading = street.heading_at(along + _LEAD_IN) + traverse.yaw * np.clip(yaw, -2.2, 2.2)
    heading = (heading + np.pi) % (2 * np.pi) - np.pi
    return [Camera(*view) for view in zip(position, heading, _CAMERA_PITCH + traverse.pitch * pitch, strict=True)]
