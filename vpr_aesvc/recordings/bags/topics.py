"""Choose the topics of a bag: the only one of its kind, or the one that the user names."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vpr_aesvc.errors import VprError
from vpr_aesvc.image_header import coded_size
from vpr_aesvc.recordings.bags.messages import BagFile, Damaged, Topic, read_message

Kind = Literal["odometry", "pose", "tf", "navsat"]
Frames = tuple[str, str]
"""The frame of a message's header and, of an odometry, its child frame."""

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
_ANY_POSE = "geometry_msgs/msg/PoseStamped"
_IMAGES = {RAW, COMPRESSED}
_VIDEO = {"FFMPEGPacket", "CompressedVideo", "Packet"}  # of ffmpeg_image_transport, Foxglove and theora_image_transport
_DEPTH_WORDS = ("depth", "disparity")
_NOT_THE_ROBOT = re.compile(
    r"goal|set_?point|way_?point|initial_?pose|marker|aruco|april_?tag"  # in any word of a name; the next only as the start of one
    r"|(?<![a-z])(target|dock|desired|command|cmd|charg(er|ing)|clicked|detect|(object|person|human|obstacle)s?(?![a-z]))"
)

_THE_ROBOT = re.compile(
    r"slam|locali[sz]|odom|amcl|robot_?pose|tracked_pose|ground_?truth|mocap|vrpn|(?<![a-z])vio(?![a-z])"
)


@dataclass(frozen=True)
class PoseChoice:
    """Where poses come from. ``topic`` is None for TF; ``fallback`` is then used if TF was not requested and does not reach the camera.
    ``left_out``: topics of poses that are not the robot's by their names, such as goals. ``unsure``: topics that may be of anything."""

    kind: Kind
    topic: Topic | None = None
    fallback: Topic | None = None
    left_out: tuple[Topic, ...] = ()
    unsure: tuple[Topic, ...] = ()


def camera_of(topic: Topic) -> str:
    """The camera's base topic without the transport: ``/camera/image_raw`` for ``/camera/image_raw/compressed``."""
    if topic.type == COMPRESSED:
        for transport in ("/compressed", "/compressedDepth"):
            if topic.name.endswith(transport):
                return topic.name[: -len(transport)]
    return topic.name


def choose_images(bag: BagFile, requested: str | None, path: str) -> Topic:
    """The requested image topic, else that of the only camera. A topic that exists raw and compressed is read raw.

    Raises:
        VprError: the requested topic is missing, of another type or empty; or there is no camera, or several.
    """
    topics = bag.topics
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
        video = [topic for topic in topics.values() if topic.type.rpartition("/")[2] in _VIDEO]
        if video:
            raise VprError(
                f"{path}: no images but video packets (h264, theora ...), which are not decoded: {_list(video)}; convert them to "
                "sensor_msgs/CompressedImage with `image_transport republish`"
            )
        raise VprError(f"{path}: no images; {_list(images) if images else 'it holds ' + _list(topics.values())}")
    cameras: dict[str, Topic] = {}
    for topic in sorted(filled, key=lambda topic: (topic.type != RAW, topic.name)):
        cameras.setdefault(camera_of(topic), topic)
    color = [topic for topic in cameras.values() if not any(word in topic.name.lower() for word in _DEPTH_WORDS)]
    if not color:
        raise VprError(f"{path}: only depth or disparity images, found {_list(filled)}; choose with --image-topic")
    if len(color) > 1:
        raise VprError(f"{path}: {len(color)} cameras, choose with --image-topic: {_described(bag, color)}")
    return color[0]


