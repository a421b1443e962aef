"""The robot that the node under test runs on: publishes sensor messages, calls services, records the node's messages."""

from __future__ import annotations

import threading
import time
from typing import Any

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from lifecycle_msgs.srv import ChangeState, GetState
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage
from vpr_aesvc_msgs.msg import Descriptor, LoopClosure, PlaceMatches

from tests.ros.patience import TIMEOUT, patience, wait_for
from vpr_aesvc.ros.convert import pose_message, time_message
from vpr_aesvc.types import Pose

OPTICAL_FRAME = "camera_optical_frame"
_TRANSITIONS = {"configure": 1, "cleanup": 2, "activate": 3, "deactivate": 4, "shutdown": None}
_SHUTDOWN = {"unconfigured": 5, "inactive": 6, "active": 7}


class Robot:
    """A ROS node with all publishers, subscriptions and clients; spins in its own thread.

    Args:
        prefix: of all its topics and of ``target``: the robot's namespace, with a leading slash.
        image_qos: QoS of the raw images, or their depth.
    """

    def __init__(
        self, name: str = "robot", target: str = "/vpr_node", prefix: str = "", image_qos: QoSProfile | int = 10
    ) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node(name, context=self.context)
        self.prefix = prefix
        self.target = target = f"{prefix}{target}"
        self.messages: dict[str, list[Any]] = {}
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._publishers: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}
        self.images = self.publisher(Image, f"{prefix}/camera/image_raw", image_qos)
        self.compressed = self.publisher(CompressedImage, f"{prefix}/camera/image_raw/compressed")
        self.odometry = self.publisher(Odometry, f"{prefix}/odom")
        self.camera_info = self.publisher(CameraInfo, f"{prefix}/camera/camera_info")
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.static_tf = self.node.create_publisher(TFMessage, f"{prefix}/tf_static", latched)
        self.subscribe(PlaceMatches, f"{target}/matches")
        self.subscribe(PoseWithCovarianceStamped, f"{target}/pose")
        self.subscribe(LoopClosure, f"{target}/loop_closures")
        self.subscribe(Descriptor, f"{target}/descriptor")
        self.subscribe(DiagnosticArray, "/diagnostics")
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._closing.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        self._closing.set()
        self._thread.join(5)
        self._executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()

    def publish_camera_info(
        self, width: int, height: int, distortion: tuple[float, ...], topic: str = "/camera/camera_info"
    ) -> None:
        """A calibrated camera with a focal length of 800 pixels and its principal point in the center."""
        matrix = [800.0, 0.0, (width - 1) / 2, 0.0, 800.0, (height - 1) / 2, 0.0, 0.0, 1.0]
        model = {4: "equidistant", 5: "plumb_bob", 8: "rational_polynomial"}[len(distortion)]
        message = CameraInfo(width=width, height=height, k=matrix, d=list(distortion), distortion_model=model)
        self.publisher(CameraInfo, f"{self.prefix}{topic}").publish(message)

    def publisher(self, kind: Any, topic: str, depth: QoSProfile | int = 10) -> Any:
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(kind, topic, depth)
        return self._publishers[topic]

    def subscribe(self, kind: Any, topic: str, depth: int = 100) -> list[Any]:
        received = self.messages.setdefault(topic, [])
        self.node.create_subscription(kind, topic, received.append, depth)
        return received

    @property
    def matches(self) -> list[Any]:
        return self.messages[f"{self.target}/matches"]

    @property
    def poses(self) -> list[Any]:
        return self.messages[f"{self.target}/pose"]

    @property
    def closures(self) -> list[Any]:
        return self.messages[f"{self.target}/loop_closures"]

    def clear(self) -> None:
        for received in self.messages.values():
            received.clear()

    # Services and parameters

    def call(self, kind: Any, name: str, request: Any, timeout: float = TIMEOUT) -> Any:
        """The response of a service.

        Raises:
            TimeoutError: the service does not exist or does not respond.
        """
        client = self._clients.setdefault(name, self.node.create_client(kind, name))
        wait_for(client.service_is_ready, timeout, f"the service {name}")
        future = client.call_async(request)
        wait_for(future.done, timeout, f"a response of {name}")
        return future.result()

    def state(self) -> str:
        """Asks again after 5 s without a response: DDS may still know the service of a node that was killed."""
        for _ in range(round(TIMEOUT / 5)):
            try:
                response = self.call(GetState, f"{self.target}/get_state", GetState.Request(), timeout=5.0)
            except TimeoutError:
                continue
            return str(response.current_state.label)
        raise TimeoutError(f"{self.target} does not tell its state")

    def change_state(self, transition: str) -> bool:
        """Requests a transition; returns whether it succeeded."""
        number = _TRANSITIONS[transition] or _SHUTDOWN[self.state()]
        request = ChangeState.Request()
        request.transition.id = number
        before = self.state()
        try:
            return bool(self.call(ChangeState, f"{self.target}/change_state", request).success)
        except TimeoutError:  # DDS may lose the response of a service that was found just now
            return self.state() != before

    def activate(self, **parameters: Any) -> None:
        """Activates the node with these parameters, from any state."""
        for transition in {"active": ("deactivate", "cleanup"), "inactive": ("cleanup",)}.get(self.state(), ()):
            assert self.change_state(transition)
        refused = [reason for done, reason in self.set_parameters(**parameters) if not done]
        assert not refused, refused
        assert self.change_state("configure") and self.change_state("activate")
        wait_for_subscription(self.images)
        self.clear()

    def set_parameters(self, **values: Any) -> list[tuple[bool, str]]:
        """Sets parameters (``__`` stands for a dot); returns (success, reason) for each."""
        request = SetParameters.Request()
        for name, value in values.items():
            parameter: ParameterMessage = Parameter(name.replace("__", "."), value=value).to_parameter_msg()
            request.parameters.append(parameter)
        answers = self.call(SetParameters, f"{self.target}/set_parameters", request).results
        return [(answer.successful, answer.reason) for answer in answers]

    def diagnostics(self) -> dict[str, str]:
        """The next status of the node: its values, level and message."""
        name = f"{self.target.strip('/')}: place recognition"

        def received() -> list[Any]:
            return [message.status[0] for message in self.messages["/diagnostics"] if message.status[0].name == name]

        before = len(received())
        wait_for(lambda: len(received()) > before, TIMEOUT, "diagnostics")
        status = received()[-1]
        level = status.level if isinstance(status.level, int) else int.from_bytes(status.level, "big")
        return {"level": str(level), "message": status.message} | {item.key: item.value for item in status.values}

    # Publishing

    def publish_mount(self, base_to_optical: Pose, frame: str = OPTICAL_FRAME) -> None:
        """Publishes the static transform of a camera on the robot."""
        transform = TransformStamped()
        transform.header.frame_id, transform.child_frame_id = "base_link", frame
        message = pose_message(base_to_optical)
        transform.transform.translation.x = message.position.x
        transform.transform.translation.y = message.position.y
        transform.transform.translation.z = message.position.z
        transform.transform.rotation = message.orientation
        self.static_tf.publish(TFMessage(transforms=[transform]))

    def publish_odometry(self, stamp: float, pose: Pose) -> None:
        message = Odometry(child_frame_id="base_link")
        message.header.frame_id, message.header.stamp = "odom", time_message(stamp)
        message.pose.pose = pose_message(pose)
        self.odometry.publish(message)

    def publish_image(
        self, image: np.ndarray, stamp: float, frame: str = OPTICAL_FRAME, topic: str = "/camera/image_raw"
    ) -> None:
        """An image, RGB uint8 [H, W, 3]."""
        self.publisher(Image, f"{self.prefix}{topic}").publish(image_message(image, stamp, frame))

    def wait_for_matches(self, count: int, timeout: float = TIMEOUT) -> list[Any]:
        """All matches since ``clear``, once there are ``count`` of them."""
        wait_for(lambda: len(self.matches) >= count, timeout, lambda: f"{count} answers, received {len(self.matches)}")
        return list(self.matches)


