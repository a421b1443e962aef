"""Metric poses: how exact, how honest, how fast, beside the pose of the matched place and two-view geometry.

    python benchmarks/metric_pose.py kitti FOLDER [--every 2 4] [-m MODEL] [--pixels 65536]   # image_0, poses.txt, calib.txt (KITTI odometry)
    python benchmarks/metric_pose.py street [--seeds 0 1] [--lane 0.9]                        # the drawn street, again in the evening

A map is built of every second and of every fourth image, by what `vpr map build` does, and asked with the others, by what `vpr query` does. Of the
street the map is the morning's drive and the queries are the evening's, by default in the same lane; its poses are exact. Nothing is fitted to
the queries. Without a model one is trained on the places (histograms of gradients). `--pixels`: of the stored pictures. Solved: the part of the queries with a metric pose. Published: those whose match is accepted, too.
NEES: normalized estimation error squared of 6 degrees of freedom, the part of the poses within its 95 % band (1.24 to 14.45), and below it.
Two views: the direction from the place by the essential matrix or the homography, at the true distance, which two views do not tell. Milliseconds,
median and 90 %, after `prepare`: of solving a metric pose, and of a frame without one; on the clock, and of the processors, whose threads wait actively.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np

from vpr_aesvc import Describer, PlaceMap, build_map, open_backbone, open_input, train
from vpr_aesvc import images as stored_images
from vpr_aesvc.demo.render import HEIGHT, WIDTH
from vpr_aesvc.images import read_image
from vpr_aesvc.recognition import recognizer as recognizers
from vpr_aesvc.recognition.geometry import local_features, triangulation, verification
from vpr_aesvc.recognition.geometry.local_features import LONGEST_SIDE
from vpr_aesvc.recognition.geometry.metric_pose import solve_metric_pose
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.result import Candidate, Recognition
from vpr_aesvc.recognition.run import RunFollower
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.trajectory import read_trajectory
from vpr_aesvc.transforms import OPTICAL, distance, pose_from_euler, rotation_matrix
from vpr_aesvc.types import Floats, Frame, Intrinsics, Pose

BAND = 1.237, 14.449  # of chi squared with 6 degrees of freedom, 95 %
SPEED = 10.0  # meters a second: stamps of the clip, which has none
WRONG = 0.5  # meters
CLOCKS = "on the clock", "of the processors"


def clocks() -> Floats:
    """Milliseconds, as in ``CLOCKS``."""
    return 1000 * np.array([time.perf_counter(), time.process_time()])


def clip(folder: Path) -> tuple[list[Frame], Intrinsics]:
    files = sorted((folder / "image_0").iterdir())
    numbers = [float(word) for word in (folder / "calib.txt").read_text().split("\n")[0].split()[1:]]
    frames = [
        Frame(file.name, path=file, pose=pose, stamp=1e9 + at * 1.2 / SPEED, sequence="clip", index=float(at))
        for at, (file, pose) in enumerate(zip(files, read_trajectory(folder / "poses.txt").poses, strict=True))
    ]
    return frames, Intrinsics(numbers[0], numbers[5], numbers[2], numbers[6])


def street(folder: Path, seed: int, lane: float | None) -> tuple[list[Frame], list[Frame], Intrinsics]:
    """``lane``: of the evening's drive, meters to the left of the middle of the road; the morning's is at -0.9."""
    from vpr_aesvc.demo import route

    if lane is not None:
        morning, evening = route.TRAVERSES
        route.TRAVERSES = (morning, replace(evening, lane=lane))
    frames = open_input(route.draw_route(folder / "route", seed=seed)).frames
    posed = [
        replace(
            one,
            pose=pose_from_euler(one.pose.x, one.pose.y, 1.2, 0.0, -float(one.extra["pitch"]), heading_of(one.pose)),
        )
        for one in frames
    ]
    focal = WIDTH / 2 / np.tan(np.deg2rad(75.0) / 2)
    camera = Intrinsics(focal, focal, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    return [one for one in posed if one.split == "database"], [one for one in posed if one.split == "query"], camera


def heading_of(pose: Pose) -> float:
    return float(2 * np.arctan2(pose.qz, pose.qw))


def two_views(best: Candidate, true: Pose) -> float:
    """Meters of error of the place's pose and the direction to the camera (essential matrix or homography), at the true distance; NaN if unknown."""
    place, geometry = best.match.place.pose, best.geometry
    if place is None or geometry is None or geometry.direction is None:
        return np.nan
    ahead = rotation_matrix(place) @ rotation_matrix(OPTICAL) @ geometry.direction
    return float(np.linalg.norm(place.as_tuple()[:3] + distance(place, true) * ahead - true.as_tuple()[:3]))


