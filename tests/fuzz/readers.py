"""Every reader of the library: valid inputs for it, what it should give for them, and what must hold for any other input.

``read`` returns what the input held, in short. It raises VprError for an input that it refuses, and ``Wrong`` where a result cannot be right.
"""

from __future__ import annotations

import io
import json
import math
import sqlite3
import zipfile
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.fuzz import seeds
from tests.fuzz.mutations import NUMBERS, WORDS, damaged
from vpr_aesvc import Describer, InputOptions, PlaceMap, open_backbone, open_input
from vpr_aesvc.datasets.catalog import open_own
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import image_of
from vpr_aesvc.keyframes.selection import keyframes
from vpr_aesvc.placemap.archive import read_npz
from vpr_aesvc.placemap.checksums import metadata_checksum, place_checksum, row_checksum, write_tally
from vpr_aesvc.placemap.info import map_info
from vpr_aesvc.placemap.repair import check_map
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.recordings.bags.info import bag_info
from vpr_aesvc.trajectory import read_trajectory, read_tum
from vpr_aesvc.types import Frame

FARTHEST = 1e9  # meters: nothing on earth is farther from any origin in use
_FRAMES = 40  # read of one input


class Wrong(Exception):
    """A result that cannot be right."""


@dataclass(frozen=True)
class Reader:
    """``share``: inputs of one round. ``damage`` is done to the valid files, instead of damage to their bytes."""

    name: str
    valid: Mapping[str, seeds.Write]
    read: Callable[[Path], object]
    right: object
    share: int = 10
    damage: Callable[[Path, Random, str], None] | None = None


def require(condition: object, words: str) -> None:
    if not condition:
        raise Wrong(words)


def read_source(path: Path, options: InputOptions | None = None) -> list[object]:
    """Images that can be decoded, poses and stamps of an input."""
    return summary(open_input(path, options or InputOptions()))


def summary(source: Any) -> list[object]:
    images = poses = stamps = 0
    for frame in islice(source, _FRAMES):
        check_frame(frame)
        poses, stamps = poses + (frame.pose is not None), stamps + (frame.stamp is not None)
        with suppress(VprError):
            check_image(image_of(frame))
            images += 1
    require(len(source) >= 0 and all(map(str, source.notes)) and source.skip_counts.lines() is not None, "no notes")
    if source.is_recording:
        for frame in islice(keyframes(source), _FRAMES):
            check_frame(frame)
    return [images, poses, stamps]


def check_frame(frame: Frame) -> None:
    require(frame.stamp is None or math.isfinite(frame.stamp), f"stamp {frame.stamp}")
    require(frame.index is None or math.isfinite(frame.index), f"index {frame.index}")
    if frame.pose is not None:
        numbers = frame.pose.as_tuple()
        require(all(map(math.isfinite, numbers)) and abs(math.hypot(*numbers[3:]) - 1) < 0.02, f"pose {numbers}")
        require(max(map(abs, numbers[:3])) <= FARTHEST, f"position {numbers[:3]}")


def check_image(image: np.ndarray) -> None:
    require(
        image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size,
        f"image {image.dtype} {image.shape}",
    )


def check_rows(rows: np.ndarray, count: int) -> None:
    require(
        rows.dtype == np.float32 and rows.ndim == 2 and len(rows) == count and np.isfinite(rows).all(), f"rows {rows}"
    )


def _read_images(folder: Path) -> object:
    return read_source(folder)


def _read_trajectory(folder: Path) -> object:
    path = folder / "trajectory.txt"
    found = read_trajectory(path)
    for pose in found.poses:
        check_frame(Frame("", pose=pose))
    require(found.stamps is None or np.isfinite(found.stamps).all(), "stamps that are not finite")
    require(found.stamps is None or sorted(found.stamps) == found.stamps, "stamps that do not rise")
    with suppress(VprError):
        read_tum(path)
    return (
        found.kind,
        len(found.poses),
        found.stamps and [float(found.stamps[0]), round(found.stamps[-1] - found.stamps[0], 6)],
    )


def _read_run(folder: Path) -> object:
    return read_source(folder / "images", InputOptions(trajectory=folder / "trajectory.txt"))


def _read_bag(folder: Path) -> object:
    path = next((path for path in (folder / "run", folder / "run.bag") if path.exists()), folder)
    info = bag_info(path, InputOptions())
    json.dumps(info.as_json())
    try:
        return read_source(path)
    except VprError:
        with suppress(VprError):
            read_source(path, InputOptions(keep_good=True, pose_topic="none"))
        raise


