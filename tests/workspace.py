"""The inputs that README and docs name, made from the drawn street: images, two drives as bags, and a small encoder."""

from __future__ import annotations

import csv
import math
import shutil
from pathlib import Path

from tests.recordings.bags.bags import FRAME, BagWriter
from tests.stand_ins import write_encoder
from vpr_aesvc import Describer, Pose, build_map, open_backbone, open_input, train
from vpr_aesvc.transforms import OPTICAL

_START = 1_700_000_000.0  # seconds since 1970; a header stamp of zero would be replaced by the time of reception


def make_inputs(drawn: Path, folder: Path) -> None:
    """Writes ``my_building``, ``new_images``, ``new.jpg``, ``drive``, ``another_drive`` and ``encoder``.

    Args:
        drawn: the ``frames.csv`` of a drawn route, or its folder.
    """
    route = drawn.parent if drawn.is_file() else drawn
    (folder / "my_building").symlink_to(route)
    rows = list(csv.DictReader((route / "frames.csv").open()))
    queries = [row for row in rows if row["split"] == "query"]
    (folder / "new_images").mkdir()
    for row in queries:
        shutil.copy(route / row["path"], folder / "new_images")
    shutil.copy(route / queries[len(queries) // 2]["path"], folder / "new.jpg")
    _write_bag(folder / "drive", route, [row for row in rows if row["split"] == "database"])
    _write_bag(folder / "another_drive", route, queries)
    write_encoder(folder / "encoder")


def make_models_and_maps(folder: Path) -> None:
    """Writes ``model``, and with it ``building.vprmap`` of the images and ``office.vprmap`` of the drive."""
    images = open_input(folder / "my_building")
    model = train(
        images.split("database").frames, open_backbone(str(folder / "encoder")), folder / "model", method="aesvc"
    )
    build_map(images, model, folder / "building.vprmap")
    build_map(open_input(folder / "drive"), Describer.open(folder / "model"), folder / "office.vprmap")


def _write_bag(path: Path, route: Path, rows: list[dict[str, str]]) -> None:
    """JPEG images and odometry at their stamps."""
    with BagWriter(path, "mcap") as bag:
        bag.tf([("base_link", FRAME, OPTICAL)], _START, _START + float(rows[0]["stamp"]), "/tf_static")
        for row in rows:
            stamp, half = _START + float(row["stamp"]), float(row["heading"]) / 2
            pose = Pose(float(row["easting"]), float(row["northing"]), 0.0, 0.0, 0.0, math.sin(half), math.cos(half))
            bag.odometry(pose, stamp)
            bag.compressed((route / row["path"]).read_bytes(), stamp)
