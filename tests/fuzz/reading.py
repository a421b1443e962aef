"""Reads an input as a user's commands would: opens it, goes through it, decodes, embeds, searches.

Each function gets the folder of the input and returns in short what it held. It raises VprError for an input that is refused, and
``Wrong`` where a result cannot be right.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np

from tests.fuzz import seeds
from tests.fuzz.checks import check_frame, check_image, check_rows, read_source, require
from tests.fuzz.seed_models import DIM, rows
from vpr_aesvc import Describer, InputOptions, PlaceMap, build_map, open_backbone, open_input
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.info import map_info
from vpr_aesvc.placemap.repair import check_map
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recordings.bags.info import bag_info
from vpr_aesvc.trajectory import read_trajectory
from vpr_aesvc.types import Frame, Odometry


def read_trajectory_file(folder: Path) -> object:
    path = folder / "trajectory.txt"
    found = read_trajectory(path)
    for pose in found.poses:
        check_frame(Frame("", pose=pose))
    require(found.stamps is None or np.isfinite(found.stamps).all(), "stamps that are not finite")
    require(found.stamps is None or sorted(found.stamps) == found.stamps, "stamps that do not rise")
    return (
        found.kind,
        len(found.poses),
        found.stamps and [float(found.stamps[0]), round(found.stamps[-1] - found.stamps[0], 6)],
    )


def read_run(folder: Path) -> object:
    return read_source(folder / "images", InputOptions(trajectory=folder / "trajectory.txt"))


def read_bag(folder: Path) -> object:
    path = next((path for path in (folder / "run", folder / "run.bag") if path.exists()), folder)
    info = bag_info(path, InputOptions())
    json.dumps(info.as_json())
    try:
        return read_source(path)
    except VprError:
        with suppress(VprError):
            read_source(path, InputOptions(keep_good=True, pose_topic="none"))
        raise


def read_video(folder: Path) -> object:
    files = sorted(folder.iterdir()) or [folder / "a.mp4"]
    with suppress(VprError):
        read_source(files[0], InputOptions(keep_good=True))
    return read_source(files[0])


def read_encoder(folder: Path) -> object:
    backbone = open_backbone(f"onnx:{folder / 'encoder'}", threads=1)
    rows = backbone.embed([seeds.image(0), seeds.image(1)])
    check_rows(rows, 2)
    require(rows.shape[1] == backbone.dim, f"{rows.shape}, dim {backbone.dim}")
    return rows.shape[1]


def read_model(folder: Path) -> object:
    describer = Describer.open(folder / "model", threads=1)
    row = describer.describe(seeds.image(0))
    check_rows(row[None], 1)
    require(len(row) == describer.dim, f"{len(row)}, dim {describer.dim}")
    return list(describer.sizes)


def read_embeddings(folder: Path) -> object:
    tables = [path for path in folder.iterdir() if path.name != "images"] or [folder / "table.npz"]
    try:
        alone = open_input(tables[0])
        check_rows(alone.embeddings.look_up(list(alone)), len(alone))
        named = len(alone)
    except VprError:
        named = 0
    source = open_input(folder / "images", InputOptions(embeddings=tables[0]))
    rows = source.embeddings.look_up(list(source))
    check_rows(rows, len(source))
    return [named > 0 or tables[0].suffix == ".npy", *rows.shape]


def read_map(folder: Path) -> object:
    path = folder / "street.vprmap"
    result: list[object] = []
    try:
        with PlaceMap.open(path) as place_map:
            for place in place_map.places().values():
                check_frame(Frame(place.label, stamp=place.stamp, pose=place.pose))
            map_info(place_map)
            for size in place_map.sizes:
                queries = np.pad(rows(2), ((0, 0), (0, max(0, place_map.dim - DIM))))[:, : place_map.dim]
                for matches in place_map.search(queries, 3, size):
                    for match in matches:
                        require(-1.01 <= match.similarity <= 1.01, f"similarity {match.similarity}")
            for place in list(place_map.places())[:4]:
                thumbnail = place_map.thumbnail(place)
                if thumbnail is not None:
                    check_image(thumbnail)
            place_map.traverses()
            result = [len(place_map), place_map.learned_parameters("kept")]
    finally:
        with suppress(VprError):
            check_map(path)
    return result


def read_recognizer(folder: Path) -> object:
    describer = Describer.open(folder / "model", threads=1)
    with PlaceMap.open(folder / "street.vprmap", describer) as place_map:
        recognizer = Recognizer(place_map, describer)
        recognizer.prepare()
        for number in range(3):
            frame = Frame("asked", image=seeds.image(number), stamp=seeds.START + number)
            found = recognizer.recognize(frame, Odometry(2.0) if number else None)
            numbers = (found.probability, found.false_positive_rate, found.lost)
            require(
                all(-1e-6 <= one <= 1 + 1e-6 for one in numbers), f"probability, false-positive rate, lost {numbers}"
            )
            require(found.pose is None or check_frame(Frame("", pose=found.pose)) is None, "pose")
        return len(place_map)


def read_into_map(folder: Path) -> object:
    """Makes a map of images, with a model that needs no time."""
    output = folder / "made.vprmap"
    trajectory = folder / "trajectory.txt"
    path, options = (folder / "images", InputOptions(trajectory=trajectory)) if trajectory.exists() else (folder, None)
    source = open_input(path, options)
    build_map(source, Describer.open(folder / "model", threads=1), output)
    with PlaceMap.open(output) as place_map:
        map_info(place_map)
        require(not check_map(output).problems, "a map that is damaged")
        return len(place_map)
