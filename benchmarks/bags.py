"""From a bag to a map: how much faster than real time, in how much memory, and is nothing decoded in vain?

    python benchmarks/bags.py IMAGES -m MODEL -o FOLDER [--minutes 10]

Bags are generated from the IMAGES of one walk, taken to lie 0.6 m apart: 30 pictures a second of 640 x 480, zoomed and shifted between
one image and the next, odometry at 50 Hz along a circle, 0.5 m/s with a stop of 10 s in each minute. JPEG in sqlite3 and in mcap, and
raw for a tenth of the time. The map is made by the real command; its memory is read from the system. FOLDER gets memory.png; the bags
(2 GB for ten minutes) go.
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
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from vpr_aesvc.inputs import open_input
from vpr_aesvc.keyframes.selection import SelectionStats, keyframes

RATE, ODOMETRY_RATE, SPEED, SPACING, RADIUS = 30, 50, 0.5, 0.6, 3.8
STOP, CYCLE = 10.0, 60.0  # seconds of standing in each cycle
WIDTH, HEIGHT, START = 640, 480, 1_700_000_000
STORE = get_typestore(Stores.ROS2_JAZZY)
_COMMAND = [sys.executable, "-c", "from vpr_aesvc.cli.main import main; main()"]


def driven(seconds: float) -> float:
    """Meters after so many seconds."""
    cycles, rest = divmod(seconds, CYCLE)
    return SPEED * (cycles * (CYCLE - STOP) + min(rest, CYCLE - STOP))


def picture(images: list[np.ndarray], meters: float) -> np.ndarray:
    """BGR uint8 [480, 640, 3] of the walk at so many meters; it goes round and round."""
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
    types, turned = STORE.types, meters / RADIUS
    point = types["geometry_msgs/msg/Point"](RADIUS * math.sin(turned), RADIUS * (1 - math.cos(turned)), 0.0)
    quaternion = types["geometry_msgs/msg/Quaternion"](0.0, 0.0, math.sin(turned / 2), math.cos(turned / 2))
    pose = types["geometry_msgs/msg/PoseWithCovariance"](
        types["geometry_msgs/msg/Pose"](point, quaternion), np.zeros(36)
    )
    still = types["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
    twist = types["geometry_msgs/msg/TwistWithCovariance"](types["geometry_msgs/msg/Twist"](still, still), np.zeros(36))
    return types["nav_msgs/msg/Odometry"](header(seconds, "odom"), "base_link", pose, twist)


def image(seconds: float, pixels: np.ndarray, raw: bool) -> Any:
    head = header(seconds, "camera_optical_frame")
    if not raw:
        return STORE.types["sensor_msgs/msg/CompressedImage"](head, "jpeg", pixels)
    return STORE.types["sensor_msgs/msg/Image"](head, HEIGHT, WIDTH, "bgr8", 0, 3 * WIDTH, pixels.ravel())


def pictures(images: list[np.ndarray], seconds: float, raw: bool) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds, BGR or JPEG bytes), coded by two threads."""

    def coded(at: int) -> np.ndarray:
        found = picture(images, driven(at / RATE))
        return found if raw else np.asarray(cv2.imencode(".jpg", found, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]).ravel()

    with ThreadPoolExecutor(2) as pool:
        count = round(seconds * RATE)
        for start in range(0, count, 64):
            part = range(start, min(start + 64, count))
            for at, found in zip(part, pool.map(coded, part), strict=True):
                yield at / RATE, found


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
        told = 0
        for at, pixels in pictures(images, seconds, raw):
            messages = []
            while told / ODOMETRY_RATE <= at + 1 / ODOMETRY_RATE:
                when = told / ODOMETRY_RATE
                messages.append((0, when, odometry(START + when, driven(when))))
                told += 1
            messages.append((1, at, image(START + at, pixels, raw)))
            for which, when, message in messages:
                data = STORE.serialize_cdr(message, message.__msgtype__)
                for writer, connections in writers:
                    writer.write(connections[which], round((START + when) * 1e9), data)


