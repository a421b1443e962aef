"""Every reader of the library: valid inputs for it, and what it should give for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz import hostile, reading, seed_models, seeds
from tests.fuzz.checks import read_source

_EUROC = "#timestamp [ns], p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_x [], q_RS_y [], q_RS_z [], q_RS_w []"
_THREE = [3, 0, 0]  # images, poses, stamps
_ALL = [3, 3, 3]
_MAP = [4, {"a": [1, 2.5]}]
_DIM = seed_models.DIM


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        valid: writes a valid input into an empty folder, by variant.
        read: reads the input of a folder.
        right: what ``read`` returns for a valid input; a dict by variant, where None stands for all others.
        share: inputs in one round over all readers.
        intact: folder whose files stay as they are.
        damage: done to the folder of a valid input of a variant, instead of damage to its files.
    """

    name: str
    valid: Mapping[str, seeds.Write]
    read: Callable[[Path], object]
    right: object
    share: int = 10
    intact: str | None = None
    damage: Callable[[Path, Random, str], None] | None = None

    def right_for(self, variant: str) -> object:
        return self.right.get(variant, self.right.get(None)) if isinstance(self.right, dict) else self.right


_FORMATS = (".jpg", ".png", ".bmp", ".tif", ".webp", ".ppm")
_TEXTS = {
    "tum": seeds.text_trajectory(seeds.trajectory()),
    "milliseconds": seeds.text_trajectory(seeds.trajectory(1e3)),
    "kitti": seeds.text_trajectory(seeds.KITTI_TEXT),
    "header": seeds.text_trajectory(seeds.HEADER_TEXT),
    "euroc": seeds.text_trajectory(seeds.trajectory(1e9, _EUROC, ",")),
    "utf-16": seeds.text_trajectory(seeds.trajectory(), "utf-16"),
}
_BAGS = {
    "odometry": seeds.bag("sqlite3"),
    "pose raw": seeds.bag("sqlite3", "pose", raw=True),
    "file": seeds.bag("sqlite3", compression="file"),
}
_DATABASES = {name: _BAGS[name] for name in ("odometry", "pose raw")}
_MCAP_BAGS = {
    "odometry": seeds.bag("mcap"),
    "tf raw": seeds.bag("mcap", "tf", raw=True),
    "chunk": seeds.bag("mcap", compression="chunk"),
    "message": seeds.bag("mcap", compression="message"),
}
_MESSAGES = {
    f"{storage} {poses} {raw}": seeds.bag(storage, poses, raw=raw == "raw")
    for storage in ("ros1", "mcap")
    for poses in ("odometry", "tf", "pose", "navsat")
    for raw in ("raw", "coded")
}
_VIDEOS = {
    f"a{suffix}": seeds.video(f"a{suffix}", code)
    for suffix, code in ((".avi", "MJPG"), (".mp4", "mp4v"), (".mkv", "MJPG"))
}
_ENCODERS = {
    "batch n": seed_models.encoder(),
    "NHWC": seed_models.encoder("NHWC"),
    "batch 1": seed_models.encoder(batch=1),
    "weights beside": seed_models.encoder(external=True),
    "float16": seed_models.encoder(type=10),
}
_TABLES = {suffix: seed_models.embeddings(suffix) for suffix in (".npy", ".npz", ".h5")}
_INTO_MAP = {
    name: seed_models.with_robot_model(write)
    for name, write in (("frames.csv", seeds.frames_csv), ("listing", seeds.tum), ("utm", seeds.split_folders))
}

READERS = [
    Reader(
        "images",
        {
            **{suffix: seeds.folder_of(suffix) for suffix in _FORMATS},
            **{f"16 bits {suffix}": seeds.folder_of(suffix, 16) for suffix in (".png", ".tif")},
            "utm names": seeds.folder_of(".png", names="@50000{}.5@4000000.25@"),
            "splits": seeds.split_folders,
        },
        read_source,
        {None: _THREE, "utm names": [3, 3, 0], "splits": [3, 3, 0]},
        20,
    ),
    Reader("exif", {"gps": seeds.photos_with_gps}, read_source, _THREE, 20),
    Reader(
        "frames.csv",
        {"meters": seeds.frames_csv, "degrees": seeds.geographic_csv},
        read_source,
        {"meters": [4, 4, 4], "degrees": [3, 3, 0]},
        20,
    ),
    Reader(
        "trajectory",
        _TEXTS,
        reading.read_trajectory_file,
        {None: ("TUM", 6, [seeds.START, 1.25]), "kitti": ("KITTI", 4, None)},
        60,
    ),
    Reader("tum", {"listing": seeds.tum, "names": seeds.stamped_names}, reading.read_run, _ALL, 20),
    Reader("kitti", {"times": seeds.kitti}, reading.read_run, _ALL, 20),
    Reader(
        "bag ros1",
        {poses: seeds.bag("ros1", poses) for poses in ("odometry", "tf", "navsat")},
        reading.read_bag,
        _ALL,
        4,
    ),
    Reader("bag sqlite3", _BAGS, reading.read_bag, _ALL, 4),
    Reader("bag rows", _DATABASES, reading.read_bag, _ALL, 4, damage=hostile.damage_bag_rows),
    Reader("bag mcap", _MCAP_BAGS, reading.read_bag, _ALL, 4),
    Reader("bag messages", _MESSAGES, reading.read_bag, _ALL, 4, damage=hostile.damage_messages),
    Reader("video", _VIDEOS, reading.read_video, [6, 0, 6], 3),
    Reader("onnx", _ENCODERS, reading.read_encoder, _DIM, 20),
    Reader("onnx graph", {"encoder": _ENCODERS["batch n"]}, reading.read_encoder, _DIM, 10, damage=hostile.damage_onnx),
    Reader(
        "robot graph", {"robot": seed_models.robot_model}, reading.read_model, [4, _DIM], 10, damage=hostile.damage_onnx
    ),
    Reader(
        "model", {"trained": seed_models.model, "robot": seed_models.robot_model}, reading.read_model, [4, _DIM], 10
    ),
    Reader(
        "model weights", {"trained": seed_models.model}, reading.read_model, [4, _DIM], 4, damage=hostile.damage_weights
    ),
    Reader(
        "model graph",
        {"robot": seed_models.robot_model},
        reading.read_model,
        [4, _DIM],
        10,
        damage=hostile.damage_graph,
    ),
    Reader(
        "embeddings",
        {**_TABLES, ".npz without names": seed_models.embeddings(".npz", False)},
        reading.read_embeddings,
        {None: [True, 3, _DIM], ".npz without names": [False, 3, _DIM]},
        20,
    ),
    Reader(
        "embeddings arrays",
        {".npz": _TABLES[".npz"]},
        reading.read_embeddings,
        [True, 3, _DIM],
        20,
        damage=hostile.damage_members,
    ),
    Reader("map", {"map": seed_models.place_map}, reading.read_map, _MAP, 10),
    Reader("map rows", {"map": seed_models.place_map}, reading.read_map, _MAP, 10, damage=hostile.damage_rows),
    Reader(
        "map learned", {"map": seed_models.learned_map}, reading.read_recognizer, 12, 5, damage=hostile.damage_learned
    ),
    Reader("map build", _INTO_MAP, reading.read_into_map, {None: 3, "utm": 2}, 5, "model"),
]
