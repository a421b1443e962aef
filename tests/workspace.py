"""The inputs that README and docs name, made from the drawn street: images, two drives as bags, and a small encoder."""

from __future__ import annotations

import csv
import json
import math
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.recordings.bags.bags import FRAME, BagWriter
from vpr_aesvc import Describer, Pose, build_map, open_backbone, open_input, train
from vpr_aesvc.transforms import OPTICAL

_START = 1_700_000_000.0  # seconds since 1970; a header stamp of zero would be replaced by the time of reception
_SIDE, _FILTERS, _CELLS, _DIM = 96, 24, 4, 64


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
    _write_encoder(folder / "encoder")


def make_models_and_maps(folder: Path) -> None:
    """Writes ``model``, and with it ``building.vprmap`` of the images and ``office.vprmap`` of the drive."""
    images = open_input(folder / "my_building")
    model = train(
        images.split("database").frames, open_backbone(str(folder / "encoder")), folder / "model", method="whitening"
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


def _write_encoder(folder: Path) -> None:
    """A convolution, its mean in each cell of a grid, and a projection, with fixed random weights: [n, 3, 96, 96] to [n, 64]."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    kernels = rng.normal(0, 0.2, (_FILTERS, 3, 8, 8)).astype(np.float32)
    kernels -= kernels.mean((1, 2, 3), keepdims=True)  # brightness does not matter
    after = (_SIDE - 8) // 4 + 1
    window = after // _CELLS
    width = _FILTERS * (after // window) ** 2
    weights = {"kernels": kernels, "projection": rng.normal(0, width**-0.5, (width, _DIM)).astype(np.float32)}
    nodes = [
        helper.make_node("Conv", ["image", "kernels"], ["edges"], strides=[4, 4]),
        helper.make_node("Relu", ["edges"], ["rectified"]),
        helper.make_node("AveragePool", ["rectified"], ["cells"], kernel_shape=[window] * 2, strides=[window] * 2),
        helper.make_node("Flatten", ["cells"], ["flat"]),
        helper.make_node("MatMul", ["flat", "projection"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, _SIDE, _SIDE])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", _DIM])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "encoder.onnx"
    )
    description = {
        "input": {"name": "image", "size": [_SIDE, _SIDE], "mean": [0.45] * 3, "std": [0.225] * 3},
        "output": {"name": "embedding", "size": _DIM},
    }
    (folder / "preprocess.json").write_text(json.dumps(description))
