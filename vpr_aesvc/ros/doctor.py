"""Looks at a running robot for a few seconds: topics, types, QoS, stamps, TF, rates."""

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
from vpr_aesvc.onboard.checkup import Finding, Speed
from vpr_aesvc.recordings.image_messages import rgb_of
from vpr_aesvc.ros.convert import pose_of, seconds

_DISCOVERY = 2.0
_LOOK = 0.2  # seconds between looks for Ctrl-C
_OLD = 1.0  # seconds that an image may be old, or ahead, before the clocks do not agree


@dataclass(frozen=True)
class Wiring:
    """What the node will subscribe to. ``node`` is its full name."""

    image_topic: str
    compressed: bool
    odom_topic: str | None
    base_frame: str
    node: str


@dataclass
class _Heard:
    """A topic while it was listened to: header stamps, ages at arrival, times of arrival; the last message."""

    stamps: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    last: Any = None

    @property
    def rate(self) -> float:
        return (len(self.arrivals) - 1) / (self.arrivals[-1] - self.arrivals[0]) if len(self.arrivals) > 1 else 0.0


def check_robot(wiring: Wiring, speed: Speed | None, listen: float = 5.0) -> list[Finding]:
    """Joins the ROS graph for ``listen`` seconds and a moment.

    Args:
        speed: of the model and map on this machine, to be compared with the images' rate.
    """
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C ends it as any command
    node = rclpy.create_node("vpr_doctor", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        return _Examination(node, executor, wiring).findings(speed, listen)
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


class _Examination:
    def __init__(self, node: Node, executor: SingleThreadedExecutor, wiring: Wiring) -> None:
        self.node, self.executor, self.wiring = node, executor, wiring
        self.tf = Buffer()
        self.listener = TransformListener(self.tf, node)
        self.found: list[Finding] = []
        compressed = "/compressed" if wiring.compressed else ""
        self.image_topic = node.resolve_topic_name(wiring.image_topic + compressed)

    def spin(self, duration: float) -> None:
        until = time.monotonic() + duration
        while (left := until - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=min(left, _LOOK))

    def findings(self, speed: Speed | None, listen: float) -> list[Finding]:
        self.spin(_DISCOVERY)
        wiring = self.wiring
        kind = CompressedImage if wiring.compressed else Image
        topic = self.image_topic
        images = self.subscribe(topic, kind)
        poses = self.subscribe(wiring.odom_topic, Odometry) if wiring.odom_topic else None
        if images is not None or poses is not None:
            self.spin(listen)
        if images is not None:
            self.of_images(topic, images, speed)
        if poses is not None and wiring.odom_topic is not None:
            self.of_poses(wiring.odom_topic, poses)
        self.of_node()
        return self.found

    def say(self, level: Any, what: str, advice: str = "") -> None:
        self.found.append(Finding(level, what, advice))

    def subscribe(self, topic: str, kind: Any) -> _Heard | None:
        """Listens to a topic, if someone publishes it with this type."""
        publishers = self.node.get_publishers_info_by_topic(topic)
        wanted = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
        if not publishers:
            there = self.node.get_topic_names_and_types()
            similar = ", ".join(f"{name} ({', '.join(types)})" for name, types in there if wanted in types)
            others = f"; of that type there are: {similar}" if similar else f"; nobody publishes any {wanted}"
            none = "; --odom-topic '' where there is none" if kind is Odometry else ""
            self.say("error", f"nobody publishes {topic}{others}", "start the driver, or name the topic" + none)
            return None
        wrong = {info.topic_type for info in publishers} - {wanted}
        if wrong:
            self.say(
                "error",
                f"{topic} is {', '.join(sorted(wrong))}, expected {wanted}",
                "name another topic, or set compressed",
            )
            return None
        ours = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT, durability=DurabilityPolicy.VOLATILE)
        for info in publishers:
            compatible, why = qos_check_compatible(info.qos_profile, ours)
            if compatible == QoSCompatibility.ERROR:
                self.say(
                    "error",
                    f"{topic}: QoS of {info.node_name} does not fit: {why}",
                    "change the publisher's QoS, or parameter reliability",
                )
        if len(publishers) > 1:
            names = ", ".join(sorted(info.node_name for info in publishers))
            found = f"{topic} has {len(publishers)} publishers: {names}"
            self.say("warning", found, "one camera a topic: stop the others")
        heard = _Heard()

        def take(message: Any) -> None:
            now = self.node.get_clock().now().nanoseconds * 1e-9
            stamp = seconds(message.header.stamp)
            heard.stamps.append(stamp)
            heard.ages.append(now - stamp)
            heard.arrivals.append(time.monotonic())
            heard.last = message

        self.node.create_subscription(kind, topic, take, ours)
        return heard

    def of_images(self, topic: str, heard: _Heard, speed: Speed | None) -> None:
        if not heard.stamps:
            advice = "is the driver running, and the QoS the publisher's?"
            self.say("error", f"{topic} is published, but no image came", advice)
            return
        try:
            rows, columns = rgb_of(heard.last, topic).shape[:2]
            self.say("ok", f"{topic}: {columns} x {rows} at {heard.rate:.1f} images a second")
        except VprError as error:
            self.say("error", f"{topic}: {error}", "change the driver's encoding")
        self.of_stamps(topic, heard)
        frame = heard.last.header.frame_id
        base = self.wiring.base_frame
        try:
            self.tf.lookup_transform(base, frame, Time())
            self.say("ok", f"TF knows {frame!r} on {base!r}")
        except TransformException as error:
            self.say(
                "warning",
                f"TF does not know where camera frame {frame!r} is on {base!r} ({str(error).splitlines()[0] if str(error) else 'no transform'}): the camera is taken to be at the base, looking forward",
                "publish a static transform: ros2 run tf2_ros static_transform_publisher ...",
            )
        if speed is not None and heard.rate > 0:
            able = 1000 / speed.total
            words = f"images come {heard.rate:.1f} times a second, and one takes {speed.total:.0f} ms here (describe {speed.describe:.0f} ms)"
            if able < heard.rate:
                advice = f"set max_rate to {0.8 * able:.0f}, or take a smaller model (vpr export --precision int8) or geometry off"
                self.say("warning", f"{words}: about {able:.0f} a second are looked at, the others dropped", advice)
            else:
                self.say("ok", f"{words}: all are looked at, {100 * heard.rate / able:.0f} % of the time")

    def of_poses(self, topic: str, heard: _Heard) -> None:
        if not heard.stamps:
            self.say("error", f"{topic} is published, but nothing came", "is the odometry running?")
            return
        try:
            pose_of(heard.last.pose.pose)
            self.say("ok", f"{topic}: {heard.rate:.1f} poses a second")
        except ValueError as error:
            self.say("error", f"{topic}: {error}", "mend the odometry: such poses are left out")
        self.of_stamps(topic, heard)
        child = heard.last.child_frame_id
        if child and child != self.wiring.base_frame:
            self.say(
                "warning",
                f"{topic} gives poses of {child!r}, and base_frame is {self.wiring.base_frame!r}",
                f"set base_frame to {child}",
            )

    def of_stamps(self, topic: str, heard: _Heard) -> None:
        stamps = np.array(heard.stamps)
        if not stamps.all():
            self.say(
                "error",
                f"{topic}: {np.sum(stamps == 0)} of {len(stamps)} stamps are zero",
                "have the driver stamp its messages",
            )
            return
        back = int(np.sum(np.diff(stamps) < 0))
        if back:
            self.say(
                "warning",
                f"{topic}: stamps step back {back} times",
                "is a bag playing in a loop, or are there two publishers?",
            )
        age = float(np.median(heard.ages))
        if abs(age) > _OLD:
            advice = "set use_sim_time where a bag or simulator gives the time; else synchronize the clocks (chrony)"
            self.say(
                "warning",
                f"{topic}: stamps are {abs(age):.1f} s {'behind' if age > 0 else 'ahead of'} this machine's clock",
                advice,
            )

    def of_node(self) -> None:
        name = self.wiring.node
        short, namespace = name.rsplit("/", 1)[-1], name.rsplit("/", 1)[0] or "/"
        if (short, namespace) not in self.node.get_node_names_and_namespaces():
            self.say(
                "warning", f"node {name} is not running", "ros2 launch vpr_aesvc vpr.launch.py model:=... map:=..."
            )
            return
        topics = self.node.get_subscriber_names_and_types_by_node(short, namespace)
        images = [topic for topic, types in topics if any("Image" in one for one in types)]
        wanted = self.image_topic
        if not images:
            self.say(
                "warning",
                f"node {name} runs but does not look at images: it is not active",
                f"ros2 lifecycle set {name} configure, then activate",
            )
        elif wanted not in images:
            self.say(
                "warning",
                f"node {name} looks at {', '.join(images)}, not at {wanted}",
                "remap its topic: image_topic:=... of the launch file",
            )
        else:
            self.say("ok", f"node {name} is active and looks at {wanted}")
