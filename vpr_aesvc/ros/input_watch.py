"""Which inputs of the active node do not come, and why."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.time import Time
from tf2_ros import TransformException

from vpr_aesvc.onboard.finding import Finding
from vpr_aesvc.ros.convert import seconds
from vpr_aesvc.ros.graph import Input, missing_message, type_name
from vpr_aesvc.ros.tf_frames import missing_transform

_SILENCE = 5.0  # seconds without a message
_LOG_PERIOD = 30.0  # seconds between log lines about one input


@dataclass
class _Expected:
    """Attributes:
    why: says why it does not come.
    last: time of the last message in seconds of the monotonic clock; before it, when it was first expected.
    has_come: for what is not a message: asked at each check.
    """

    why: Callable[[], Finding]
    is_needed: bool
    last: float
    has_come: Callable[[], bool] = lambda: False
    logged: float = 0.0


class InputWatch:
    """The inputs of an active node. Sensor threads report messages; the diagnostics timer asks what is missing."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._expected: list[_Expected] = []

    def clear(self) -> None:
        self._expected = []

    def timed(
        self,
        callback: Callable[[Any], None],
        kind: Any,
        topic: str,
        qos: QoSProfile,
        setting: str,
        is_needed: bool = True,
    ) -> Callable[[Any], None]:
        """The callback of a subscription; it also notes when a message came.

        Args:
            qos: the object that the subscription is created with; rclpy writes the overrides into it.
            setting: see ``Input``.
            is_needed: else its absence is said once, and is no warning.
        """
        topic = self._node.resolve_topic_name(topic)
        expected = self._expect(
            partial(missing_message, self._node, Input(topic, type_name(kind), qos, setting)), is_needed
        )

        def received(message: Any) -> None:
            expected.last = time.monotonic()
            callback(message)

        return received

    def expect_transform(self, buffer: Any, parent: str, child: str) -> None:
        """A transform that moves: ``child`` in ``parent``."""
        last = -1.0

        def is_new() -> bool:
            nonlocal last
            try:
                before, last = last, seconds(buffer.lookup_transform(parent, child, Time()).header.stamp)
            except TransformException:
                return False
            return last != before or last == 0  # zero: it is static

        why = partial(missing_transform, buffer, parent, child, fixed=False, node=self._node)
        self._expect(why, True).has_come = is_new

    def missing(self) -> list[Finding]:
        """What has not come for five seconds; level ``warning`` for what is not needed. Logs it."""
        now = time.monotonic()
        findings = []
        for one in self._expected.copy():
            if one.has_come():
                one.last = now
            if now - one.last <= _SILENCE:
                continue
            found = one.why()
            if one.is_needed and now - one.logged > _LOG_PERIOD:
                self._node.get_logger().warning(f"nothing for {now - one.last:.0f} s: {found}")
                one.logged = now
            elif not one.is_needed and not one.logged:
                self._node.get_logger().info(f"optional: {found}")
                one.logged = now
            findings.append(found if one.is_needed else Finding("warning", found.what, found.advice))
        return findings

    def _expect(self, why: Callable[[], Finding], is_needed: bool) -> _Expected:
        expected = _Expected(why, is_needed, time.monotonic())
        self._expected.append(expected)
        return expected
