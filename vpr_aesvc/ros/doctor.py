"""Checks a running robot for a few seconds: topics, types, QoS, stamps, TF, rates."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import rclpy
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible
from rclpy.signals import SignalHandlerOptions
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image
from tf2_ros import Buffer, TransformException, TransformListener

from vpr_aesvc.errors import VprError
from vpr_aesvc.onboard.checkup import Finding, ImageTime
from vpr_aesvc.recordings.image_messages import rgb_of
from vpr_aesvc.ros.convert import pose_of, seconds

# Seconds.
_DISCOVERY = 2.0
_POLL = 0.2  # between checks for Ctrl-C
_MAX_AGE = 1.0  # of a stamp, in the past or the future; beyond it the clocks disagree


@dataclass(frozen=True)
class NodeTopics:
    """What the node subscribes to. ``node`` is its full name; ``odom_topic`` is None without odometry."""

    image_topic: str
    compressed: bool
    odom_topic: str | None
    base_frame: str
    node: str


@dataclass
class _Received:
    """The messages of a topic: header stamps, ages and arrival times in seconds, and the last message."""

    stamps: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    last: Any = None

    @property
    def rate(self) -> float:
        """Messages per second."""
        return (len(self.arrivals) - 1) / (self.arrivals[-1] - self.arrivals[0]) if len(self.arrivals) > 1 else 0.0


def check_robot(topics: NodeTopics, image_time: ImageTime | None, duration: float = 5.0) -> list[Finding]:
    """Joins the ROS graph, listens for ``duration`` seconds after discovery, and checks what it received.

    Args:
        image_time: of model and map on this machine; compared with the image rate.
    """
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C must end the command at once
    node = rclpy.create_node("vpr_doctor", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        return _RobotCheck(node, executor, topics).run(image_time, duration)
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


class _RobotCheck:
    def __init__(self, node: Node, executor: SingleThreadedExecutor, topics: NodeTopics) -> None:
        self.node, self.executor, self.topics = node, executor, topics
        self.tf = Buffer()
        self.listener = TransformListener(self.tf, node)
        self.findings: list[Finding] = []
        self.image_topic = node.resolve_topic_name(topics.image_topic + ("/compressed" if topics.compressed else ""))

    def run(self, image_time: ImageTime | None, duration: float) -> list[Finding]:
        self.spin(_DISCOVERY)
        odom_topic = self.topics.odom_topic
        images = self.subscribe(self.image_topic, CompressedImage if self.topics.compressed else Image)
        poses = self.subscribe(odom_topic, Odometry) if odom_topic else None
        if images is not None or poses is not None:
            self.spin(duration)
        if images is not None:
            self.check_images(images, image_time)
        if poses is not None and odom_topic is not None:
            self.check_poses(odom_topic, poses)
        self.check_node()
        return self.findings

    def spin(self, duration: float) -> None:
        deadline = time.monotonic() + duration
        while (left := deadline - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=min(left, _POLL))

    def ok(self, what: str) -> None:
        self.findings.append(Finding("ok", what))

    def warn(self, what: str, advice: str) -> None:
        self.findings.append(Finding("warning", what, advice))

    def error(self, what: str, advice: str) -> None:
        self.findings.append(Finding("error", what, advice))

    def subscribe(self, topic: str, kind: Any) -> _Received | None:
        """Checks the publishers of a topic and subscribes; None if nobody publishes it with this type."""
        publishers = self.node.get_publishers_info_by_topic(topic)
        expected = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
        if not publishers:
            self.report_missing(topic, expected, optional=kind is Odometry)
            return None
        other_types = {info.topic_type for info in publishers} - {expected}
        if other_types:
            what = f"{topic} is {', '.join(sorted(other_types))}, expected {expected}"
            self.error(what, "name another topic, or set compressed")
            return None
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT, durability=DurabilityPolicy.VOLATILE)
        for info in publishers:
            compatible, reason = qos_check_compatible(info.qos_profile, qos)
            if compatible == QoSCompatibility.ERROR:
                what = f"{topic}: QoS of {info.node_name} is not compatible: {reason}"
                self.error(what, "change the publisher's QoS, or parameter reliability")
        if len(publishers) > 1:
            names = ", ".join(sorted(info.node_name for info in publishers))
            what = f"{topic} has {len(publishers)} publishers: {names}"
            self.warn(what, "stop all but one, or give each its own topic")
        received = _Received()

        def on_message(message: Any) -> None:
            now = self.node.get_clock().now().nanoseconds * 1e-9
            stamp = seconds(message.header.stamp)
            received.stamps.append(stamp)
            received.ages.append(now - stamp)
            received.arrivals.append(time.monotonic())
            received.last = message

        self.node.create_subscription(kind, topic, on_message, qos)
        return received

    def report_missing(self, topic: str, expected: str, optional: bool) -> None:
        all_topics = self.node.get_topic_names_and_types()
        similar = ", ".join(f"{name} ({', '.join(types)})" for name, types in all_topics if expected in types)
        others = f"; topics of this type: {similar}" if similar else f"; nobody publishes any {expected}"
        advice = "start the driver, or name another topic" + ("; --odom-topic '' if there is none" if optional else "")
        self.error(f"nobody publishes {topic}{others}", advice)

    def check_images(self, images: _Received, image_time: ImageTime | None) -> None:
        topic = self.image_topic
        if not images.stamps:
            self.error(f"{topic} is published, but no image came", "check that the driver runs and that the QoS fits")
            return
        try:
            rows, columns = rgb_of(images.last, topic).shape[:2]
            self.ok(f"{topic}: {columns} x {rows} at {images.rate:.1f} images a second")
        except VprError as error:
            self.error(f"{topic}: {error}", "change the driver's encoding")
        self.check_stamps(topic, images)
        self.check_mount(images.last.header.frame_id)
        if image_time is not None and images.rate > 0:
            self.check_load(images.rate, image_time)

    def check_mount(self, frame: str) -> None:
        base = self.topics.base_frame
        try:
            self.tf.lookup_transform(base, frame, Time())
            self.ok(f"TF has a transform from {base!r} to {frame!r}")
        except TransformException as error:
            reason = str(error).splitlines()[0] if str(error) else "no transform"
            self.warn(
                f"TF has no transform from {base!r} to camera frame {frame!r} ({reason}): the camera is assumed at the base, looking forward",
                "publish a static transform: ros2 run tf2_ros static_transform_publisher ...",
            )

    def check_load(self, rate: float, image_time: ImageTime) -> None:
        capacity = 1000 / image_time.total
        what = (
            f"{rate:.1f} images come per second, and one takes {image_time.total:.0f} ms here "
            f"(describe {image_time.describe:.0f} ms)"
        )
        if capacity >= rate:
            self.ok(f"{what}: all are processed, with {100 * rate / capacity:.0f} % load")
            return
        self.warn(
            f"{what}: about {capacity:.0f} per second are processed, the others are dropped",
            f"set max_rate to {0.8 * capacity:.0f}, use a smaller model (vpr export --precision int8), or set recognition.geometry to false",
        )

    def check_poses(self, topic: str, poses: _Received) -> None:
        if not poses.stamps:
            self.error(f"{topic} is published, but no message came", "check that the odometry runs")
            return
        try:
            pose_of(poses.last.pose.pose)
            self.ok(f"{topic}: {poses.rate:.1f} poses a second")
        except ValueError as error:
            self.error(f"{topic}: {error}", "correct the odometry: the node skips such poses")
        self.check_stamps(topic, poses)
        child, base = poses.last.child_frame_id, self.topics.base_frame
        if child and child != base:
            self.warn(f"{topic} has poses of {child!r}, but base_frame is {base!r}", f"set base_frame to {child}")

    def check_stamps(self, topic: str, received: _Received) -> None:
        stamps = np.array(received.stamps)
        if not stamps.all():
            what = f"{topic}: {np.sum(stamps == 0)} of {len(stamps)} stamps are zero"
            self.error(what, "configure the driver to stamp its messages")
            return
        backward = int(np.sum(np.diff(stamps) < 0))
        if backward:
            what = f"{topic}: stamps jump back {backward} times"
            self.warn(what, "check whether a bag plays in a loop or two nodes publish")
        age = float(np.median(received.ages))
        if abs(age) > _MAX_AGE:
            what = f"{topic}: stamps are {abs(age):.1f} s {'behind' if age > 0 else 'ahead of'} this machine's clock"
            self.warn(
                what, "set use_sim_time if a bag or simulator publishes /clock; else synchronize the clocks (chrony)"
            )

    def check_node(self) -> None:
        name = self.topics.node
        namespace, _, short_name = name.rpartition("/")
        namespace = namespace or "/"
        if (short_name, namespace) not in self.node.get_node_names_and_namespaces():
            self.warn(f"node {name} is not running", "ros2 launch vpr_aesvc vpr.launch.py model:=... map:=...")
            return
        subscribed = self.node.get_subscriber_names_and_types_by_node(short_name, namespace)
        images = [topic for topic, types in subscribed if any("Image" in kind for kind in types)]
        if not images:
            self.warn(
                f"node {name} runs but is not active: it subscribes to no images",
                f"ros2 lifecycle set {name} configure, then activate",
            )
        elif self.image_topic not in images:
            self.warn(
                f"node {name} subscribes to {', '.join(images)}, not to {self.image_topic}",
                "remap its topic: image_topic:=... of the launch file",
            )
        else:
            self.ok(f"node {name} is active and subscribes to {self.image_topic}")
