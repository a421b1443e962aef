"""What a running node uses: its state, parameters and subscriptions, asked over ROS."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import QoSProfile, ReliabilityPolicy

from vpr_aesvc.ros import parameters
from vpr_aesvc.ros.graph import COMPRESSED, IMAGE, Input, full_name
from vpr_aesvc.ros.parameter_specs import all_parameter_specs
from vpr_aesvc.ros.settings import NodeSettings

CAMERA_INFO, ODOMETRY, POSE = "sensor_msgs/msg/CameraInfo", "nav_msgs/msg/Odometry", "geometry_msgs/msg/PoseStamped"
TF = "tf2_msgs/msg/TFMessage"
SETTINGS = {  # what names the topic of each type
    IMAGE: "image_topic:=",
    COMPRESSED: "image_topic:=",
    CAMERA_INFO: "camera_info_topic:=",
    ODOMETRY: "odom_topic:=",
    POSE: "the remapping pose:=",
    TF: "tf_topic:=",
}
_SENSOR_DATA = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
_TIMEOUT = 3.0  # seconds


@dataclass(frozen=True)
class RunningNode:
    """A node that answers. ``state`` is that of its lifecycle; ``inputs`` are what it subscribes to."""

    name: str
    state: str
    settings: NodeSettings
    use_sim_time: bool
    inputs: list[Input]


@dataclass(frozen=True)
class Given:
    """What the user names. None is taken from the running node, or else is the default of the launch file; an empty topic is not checked."""

    node: str | None = None
    image_topic: str | None = None
    compressed: bool | None = None
    camera_info_topic: str | None = None
    odom_topic: str | None = None
    base_frame: str | None = None


def ask_node(node: Node, name: str, spin: Callable[[], None]) -> RunningNode | None:
    """Asks the node ``name``; None if it does not answer within seconds. ``spin`` runs callbacks for a moment."""
    names = [spec.name for spec in all_parameter_specs()] + ["use_sim_time"]
    state = _call(node, GetState, f"{name}/get_state", GetState.Request(), spin)
    found = _call(node, GetParameters, f"{name}/get_parameters", GetParameters.Request(names=names), spin)
    if state is None or found is None:
        return None
    values = {key: parameter_value_to_python(value) for key, value in zip(names, found.values)}  # noqa: B905 (Humble: fewer)
    use_sim_time = bool(values.pop("use_sim_time", False))
    return RunningNode(name, state.current_state.label, parameters.validated(values), use_sim_time, _inputs(node, name))


def _inputs(node: Node, name: str) -> list[Input]:
    namespace, _, short_name = name.rpartition("/")
    inputs = []
    for topic, types in node.get_subscriber_names_and_types_by_node(short_name, namespace or "/"):
        for info in node.get_subscriptions_info_by_topic(topic) if set(types) & set(SETTINGS) else []:
            if full_name(info) == name and info.topic_type in SETTINGS:
                found = info.qos_profile
                qos = QoSProfile(depth=10, reliability=found.reliability, durability=found.durability)
                inputs.append(Input(topic, info.topic_type, qos, SETTINGS[info.topic_type]))
    return inputs


def expected_inputs(
    node: Node, given: Given, settings: NodeSettings, name: str, running: RunningNode | None
) -> list[Input]:
    """The subscriptions of the running node ``name``. While it has none, those that the launch file would make. What the user names
    replaces them. ``node`` resolves names."""
    found = running.inputs if running else []
    namespace = name.rpartition("/")[0]
    cameras = [f"{namespace}/{camera or 'camera'}" for camera in settings.cameras]
    compressed = settings.compressed if given.compressed is None else given.compressed
    has_geometry = settings.recognition.geometry and settings.mode != "mapping"
    infos = cameras if given.image_topic is None else [given.image_topic.rpartition("/")[0]]
    odometry = {"odom": ODOMETRY, "pose": POSE}.get(settings.pose_source)
    result = [one for one in found if one.type == TF]
    for kind, topic, defaults in (
        (COMPRESSED if compressed else IMAGE, given.image_topic, [f"{camera}/image_raw" for camera in cameras]),
        (CAMERA_INFO, given.camera_info_topic, [f"{info}/camera_info" for info in infos] if has_geometry else []),
        (odometry or ODOMETRY, given.odom_topic, [f"{namespace}/{settings.pose_source}"] if odometry else []),
    ):
        existing = [one for one in found if one.type == kind and (kind != CAMERA_INFO or has_geometry)]
        if topic is None and existing:
            result += existing
            continue
        for one in defaults if topic is None else filter(None, [topic]):
            full = node.resolve_topic_name(one) + ("/compressed" if kind == COMPRESSED else "")
            result.append(Input(full, kind, existing[0].qos if existing else _SENSOR_DATA, SETTINGS[kind]))
    return result


def _call(node: Node, kind: Any, service: str, request: Any, spin: Callable[[], None]) -> Any:
    """The response; None if none comes."""
    client = node.create_client(kind, service)
    deadline = time.monotonic() + _TIMEOUT
    while not client.service_is_ready() and time.monotonic() < deadline:
        spin()
    future = client.call_async(request)
    while not future.done() and time.monotonic() < deadline:
        spin()
    node.destroy_client(client)
    return future.result() if future.done() else None
