"""Says why no message comes on a topic: what the ROS graph has that is like it, and what to change."""

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible

from vpr_aesvc.onboard.finding import Finding

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_TRANSPORTS = ("compressed", "theora", "zstd", "ffmpeg")  # of image_transport: IMAGE_TOPIC/TRANSPORT
_OWN = ("match_image/compressed",)  # of this node: no camera
_LISTED = 3
_ALIKE = 0.75  # ratio of difflib


@dataclass(frozen=True)
class Input:
    """A subscription.

    Attributes:
        topic: as resolved, with namespace and remappings.
        setting: what names the topic, ``ARGUMENT:=``.
    """

    topic: str
    type: str
    qos: QoSProfile
    setting: str


def type_name(kind: Any) -> str:
    """PACKAGE/msg/NAME of a message class."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


def missing_message(node: Node, wanted: Input) -> Finding:
    """Why nothing comes on the topic of a subscription, and what to do; ``str()`` of it is one line."""
    topic, expected = wanted.topic, wanted.type
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return _not_published(node, wanted)
    fitting = [info for info in publishers if info.topic_type == expected]
    if not fitting:
        types = ", ".join(sorted({info.topic_type for info in publishers}))
        advice = f"set {wanted.setting} to a topic of this type" + (", or compressed" if "Image" in types else "")
        return Finding("error", f"{topic} is {types}, expected {expected}", advice)
    problems = [incompatible(info, wanted) for info in fitting]
    if problems[0] is not None and None not in problems:
        return problems[0]
    names = ", ".join(sorted({full_name(info) for info in fitting}))
    advice = f"check that the driver works, and the network: ros2 topic hz {topic}"
    return Finding("error", f"{names} publishes {topic}, but no message comes", advice)


def incompatible(publisher: Any, wanted: Input) -> Finding | None:
    """Why a subscription receives nothing from a publisher (``TopicEndpointInfo``): the QoS."""
    offered, requested = publisher.qos_profile, wanted.qos
    compatible, reason = qos_check_compatible(offered, requested)
    if compatible != QoSCompatibility.ERROR:
        return None
    advice = "change the QoS of the publisher"
    if (offered.reliability, requested.reliability) == (ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE):
        reason, advice = "it is best effort, reliable is requested", "set reliability:=best_effort"
    elif (offered.durability, requested.durability) == (DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL):
        reason = "it is volatile, transient local is requested"
        advice = (
            "publish it with durability transient_local; a bag with --qos-profile-overrides-path config/bag_qos.yaml"
        )
    return Finding("error", f"QoS of {full_name(publisher)} on {wanted.topic} is not compatible: {reason}", advice)


def full_name(info: Any) -> str:
    """Of the node of a ``TopicEndpointInfo``."""
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"


def _not_published(node: Node, wanted: Input) -> Finding:
    is_image = wanted.type in (IMAGE, COMPRESSED)
    base, transport = _split(wanted.topic) if wanted.type == COMPRESSED else (wanted.topic, "raw")
    found: dict[str, list[str]] = {}  # transports, by topic
    for name, types in node.get_topic_names_and_types():
        other, kind = _split(name) if is_image else (name, "raw")
        fits = (IMAGE in types or kind != "raw") if is_image else wanted.type in types
        if fits and node.count_publishers(name) and not name.endswith(_OWN):
            found.setdefault(other, []).append(kind)
    nobody = f"nobody publishes {wanted.topic}"
    if base in found:
        kind = next((kind for kind in ("raw", *_TRANSPORTS) if kind in found[base]), transport)
        return Finding("error", f"{nobody}, but {_joined(base, kind)} exists", f"set {_transport(kind)}")
    if not found:
        advice = "start the driver" if is_image else "start its publisher"
        return Finding("error", f"{nobody}, nor any other {wanted.type}", advice)
    alike = sorted(found, key=lambda name: -_similarity(name, base))
    best, kinds = alike[0], found[alike[0]]
    listed = ", ".join(_joined(name, found[name][0]) for name in alike[:_LISTED])
    advice = f"set {wanted.setting}{best}"
    if transport not in kinds:
        advice += f" and {_transport(kinds[0])}"
    elif best.endswith(base):
        advice = f"set namespace:={best.removesuffix(base).strip('/')}, or {wanted.setting}{best}"
    what = "similar" if _similarity(best, base) >= _ALIKE else "of its type"
    return Finding("error", f"{nobody}; {what}: {listed}", advice)


def _split(topic: str) -> tuple[str, str]:
    """Base topic and transport of an image topic."""
    base, _, last = topic.rpartition("/")
    return (base, last) if base and last in _TRANSPORTS else (topic, "raw")


def _joined(base: str, transport: str) -> str:
    return base if transport == "raw" else f"{base}/{transport}"


def _transport(kind: str) -> str:
    """What makes the node use a transport."""
    return {"raw": "compressed:=false", "compressed": "compressed:=true"}.get(kind, f"image_transport:={kind}")


def _similarity(name: str, wanted: str) -> float:
    """0 to 1; 1 if they differ by a namespace."""
    if name.endswith(wanted) or wanted.endswith(name):
        return 1.0
    return SequenceMatcher(None, name, wanted).ratio()