def image_message(image: np.ndarray, stamp: float, frame: str = OPTICAL_FRAME, encoding: str = "rgb8") -> Image:
    """RGB uint8 [H, W, 3] as a message with encoding rgb8, bgr8 or mono8."""
    pixels = {
        "rgb8": lambda: image,
        "bgr8": lambda: image[:, :, ::-1],
        "mono8": lambda: cv2.cvtColor(image, cv2.COLOR_RGB2GRAY),
    }[encoding]()
    message = Image(
        height=image.shape[0], width=image.shape[1], encoding=encoding, step=pixels.nbytes // image.shape[0]
    )
    message.header.stamp, message.header.frame_id = time_message(stamp), frame
    message.data.frombytes(np.ascontiguousarray(pixels).tobytes())
    return message


def compressed_message(
    image: np.ndarray, stamp: float, frame: str = OPTICAL_FRAME, suffix: str = ".png"
) -> CompressedImage:
    """RGB uint8 [H, W, 3] as PNG or JPEG."""
    done, data = cv2.imencode(suffix, image[:, :, ::-1])
    assert done
    message = CompressedImage(format=suffix[1:])
    message.header.stamp, message.header.frame_id = time_message(stamp), frame
    message.data.frombytes(data.tobytes())
    return message


def wait_for_subscription(publisher: Any) -> None:
    """Waits until a publisher has a subscriber and, shortly after, the subscriber knows the publisher."""
    wait_for(publisher.get_subscription_count, 2 * TIMEOUT, f"a subscription to {publisher.topic_name}")
    time.sleep(0.3 * patience())  # DDS matches the two sides separately, and best effort loses what comes before
