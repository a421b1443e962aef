"""Load of the node with one camera: latency, dropped frames, memory and CPU, compared with the pipeline without ROS. Needs ROS 2 and the workspace.

    python benchmarks/ros_load.py IMAGES -m MODEL --map MAP --rate 30 --seconds 300

The images of folder IMAGES, resized to 640 x 480, are published raw in a loop over DDS on loopback, with odometry. Camera, node and
this subscriber are three processes. Times are from an image's stamp, taken just before it is published, to its answer here, by stage.
Before the node starts, on the same images:

- bare pipeline: the same engine in this process at the camera's rate, while the camera publishes too; once more after the node has ended;
- echo: a process that takes the raw bytes of each image and answers with an empty message. What it takes is transport and rclpy.

``--calibration FILE`` is that of the images: it is published as camera_info, so that poses are metric where the map has poses and its camera.
``--slow MS`` replaces the model with a convolutional encoder that takes about MS milliseconds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"  # ROS's own setup script says SUBNET
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import rclpy
from ament_index_python.packages import get_package_prefix
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage
from vpr_aesvc_msgs.msg import PlaceMatches

from tests.ros.robot import OPTICAL_FRAME, Robot, image_message
from vpr_aesvc import Describer, PlaceMap, open_backbone, open_input, read_image, train
from vpr_aesvc.calibration import read_calibration
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.mapping import build_map
from vpr_aesvc.onboard.engine import Engine, IncomingFrame
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.ros.convert import pose_message, time_message
from vpr_aesvc.transforms import OPTICAL
from vpr_aesvc.types import Frame, Intrinsics, Pose

_WARM_UP = 30  # frames that are not counted
_PIXELS = {"scale": 1 / 255, "mean": [0.5] * 3, "std": [0.25] * 3}
_PREPROCESS = {
    "input": {"name": "image", "layout": "NCHW", "size": [224, 224], **_PIXELS},
    "output": {"name": "embedding", "size": 128},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("-m", "--model", type=Path)
    parser.add_argument("--map", type=Path)
    parser.add_argument("--rate", type=float, default=30.0, help="images per second")
    parser.add_argument("--odometry", type=float, default=50.0, help="odometry messages per second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--slow", type=float, help="make a model that takes about this many milliseconds per image")
    parser.add_argument("--calibration", type=Path)
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
    originals = [read_image(path) for path in paths]
    images = [cv2.resize(one, (640, 480), interpolation=cv2.INTER_CUBIC) for one in originals]
    args.intrinsics = None
    if args.calibration:
        height, width = originals[0].shape[:2]
        intrinsics = read_calibration(args.calibration, (width, height), paths[0].parent.name)[0]
        args.intrinsics = intrinsics.resized((height, width), (480, 640))
    with child(camera, images, args.rate, args.odometry, args.intrinsics):
        runs = bare_pipeline(images, model, map, args)
        with child(echo):
            echoed = spread(listen("/echo/matches", 10)["answer"])
        process = start(model, map, args)
        try:
            result = run(process.pid, args)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
        runs += bare_pipeline(images, model, map, args)  # again, as the speed of a shared machine changes
    bare = {stage: spread([stages[stage] for stages in runs]) for stage in runs[-1]}
    result["bare pipeline, ms"] = bare
    result["echo, ms"] = echoed
    answered = result["stamp to answer, ms"]
    result["added to the bare pipeline, ms"] = {key: round(answered[key] - ms, 2) for key, ms in bare["total"].items()}
    result["exit code"] = process.returncode
    memory = result.pop("memory")
    print(json.dumps(result, indent=2))
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        (args.output / "load.json").write_text(json.dumps(result | {"memory": memory}))
        draw(memory, args.output / "memory.png")


@contextmanager
def child(work: Callable[..., None], *args: Any) -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=work, args=args)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def camera(images: list[np.ndarray], rate: float, odometry_rate: float, intrinsics: Intrinsics | None) -> None:
    """Publishes until it is terminated. Each image is stamped just before it is published."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("camera")
    image_publisher = node.create_publisher(Image, "/camera/image_raw", 1)
    info_publisher = node.create_publisher(CameraInfo, "/camera/camera_info", 1)
    odometry_publisher = node.create_publisher(Odometry, "/odom", 10)
    transform = TransformStamped(child_frame_id=OPTICAL_FRAME)
    transform.header.frame_id, transform.transform.rotation = "base_link", pose_message(OPTICAL).orientation
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    static_publisher = node.create_publisher(TFMessage, "/tf_static", latched)
    static_publisher.publish(TFMessage(transforms=[transform]))
    messages = [image_message(image, 0.0) for image in images]
    next_image = next_pose = time.monotonic()
    at = 0
    while True:
        now = time.monotonic()
        if now >= next_pose:
            odometry = Odometry(child_frame_id="base_link")
            odometry.header.frame_id, odometry.header.stamp = "odom", time_message(time.time())
            odometry.pose.pose = pose_message(Pose.planar(0.5 * (now % 1000), 0.0))
            odometry_publisher.publish(odometry)
            next_pose = max(next_pose + 1 / odometry_rate, now - 1)
        if now >= next_image:
            message = messages[at % len(messages)]
            stamp = time.time_ns()
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
            image_publisher.publish(message)
            if intrinsics is not None:
                k = [intrinsics.fx, 0.0, intrinsics.cx, 0.0, intrinsics.fy, intrinsics.cy, 0.0, 0.0, 1.0]
                info = CameraInfo(width=640, height=480, k=k, distortion_model="plumb_bob", d=[0.0] * 5)
                info.header = message.header
                info_publisher.publish(info)
            at, next_image = at + 1, max(next_image + 1 / rate, now - 1)
        time.sleep(max(0.0, min(next_image, next_pose) - time.monotonic()))


