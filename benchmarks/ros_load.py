"""Load of the node with one camera: latency, dropped frames, memory and CPU, compared with the pipeline without ROS. Needs ROS 2 and the workspace.

    python benchmarks/ros_load.py IMAGES -m MODEL --map MAP --rate 30 --seconds 300

The images of folder IMAGES, resized to 640 x 480, are published raw in a loop over DDS on loopback, with odometry at 50 Hz. The installed node
runs in its own process. The bare pipeline is the same engine in this process, on the same images, before the node starts. ``--slow MS``
replaces the model with a convolutional encoder that takes about MS milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np

os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ament_index_python.packages import get_package_prefix

from tests.ros.robot import Robot, image_message, wait_for_subscription
from vpr_aesvc import Describer, PlaceMap, open_backbone, open_input, read_image, train
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.mapping import build_map
from vpr_aesvc.onboard.engine import Engine, IncomingFrame
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Frame, Pose

_WARM_UP = 30  # frames that are not counted
_PREPROCESS = {
    "input": {
        "name": "image",
        "layout": "NCHW",
        "size": [224, 224],
        "scale": 1 / 255,
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
    },
    "output": {"name": "embedding", "size": 128},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("-m", "--model", type=Path)
    parser.add_argument("--map", type=Path)
    parser.add_argument("--rate", type=float, default=30.0, help="images per second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--slow", type=float, help="make a model that takes about this many milliseconds per image")
    parser.add_argument("--threads", type=int, default=1, help="threads of the model, here and in the node")
    parser.add_argument("--no-geometry", action="store_true")
    parser.add_argument("-o", "--output", type=Path, help="folder for load.json and memory.png")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        model, map = args.model, args.map
        if args.slow:
            model = slow_model(args.slow, open_input(args.images).frames[:40], Path(temporary), args.threads)
        if map is None:
            map = Path(temporary) / "load.vprmap"
            build_map(open_input(args.images).frames, Describer.open(model), map)
        measure(args, model, map)


def measure(args: argparse.Namespace, model: Path, map: Path) -> None:
    paths = [frame.path for frame in open_input(args.images).frames][:200]
    images = [cv2.resize(read_image(path), (640, 480), interpolation=cv2.INTER_CUBIC) for path in paths]
    unpaced, bare = (bare_pipeline(images, model, map, args, paced) for paced in (False, True))
    robot = Robot()
    process = start(model, map, args)
    try:
        wait_for_subscription(robot.images)
        result = run(robot, process.pid, images, args)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        robot.close()
    result["bare pipeline, ms"] = {"one after the other": unpaced, "at the camera's pace": bare}
    result["added to that pace, ms (median)"] = round(
        result["answer after publishing, ms"]["median"] - bare["median"], 2
    )
    result["exit code"] = process.returncode
    memory = result.pop("memory")
    print(json.dumps(result, indent=2))
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        (args.output / "load.json").write_text(json.dumps(result | {"memory": memory}))
        draw(memory, args.output / "memory.png")


def settings(args: argparse.Namespace) -> RecognizerSettings:
    return RecognizerSettings(geometry=not args.no_geometry)


def bare_pipeline(
    images: list[np.ndarray], model: Path, map: Path, args: argparse.Namespace, paced: bool
) -> dict[str, float]:
    """Milliseconds from message to recognition without ROS: the engine on the same messages, one after the other or at the camera's rate."""
    from vpr_aesvc.recordings.image_messages import rgb_of

    times, start_time = [], time.monotonic()
    with PlaceMap.open(map) as place_map:
        engine = Engine(
            place_map,
            Describer.open(model, threads=args.threads),
            "localization",
            settings(args),
            KeyframeSettings(),
            "",
        )
        for at in range(_WARM_UP + 200):
            message = image_message(images[at % len(images)], 1.0 + at / args.rate)
            pose = Pose.planar(0.5 * at / args.rate, 0)
            due = start_time + at / args.rate
            while paced and time.monotonic() < due:
                time.sleep(max(0.0, min(0.002, due - time.monotonic())))
            start = time.perf_counter()
            engine.process(
                IncomingFrame(
                    "",
                    Frame(str(at), stamp=1.0 + at / args.rate),
                    partial(rgb_of, message, str(at)),
                    lambda pose=pose: pose,
                )
            )
            times.append(1000 * (time.perf_counter() - start))
    return spread(times[_WARM_UP:])


def start(model: Path, map: Path, args: argparse.Namespace) -> subprocess.Popen:
    node = Path(get_package_prefix("vpr_aesvc")) / "lib" / "vpr_aesvc" / "vpr_node"
    parameters = {
        "model": model,
        "map": map,
        "autostart": "true",
        "threads": args.threads,
        "recognition.geometry": str(not args.no_geometry).lower(),
    }
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    return subprocess.Popen(
        [str(node), "--ros-args", *words, "-r", "image:=/camera/image_raw", "--log-level", "warn"], stdout=sys.stderr
    )


