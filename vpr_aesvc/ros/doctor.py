"""Checks a running node for a few seconds: what it reports, and what it cannot see itself, as stamps of another clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from vpr_aesvc.onboard.finding import Finding
from vpr_aesvc.ros.convert import seconds
from vpr_aesvc.ros.graph import full_name, type_name

# Seconds.
_DISCOVERY = 2.0
_POLL = 0.2  # between checks for Ctrl-C
_TIMEOUT = 3.0  # for the node's parameters
_MAX_AGE = 1.0  # of a stamp, in the past or the future; beyond it the clocks disagree
_MAX_DROPPED = 0.1  # part of the images
_CLASSES = {type_name(kind): kind for kind in (Image, CompressedImage, CameraInfo, Odometry, PoseStamped)}
_ASKED = ("map", "model", "provider", "base_frame")


@contextmanager
def join_graph(wanted: str | None = None) -> Iterator[RobotCheck]:
    """Joins the ROS graph, and finds the running node, by default the only one."""
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C must end the command at once
    node = rclpy.create_node("vpr_doctor", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield RobotCheck(node, executor, wanted)
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


@dataclass
class _Received:
    """The messages of a topic: header stamps and ages in seconds, and the last message."""

    stamps: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    last: Any = None

    def add(self, message: Any, now: float) -> None:
        self.stamps.append(seconds(message.header.stamp))
        self.last = message
        if now:  # zero until the first message on /clock
            self.ages.append(now - self.stamps[-1])

    @property
    def age(self) -> float:
        """Median, seconds."""
        return float(np.median(self.ages)) if self.ages else 0.0


class RobotCheck:
    """Attributes:
    parameters: some of the node's, by name; empty if no node is running, or if it does not answer.
    """

    def __init__(self, node: Node, executor: SingleThreadedExecutor, wanted: str | None) -> None:
        self.findings: list[Finding] = []
        self._node, self._executor = node, executor
        self._spin(_DISCOVERY)
        self._name = self._find_node(wanted)
        self.parameters = self._ask() if self._name else {}
        self._has_clock = bool(node.count_publishers("/clock"))
        if self._has_clock:
            node.set_parameters([Parameter("use_sim_time", value=True)])
        self._reports = _Received()
        self._statuses: list[dict[str, str]] = []  # values of the node's statuses on /diagnostics

    def run(self, duration: float) -> list[Finding]:
        """Listens for ``duration`` seconds, and checks what it received."""
        if not self.parameters:
            return self.findings
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        topics = self._subscribe()
        self._spin(duration)
        self._check_node()
        for topic, received in topics.items():
            publishers = [full_name(info) for info in self._node.get_publishers_info_by_topic(topic)]
            if len(publishers) > 1:
                what = f"{topic} has {len(publishers)} publishers: {', '.join(sorted(publishers))}"
                self._error(what, "stop all but one, or give each its own topic")
            if received.stamps:
                self._check_messages(topic, received)
        return self.findings

    def _spin(self, duration: float) -> None:
        deadline = time.monotonic() + duration
        while (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left, _POLL))

    def _error(self, what: str, advice: str) -> None:
        self.findings.append(Finding("error", what, advice))

    def _find_node(self, wanted: str | None) -> str:
        """Full name of the node to check; empty if there is none, or one of several."""
        everywhere = [f"{space.rstrip('/')}/{name}" for name, space in self._node.get_node_names_and_namespaces()]
        nodes = [name for name in everywhere if name.endswith("/vpr_node") or name == wanted]
        names = [name for name in nodes if wanted in (None, name)]
        if not names:
            advice = "ros2 launch vpr_aesvc vpr.launch.py model:=... map:=..."
            advice = f"--node {nodes[0]}, which is" if nodes else advice
            self.findings.append(Finding("warning", f"node {wanted or '/vpr_node'} is not running", advice))
        elif len(set(names)) > 1:
            self._error(f"{len(names)} nodes run: {', '.join(sorted(set(names)))}", "name the one to check with --node")
        elif len(names) > 1:
            self._error(f"{len(names)} nodes have the name {names[0]}", "stop all but one, or set namespace:= for each")
        return names[0] if len(names) == 1 else ""

    def _ask(self) -> dict[str, Any]:
        client = self._node.create_client(GetParameters, f"{self._name}/get_parameters")
        client.wait_for_service(_TIMEOUT)
        future = client.call_async(GetParameters.Request(names=_ASKED))
        self._executor.spin_until_future_complete(future, _TIMEOUT)
        self._node.destroy_client(client)
        if not future.done():
            self._error(f"node {self._name} does not answer", "end it, and start it again")
            return {}
        return dict(zip(_ASKED, map(parameter_value_to_python, future.result().values), strict=True))

    def _subscribe(self) -> dict[str, _Received]:
        """Subscribes to the node's inputs."""
        space, _, name = self._name.rpartition("/")
        topics = {}
        for topic, (kind, *_) in self._node.get_subscriber_names_and_types_by_node(name, space or "/"):
            if kind in _CLASSES:
                received = topics[topic] = _Received()
                self._node.create_subscription(
                    _CLASSES[kind],
                    topic,
                    lambda message, received=received: received.add(message, self._now()),
                    qos_profile_sensor_data,
                )
        return topics

    def _now(self) -> float:
        return self._node.get_clock().now().nanoseconds * 1e-9

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if status.name.startswith(f"{self._name.strip('/')}: "):
                self._reports.add(message, self._now())
                values = {one.key: one.value for one in status.values}
                self._statuses.append({**values, "message": status.message, "level": str(ord(status.level))})

    def _check_node(self) -> None:
        """What the node reports, and whether its clock is right."""
        name = self._name
        if not self._statuses:
            self._error(f"node {name} sends nothing on /diagnostics", "end it, and start it again")
            return
        first, last = self._statuses[0], self._statuses[-1]
        state, message = last["state"], last["message"]
        if state != "active":
            what = f"node {name} is {state}" + ("" if message == state else f": {message}")
            steps = "configure, then activate" if state == "unconfigured" else "activate"
            self._error(what, f"ros2 lifecycle set {name} {steps}")
            return
        what = f"node {name} is active: {last['images per second']} images a second, {last['answered']} answered, {last['accepted']} accepted"
        self.findings.append(Finding("ok", what))
        if last["level"] != "0":
            what, _, advice = message.partition("; ")
            self._error(f"node {name} says: {what}", advice or "see its log")
        for missing in filter(None, last["missing inputs"].split(" | ")):
            if missing not in message:
                what, _, advice = missing.partition("; ")
                self.findings.append(Finding("warning", what, advice))
        images, dropped = (int(last[key]) - int(first[key]) for key in ("images", "dropped for newer ones"))
        if dropped > _MAX_DROPPED * images:
            what = (
                f"{dropped} of {images} images were dropped: an image takes {last.get('total, ms', 'too long')}, in ms"
            )
            advice = (
                "set max_rate, use a smaller model (vpr export --precision int8), or set recognition.geometry to false"
            )
            self._error(what, advice)
        if not self._reports.stamps[-1]:
            what = f"node {name} has use_sim_time, but nobody publishes /clock"
            self._error(what, "set use_sim_time:=false, or play the bag with --clock")
        elif abs(self._reports.age) > _MAX_AGE and self._has_clock:
            what = f"/clock is published, but node {name} does not use it"
            self._error(what, "set use_sim_time:=true, or stop what publishes /clock")

    def _check_messages(self, topic: str, received: _Received) -> None:
        last, stamps = received.last, np.array(received.stamps)
        if isinstance(last, CameraInfo):  # without stamps of its own
            if not any(last.k):
                what = f"{topic}: all zeros: the camera is not calibrated"
                self._error(what, "ros2 run camera_calibration ...")
            return
        child, base_frame = getattr(last, "child_frame_id", ""), self.parameters["base_frame"]
        if child and child != base_frame:
            what = f"{topic} has poses of {child!r}, but base_frame is {base_frame!r}"
            self._error(what, f"set base_frame to {child}")
        backward = int(np.sum(np.diff(stamps) < 0))
        if not stamps.all():
            what = f"{topic}: {np.sum(stamps == 0)} of {len(stamps)} stamps are zero"
            self._error(what, "configure the driver to stamp its messages")
        elif backward:
            what = f"{topic}: stamps jump back {backward} times"
            self._error(what, "check whether a bag plays in a loop or two nodes publish")
        elif abs(received.age) > _MAX_AGE:
            side = "behind" if received.age > 0 else "ahead of"
            what = f"{topic}: stamps are {abs(received.age):.1f} s {side} the clock of this machine"
            advice = "set use_sim_time if a bag or simulator publishes /clock; else synchronize the clocks (chrony)"
            self._error(what, advice)
        else:
            self.findings.append(Finding("ok", f"{topic}: {len(stamps)} messages, stamped now"))
