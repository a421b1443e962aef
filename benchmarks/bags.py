"""Speed and memory of `vpr map build` on a bag, and the number of decoded images.

    python benchmarks/bags.py IMAGES -m MODEL -o FOLDER [--minutes 10]

The bags are generated from IMAGES of one walk, assumed 0.6 m apart: 30 images a second of 640 x 480, zoomed and shifted between one image and
the next; odometry at 50 Hz along a circle at 0.5 m/s, with a stop of 10 s in each minute. JPEG in sqlite3 and in mcap, and raw images for a
tenth of the time. FOLDER gets memory.png; the bags (2 GB for ten minutes) are deleted.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from vpr_aesvc.images import image_of
from vpr_aesvc.inputs import open_input
from vpr_aesvc.keyframes.selection import SelectionStats, keyframes
from vpr_aesvc.recordings.bags.recording import BagRecording
from vpr_aesvc.types import Frame

RATE, ODOMETRY_RATE, SPEED, SPACING, RADIUS = 30, 50, 0.5, 0.6, 3.8
STOP, CYCLE = 10.0, 60.0  # seconds of standing in each cycle
WIDTH, HEIGHT, START = 640, 480, 1_700_000_000
STORE = get_typestore(Stores.ROS2_JAZZY)
_COMMAND = [sys.executable, "-c", "from vpr_aesvc.cli.main import main; main()"]


def driven(seconds: float) -> float:
    """Meters driven after so many seconds."""
    cycles, rest = divmod(seconds, CYCLE)
    return SPEED * (cycles * (CYCLE - STOP) + min(rest, CYCLE - STOP))


def view(images: list[np.ndarray], meters: float) -> np.ndarray:
    """BGR uint8 [480, 640, 3] after so many meters of the walk, which repeats."""
    step = meters / SPACING % len(images)
    part = step % 1
    zoom, shift = 1.02 + 0.1 * part, 8 * math.sin(2 * math.pi * meters)
    matrix = np.array(
        [[zoom, 0, (1 - zoom) * WIDTH / 2 + shift], [0, zoom, (1 - zoom) * HEIGHT / 2]]  # never beyond the border
    )
    return cv2.warpAffine(images[int(step)], matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)


def time_message(seconds: float) -> Any:
    whole = round(seconds * 1e9)
    return STORE.types["builtin_interfaces/msg/Time"](sec=whole // 10**9, nanosec=whole % 10**9)


def header(seconds: float, frame: str) -> Any:
    return STORE.types["std_msgs/msg/Header"](stamp=time_message(seconds), frame_id=frame)


def odometry(seconds: float, meters: float) -> Any:
    """On the circle, counter-clockwise."""
    types, angle = STORE.types, meters / RADIUS
    point = types["geometry_msgs/msg/Point"](RADIUS * math.sin(angle), RADIUS * (1 - math.cos(angle)), 0.0)
    quaternion = types["geometry_msgs/msg/Quaternion"](0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2))
    pose = types["geometry_msgs/msg/PoseWithCovariance"](
        types["geometry_msgs/msg/Pose"](point, quaternion), np.zeros(36)
    )
    zero = types["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
    twist = types["geometry_msgs/msg/TwistWithCovariance"](types["geometry_msgs/msg/Twist"](zero, zero), np.zeros(36))
    return types["nav_msgs/msg/Odometry"](header(seconds, "odom"), "base_link", pose, twist)


def image(seconds: float, pixels: np.ndarray, raw: bool) -> Any:
    head = header(seconds, "camera_optical_frame")
    if not raw:
        return STORE.types["sensor_msgs/msg/CompressedImage"](head, "jpeg", pixels)
    return STORE.types["sensor_msgs/msg/Image"](head, HEIGHT, WIDTH, "bgr8", 0, 3 * WIDTH, pixels.ravel())


def views(images: list[np.ndarray], seconds: float, raw: bool) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds, BGR or JPEG bytes), encoded by two threads."""

    def encoded(number: int) -> np.ndarray:
        pixels = view(images, driven(number / RATE))
        return pixels if raw else np.asarray(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]).ravel()

    with ThreadPoolExecutor(2) as pool:
        count = round(seconds * RATE)
        for start in range(0, count, 64):
            part = range(start, min(start + 64, count))
            for number, pixels in zip(part, pool.map(encoded, part), strict=True):
                yield number / RATE, pixels