def _read_video(folder: Path) -> object:
    files = sorted(folder.iterdir()) or [folder / "a.mp4"]
    with suppress(VprError):
        read_source(files[0], InputOptions(keep_good=True))
    return read_source(files[0])


def _read_encoder(folder: Path) -> object:
    backbone = open_backbone(f"onnx:{folder / 'encoder'}", threads=1)
    rows = backbone.embed([seeds.image(0), seeds.image(1)])
    check_rows(rows, 2)
    require(rows.shape[1] == backbone.dim, f"{rows.shape}, dim {backbone.dim}")
    return rows.shape[1]


def _read_model(folder: Path) -> object:
    describer = Describer.open(folder / "model", threads=1)
    row = describer.describe(seeds.image(0))
    check_rows(row[None], 1)
    require(len(row) == describer.dim, f"{len(row)}, dim {describer.dim}")
    return list(describer.sizes)


def _read_embeddings(folder: Path) -> object:
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


def _read_map(folder: Path) -> object:
    path = folder / "street.vprmap"
    result: list[object] = []
    try:
        with PlaceMap.open(path) as place_map:
            for place in place_map.places().values():
                check_frame(Frame(place.label, stamp=place.stamp, pose=place.pose))
            map_info(place_map)
            for size in place_map.sizes:
                queries = np.pad(seeds.rows(2), ((0, 0), (0, max(0, place_map.dim - seeds.DIM))))[:, : place_map.dim]
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


def _read_archive(folder: Path) -> object:
    output = folder / "made.vprmap"
    count = read_npz(folder / "street.npz", output)
    with PlaceMap.open(output) as place_map:
        for place in place_map.places().values():
            check_frame(Frame(place.label, stamp=place.stamp, pose=place.pose))
        map_info(place_map)
        place_map.search(np.eye(1, place_map.dim, dtype=np.float32), 2)
    problems = [
        line for line in check_map(output).problems if "thumbnail" not in line
    ]  # they have no checksum in an archive
    require(not problems, f"a map that is damaged: {problems}")
    return count


def _read_own(folder: Path) -> object:
    return summary(open_own(folder))


def _write_messages(folder: Path, random: Random, variant: str) -> None:
    """Damages messages in a bag that is otherwise intact."""
    storage, poses, raw = variant.split()
    messages = list(seeds.bag_messages(storage, poses, raw == "raw"))
    for _ in range(random.choice((1, 2, 20))):
        at = random.randrange(len(messages))
        topic, type, data, received = messages[at]
        messages[at] = topic, type, damaged(data, random, [one[2] for one in messages]), received
    with seeds.BagWriter(seeds.bag_path(folder, storage), storage) as writer:
        for message in messages:
            writer.raw(*message)


def _damage_members(folder: Path, random: Random, _: str) -> None:
    """Damages arrays of an .npz whose checksums are right."""
    path = next(path for path in folder.iterdir() if path.suffix == ".npz")
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    for _ in range(random.choice((1, 1, 3))):
        name = random.choice(list(members))
        members[name] = (
            _damaged_array(members[name], random)
            if random.random() < 0.6
            else damaged(members[name], random, list(members.values()))
        )
    if random.random() < 0.05:
        del members[random.choice(list(members))]
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)


def _damaged_array(content: bytes, random: Random) -> bytes:
    """An array with absurd values, of another type or another shape, in a valid file."""
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception:
        return content
    what = random.randrange(4)
    if what == 0 and array.size:
        flat = array.reshape(-1).copy()
        with suppress(ValueError, OverflowError), np.errstate(all="ignore"):
            flat[random.randrange(flat.size)] = random.choice(
                NUMBERS[:30] if array.dtype.kind != "U" else NUMBERS[:30] + WORDS[:30]
            )
        array = flat.reshape(array.shape)
    elif what == 1:
        kind = random.choice(("f4", "f8", "i8", "u1", "?", "U3", "S4", "c8", "M8[s]", "f2"))
        with suppress(ValueError, TypeError, OverflowError), np.errstate(all="ignore"):
            array = array.astype(kind)
    elif what == 2:
        array = random.choice(
            (
                array[:-1] if array.ndim else array,
                array[..., None],
                array.ravel()[:0],
                np.concatenate([array.ravel()] * 2),
            )
        )
    elif array.dtype.kind == "U" and array.ndim == 0:
        array = np.array(damaged(str(array).encode(), random, [b"x"]).decode(errors="replace"))
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _damage_rows(folder: Path, random: Random, _: str) -> None:
    """Absurd values in the tables of a map, most of the time with checksums that match them."""
    with closing(sqlite3.connect(folder / "street.vprmap", isolation_level=None)) as db:
        db.execute("PRAGMA ignore_check_constraints = 1")
        for _change in range(random.choice((1, 1, 3))):
            table = random.choice(("meta", "places", "places", "places", "traverses", "thumbnails", "learned", "tally"))
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            column = random.choice(columns)
            value = random.choice(
                (
                    None,
                    b"",
                    b"\xff" * 16,
                    math.inf,
                    -math.inf,
                    1e308,
                    -1,
                    0,
                    2**62,
                    *NUMBERS,
                    *[w for w in WORDS if w.isascii()],
                )
            )
            where = "rowid" if table != "meta" else "key"
            keys = [row[0] for row in db.execute(f"SELECT {where} FROM {table}")]
            with suppress(sqlite3.Error, IndexError):
                if random.random() < 0.1:
                    db.execute(f"DELETE FROM {table} WHERE {where} = ?", (random.choice(keys),))
                else:
                    db.execute(f"UPDATE {table} SET {column} = ? WHERE {where} = ?", (value, random.choice(keys)))
        if random.random() < 0.8:
            with suppress(Exception):  # a value may be of any type
                _seal(db)