def measured(places: list[Frame], queries: list[Frame], camera: Intrinsics, model: Describer, folder: Path) -> Any:
    path = folder / "map.vprmap"
    build_map(places, model, path)
    height, width = read_image(places[0].path).shape[:2]
    rows: list[tuple[float, float, float, float, bool, float]] = []
    refused: Counter[str] = Counter()
    solving, others = [], []

    def solve(*given: Any) -> Any:
        start = clocks()
        found = solve_metric_pose(*given)
        solving.append(clocks() - start)
        return found

    with PlaceMap.open(path, model) as place_map, patch.object(recognizers, "solve_metric_pose", solve):
        for traverse in place_map.traverses():
            place_map.set_camera(traverse, camera, (width, height))
        stored = np.mean([len(place_map.thumbnail_jpeg(one) or b"") for one in place_map.places()])
        Recognizer(place_map, model, RecognizerSettings(), camera).prepare()  # the map keeps what this learns
        prepared = []
        for on in (False, True):
            recognizer = Recognizer(place_map, model, RecognizerSettings(metric_pose=on), camera)
            start = time.process_time()
            recognizer.prepare()
            prepared.append(round(time.process_time() - start, 2))
        follower = RunFollower(recognizer)
        for query in queries:
            frame = replace(query, image=read_image(query.path))
            descriptor = model.describe(frame.image)
            before = len(solving)
            start = clocks()
            result = follower.recognize(frame, descriptor)
            others.append(clocks() - start - sum(solving[before:]))
            if result.metric is None:
                refused[result.metric_refusal] += 1
            else:
                rows.append(errors(result, query.pose))
    meters, degrees, nees, place, accepted, view = np.array(rows).T
    published = accepted > 0
    wrong = meters > WRONG
    return {
        "places": len(places),
        "queries": len(queries),
        "solved": round(len(rows) / len(queries), 3),
        "published": int(published.sum()),
        "published, wrong by more than 0.5 m": int((wrong & published).sum()),
        "not published, wrong": int((wrong & ~published).sum()),
        "m, median and 90 %": quantiles(meters),
        "degrees": quantiles(degrees),
        "NEES in the band": round(float(np.mean((nees > BAND[0]) & (nees < BAND[1]))), 3),
        "NEES below it": round(float(np.mean(nees <= BAND[0])), 3),
        "m, pose of the place": quantiles(place),
        "m, two views": {"solved": round(float(np.isfinite(view).sum() / len(queries)), 3), "m": quantiles(view)},
        "ms to solve": {name: quantiles(each) for name, each in zip(CLOCKS, np.transpose(solving), strict=True)},
        "ms of the frame besides": {
            name: quantiles(each) for name, each in zip(CLOCKS, np.transpose(others), strict=True)
        },
        "s of the processors to prepare, without and with": prepared,
        "bytes of a stored picture": round(float(stored)),
        "refused": dict(refused.most_common(5)),
    }


def errors(result: Recognition, true: Pose) -> tuple[float, float, float, float, bool, float]:
    pose, best = result.pose, result.best
    turn = cv2.Rodrigues(rotation_matrix(true) @ rotation_matrix(pose).T)[0].ravel()
    error = np.concatenate([np.subtract(true.as_tuple()[:3], pose.as_tuple()[:3]), turn])
    nees = float(error @ np.linalg.solve(result.covariance, error))
    return (
        float(np.linalg.norm(error[:3])),
        float(np.degrees(np.linalg.norm(turn))),
        nees,
        distance(true, best.place.pose),
        result.accepted,
        two_views(result.candidates[0], true),
    )


def quantiles(values: Floats) -> list[float]:
    known = values[np.isfinite(values)]
    return [round(float(np.quantile(known, part)), 4) for part in (0.5, 0.9)] if len(known) else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kitti", "street"))
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--every", nargs="+", type=int, default=[2, 4])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--lane", type=float)
    parser.add_argument("--model", "-m", type=Path)
    parser.add_argument("--pixels", type=int, default=stored_images.THUMBNAIL_PIXELS)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    longest = round(LONGEST_SIDE * (given.pixels / stored_images.THUMBNAIL_PIXELS) ** 0.5)
    stored_images.THUMBNAIL_PIXELS = given.pixels
    for module in (local_features, triangulation, verification):
        module.LONGEST_SIDE = longest
    found = {}
    for number in given.every if given.what == "kitti" else given.seeds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if given.what == "kitti":
                frames, camera = clip(given.folder)
                last = (len(frames) - 1) // number * number
                places, queries = frames[::number], [one for at, one in enumerate(frames[:last]) if at % number]
            else:
                places, queries, camera = street(folder, number, given.lane)
            if given.model is None:
                model = train(places, open_backbone("hog"), folder / "model")
            else:
                model = Describer.open(given.model)
            key = f"every {number}" if given.what == "kitti" else f"street {number}"
            found[key] = measured(places, queries, camera, model, folder)
            print(key, json.dumps(found[key], indent=1), flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