def choose_poses(bag: BagFile, requested: str | None, path: str) -> PoseChoice | None:
    """The requested pose source (``tf`` and ``none`` are allowed too), else the first kind of odometry, pose, TF, satellites that the bag
    holds; None for no poses. A topic whose name says that it is a goal, a marker or the like is taken only where it is requested. A
    PoseStamped may be of anything, so TF goes before it, unless its name says that it is a localization's.

    Raises:
        VprError: the requested topic is missing, of another type or empty; the first kind has several topics; or no topic is the robot's.
    """
    if requested == "none":
        return None
    poses = [topic for topic in bag.topics.values() if topic.type in KINDS]
    if requested is not None:
        return _requested_poses(bag.topics, requested, poses, path)
    filled = [topic for topic in poses if topic.count]
    left_out = tuple(topic for topic in filled if KINDS[topic.type] != "tf" and _is_not_the_robot(topic.name))
    kinds: dict[Kind, list[Topic]] = {"odometry": [], "pose": [], "tf": [], "navsat": []}
    for topic in filled:
        if topic not in left_out:
            kinds[KINDS[topic.type]].append(topic)
    has_tf = any(not is_static(topic) for topic in kinds["tf"])
    stamped = (topic for topic in kinds["pose"] if topic.type == _ANY_POSE)
    unsure = [topic for topic in stamped if has_tf and not _THE_ROBOT.search(topic.name.lower())]
    kinds["pose"] = [topic for topic in kinds["pose"] if topic not in unsure]
    for kind, candidates in kinds.items():
        if kind == "tf":
            if has_tf:
                fallbacks = unsure or kinds["navsat"]
                return PoseChoice("tf", None, fallbacks[0] if len(fallbacks) == 1 else None, left_out, tuple(unsure))
        elif len(candidates) > 1:
            raise VprError(
                f"{path}: {len(candidates)} pose topics, choose with --pose-topic: {_described(bag, candidates)}"
            )
        elif candidates:
            return PoseChoice(kind, candidates[0], left_out=left_out)
    if left_out:
        raise VprError(
            f"{path}: by its name, no pose topic is where the robot was: {_described(bag, left_out)}; choose one with --pose-topic, or "
            "build without poses with --pose-topic none"
        )
    return None


def _is_not_the_robot(name: str) -> bool:
    """Whether a word anywhere in a topic's name says where the robot should go, or where something else is."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return _NOT_THE_ROBOT.search(words) is not None


def tf_topics(topics: Mapping[str, Topic]) -> list[Topic]:
    return [topic for topic in topics.values() if KINDS.get(topic.type) == "tf"]


def is_static(topic: Topic) -> bool:
    """Whether it is ``/tf_static``."""
    return topic.name.rpartition("/")[2] == "tf_static"


def aligned_depth(topics: Mapping[str, Topic]) -> Topic | None:
    """The depth images whose name says that they are of the color camera's view, as those of RealSense and of depth_image_proc; None if there are none
    or several."""
    words = ("aligned_depth", "depth_registered")
    found = [
        topic
        for topic in topics.values()
        if topic.type == RAW and topic.count and any(word in topic.name for word in words)
    ]
    return found[0] if len(found) == 1 else None


def camera_info(topics: Mapping[str, Topic], images: Topic) -> Topic | None:
    """The sensor_msgs/CameraInfo topic beside an image topic, else the only one in the bag; None if neither exists."""
    filled = [topic for topic in topics.values() if topic.type == CAMERA_INFO and topic.count]
    beside = camera_of(images).rpartition("/")[0] + "/camera_info"
    for topic in filled:
        if topic.name == beside:
            return topic
    return filled[0] if len(filled) == 1 else None


def frames_of(message: Any) -> Frames:
    """The frames that a message names, without a leading slash; empty where it names none."""
    return message.header.frame_id.lstrip("/"), getattr(message, "child_frame_id", "").lstrip("/")


def in_frames(frames: Frames) -> str:
    """The frames in words: ``of base_link in odom``."""
    frame, child = frames
    return f"{f'of {child} ' if child else ''}in {frame or 'an unnamed frame'}"


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


def described(bag: BagFile, topic: Topic) -> str:
    """A topic with its rate, the format of its images and its frames, for people. Reads one message."""
    seconds = (bag.span[1] - bag.span[0]) / 1e9
    parts = [f"{(topic.count - 1) / seconds:.1f} Hz"] if seconds > 0 and topic.count > 1 else []
    if topic.count and KINDS.get(topic.type) != "tf":
        try:
            _, _, raw = next(bag.messages([topic.name]))
            message = read_message(raw, topic.type, topic.ros1)
            parts += [*_format(message), in_frames(frames_of(message))]
        except (StopIteration, Damaged, VprError):
            parts.append("its first message cannot be read")
    return f"{topic}"[:-1] + "".join(f", {part}" for part in parts) + ")"


def _described(bag: BagFile, topics: Iterable[Topic]) -> str:
    return ", ".join(described(bag, topic) for topic in sorted(topics, key=lambda topic: topic.name))


def _format(message: Any) -> list[str]:
    """Size and encoding of an image."""
    if hasattr(message, "encoding"):
        return [f"{message.width} x {message.height} {message.encoding}"]
    if not hasattr(message, "format"):
        return []
    size = coded_size(message.data)
    return [f"{size[0]} x {size[1]} {message.format}" if size else message.format]
