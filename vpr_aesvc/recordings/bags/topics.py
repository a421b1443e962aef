"""Which topics of a bag are meant: guessed where there is one of a kind, asked for where not."""

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
_NO_PICTURES = ("depth", "disparity")
GOAL_TOPICS = ("goal", "goal_pose", "initialpose")  # poses that somebody asked for, not where the robot was


@dataclass(frozen=True)
class PoseChoice:
    """Where poses come from. ``topic`` is None for TF. ``otherwise`` is for TF that turns out not to reach the camera, where nobody asked for it."""

    kind: Kind
    topic: Topic | None = None
    otherwise: Topic | None = None


def camera_of(topic: Topic) -> str:
    """The name of the camera's images whatever their transport: ``/camera/image_raw/compressed`` is ``/camera/image_raw``."""
    if topic.type == COMPRESSED:
        for transport in ("/compressed", "/compressedDepth"):
            if topic.name.endswith(transport):
                return topic.name[: -len(transport)]
    return topic.name


def choose_images(topics: Mapping[str, Topic], asked: str | None, where: str) -> Topic:
    """The image topic that is asked for, else the only camera's. One that exists raw and compressed is taken raw.

    Raises:
        VprError: it is not there, is of another type or holds no message; or there is none, or several.
    """
    there = [topic for topic in topics.values() if topic.type in _IMAGES]
    if asked is not None:
        chosen = _named(topics, asked, there, "--image-topic", where)
        if chosen.type not in _IMAGES:
            raise VprError(
                f"{where}: --image-topic {chosen} holds no images; expected sensor_msgs/Image or "
                f"sensor_msgs/CompressedImage, found {_list(there)}"
            )
        if not chosen.count:
            raise VprError(f"{where}: image topic {chosen} is empty; {_with_messages(there)}")
        return chosen
    some = [topic for topic in there if topic.count]
    if not some:
        raise VprError(f"{where}: no images; {_list(there) if there else 'it holds ' + _list(topics.values())}")
    cameras: dict[str, Topic] = {}
    for topic in sorted(some, key=lambda topic: (topic.type != RAW, topic.name)):
        cameras.setdefault(camera_of(topic), topic)
    pictures = [topic for name, topic in cameras.items() if not _is_no_picture(topic.name)]
    if len(pictures) == 1:
        return pictures[0]
    if not pictures:
        raise VprError(f"{where}: only depth or disparity images, found {_list(some)}; choose with --image-topic")
    raise VprError(f"{where}: {len(pictures)} cameras, choose with --image-topic: {_list(pictures)}")


def choose_poses(topics: Mapping[str, Topic], asked: str | None, where: str) -> PoseChoice | None:
    """The pose source that is asked for (``tf`` and ``none`` are words for it), else the best kind that there is; None for none.

    Raises:
        VprError: it is not there, is of another type or holds no message; or there are several of the best kind.
    """
    there = [topic for topic in topics.values() if topic.type in KINDS]
    if asked == "none":
        return None
    if asked is not None:
        if asked == "tf" or (asked in topics and KINDS.get(topics[asked].type) == "tf"):
            if not any(topic.count for topic in tf_topics(topics)):
                raise VprError(f"{where}: --pose-topic tf: no transforms; it holds {_list(topics.values())}")
            return PoseChoice("tf")
        chosen = _named(topics, asked, there, "--pose-topic", where)
        if chosen.type not in KINDS:
            raise VprError(f"{where}: --pose-topic {chosen} holds no poses; expected one of {_list(there)}")
        if not chosen.count:
            raise VprError(f"{where}: pose topic {chosen} is empty; {_with_messages(there)}")
        return PoseChoice(KINDS[chosen.type], chosen)
    some = [topic for topic in there if topic.count and topic.name.rpartition("/")[2] not in GOAL_TOPICS]
    navsat = [topic for topic in some if KINDS[topic.type] == "navsat"]
    for kind in ("odometry", "pose", "tf", "navsat"):
        found = [topic for topic in some if KINDS[topic.type] == kind]
        if kind == "tf" and any(not is_static(topic) for topic in found):
            return PoseChoice("tf", None, navsat[0] if len(navsat) == 1 else None)
        if kind == "tf" or not found:
            continue
        if len(found) > 1:
            raise VprError(f"{where}: {len(found)} topics of poses, choose with --pose-topic: {_list(found)}")
        return PoseChoice(kind, found[0])  # type: ignore[arg-type]
    return None


def tf_topics(topics: Mapping[str, Topic]) -> list[Topic]:
    return [topic for topic in topics.values() if KINDS.get(topic.type) == "tf"]


def is_static(topic: Topic) -> bool:
    return topic.name.rpartition("/")[2] == "tf_static"


def camera_info(topics: Mapping[str, Topic], images: Topic) -> Topic | None:
    """The sensor_msgs/CameraInfo that belongs to an image topic: beside it, else the only one; None where neither is."""
    there = [topic for topic in topics.values() if topic.type == CAMERA_INFO and topic.count]
    beside = camera_of(images).rpartition("/")[0] + "/camera_info"
    for topic in there:
        if topic.name == beside:
            return topic
    return there[0] if len(there) == 1 else None


def _named(topics: Mapping[str, Topic], asked: str, there: Iterable[Topic], option: str, where: str) -> Topic:
    for name in (asked, f"/{asked}"):
        if name in topics:
            return topics[name]
    raise VprError(f"{where}: {option} {asked}: no such topic; there are {_list(there) or 'none of that kind'}")


def _is_no_picture(name: str) -> bool:
    return any(word in name.lower() for word in _NO_PICTURES)


def _with_messages(there: Iterable[Topic]) -> str:
    return f"with messages: {_list(topic for topic in there if topic.count) or 'none'}"


def _list(topics: Iterable[Topic]) -> str:
    return ", ".join(map(str, sorted(topics, key=lambda topic: topic.name)))