@dataclass
class Built:
    """How the command did: seconds, megabytes of resident and of its own memory by second, and what it said."""

    seconds: float
    memory: list[tuple[float, float, float]]
    said: str


def build(bag: Path, model: Path, output: Path) -> Built:
    """Runs `vpr map build` and watches it."""
    start, memory = time.perf_counter(), []
    command = [*_COMMAND, "map", "build", str(bag), "-m", str(model), "-o", str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            try:
                words = dict(
                    line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
                )
                mb = [int(words[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon")]
                memory.append((time.perf_counter() - start, *mb))
            except (KeyError, OSError):  # it has just ended
                break
            time.sleep(0.2)
        said, problems = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"vpr map build failed:\n{problems}")
    return Built(seconds, memory, said + problems)


def expected_places(seconds: float) -> int:
    """Where nothing is left out: after 0.5 m as the crow flies, which comes before 15 degrees."""
    steps = 0
    while 2 * RADIUS * math.sin(steps * SPEED / RATE / RADIUS / 2) < 0.5 - 1e-6:
        steps += 1
    standing = [driven(at / RATE) for at in range(round(seconds * RATE))]
    return 1 + round(standing[-1] / SPEED * RATE) // steps


def decodes(bag: Path) -> tuple[int, SelectionStats, list[str]]:
    """How many pictures were decoded for how many that the gate wanted."""
    recording, count = open_input(bag), 0
    original = recording.frames

    def counted() -> Iterator[Any]:
        for recorded in original():

            def decode(recorded: Any = recorded) -> Any:
                nonlocal count
                count += 1
                return recorded.decode()

            yield replace(recorded, decode=decode)

    recording.frames = counted  # type: ignore[method-assign]
    seen = SelectionStats()
    for _ in keyframes(recording, seen=seen):
        pass
    return count, seen, recording.skip_counts.lines()


def draw(runs: dict[str, Built], path: Path) -> None:
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
    words = parser.parse_args()
    seconds = 60 * words.minutes
    images = [
        cv2.resize(cv2.imread(str(frame.path)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        for frame in open_input(words.images).frames
    ]
    words.output.mkdir(parents=True, exist_ok=True)
    need = (seconds * RATE * 2 * 120e3 + seconds / 10 * RATE * 3 * WIDTH * HEIGHT) * 1.1
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < need:
        raise SystemExit(
            f"the bags need up to {need / 1e9:.1f} GB in {tempfile.gettempdir()}, {free / 1e9:.1f} are free"
        )
    runs: dict[str, Built] = {}
    with tempfile.TemporaryDirectory(prefix="bags-") as folder:
        jpeg = {Path(folder) / "sqlite3": StoragePlugin.SQLITE3, Path(folder) / "mcap": StoragePlugin.MCAP}
        raw = {Path(folder) / "raw": StoragePlugin.SQLITE3}
        write_bags(jpeg, images, seconds, False)
        write_bags(raw, images, seconds / 10, True)
        for bag in (*jpeg, *raw):
            lasts = seconds / 10 if bag.name == "raw" else seconds
            size = sum(file.stat().st_size for file in bag.iterdir())
            run = runs[bag.name] = build(bag, words.model, Path(folder) / f"{bag.name}.vprmap")
            count, seen, skip_counts = decodes(bag)
            after = [own for when, _, own in run.memory if when > 0.25 * run.seconds]
            found = {
                "bag": bag.name,
                "GB": round(size / 1e9, 2),
                "seconds": round(run.seconds, 1),
                "times faster than real time": round(lasts / run.seconds, 1),
                "places": seen.taken,
                "expected where nothing is left out": expected_places(lasts),
                "chosen by pose": seen.tried,
                "decoded": count,
                "images": seen.frames,
                "left out": skip_counts,
                "MB, from a quarter of the time on": [round(min(after)), round(max(after))],
                "MB resident at most": round(max(resident for _, resident, _ in run.memory)),
            }
            print(json.dumps(found, indent=1), flush=True)
    draw(runs, words.output / "memory.png")


if __name__ == "__main__":
    main()
