"""Small valid inputs of every kind, written into an empty folder. Each function returns nothing; the reader knows what it should read."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from tests.recordings.bags.bags import BagWriter
from vpr_aesvc.backbones.hog import HogBackbone
from vpr_aesvc.backbones.onnx_graph import GraphInput, GraphOutput
from vpr_aesvc.model import BackboneInfo, Manifest, TrainingInfo, model_fingerprint, save_model
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.archive import write_npz
from vpr_aesvc.projections.artifact import Projection, unit
from vpr_aesvc.robot_model import Original, RobotManifest, save_robot_model
from vpr_aesvc.transforms import OPTICAL
from vpr_aesvc.types import Frame, Pose

SIDE, START, DIM = 16, 1_700_000_000.0, 8
Write = Callable[[Path], None]


def image(number: int = 0) -> np.ndarray:
    """RGB uint8 [16, 16, 3] with structure."""
    rows = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    return np.asarray(cv2.resize(rows, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))


def coded(number: int = 0, suffix: str = ".jpg", bits: int = 8) -> bytes:
    pixels = image(number) if bits == 8 else image(number).astype(np.uint16) << (bits - 8)
    return bytes(cv2.imencode(suffix, pixels)[1])


def folder_of(suffix: str, bits: int = 8, names: str = "images/{}") -> Write:
    def write(folder: Path) -> None:
        for number in range(3):
            _put(folder / f"{names.format(number)}{suffix}", coded(number, suffix, bits))

    return write


def split_folders(folder: Path) -> None:
    for number in range(2):
        _put(folder / f"database/@{500000 + number}.5@{4000000 + number}.25@.png", coded(number, ".png"))
    _put(folder / "queries/@500000.7@4000000.1@.png", coded(3, ".png"))


def photos_with_gps(folder: Path) -> None:
    for number in range(3):
        _put(folder / f"photo{number}.jpg", with_gps(coded(number), 47.37 + number * 1e-5, 8.54, 408.0))


def with_gps(jpeg: bytes, latitude: float, longitude: float, altitude: float) -> bytes:
    """The JPEG with an EXIF segment: orientation, date and GPS position."""

    def rationals(*values: float) -> bytes:
        return b"".join(struct.pack("<II", round(value * 10_000), 10_000) for value in values)

    def degrees(value: float) -> bytes:
        return rationals(int(value), int(value * 60 % 60), value * 3600 % 60)

    def directory(entries: list[tuple[int, int, int, bytes]], at: int) -> bytes:
        head, body = struct.pack("<H", len(entries)), b""
        after = at + 2 + 12 * len(entries) + 4
        for tag, type, count, value in entries:
            if len(value) > 4:
                head += struct.pack("<HHII", tag, type, count, after + len(body))
                body += value
            else:
                head += struct.pack("<HHI", tag, type, count) + value.ljust(4, b"\0")
        return head + struct.pack("<I", 0) + body

    date = b"2024:05:01 12:00:00\0"
    first = [(0x0112, 3, 1, b"\x01\0"), (0x0132, 2, len(date), date), (0x8825, 4, 1, b"\0\0\0\0")]
    gps_at = 8 + len(directory(first, 8))
    first[2] = (0x8825, 4, 1, struct.pack("<I", gps_at))
    gps = [
        (1, 2, 2, b"N\0"), (2, 5, 3, degrees(latitude)), (3, 2, 2, b"E\0"), (4, 5, 3, degrees(longitude)),
        (5, 1, 1, b"\0"), (6, 5, 1, rationals(altitude)),
    ]  # fmt: skip
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory(first, 8) + directory(gps, gps_at)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def frames_csv(folder: Path) -> None:
    rows = ["path,split,easting,northing,heading,sequence,index,stamp,category,weather"]
    for number in range(4):
        _put(folder / f"{number}.png", coded(number, ".png"))
        split = "query" if number == 3 else "database"
        rows.append(
            f"{number}.png,{split},{500000.5 + number},4000000.25,{number / 10},a,{number},{START + number / 2},c,sunny"
        )
    _put(folder / "frames.csv", "\n".join(rows).encode())


def geographic_csv(folder: Path) -> None:
    rows = ["path,split,latitude,longitude"]
    for number in range(3):
        _put(folder / f"{number}.png", coded(number, ".png"))
        rows.append(f"{number}.png,database,{47.37 + number / 1e5:.6f},8.54")
    _put(folder / "frames.csv", "\n".join(rows).encode())


_LINES = [(START + number / 4, number / 4, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0) for number in range(6)]


def tum(folder: Path, unit: float = 1, header: str = "", separator: str = " ", code: str = "utf-8") -> None:
    """A listing ``rgb.txt``, and a trajectory."""
    listing = []
    for number in range(3):
        _put(folder / f"images/rgb/{number}.png", coded(number, ".png"))
        listing.append(f"{START + number / 2:.3f} rgb/{number}.png")
    _put(folder / "images/rgb.txt", "\n".join(["# color images", *listing]).encode())
    _put(folder / "trajectory.txt", trajectory(unit, header, separator).encode(code))


def stamped_names(folder: Path) -> None:
    for number in range(3):
        _put(folder / f"images/{round(START * 1e9) + number * 500_000_000}.png", coded(number, ".png"))
    _put(folder / "trajectory.txt", trajectory(1e9).encode())


def trajectory(unit: float = 1, header: str = "", separator: str = " ") -> str:
    def stamp(value: float) -> str:
        return f"{value:.3f}" if unit == 1 else str(round(value * unit))

    lines = [separator.join([stamp(line[0]), *map(str, line[1:])]) for line in _LINES]
    return "\n".join([header, *lines] if header else lines) + "\n"


def kitti(folder: Path) -> None:
    for number in range(3):
        _put(folder / f"images/{number:06d}.png", coded(number, ".png"))
    _put(folder / "images/times.txt", b"0.000000e+00\n1.036224e-01\n2.072441e-01\n")
    _put(folder / "trajectory.txt", "\n".join(f"1 0 0 0 0 1 0 0 0 0 1 {number}" for number in range(3)).encode())


def text_trajectory(content: str, code: str = "utf-8") -> Write:
    return lambda folder: _put(folder / "trajectory.txt", content.encode(code))


KITTI_TEXT = "\n".join(f"9.999e-01 0 1e-3 0 0 1 0 0 -1e-3 0 9.999e-01 {number}" for number in range(4)) + "\n"
HEADER_TEXT = trajectory(1e9, "timestamp_ns,p_x,p_y,p_z,q_x,q_y,q_z,q_w", ",")


class _Collector(BagWriter):
    """Keeps the messages beside writing them."""

    def __init__(self, *words, **named) -> None:
        super().__init__(*words, **named)
        self.messages: list[tuple[str, str, bytes, float]] = []

    def raw(self, topic: str, type: str, data: bytes, received: float) -> None:
        self.messages.append((topic, type, bytes(data), received))
        super().raw(topic, type, data, received)


def bag(storage: str, poses: str = "odometry", compression: str | None = None, raw: bool = False) -> Write:
    """Three images, twice as many poses, a static transform and the calibration, as ``run``: a folder, or ``run.bag``."""

    def write(folder: Path) -> None:
        write_bag(folder, storage, poses, compression, raw)

    return write


def write_bag(
    folder: Path, storage: str, poses: str, compression: str | None, raw: bool
) -> list[tuple[str, str, bytes, float]]:
    with _Collector(bag_path(folder, storage), storage, compression) as writer:
        writer.tf([("base_link", "camera_optical_frame", OPTICAL)], START, topic="/tf_static")
        for number in range(6):
            stamp, pose = START + number / 4, Pose(number / 4, 0.5)
            if poses == "odometry":
                writer.odometry(pose, stamp)
            elif poses == "tf":
                writer.tf([("odom", "base_link", pose)], stamp)
            elif poses == "pose":
                writer.pose(pose, stamp)
            else:
                writer.fix(47.37 + number * 1e-5, 8.54, 408.0, stamp)
            if number % 2:
                continue
            writer.camera_info(SIDE, SIDE, stamp)
            if raw:
                writer.image(image(number), stamp)
            else:
                writer.compressed(coded(number), stamp)
    return writer.messages


def bag_path(folder: Path, storage: str) -> Path:
    return folder / ("run.bag" if storage == "ros1" else "run")


@lru_cache
def bag_messages(storage: str, poses: str, raw: bool) -> list[tuple[str, str, bytes, float]]:
    """The messages of such a bag: topic, type, bytes, time of reception in seconds."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return write_bag(Path(folder), storage, poses, None, raw)