def run(robot: Robot, pid: int, images: list[np.ndarray], args: argparse.Namespace) -> dict:
    messages = [image_message(image, 0.0) for image in images]
    sent: dict[int, float] = {}
    stopping = threading.Event()

    def drive() -> None:
        while not stopping.wait(0.02):
            now = time.time()
            robot.publish_odometry(now, Pose.planar(0.5 * (now % 1000), 0.0))

    threading.Thread(target=drive, daemon=True).start()
    arrived: dict[int, float] = {}
    matches = robot.messages[f"{robot.target}/matches"]
    memory, cpu, start_time = [], [], time.monotonic()
    next_frame, next_look, at = start_time, start_time, 0
    while (now := time.monotonic()) < start_time + args.seconds:
        if now >= next_frame:
            stamp = time.time()
            message = messages[at % len(messages)]
            message.header.stamp.sec, message.header.stamp.nanosec = int(stamp), int(stamp % 1 * 1e9)
            key = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            sent[key] = time.monotonic()
            robot.images.publish(message)
            at, next_frame = at + 1, max(next_frame + 1 / args.rate, now - 1)
        while matches:
            answer = matches.pop(0)
            arrived[answer.header.stamp.sec * 10**9 + answer.header.stamp.nanosec] = time.monotonic()
        if now >= next_look:
            memory.append((now - start_time, resident(pid)))
            cpu.append((now, cpu_seconds(pid)))
            next_look = now + 1
        time.sleep(max(0.0, min(0.001, next_frame - time.monotonic())))
    stopping.set()
    diagnostics = robot.diagnostics()
    ages = [1000 * (arrived[key] - sent[key]) for key in sorted(arrived) if key in sent]
    minute = [megabytes for second, megabytes in memory if second >= min(60, args.seconds / 3)]
    return {
        "images a second": round(at / args.seconds, 1),
        "answers": len(ages),
        "sent": at,
        "dropped, as the node says": diagnostics["dropped for newer ones"],
        "answer after publishing, ms": spread(ages[_WARM_UP:]) | {"greatest": round(max(ages[_WARM_UP:]), 1)},
        "CPU, % of one core": round(100 * (cpu[-1][1] - cpu[5][1]) / (cpu[-1][0] - cpu[5][0])),
        "memory, MB": {"after the first minute": round(minute[0], 1), "at the end": round(minute[-1], 1)},
        "memory": memory,
    } | {key: value for key, value in diagnostics.items() if key.endswith(", ms")}


def spread(times: list[float]) -> dict[str, float]:
    return {"median": round(float(np.median(times)), 2), "95th": round(float(np.percentile(times, 95)), 2)}


def resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def draw(memory: list[tuple[float, float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3), layout="constrained")
    axes.plot(*zip(*memory, strict=True))
    axes.set(xlabel="seconds", ylabel="resident memory of the node, MB", ylim=(0, None))
    figure.savefig(path, dpi=120)


def slow_model(milliseconds: float, frames: list[Frame], folder: Path, threads: int) -> Path:
    """A model whose encoder is a stack of convolutions, as deep as needed for the time."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)

    def encoder(layers: int) -> Path:
        weights = [numpy_helper.from_array(rng.normal(0, 0.1, (128, 3, 4, 4)).astype(np.float32), "w0")]
        nodes = [helper.make_node("Conv", ["image", "w0"], ["x0"], strides=[4, 4], kernel_shape=[4, 4])]
        for at in range(1, layers + 1):
            weights.append(numpy_helper.from_array(rng.normal(0, 0.03, (128, 128, 3, 3)).astype(np.float32), f"w{at}"))
            nodes.append(
                helper.make_node(
                    "Conv", [f"r{at - 1}" if at > 1 else "x0", f"w{at}"], [f"x{at}"], pads=[1] * 4, kernel_shape=[3, 3]
                )
            )
            nodes.append(helper.make_node("Relu", [f"x{at}"], [f"r{at}"]))
        nodes.append(helper.make_node("GlobalAveragePool", [f"r{layers}"], ["pooled"]))
        nodes.append(helper.make_node("Flatten", ["pooled"], ["embedding"]))
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 224, 224])
        out = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 128])
        graph = helper.make_graph(nodes, "slow", [image], [out], weights)
        encoder_folder = folder / f"encoder{layers}"
        encoder_folder.mkdir()
        onnx.save(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
            encoder_folder / "encoder.onnx",
        )
        (encoder_folder / "preprocess.json").write_text(json.dumps(_PREPROCESS))
        return encoder_folder

    def time_of(encoder_folder: Path) -> float:
        backbone = open_backbone(str(encoder_folder), threads=threads)
        image = np.zeros((480, 640, 3), np.uint8)
        taken = []
        for _ in range(4):
            start_time = time.perf_counter()
            backbone.embed([image])
            taken.append(1000 * (time.perf_counter() - start_time))
        return min(taken)

    few, many = time_of(encoder(4)), time_of(encoder(12))
    made = encoder(max(13, round(4 + 8 * (milliseconds - few) / (many - few))))
    model = folder / "slow_model"
    train(frames, open_backbone(str(made), threads=threads), model, method="raw")
    return model


if __name__ == "__main__":
    main()
