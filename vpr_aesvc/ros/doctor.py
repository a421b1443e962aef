"""Checks a running robot for a few seconds: node, topics, types, QoS, stamps, TF, clock, rates."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage
from tf2_ros import Buffer, TransformException

from vpr_aesvc.onboard.checkup import ImageTime
from vpr_aesvc.onboard.finding import Finding
from vpr_aesvc.ros import message_checks as checks
from vpr_aesvc.ros.convert import seconds
from vpr_aesvc.ros.graph import COMPRESSED, IMAGE, Input, full_name, missing_message, type_name
from vpr_aesvc.ros.running_node import CAMERA_INFO, ODOMETRY, TF, Given, RunningNode, ask_node, expected_inputs
from vpr_aesvc.ros.settings import NodeSettings
from vpr_aesvc.ros.tf_frames import missing_transform

# Seconds.
_DISCOVERY = 2.0
_POLL = 0.2  # between checks for Ctrl-C
_CLASSES = {type_name(kind): kind for kind in (Image, CompressedImage, CameraInfo, Odometry, PoseStamped)}
_ABSENT = {CAMERA_INFO: "; --camera-info-topic '' if there is none", ODOMETRY: "; --odom-topic '' if there is none"}


@contextmanager
def join_graph(given: Given) -> Iterator[RobotCheck]:
    """Joins the ROS graph, and finds the running node."""
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C must end the command at once
    node = rclpy.create_node("vpr_doctor", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield RobotCheck(node, executor, given)
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


class RobotCheck:
    """Attributes:
    running: the node; None if it is not running or does not answer.
    settings: its parameters, else the defaults.
    """

    def __init__(self, node: Node, executor: SingleThreadedExecutor, given: Given) -> None:
        self.findings: list[Finding] = []
        self._node, self._executor, self._given = node, executor, given
        self._tf = Buffer()
        self._status: Any = None  # the node's last one on /diagnostics
        self._spin(_DISCOVERY)
        self._name = self._find_node()
        self.running: RunningNode | None = None
        if self._name:
            self.running = ask_node(node, self._name, partial(executor.spin_once, timeout_sec=_POLL))
            if self.running is None:
                self._error(f"node {self._name} does not answer", "end it, and start it again")
        settings = self.running.settings if self.running else NodeSettings()
        self.settings = settings.model_copy(update={"base_frame": given.base_frame or settings.base_frame})
        self._has_clock = bool(node.count_publishers("/clock"))
        if self._has_clock:
            node.set_parameters([Parameter("use_sim_time", value=True)])

    def run(self, image_time: ImageTime | None, duration: float) -> list[Finding]:
        """Listens for ``duration`` seconds, and checks what it received.

        Args:
            image_time: of model and map on this machine; compared with the image rate.
        """
        settings = self.settings
        inputs = expected_inputs(self._node, self._given, settings, self._name or "/", self.running)
        received = [(one, self._subscribe(one)) for one in inputs if one.type in _CLASSES]
        self._tf_topic = next((one.topic for one in inputs if one.type == TF and "static" not in one.topic), "/tf")
        self._listen_to_tf()
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._spin(duration)
        self._check_node(inputs)
        self._check_clock()
        rates: list[float] = []
        for one, messages in received:
            if not self._comes(one, messages):
                continue
            if one.type in (IMAGE, COMPRESSED):
                self.findings += checks.check_image(one.topic, messages)
                self._check_mount(messages.last.header.frame_id)
                rates.append(messages.rate)
            elif one.type == CAMERA_INFO:
                self.findings += checks.check_camera_info(one.topic, messages)
                continue  # without stamps of its own
            else:
                self.findings += checks.check_poses(one.topic, messages, settings.base_frame)
            self.findings += checks.check_stamps(one.topic, messages)
        if settings.pose_source == "tf" and self._given.odom_topic is None:
            self._check_transform(settings.odom_frame, settings.base_frame, fixed=False)
        if image_time is not None and sum(rates) > 0:
            self.findings.append(checks.check_load(sum(rates), len(rates), settings, image_time))
        self._check_diagnostics()
        return self.findings

    def _spin(self, duration: float) -> None:
        deadline = time.monotonic() + duration
        while (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left, _POLL))

    def _ok(self, what: str) -> None:
        self.findings.append(Finding("ok", what))

    def _error(self, what: str, advice: str) -> None:
        self.findings.append(Finding("error", what, advice))

    def _find_node(self) -> str | None:
        """Full name of the node to check; None if there is none, or one of several."""
        wanted = self._given.node
        everywhere = [f"{space.rstrip('/')}/{name}" for name, space in self._node.get_node_names_and_namespaces()]
        names = [name for name in everywhere if name == wanted]
        others = [name for name in everywhere if name.endswith("/vpr_node")]
        if wanted is None:
            names = others
        elif not names and others:
            self._error(f"node {wanted} is not running, but {', '.join(others)} is", f"--node {others[0]}")
            return None
        if not names:
            advice = "ros2 launch vpr_aesvc vpr.launch.py model:=... map:=..."
            self.findings.append(Finding("warning", f"node {wanted or '/vpr_node'} is not running", advice))
            return None
        if len(set(names)) > 1:
            self._error(f"{len(names)} nodes run: {', '.join(sorted(set(names)))}", "name the one to check with --node")
            return None
        if len(names) > 1:
            self._error(f"{len(names)} nodes have the name {names[0]}", "stop all but one, or set namespace:= for each")
        return names[0]

    def _subscribe(self, wanted: Input) -> checks.Received:
        received = checks.Received()

        def on_message(message: Any) -> None:
            now = self._node.get_clock().now().nanoseconds * 1e-9
            stamp = seconds(message.header.stamp)
            received.stamps.append(stamp)
            received.arrivals.append(time.monotonic())
            received.last = message
            if now:  # zero until the first message on /clock
                received.ages.append(now - stamp)

        self._node.create_subscription(_CLASSES[wanted.type], wanted.topic, on_message, wanted.qos)
        return received

    def _listen_to_tf(self) -> None:
        """As a TransformListener, on the node's topics."""
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for topic, add, qos in (
            (self._tf_topic, self._tf.set_transform, 100),
            (f"{self._tf_topic}_static", self._tf.set_transform_static, latched),
        ):
            self._node.create_subscription(TFMessage, topic, partial(_add_transforms, add), qos)

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if self._name and status.name.startswith(f"{self._name.strip('/')}: "):
                self._status = status

    def _check_node(self, inputs: list[Input]) -> None:
        node = self.running
        if node is None:
            return
        if node.state != "active":
            reason = self._status.message if self._status is not None else node.state
            steps = "configure, then activate" if node.state == "unconfigured" else "activate"
            what = f"node {node.name} is {node.state}" + ("" if reason == node.state else f": {reason}")
            self._error(what, f"ros2 lifecycle set {node.name} {steps}")
            return
        subscribed = [one.topic for one in node.inputs if one.type in (IMAGE, COMPRESSED)]
        for one in inputs:
            if one.type in (IMAGE, COMPRESSED) and one.topic not in subscribed:
                advice = "remap its topic: image_topic:=... of the launch file"
                self._error(f"node {node.name} subscribes to {', '.join(subscribed)}, not to {one.topic}", advice)
                return
        self._ok(f"node {node.name} is active and subscribes to {', '.join(subscribed)}")

    def _check_diagnostics(self) -> None:
        """What the node itself reports, if nothing else explains it."""
        if self._status is None or not ord(self._status.level) or any(one.level == "error" for one in self.findings):
            return
        what, _, advice = self._status.message.partition("; ")
        self._error(f"node {self._name} says: {what}", advice or "see its log")

    def _check_clock(self) -> None:
        node = self.running
        if node is None or node.use_sim_time == self._has_clock:
            return
        if self._has_clock:
            what = f"/clock is published, but node {node.name} does not use it"
            self._error(what, "set use_sim_time:=true, or stop what publishes /clock")
        else:
            what = f"node {node.name} has use_sim_time, but nobody publishes /clock"
            self._error(what, "set use_sim_time:=false, or play the bag with --clock")

    def _comes(self, wanted: Input, received: checks.Received) -> bool:
        """Whether messages come on a topic; says why not."""
        publishers = self._node.get_publishers_info_by_topic(wanted.topic)
        if len(publishers) > 1:
            names = ", ".join(sorted(full_name(info) for info in publishers))
            advice = "stop all but one, or give each its own topic"
            self._error(f"{wanted.topic} has {len(publishers)} publishers: {names}", advice)
        if received.stamps:
            return True
        found = missing_message(self._node, wanted)
        self._error(found.what, found.advice + _ABSENT.get(wanted.type, ""))
        return False

    def _check_mount(self, frame: str) -> None:
        settings = self.settings
        if settings.camera_mount:
            self._ok(f"camera_mount gives the mount of the camera at {frame!r}")
        elif self._tf.can_transform(settings.base_frame, frame, Time()) or not settings.assume_camera_is_base:
            self._check_transform(settings.base_frame, frame, fixed=True)
        else:
            self._ok(
                f"TF has no {frame!r}: the camera is taken to be at {settings.base_frame!r} (assume_camera_is_base)"
            )

    def _check_transform(self, parent: str, child: str, fixed: bool) -> None:
        try:
            self._tf.lookup_transform(parent, child, Time())
            self._ok(f"TF has a transform from {parent!r} to {child!r}")
        except TransformException:
            found = missing_transform(self._tf, parent, child, fixed, self._node, self._tf_topic)
            self._error(found.what, found.advice + ("; or set camera_mount or assume_camera_is_base" if fixed else ""))


def _add_transforms(add: Any, message: Any) -> None:
    for transform in message.transforms:
        add(transform, "")