def _seal(db: sqlite3.Connection) -> None:
    """Makes all checksums match."""
    meta = dict(db.execute("SELECT key, value FROM meta WHERE key != 'checksum'"))
    db.execute("UPDATE meta SET value = ? WHERE key = 'checksum'", (metadata_checksum(meta),))
    for row in db.execute("SELECT id, name, started, robot, notes FROM traverses").fetchall():
        db.execute("UPDATE traverses SET checksum = ? WHERE id = ?", (row_checksum(*row), row[0]))
    for row in db.execute("SELECT name, value FROM learned").fetchall():
        db.execute("UPDATE learned SET checksum = ? WHERE name = ?", (row_checksum(*row), row[0]))
    total = count = 0
    query = "SELECT id, traverse, stamp, x, y, z, qx, qy, qz, qw, descriptor, label, path, extra, thumbnail FROM places"
    for row in db.execute(query).fetchall():
        pose, words = place_checksum(row[0], row[1], row[2:10], row[10]), row_checksum(row[0], *row[11:])
        db.execute("UPDATE places SET checksum = ?, words_checksum = ? WHERE id = ?", (pose, words, row[0]))
        count, total = count + 1, total + pose + words
    write_tally(db, count, total, 0)


def _damage_weights(folder: Path, random: Random, _: str) -> None:
    """Absurd weights in a model whose fingerprint matches them."""
    import shutil

    shutil.rmtree(folder / "model")
    weights = seeds.projection()
    arrays = {name: array.copy() for name, array in weights.tensors().items()}
    name = random.choice(list(arrays))
    if arrays[name].size and random.random() < 0.7:
        arrays[name].reshape(-1)[random.randrange(arrays[name].size)] = random.choice(
            (math.nan, math.inf, 3e38, -3e38, 1e-45)
        )
    elif random.random() < 0.5:
        arrays[name] = arrays[name] * np.float32(random.choice((0, 1e30, 3e38, 1e-38)))
    else:
        arrays[name] = arrays[name][..., :-1]
    with np.errstate(all="ignore"):
        seeds.model(folder, replace(Projection.of(weights.mean, weights.linear), **arrays))


def _damage_graph(folder: Path, random: Random, _: str) -> None:
    """A damaged graph in a robot model whose fingerprint matches it."""
    import shutil

    graph = (folder / "model/descriptor.onnx").read_bytes()
    shutil.rmtree(folder / "model")
    seeds.robot_model(folder, damaged(graph, random, [b"x" * 50]))


_TUM_HEADER = "#timestamp [ns], p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], q_RS_z []"
_THREE = [3, 0, 0]