def write_bags(paths: dict[Path, StoragePlugin], images: list[np.ndarray], seconds: float, raw: bool) -> None:
    """The same run in each storage format."""
    kind = "sensor_msgs/msg/Image" if raw else "sensor_msgs/msg/CompressedImage"
    topic = "/camera/image_raw" if raw else "/camera/image_raw/compressed"
    with ExitStack() as stack:
        writers = []
        for path, storage in paths.items():
            writer = stack.enter_context(Writer(path, version=9, storage_plugin=storage))
            connections = [
                writer.add_connection("/odom", "nav_msgs/msg/Odometry", typestore=STORE),
                writer.add_connection(topic, kind, typestore=STORE),
            ]
            writers.append((writer, connections))
        poses = 0
        for time_, pixels in views(images, seconds, raw):
            messages = []
            while poses / ODOMETRY_RATE <= time_ + 1 / ODOMETRY_RATE:
                pose_time = poses / ODOMETRY_RATE
                messages.append((0, pose_time, odometry(START + pose_time, driven(pose_time))))
                poses += 1
            messages.append((1, time_, image(START + time_, pixels, raw)))
            for topic_number, received, message in messages:
                data = STORE.serialize_cdr(message, message.__msgtype__)
                for writer, connections in writers:
                    writer.write(connections[topic_number], round((START + received) * 1e9), data)


@dataclass
class BuildRun:
    """Seconds of the command; memory as (seconds, MB resident, MB without mapped files)."""

    seconds: float
    memory: list[tuple[float, float, float]]


def build(bag: Path, model: Path, output: Path) -> BuildRun:
    """Runs `vpr map build` and samples its memory."""
    start, memory = time.perf_counter(), []
    command = [*_COMMAND, "map", "build", str(bag), "-m", str(model), "-o", str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
                fields = dict(line.split(":", 1) for line in status.splitlines())
                mb = [int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon")]
                memory.append((time.perf_counter() - start, *mb))
            except (KeyError, OSError):  # the process has just ended
                break
            time.sleep(0.2)
        _, errors = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"vpr map build failed:\n{errors}")
    return BuildRun(seconds, memory)


def expected_places(seconds: float) -> int:
    """Places if no image is rejected: one each 0.5 m in a straight line, which is reached before 15 degrees."""
    steps = 0
    while 2 * RADIUS * math.sin(steps * SPEED / RATE / RADIUS / 2) < 0.5 - 1e-6:
        steps += 1
    distance = driven((round(seconds * RATE) - 1) / RATE)
    return 1 + round(distance / SPEED * RATE) // steps


class CountingRecording(BagRecording):
    """Counts the images that are decoded."""

    decoded = 0

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            yield replace(frame, decode=partial(self._decode, frame))

    def _decode(self, frame: Frame) -> np.ndarray:
        self.decoded += 1
        return image_of(frame)


def draw(runs: dict[str, BuildRun], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    for at, (name, run) in enumerate(runs.items()):
        seconds, resident, own = zip(*run.memory, strict=True)
        axes.plot(seconds, resident, color=f"C{at}", label=f"{name}: resident")
        axes.plot(seconds, own, color=f"C{at}", linestyle="--", label=f"{name}: without mapped files")
    axes.set(xlabel="seconds", ylabel="MB", ylim=(0, None), title="Memory of vpr map build")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    args = parser.parse_args()
    seconds = 60 * args.minutes
    images = [
        cv2.resize(cv2.imread(str(frame.path)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        for frame in open_input(args.images).frames
    ]
    args.output.mkdir(parents=True, exist_ok=True)
    need = (seconds * RATE * 2 * 120e3 + seconds / 10 * RATE * 3 * WIDTH * HEIGHT) * 1.1
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < need:
        raise SystemExit(
            f"the bags need up to {need / 1e9:.1f} GB in {tempfile.gettempdir()}, {free / 1e9:.1f} are free"
        )
    runs: dict[str, BuildRun] = {}
    with tempfile.TemporaryDirectory(prefix="bags-") as folder:
        jpeg = {Path(folder) / "sqlite3": StoragePlugin.SQLITE3, Path(folder) / "mcap": StoragePlugin.MCAP}
        raw = {Path(folder) / "raw": StoragePlugin.SQLITE3}
        write_bags(jpeg, images, seconds, False)
        write_bags(raw, images, seconds / 10, True)
        for bag in (*jpeg, *raw):
            duration = seconds / 10 if bag.name == "raw" else seconds
            size = sum(file.stat().st_size for file in bag.iterdir())
            run = runs[bag.name] = build(bag, args.model, Path(folder) / f"{bag.name}.vprmap")
            recording, stats = CountingRecording(bag), SelectionStats()
            for _ in keyframes(recording, stats=stats):
                pass
            after = [own for when, _, own in run.memory if when > 0.25 * run.seconds]
            result = {
                "bag": bag.name,
                "GB": round(size / 1e9, 2),
                "seconds": round(run.seconds, 1),
                "times faster than real time": round(duration / run.seconds, 1),
                "places": stats.taken,
                "expected if no image is rejected": expected_places(duration),
                "candidates by pose": stats.tried,
                "decoded": recording.decoded,
                "images": stats.frames,
                "rejected": recording.skip_counts.lines(),
                "MB, from a quarter of the time on": [round(min(after)), round(max(after))],
                "MB resident at most": round(max(resident for _, resident, _ in run.memory)),
            }
            print(json.dumps(result, indent=1), flush=True)
    draw(runs, args.output / "memory.png")


if __name__ == "__main__":
    main()
