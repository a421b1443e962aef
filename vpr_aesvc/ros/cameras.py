"""Subscriptions to images and intrinsics. Images stay encoded until their frame is processed, or is the next one."""

import time
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.exceptions import NameValidationException
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.qos_overriding_options import InvalidQosOverridesError, QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from vpr_aesvc.depth import DepthImage
from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.bags.camera import is_rectified, read_intrinsics
from vpr_aesvc.recordings.image_messages import depth_of, rgb_of
from vpr_aesvc.ros.convert import seconds
from vpr_aesvc.ros.diagnostics import Health
from vpr_aesvc.ros.sensor_thread import SensorThread
from vpr_aesvc.ros.settings import NodeSettings
from vpr_aesvc.types import Intrinsics

_DEPTH_GAP = 0.02  # seconds between an image and its depth
_DEPTHS = 5  # depth images that wait for their image


@dataclass(eq=False)
class ReceivedImage:
    """An image message.

    Attributes:
        stamp: of the header, in seconds. received: time of arrival in seconds of the monotonic clock.
        ahead: the decoded image, if another thread was told to decode it while the frame waits.
    """

    camera: str
    message: Any
    stamp: float
    received: float
    ahead: Future[NDArray[np.uint8]] | None = None

    @property
    def label(self) -> str:
        """CAMERA/SECONDS.NANOSECONDS, or without CAMERA/ if there is one camera."""
        seconds, nanoseconds = divmod(round(self.stamp * 1e9), 10**9)
        return f"{self.camera}{'/' if self.camera else ''}{seconds}.{nanoseconds:09d}"

    def decode(self) -> NDArray[np.uint8]:
        """RGB uint8 [H, W, 3]. Raises VprError if the image is bad."""
        return rgb_of(self.message, self.label)

    def decoded(self) -> NDArray[np.uint8]:
        """As ``decode``; the image of ``ahead`` if the other thread has begun."""
        return self.decode() if self.ahead is None or self.ahead.cancel() else self.ahead.result()


class Cameras:
    """Subscribes to the images of all cameras from activation to deactivation.

    Args:
        on_image: called in the sensor thread with each image that ``max_rate`` lets pass.

    Attributes:
        intrinsics: by camera name, from the last valid ``camera_info``, with the (width, height) of the images they are of.

    Raises:
        VprError: a topic name or a QoS override is invalid.
    """

    def __init__(
        self,
        node: LifecycleNode,
        settings: NodeSettings,
        health: Health,
        sensors: SensorThread,
        on_image: Callable[[ReceivedImage], None],
    ) -> None:
        self.intrinsics: dict[str, tuple[Intrinsics, tuple[int, int]]] = {}
        self._node = node
        self._health = health
        self._on_image = on_image
        self._period = 1 / settings.max_rate if settings.max_rate else 0.0
        self._due: dict[str, float] = {}
        self._depths: defaultdict[str, deque[Any]] = defaultdict(lambda: deque(maxlen=_DEPTHS))
        try:
            for name in settings.cameras:
                self._subscribe(name, settings, sensors)
        except (RuntimeError, NameValidationException, InvalidQosOverridesError) as error:
            raise VprError(
                f"cannot subscribe to the images: {error}; check cameras, remappings and qos_overrides"
            ) from error

    def _subscribe(self, name: str, settings: NodeSettings, sensors: SensorThread) -> None:
        prefix = f"{name}/" if name else ""
        # Resolve the name first: a remapping of image then also applies to image/compressed.
        topic = self._node.resolve_topic_name(f"{prefix}image")
        rectified = is_rectified(topic)
        kind, topic = (CompressedImage, f"{topic}/compressed") if settings.compressed else (Image, topic)
        reliable = settings.reliability == "reliable"
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        qos = QoSProfile(depth=1, reliability=reliability)  # one object per camera: rclpy writes the overrides into it
        overrides = QoSOverridingOptions.with_default_policies()
        on_camera_info: Callable[[Any], None] = partial(self._camera_info_received, name, rectified)
        info, sensor_data = f"{prefix}camera_info", qos_profile_sensor_data
        timed = self._health.inputs.timed
        on_image = timed(partial(self._image_received, name), kind, topic, qos, "image_topic:=")
        if settings.recognition.geometry and settings.mode != "mapping":
            on_camera_info = timed(on_camera_info, CameraInfo, info, sensor_data, "camera_info_topic:=", False)
        sensors.subscribe(kind, topic, on_image, qos, qos_overriding_options=overrides)
        sensors.subscribe(CameraInfo, info, on_camera_info, sensor_data)
        if settings.mode != "localization":  # the depth of a place is stored with it
            sensors.subscribe(Image, f"{prefix}depth", partial(self._depth_received, name), sensor_data)
        self._node.get_logger().info(f"subscribed to {topic} ({kind.__name__})")

    def depth_at(self, camera: str, stamp: float) -> DepthImage | None:
        """The depth image of that time in seconds; None if there is none."""
        waiting = list(self._depths[camera])
        nearest = min(waiting, key=lambda one: abs(seconds(one.header.stamp) - stamp), default=None)
        if nearest is None:
            return None
        try:
            gap = abs(seconds(nearest.header.stamp) - stamp)
            if gap > _DEPTH_GAP:
                raise VprError(f"the nearest one is {gap:.3f} s from the image; the place has none")
            return depth_of(nearest, "depth")
        except VprError as error:
            self._health.bad_input("depth", str(error))
            return None

    def _depth_received(self, camera: str, message: Image) -> None:
        self._depths[camera].append(message)

    def _image_received(self, camera: str, message: Any) -> None:
        self._health.image_received()
        received = time.monotonic()
        if self._period:
            due = self._due.get(camera, 0.0)
            if received < due:
                self._health.counts["passed over by max_rate"] += 1
                return
            self._due[camera] = max(due + self._period, received)
        stamp = seconds(message.header.stamp)
        if stamp <= 0:
            self._health.bad_input("stamp of zero", "the time of arrival is used")
            stamp = self._node.get_clock().now().nanoseconds * 1e-9
        self._on_image(ReceivedImage(camera, message, stamp, received))

    def _camera_info_received(self, camera: str, rectified: bool, message: CameraInfo) -> None:
        if not any(message.k):
            return  # all zeros: the camera is not calibrated
        intrinsics, note = read_intrinsics(message, rectified, None)
        if intrinsics is None:
            self._health.bad_input("camera_info", note)
        else:
            self.intrinsics[camera] = intrinsics, (message.width, message.height)