READERS = [
    Reader(
        "images",
        {
            **{suffix: seeds.folder_of(suffix) for suffix in (".jpg", ".png", ".bmp", ".tif", ".webp", ".ppm")},
            **{f"16 bits {suffix}": seeds.folder_of(suffix, 16) for suffix in (".png", ".tif")},
            "utm names": seeds.folder_of(".png", names="@50000{}.5@4000000.25@"),
            "splits": seeds.split_folders,
        },
        _read_images,
        {None: _THREE, "utm names": [3, 3, 0], "splits": [3, 3, 0]},
        20,
    ),
    Reader("exif", {"gps": seeds.photos_with_gps}, _read_images, [3, 3, 0], 20),
    Reader("frames.csv", {"meters": seeds.frames_csv}, _read_images, [4, 4, 4], 20),
    Reader(
        "trajectory",
        {
            "tum": seeds.text_trajectory(seeds.trajectory()),
            "milliseconds": seeds.text_trajectory(seeds.trajectory(1e3)),
            "kitti": seeds.text_trajectory(seeds.KITTI_TEXT),
            "header": seeds.text_trajectory(seeds.HEADER_TEXT),
            "euroc": seeds.text_trajectory(seeds.trajectory(1e9, _TUM_HEADER, ",")),
            "utf-16": seeds.text_trajectory(seeds.trajectory(), "utf-16"),
        },
        _read_trajectory,
        {None: ("TUM", 6, [seeds.START, 1.25]), "kitti": ("KITTI", 4, None)},
        60,
    ),
    Reader("tum", {"listing": seeds.tum, "names": seeds.stamped_names}, _read_run, [3, 3, 3], 20),
    Reader("kitti", {"times": seeds.kitti}, _read_run, [3, 3, 3], 20),
    Reader(
        "bag ros1", {poses: seeds.bag("ros1", poses) for poses in ("odometry", "tf", "navsat")}, _read_bag, [3, 3, 3], 4
    ),
    Reader(
        "bag sqlite3",
        {
            "odometry": seeds.bag("sqlite3"),
            "pose raw": seeds.bag("sqlite3", "pose", raw=True),
            "file": seeds.bag("sqlite3", compression="file"),
        },
        _read_bag,
        [3, 3, 3],
        4,
    ),
    Reader(
        "bag mcap",
        {
            "odometry": seeds.bag("mcap"),
            "tf raw": seeds.bag("mcap", "tf", raw=True),
            "chunk": seeds.bag("mcap", compression="chunk"),
            "message": seeds.bag("mcap", compression="message"),
        },
        _read_bag,
        [3, 3, 3],
        4,
    ),
    Reader(
        "bag messages",
        {
            f"{storage} {poses} {raw}": seeds.bag(storage, poses, raw=raw == "raw")
            for storage in ("ros1", "mcap")
            for poses in ("odometry", "tf", "pose", "navsat")
            for raw in ("raw", "coded")
        },
        _read_bag,
        [3, 3, 3],
        4,
        _write_messages,
    ),
    Reader(
        "video",
        {
            "a.avi": seeds.video("a.avi", "MJPG"),
            "a.mp4": seeds.video("a.mp4", "mp4v"),
            "a.mkv": seeds.video("a.mkv", "MJPG"),
        },
        _read_video,
        [6, 0, 6],
        3,
    ),
    Reader(
        "onnx",
        {"batch n": seeds.encoder(), "NHWC": seeds.encoder("NHWC"), "batch 1": seeds.encoder(batch=1)},
        _read_encoder,
        seeds.DIM,
        10,
    ),
    Reader("model", {"trained": seeds.model, "robot": seeds.robot_model}, _read_model, [4, seeds.DIM], 10),
    Reader("model weights", {"trained": seeds.model}, _read_model, [4, seeds.DIM], 4, _damage_weights),
    Reader("model graph", {"robot": seeds.robot_model}, _read_model, [4, seeds.DIM], 4, _damage_graph),
    Reader(
        "embeddings",
        {
            ".npy": seeds.embeddings(".npy"),
            ".npz": seeds.embeddings(".npz"),
            ".npz without names": seeds.embeddings(".npz", False),
            ".h5": seeds.embeddings(".h5"),
        },
        _read_embeddings,
        {None: [True, 3, seeds.DIM], ".npz without names": [False, 3, seeds.DIM]},
        20,
    ),
    Reader(
        "embeddings arrays",
        {".npz": seeds.embeddings(".npz")},
        _read_embeddings,
        [True, 3, seeds.DIM],
        20,
        _damage_members,
    ),
    Reader("map", {"map": seeds.place_map}, _read_map, [4, {"a": [1, 2.5]}], 10),
    Reader("map rows", {"map": seeds.place_map}, _read_map, [4, {"a": [1, 2.5]}], 10, _damage_rows),
    Reader("archive", {"archive": seeds.archive}, _read_archive, 4, 3),
    Reader("archive arrays", {"archive": seeds.archive}, _read_archive, 4, 3, _damage_members),
    Reader("dbStruct", {"mat": seeds.dbstruct}, _read_own, [3, 3, 0], 20),
    Reader(
        "lists",
        {"products": seeds.product_list, "shop": seeds.shop_list},
        _read_own,
        {"products": [3, 0, 0], "shop": [2, 0, 0]},
        20,
    ),
]
