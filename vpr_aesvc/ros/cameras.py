"""The cameras: their images as they come, kept coded until their turn, and their intrinsics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.exceptions import NameValidationException
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.qos_overriding_options import InvalidQosOverridesError, QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from vpr_aesvc.errors import VprError
from vpr_aesvc.ros.convert import seconds
from vpr_aesvc.ros.diagnostics import Health
from vpr_aesvc.ros.settings import NodeSettings
from vpr_aesvc.types import Intrinsics


@dataclass(frozen=True)
class Picture:
    """An image message as it came. ``received`` is in seconds of the monotonic clock, ``stamp`` of the header."""

    camera: str
    message: Any
    stamp: float
    received: float


class Cameras:
    """Subscribes to the images; made when the node is activated, closed when it is deactivated.

    Args:
        heard: called with each picture that is to be looked at, in the executor's thread.
        monotonic: a clock in seconds.
    """

    def __init__(
        self,
        node: LifecycleNode,
        settings: NodeSettings,
        health: Health,
        group: Any,
        heard: Callable[[Picture], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.intrinsics: dict[str, Intrinsics] = {}
        self._node = node
        self._health = health
        self._heard = heard
        self._monotonic = monotonic
        self._period = 1 / settings.max_rate if settings.max_rate else 0.0
        self._due: dict[str, float] = {}
        self._subscriptions: list[Any] = []
        try:
            for name in settings.cameras:
                self._subscribe(name, settings, group)
        except (RuntimeError, NameValidationException, InvalidQosOverridesError) as error:  # rclpy's, of names and QoS
            self.close()
            raise VprError(f"the images cannot be subscribed to: {error}") from error

    def _subscribe(self, name: str, settings: NodeSettings, group: Any) -> None:
        prefix = f"{name}/" if name else ""
        # The name is resolved here so that remapping image moves its compressed form as well.
        topic = self._node.resolve_topic_name(f"{prefix}image")
        kind, topic = (CompressedImage, f"{topic}/compressed") if settings.compressed else (Image, topic)
        reliable = settings.reliability == "reliable"
        newest = QoSProfile(  # one for each camera: rclpy writes what is overridden into it
            depth=1,
            history=HistoryPolicy.KEEP_LAST,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        )
        self._subscriptions.append(
            self._node.create_subscription(
                kind,
                topic,
                _bound(self._image, name),
                newest,
                callback_group=group,
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
        )
        self._subscriptions.append(
            self._node.create_subscription(
                CameraInfo,
                f"{prefix}camera_info",
                _bound(self._camera_info, name),
                qos_profile_sensor_data,
                callback_group=group,
            )
        )
        self._node.get_logger().info(f"looks at {topic} ({kind.__name__})")

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _image(self, camera: str, message: Any) -> None:
        self._health.arrived(camera)
        received = self._monotonic()
        if self._period:
            due = self._due.get(camera, 0.0)
            if received < due:
                self._health.passed_over[camera] += 1
                return
            self._due[camera] = max(due + self._period, received)
        stamp = seconds(message.header.stamp)
        if stamp <= 0:
            self._health.refuse("stamp of zero", "the time of arrival is taken")
            stamp = self._node.get_clock().now().nanoseconds * 1e-9
        self._heard(Picture(camera, message, stamp, received))

    def _camera_info(self, camera: str, message: CameraInfo) -> None:
        k = message.k
        if not any(k):
            return  # a camera that was not calibrated says so with zeros
        try:
            self.intrinsics[camera] = Intrinsics(float(k[0]), float(k[4]), float(k[2]), float(k[5]))
        except VprError as error:
            self._health.refuse("camera_info", str(error))


def _bound(heard: Callable[[str, Any], None], camera: str) -> Callable[[Any], None]:
    return lambda message: heard(camera, message)