def echo() -> None:
    """Answers each image with an empty message until it is terminated."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("echo")
    publisher = node.create_publisher(PlaceMatches, "/echo/matches", 10)
    for data in taken(node, Image, "/camera/image_raw", qos_profile_sensor_data, raw=True):
        answer = PlaceMatches()
        answer.header.stamp.sec, answer.header.stamp.nanosec = struct.unpack_from("<iI", data, 4)
        publisher.publish(answer)


def taken(node: Any, kind: Any, topic: str, qos: Any, raw: bool = False) -> Iterator[Any]:
    """Messages of a topic, or None after 0.2 s without one; without an executor, whose time would count."""
    subscription = node.create_subscription(kind, topic, lambda message: None, qos, raw=raw)
    while True:
        wait_set = _rclpy.WaitSet(1, 0, 0, 0, 0, 0, node.context.handle)
        wait_set.clear_entities()
        wait_set.add_subscription(subscription.handle)
        wait_set.wait(200_000_000)
        ready = wait_set.get_ready_entities("subscription")
        message = subscription.handle.take_message(kind, raw) if ready else None
        yield message[0] if message else None


def listen(topic: str, seconds: float, look: Callable[[float], None] = lambda now: None) -> dict[str, list[float]]:
    """Milliseconds from the stamp of each image to its answer on ``topic``, after a warm-up. ``look`` is called once a second."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("listener", context=context)
    result: dict[str, list[float]] = {"answer": [], "stamps": []}
    first = next_look = None
    for message in taken(node, PlaceMatches, topic, 10):
        now = time.time()
        if message is not None:
            stamp = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
            result["answer"].append(1000 * (now - stamp))
            result["stamps"].append(stamp)
            first = first or now
        if first and now >= (next_look or first):
            look(now - first)
            next_look = (next_look or first) + 1
        if first and now > first + seconds:
            break
    node.destroy_node()
    context.try_shutdown()
    return {key: values[_WARM_UP:] for key, values in result.items()}


def settings(args: argparse.Namespace) -> RecognizerSettings:
    return RecognizerSettings(geometry=not args.no_geometry)


def bare_pipeline(images: list[np.ndarray], model: Path, map: Path, args: argparse.Namespace) -> list[dict[str, float]]:
    """Milliseconds of each frame by stage, from message to recognition without ROS: the engine on the same messages at the camera's rate."""
    from vpr_aesvc.recordings.image_messages import rgb_of

    times, start_time = [], time.monotonic()
    with PlaceMap.open(map) as place_map:
        describer = Describer.open(model, threads=args.threads)
        engine = Engine(place_map, describer, "localization", settings(args), KeyframeSettings(), "")
        for at in range(_WARM_UP + 200):
            message = image_message(images[at % len(images)], 1.0 + at / args.rate)
            pose = Pose.planar(0.5 * at / args.rate, 0)
            due = start_time + at / args.rate
            while time.monotonic() < due:
                time.sleep(max(0.0, min(0.002, due - time.monotonic())))
            start = time.perf_counter()
            outcome = engine.process(
                IncomingFrame(
                    "",
                    Frame(str(at), stamp=1.0 + at / args.rate),
                    partial(rgb_of, message, str(at)),
                    lambda pose=pose: pose,
                    args.intrinsics and (args.intrinsics, (640, 480)),
                )
            )
            times.append(outcome.milliseconds | {"total": 1000 * (time.perf_counter() - start)})
    return times[_WARM_UP:]


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
    topics = ["-r", "image:=/camera/image_raw", "-r", "camera_info:=/camera/camera_info"]
    return subprocess.Popen([str(node), "--ros-args", *words, *topics, "--log-level", "warn"], stdout=sys.stderr)


def run(pid: int, args: argparse.Namespace) -> dict:
    memory: list[tuple[float, float]] = []
    cpu: list[tuple[float, float]] = []

    def look(second: float) -> None:
        memory.append((second, resident(pid)))
        cpu.append((second, cpu_seconds(pid)))

    answers = listen("/vpr_node/matches", args.seconds, look)
    robot = Robot("watcher")
    diagnostics = robot.diagnostics()
    robot.close()
    span = answers["stamps"][-1] - answers["stamps"][0]
    missing = int((np.rint(np.diff(answers["stamps"]) * args.rate) - 1).clip(0).sum())
    minute = [megabytes for second, megabytes in memory if second >= min(60, args.seconds / 3)]
    stages = {
        key.removesuffix(", ms"): float(value.split()[1].rstrip(","))
        for key, value in diagnostics.items()
        if key.endswith(", ms")
    }
    answer, total, waited = spread(answers["answer"]), stages.pop("total"), stages.pop("waited for its turn")
    table = {
        "from the camera to the node and back": round(answer["median"] - total, 2),
        "waited for the worker": waited,
        **stages,
        "made and published the messages": round(total - waited - sum(stages.values()), 2),
    }
    return {
        "answers per second": round(len(answers["stamps"]) / span, 1),
        "images": int(diagnostics["images"]),
        "dropped, as the node says": int(diagnostics["dropped for newer ones"]),
        "without an answer after the warm-up": f"{missing} of {missing + len(answers['stamps'])}",
        "stamp to answer, ms": answer,
        "by stage, ms (median)": table,
        "CPU, % of one core": round(100 * (cpu[-1][1] - cpu[5][1]) / (cpu[-1][0] - cpu[5][0])),
        "memory, MB": {"after the first minute": round(minute[0], 1), "at the end": round(minute[-1], 1)},
        "memory": memory,
    }


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
