"""Small valid inputs with images, written into an empty folder: folders, tables, trajectories, bags and videos."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from tests.recordings.bags.bags import BagWriter
from vpr_aesvc.transforms import OPTICAL
from vpr_aesvc.types import Pose

SIDE, START = 16, 1_700_000_000.0
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
            put(folder / f"{names.format(number)}{suffix}", coded(number, suffix, bits))

    return write


def split_folders(folder: Path) -> None:
    for number in range(2):
        put(folder / f"database/@{500000 + number}.5@{4000000 + number}.25@.png", coded(number, ".png"))
    put(folder / "queries/@500000.7@4000000.1@.png", coded(3, ".png"))


def photos_with_gps(folder: Path) -> None:
    for number in range(3):
        put(folder / f"photo{number}.jpg", with_gps(coded(number), 47.37 + number * 1e-5, 8.54, 408.0))


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
        put(folder / f"{number}.png", coded(number, ".png"))
        split = "query" if number == 3 else "database"
        rows.append(
            f"{number}.png,{split},{500000.5 + number},4000000.25,{number / 10},a,{number},{START + number / 2},c,sunny"
        )
    put(folder / "frames.csv", "\n".join(rows).encode())


def geographic_csv(folder: Path) -> None:
    rows = ["path,split,latitude,longitude"]
    for number in range(3):
        put(folder / f"{number}.png", coded(number, ".png"))
        rows.append(f"{number}.png,database,{47.37 + number / 1e5:.6f},8.54")
    put(folder / "frames.csv", "\n".join(rows).encode())


_LINES = [(START + number / 4, number / 4, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0) for number in range(6)]


def tum(folder: Path, unit: float = 1, header: str = "", separator: str = " ", code: str = "utf-8") -> None:
    """A listing ``rgb.txt``, and a trajectory."""
    listing = []
    for number in range(3):
        put(folder / f"images/rgb/{number}.png", coded(number, ".png"))
        listing.append(f"{START + number / 2:.3f} rgb/{number}.png")
    put(folder / "images/rgb.txt", "\n".join(["# color images", *listing]).encode())
    put(folder / "trajectory.txt", trajectory(unit, header, separator).encode(code))


def stamped_names(folder: Path) -> None:
    for number in range(3):
        put(folder / f"images/{round(START * 1e9) + number * 500_000_000}.png", coded(number, ".png"))
    put(folder / "trajectory.txt", trajectory(1e9).encode())


def trajectory(unit: float = 1, header: str = "", separator: str = " ") -> str:
    def stamp(value: float) -> str:
        return f"{value:.3f}" if unit == 1 else str(round(value * unit))

    lines = [separator.join([stamp(line[0]), *map(str, line[1:])]) for line in _LINES]
    return "\n".join([header, *lines] if header else lines) + "\n"


def kitti(folder: Path) -> None:
    for number in range(3):
        put(folder / f"images/{number:06d}.png", coded(number, ".png"))
    put(folder / "images/times.txt", b"0.000000e+00\n1.036224e-01\n2.072441e-01\n")
    put(folder / "trajectory.txt", "\n".join(f"1 0 0 0 0 1 0 0 0 0 1 {number}" for number in range(3)).encode())


def text_trajectory(content: str, code: str = "utf-8") -> Write:
    return lambda folder: put(folder / "trajectory.txt", content.encode(code))


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


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def empty(folder: Path) -> None:
    """Removes what is in a folder."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
