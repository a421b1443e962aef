"""Choose the topics of a bag: the only one of its kind, or the one that the user names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.bags.messages import Topic

Kind = Literal["odometry", "pose", "tf", "navsat"]

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
KINDS: dict[str, Kind] = {
    "nav_msgs/msg/Odometry": "odometry",
    "geometry_msgs/msg/PoseWithCovarianceStamped": "pose",
    "geometry_msgs/msg/PoseStamped": "pose",
    "tf2_msgs/msg/TFMessage": "tf",
    "tf/msg/tfMessage": "tf",
    "sensor_msgs/msg/NavSatFix": "navsat",
}
_IMAGES = {RAW, COMPRESSED}
_DEPTH_WORDS = ("depth", "disparity")
GOAL_TOPICS = ("goal", "goal_pose", "initialpose")  # poses that a user requested, not poses of the robot


@dataclass(frozen=True)
class PoseChoice:
    """Where poses come from. ``topic`` is None for TF; ``fallback`` is then used if TF was not requested and does not reach the camera."""

    kind: Kind
    topic: Topic | None = None
    fallback: Topic | None = None


def camera_of(topic: Topic) -> str:
    """The camera's base topic without the transport: ``/camera/image_raw`` for ``/camera/image_raw/compressed``."""
    if topic.type == COMPRESSED:
        for transport in ("/compressed", "/compressedDepth"):
            if topic.name.endswith(transport):
                return topic.name[: -len(transport)]
    return topic.name


def choose_images(topics: Mapping[str, Topic], requested: str | None, path: str) -> Topic:
    """The requested image topic, else that of the only camera. A topic that exists raw and compressed is read raw.

    Raises:
        VprError: the requested topic is missing, of another type or empty; or there is no camera, or several.
    """
    images = [topic for topic in topics.values() if topic.type in _IMAGES]
    if requested is not None:
        topic = _find(topics, requested, images, "--image-topic", path)
        if topic.type not in _IMAGES:
            raise VprError(
                f"{path}: --image-topic {topic} holds no images; expected sensor_msgs/Image or "
                f"sensor_msgs/CompressedImage, found {_list(images)}"
            )
        return _check_filled(topic, images, "image topic", path)
    filled = [topic for topic in images if topic.count]
    if not filled:
        raise VprError(f"{path}: no images; {_list(images) if images else 'it holds ' + _list(topics.values())}")
    cameras: dict[str, Topic] = {}
    for topic in sorted(filled, key=lambda topic: (topic.type != RAW, topic.name)):
        cameras.setdefault(camera_of(topic), topic)
    color = [topic for topic in cameras.values() if not any(word in topic.name.lower() for word in _DEPTH_WORDS)]
    if not color:
        raise VprError(f"{path}: only depth or disparity images, found {_list(filled)}; choose with --image-topic")
    if len(color) > 1:
        raise VprError(f"{path}: {len(color)} cameras, choose with --image-topic: {_list(color)}")
    return color[0]


def choose_poses(topics: Mapping[str, Topic], requested: str | None, path: str) -> PoseChoice | None:
    """The requested pose source (``tf`` and ``none`` are allowed too), else the first kind of odometry, pose, TF, satellites that the bag
    holds; None for no poses.

    Raises:
        VprError: the requested topic is missing, of another type or empty; or the first kind has several topics.
    """
    if requested == "none":
        return None
    poses = [topic for topic in topics.values() if topic.type in KINDS]
    if requested is not None:
        return _requested_poses(topics, requested, poses, path)
    filled = [topic for topic in poses if topic.count and topic.name.rpartition("/")[2] not in GOAL_TOPICS]
    navsat = [topic for topic in filled if KINDS[topic.type] == "navsat"]
    kinds: tuple[Kind, ...] = ("odometry", "pose", "tf", "navsat")
    for kind in kinds:
        candidates = [topic for topic in filled if KINDS[topic.type] == kind]
        if kind == "tf":
            if any(not is_static(topic) for topic in candidates):
                return PoseChoice("tf", None, navsat[0] if len(navsat) == 1 else None)
        elif len(candidates) > 1:
            raise VprError(f"{path}: {len(candidates)} pose topics, choose with --pose-topic: {_list(candidates)}")
        elif candidates:
            return PoseChoice(kind, candidates[0])
    return None


def tf_topics(topics: Mapping[str, Topic]) -> list[Topic]:
    return [topic for topic in topics.values() if KINDS.get(topic.type) == "tf"]


def is_static(topic: Topic) -> bool:
    """Whether it is ``/tf_static``."""
    return topic.name.rpartition("/")[2] == "tf_static"


def camera_info(topics: Mapping[str, Topic], images: Topic) -> Topic | None:
    """The sensor_msgs/CameraInfo topic beside an image topic, else the only one in the bag; None if neither exists."""
    filled = [topic for topic in topics.values() if topic.type == CAMERA_INFO and topic.count]
    beside = camera_of(images).rpartition("/")[0] + "/camera_info"
    for topic in filled:
        if topic.name == beside:
            return topic
    return filled[0] if len(filled) == 1 else None


def _requested_poses(topics: Mapping[str, Topic], requested: str, poses: list[Topic], path: str) -> PoseChoice:
    if requested == "tf" or (requested in topics and KINDS.get(topics[requested].type) == "tf"):
        if not any(topic.count for topic in tf_topics(topics)):
            raise VprError(f"{path}: --pose-topic tf: no transforms; it holds {_list(topics.values())}")
        return PoseChoice("tf")
    topic = _find(topics, requested, poses, "--pose-topic", path)
    if topic.type not in KINDS:
        raise VprError(f"{path}: --pose-topic {topic} holds no poses; expected one of {_list(poses)}")
    return PoseChoice(KINDS[topic.type], _check_filled(topic, poses, "pose topic", path))


def _find(topics: Mapping[str, Topic], name: str, candidates: list[Topic], option: str, path: str) -> Topic:
    for spelling in (name, f"/{name}"):
        if spelling in topics:
            return topics[spelling]
    raise VprError(f"{path}: {option} {name}: no such topic; expected one of {_list(candidates) or '(none)'}")


def _check_filled(topic: Topic, candidates: list[Topic], what: str, path: str) -> Topic:
    if not topic.count:
        filled = _list(topic for topic in candidates if topic.count)
        raise VprError(f"{path}: {what} {topic} is empty; with messages: {filled or 'none'}")
    return topic


def _list(topics: Iterable[Topic]) -> str:
    return ", ".join(map(str, sorted(topics, key=lambda topic: topic.name)))