def video(name: str, code: str) -> Write:
    def write(folder: Path) -> None:
        writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter_fourcc(*code), 10, (32, 32))
        for number in range(6):
            writer.write(cv2.resize(image(number), (32, 32)))
        writer.release()

    return write


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
        _put(folder / "encoder/preprocess.json", json.dumps(description).encode())

    return write


def _save_graph(path: Path, layout: str, batch: str | int, external: bool, type: int) -> None:
    import onnx
    from onnx import helper, numpy_helper

    weights = np.random.default_rng(0).standard_normal((3, DIM)).astype(np.float16 if type == 10 else np.float32)
    axes = [2, 3] if layout == "NCHW" else [1, 2]
    shape = [batch, 3, SIDE, SIDE] if layout == "NCHW" else [batch, SIDE, SIDE, 3]
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=axes, keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["embedding"]),
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
        made.store_learned_parameters("kept", {"a": [1, 2.5]})


def archive(folder: Path) -> None:
    place_map(folder)
    with PlaceMap.open(folder / "street.vprmap") as made:
        write_npz(made, folder / "street.npz")
    for file in folder.glob("street.vprmap*"):
        file.unlink()


def dbstruct(folder: Path) -> None:
    from scipy.io import savemat

    struct = {
        "whichSet": "test",
        "dbImageFns": np.array([["0.png"], ["1.png"]], object),
        "utmDb": np.array([[500000.0, 500010.0], [4000000.0, 4000000.0]]),
        "qImageFns": np.array([["2.png"]], object),
        "utmQ": np.array([[500001.0], [4000001.0]]),
        "numImages": 2.0,
        "numQueries": 1.0,
        "posDistThr": 25.0,
    }
    savemat(folder / "set.mat", {"dbStruct": struct})
    for number in range(3):
        _put(folder / f"{'queries' if number == 2 else 'images'}/{number}.png", coded(number, ".png"))


def product_list(folder: Path) -> None:
    _put(
        folder / "Ebay_test.txt",
        b"image_id class_id super_class_id path\n1 11319 1 a/0.png\n2 11319 1 a/1.png\n3 11320 2 a/2.png\n",
    )
    folder_of(".png", names="a/{}")(folder)


def shop_list(folder: Path) -> None:
    words = b"3\nimage_name item_id evaluation_status\na/0.png id_1 gallery\na/1.png id_1 query\na/2.png id_2 train\n"
    _put(folder / "list_eval_partition.txt", words)
    folder_of(".png", names="a/{}")(folder)


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
