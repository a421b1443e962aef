"""Small valid models, embeddings, maps and benchmarks, written into an empty folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.fuzz.seeds import SIDE, START, Write, folder_of, image, put
from vpr_aesvc import Describer, build_map
from vpr_aesvc.backbones.hog import HogBackbone
from vpr_aesvc.backbones.onnx_graph import GraphInput, GraphOutput
from vpr_aesvc.model import BackboneInfo, Manifest, TrainingInfo, model_fingerprint, save_model
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.projections.artifact import Projection, unit
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.robot_model import Original, RobotManifest, save_robot_model
from vpr_aesvc.types import Frame, Intrinsics, Pose

DIM = 8


def encoder(layout: str = "NCHW", batch: str | int = "n", external: bool = False, type: int = 1) -> Write:
    """A graph of a mean over the pixels and a matrix: 8 numbers."""

    def write(folder: Path) -> None:
        (folder / "encoder").mkdir()
        _save_graph(folder / "encoder/model.onnx", layout, batch, external, type)
        description = {
            "input": {
                "name": "image",
                "layout": layout,
                "size": [SIDE, SIDE],
                "mean": [0.5, 0.5, 0.5],
                "std": [0.25, 0.25, 0.25],
            },
            "output": {"name": "embedding", "size": DIM},
        }
        put(folder / "encoder/preprocess.json", json.dumps(description).encode())

    return write


def _save_graph(path: Path, layout: str, batch: str | int, external: bool, type: int) -> None:
    import onnx
    from onnx import helper, numpy_helper

    weights = np.random.default_rng(0).standard_normal((3, DIM)).astype(np.float16 if type == 10 else np.float32)
    axes = [2, 3] if layout == "NCHW" else [1, 2]
    shape = [batch, 3, SIDE, SIDE] if layout == "NCHW" else [batch, SIDE, SIDE, 3]
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=axes, keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["projected"]),
        helper.make_node("LpNormalization", ["projected"], ["embedding"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes, "encoder",
        [helper.make_tensor_value_info("image", type, shape)],
        [helper.make_tensor_value_info("embedding", type, [batch, DIM])],
        [numpy_helper.from_array(weights, "weights")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if external:
        onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    else:
        onnx.save(model, path)


def projection() -> Projection:
    random = np.random.default_rng(0)
    dim = HogBackbone().dim
    return Projection.of(np.zeros(dim, np.float32), random.standard_normal((dim, DIM)).astype(np.float32))


def model(folder: Path, weights: Projection | None = None) -> None:
    weights, backbone = weights or projection(), HogBackbone()
    training = TrainingInfo(
        images=3, seed=0, why="a test", isotropic=0.0, view=0.0, held_out_scores={}, terms={}, cosine_variance={}
    )
    info = BackboneInfo(spec=backbone.spec, dim=backbone.dim, fingerprint=backbone.fingerprint)
    mark = model_fingerprint(backbone.fingerprint, weights)
    manifest = Manifest(backbone=info, method="raw", sizes=[4, DIM], fingerprint=mark, training=training)
    save_model(folder / "model", manifest, weights)


def robot_model(folder: Path, graph: bytes | None = None) -> None:
    if graph is None:
        _save_graph(folder / "graph.onnx", "NCHW", "n", False, 1)
        graph = (folder / "graph.onnx").read_bytes()
        (folder / "graph.onnx").unlink()
    manifest = RobotManifest.of(
        graph,
        precision="fp32",
        how="a test",
        input=GraphInput(name="image", size=(SIDE, SIDE)),
        output=GraphOutput(name="embedding", size=DIM),
        sizes=[4, DIM],
        original=Original(fingerprint="0123456789abcdef", backbone="hog", method="raw"),
        check=None,
    )
    save_robot_model(folder / "model", manifest, graph)


def rows(count: int = 4) -> np.ndarray:
    return unit(np.random.default_rng(0).standard_normal((count, DIM)))


def embeddings(suffix: str, named: bool = True) -> Write:
    """For the images 0.png, 1.png and 2.png, which are in the folder ``images``."""

    def write(folder: Path) -> None:
        folder_of(".png")(folder)
        path, names = folder / f"table{suffix}", [f"{number}.png" for number in range(3)]
        if suffix == ".npy":
            np.save(path, rows(3))
        elif suffix == ".npz":
            np.savez(path, embeddings=rows(3), **({"names": np.array(names)} if named else {}))
        else:
            import h5py

            with h5py.File(path, "w") as file:
                for name, row in zip(names, rows(3), strict=True):
                    file[f"{name}/global_descriptor"] = row

    return write


META = {
    "dim": str(DIM),
    "sizes": json.dumps([4, DIM]),
    "model_fingerprint": "0123456789abcdef",
    "model_family": "0123456789abcdef",
    "model_precision": "fp32",
    "model_path": "/a/model",
}


def place_map(folder: Path) -> None:
    with PlaceMap.create_like(folder / "street.vprmap", META) as made:
        made.start_traverse("monday", START, "robot", "sunny")
        frames = [
            Frame(
                f"{n}.jpg",
                Path(f"/a/{n}.jpg"),
                None,
                START + n,
                Pose(n, 1),
                "monday" if n < 3 else None,
                index=n,
                extra={"a": "b"},
            )
            for n in range(4)
        ]
        made.add(frames, rows(4), [image(0), None, image(2), None])
        made.set_camera("monday", Intrinsics(80.0, 80.0, 31.5, 23.5, "plumb_bob", (-0.1, 0.01, 0.0, 0.0)), (64, 48))
        made.store_learned_parameters("kept", {"a": [1, 2.5]})


def learned_map(folder: Path) -> None:
    """A map with a model and with what recognition learned from it."""
    robot_model(folder)
    describer = Describer.open(folder / "model", threads=1)
    frames = [
        Frame(f"{n}.png", image=image(n), stamp=START + n, pose=Pose(2.0 * n, 0), sequence="a") for n in range(12)
    ]
    build_map(frames, describer, folder / "street.vprmap")
    with PlaceMap.open(folder / "street.vprmap") as made:
        Recognizer(made, describer).prepare()


def with_robot_model(write: Write) -> Write:
    def write_both(folder: Path) -> None:
        write(folder)
        robot_model(folder)

    return write_both
