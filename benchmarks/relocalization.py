"""A kidnapped robot: how soon, and how exactly, a search finds its pose in the map, and that it finds none outside.

    python benchmarks/relocalization.py DATA [--starts 50] [--work FOLDER] [--json FILE]

DATA has kitti_clip, corridor_loop, ie_tower and models/mobilenet_v3_small. Each run is a fresh start: `Engine` and `PoseSearch`, as in the ROS
node's action ~/relocalize, without ROS. The odometry is that of the data, in a frame of its own.

Inside: a search of at most 20 frames. The drawn street in the evening, random starts, in its map of the morning (160 places, exact poses);
KITTI, every start, in maps of each second and each fourth image. An error is the distance to the true position. A robot that drives moves on by
one frame; a robot that stands sees one picture again and again, with the noise of a sensor.

Outside: 20 robots, 200 frames each. Corridor and tower in the map of the street; tower in the map of the corridor; and, the hardest, floors of the
tower in a map of other floors of it, whose corridors look alike (the tower has no poses: a robot walks .6 m a frame). A pose is a failure.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.recordings.corridor import SMEARED, corridor_frames
from vpr_aesvc import Describer, PlaceMap, build_map, open_backbone, open_input, train
from vpr_aesvc.demo import draw_route
from vpr_aesvc.images import image_of
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.onboard.engine import Calibration, Engine, IncomingFrame
from vpr_aesvc.onboard.pose_search import PoseSearch
from vpr_aesvc.onboard.relocalization import Sighting
from vpr_aesvc.recognition.learned_models import learn_map
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.transforms import OPTICAL, compose, distance, heading, inverse, pose_from_euler, pose_of_rotation
from vpr_aesvc.types import Frame, Image, Intrinsics, Pose

INSIDE, OUTSIDE, ROBOTS = 20, 200, 20  # frames of a search, frames outside, robots outside
STEP = 0.6  # meters between frames without a pose
ODOMETRY = Pose.planar(-30.0, 12.0, 1.0)  # of the map in the odometry frame
KITTI = Intrinsics(707.0912, 707.0912, 601.8873, 183.1104), (1241, 376)
STREET = Intrinsics(208.515, 208.515, 159.5, 119.5), (320, 240)


@dataclass
class Found:
    """What one robot got. ``error``: meters; None outside the map."""

    frames: int
    search: PoseSearch
    error: float | None


def ground(folder: Path, name: str, places: Sequence[Frame], backbone: str, camera: Calibration | None) -> Engine:
    """A model trained on the places, and their map."""
    model, path = folder / f"{name}_model", folder / f"{name}.vprmap"
    if not model.exists():
        train(places, open_backbone(backbone), model)
    if not path.exists():
        build_map(places, Describer.open(model), folder / "draft.vprmap")
        with PlaceMap.open(folder / "draft.vprmap") as place_map:
            learn_map(place_map)
        (folder / "draft.vprmap").rename(path)
    describer = Describer.open(model)
    place_map = PlaceMap.open(path, describer)
    for traverse in place_map.traverses() if camera else ():
        place_map.set_camera(traverse, *camera, replace=True)
    engine = Engine(place_map, describer, "localization", RecognizerSettings(), KeyframeSettings(), "")
    engine.prepare()
    return engine


def search(engine: Engine, frames: Sequence[Frame], most: int, camera: Calibration | None) -> Found:
    """One robot, from a fresh start. Its camera is its base."""
    found = PoseSearch()
    engine.reset("kidnapped")
    frame = frames[0]
    for frame in islice(frames, most):
        odometry = None if frame.pose is None else compose(ODOMETRY, frame.pose)
        incoming = IncomingFrame(
            "", replace(frame, pose=None), partial(image_of, frame), lambda pose=odometry: pose, camera
        )
        recognition = engine.process(incoming).recognition
        sighting = None
        if recognition.accepted and recognition.pose is not None:
            sighting = Sighting(recognition.pose, recognition.covariance, odometry, recognition.metric is not None)
        found.update(recognition, sighting, frame.stamp)
        if found.found is not None:
            break
    truth, base = frame.pose, found.found and found.found.base
    return Found(found.frames, found, None if truth is None or base is None else distance(base, truth))


def standing(frame: Frame, seed: int) -> list[Frame]:
    """The same view again and again, with noise of 2 gray levels."""
    image = image_of(frame)

    def noisy(at: int) -> Image:
        noise = np.random.default_rng([seed, at]).normal(0, 2, image.shape)
        return np.clip(image + noise, 0, 255).astype(np.uint8)

    return [
        replace(frame, path=None, decode=partial(noisy, at), stamp=(frame.stamp or 0.0) + 0.2 * at)
        for at in range(INSIDE)
    ]


def walked(frames: Sequence[Frame], start: int) -> list[Frame]:
    """200 frames from ``start`` on, round and round; those without a pose are STEP apart on a straight line."""
    chosen = islice((frames[at % len(frames)] for at in count(start)), OUTSIDE)
    return [replace(frame, pose=Pose(STEP * at, 0.0), stamp=0.5 * at) for at, frame in enumerate(chosen)]


def posed(frames: Sequence[Frame]) -> list[Frame]:
    """Frames of the drawn street with the camera's height and pitch."""
    return [
        replace(
            one, pose=pose_from_euler(one.pose.x, one.pose.y, 1.2, 0.0, -float(one.extra["pitch"]), heading(one.pose))
        )
        for one in frames
    ]


def kitti(folder: Path) -> list[Frame]:
    """All 51 images, with body poses."""
    frames = []
    for at, line in enumerate((folder / "poses.txt").read_text().splitlines()):
        matrix = np.array(line.split(), float).reshape(3, 4)
        camera = compose(compose(OPTICAL, pose_of_rotation(matrix[:, :3], *matrix[:, 3])), inverse(OPTICAL))
        path = folder / "image_0" / f"{at:06d}.png"
        frames.append(Frame(path.name, path, stamp=0.1 * at, pose=camera, sequence="kitti"))
    return frames


def tower(folder: Path, floors: Sequence[int] | None = None) -> list[Frame]:
    """Frames of some floors; by default of all."""
    inputs = open_input(folder)
    frames = [*inputs.split("database").frames, *inputs.split("query").frames]
    names = sorted({frame.label.split("/")[0] for frame in frames})
    chosen = set(names if floors is None else [names[at] for at in floors])
    return sorted((frame for frame in frames if frame.label.split("/")[0] in chosen), key=lambda frame: frame.label)


def inside_table(rows: dict[str, list[Found]]) -> None:
    print(
        "\n| inside | starts | found | frames, median / 90 % / most | metric | error, m, median / 90 % / most | wrong by > 1 m |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, found in rows.items():
        good = [one for one in found if one.error is not None]
        frames, errors = [one.frames for one in good] or [0], [one.error for one in good] or [np.nan]
        metric = sum(one.search.found.metric for one in good)
        print(
            f"| {name} | {len(found)} | {len(good)} | {np.median(frames):.0f} / {np.percentile(frames, 90):.0f} / {max(frames)} | {metric} | "
            f"{np.median(errors):.2f} / {np.percentile(errors, 90):.2f} / {max(errors):.2f} | {sum(error > 1 for error in errors)} |"
        )


def outside_table(rows: dict[str, list[Found]]) -> None:
    print("\n| outside | robots | frames | accepted | a pose was found |")
    print("|---|---|---|---|---|")
    for name, found in rows.items():
        frames, accepted = sum(one.frames for one in found), sum(one.search._accepted for one in found)
        print(
            f"| {name} | {len(found)} | {frames} | {accepted} | {sum(one.search.found is not None for one in found)} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--robots", type=int, default=ROBOTS)
    parser.add_argument("--work", type=Path, help="keeps models and maps for the next run")
    parser.add_argument("--only", default="", help="inside or outside")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    backbone, rng = str(options.data / "models" / "mobilenet_v3_small"), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work or Path(temporary)
        if not (folder / "street").exists():
            draw_route(folder / "street", places=160, queries=270)
        street = posed(open_input(folder / "street").frames)
        morning, evening = ([one for one in street if one.split == split] for split in ("database", "query"))
        city = ground(folder, "street", morning, backbone, STREET)
        rows: dict[str, list[Found]] = {}
        if options.only != "outside":
            starts = rng.integers(0, len(evening) - INSIDE, options.starts)
            rows["street, drives"] = [search(city, evening[at:], INSIDE, STREET) for at in starts]
            rows["street, stands"] = [search(city, standing(evening[at], at), INSIDE, STREET) for at in starts]
            rows["street, drives, no intrinsics"] = [search(city, evening[at:], INSIDE, None) for at in starts]
            images = kitti(options.data / "kitti_clip")
            for each in (2, 4):
                place = ground(folder, f"kitti_{each}", images[::each], backbone, KITTI)
                others = [frame for at, frame in enumerate(images) if at % each]
                rows[f"KITTI, map of every {each}. image"] = [
                    search(place, others[at:], INSIDE, KITTI) for at in range(len(others) - 5)
                ]
            inside_table(rows)
        outside: dict[str, list[Found]] = {}
        if options.only != "inside":
            floors, lap = tower(options.data / "ie_tower"), corridor_frames(options.data / "corridor_loop")
            corridor = [
                Frame(str(one.number), one.path, stamp=one.stamp, pose=one.pose, sequence=f"lap {one.lap}")
                for one in lap
                if one.number != SMEARED
            ]
            indoor = ground(folder, "corridor", [one for one in corridor if one.sequence == "lap 1"], backbone, None)
            half = tower(options.data / "ie_tower", range(0, 13, 2))
            clips = sorted({one.sequence for one in half})
            half = [replace(one, pose=Pose(STEP * one.index, 100.0 * clips.index(one.sequence))) for one in half]
            same = ground(folder, "tower", half, backbone, None)
            other = tower(options.data / "ie_tower", range(1, 13, 2))
            for name, place, frames in (
                ("tower and corridor in the street", city, floors + corridor),
                ("tower in the corridor", indoor, floors),
                ("tower in other floors of it", same, other),
            ):
                begins = rng.integers(0, len(frames), options.robots)
                outside[name] = [search(place, walked(frames, at), OUTSIDE, None) for at in begins]
                stands = [
                    search(place, standing(frames[at], at), INSIDE, None)
                    for at in rng.integers(0, len(frames), 5 * options.robots)
                ]
                outside[f"{name}, standing"] = stands
            outside_table(outside)
        if options.json:
            lines = {
                name: [
                    {"frames": one.frames, "error": one.error, "found": one.search.found is not None} for one in found
                ]
                for name, found in (rows | outside).items()
            }
            options.json.write_text(json.dumps(lines, indent=1))


if __name__ == "__main__":
    main()
