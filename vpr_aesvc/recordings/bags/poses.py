"""Where the camera was, by the pose topic or the transforms of a bag. One pass over these, before any image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.recordings.bags.camera import Mount, guess_base, mount
from vpr_aesvc.recordings.bags.messages import BagFile, Topic, nanoseconds, read_message
from vpr_aesvc.recordings.bags.navsat import NavSatSamples
from vpr_aesvc.recordings.bags.pose_history import PoseHistory, PoseSamples
from vpr_aesvc.recordings.bags.tf_tree import Chain, TfTree
from vpr_aesvc.recordings.bags.topics import PoseChoice, is_static, tf_topics
from vpr_aesvc.recordings.recording import RecordingOptions, SkipCounts
from vpr_aesvc.transforms import compose, unit
from vpr_aesvc.types import Pose

FIXED = ("map", "world", "odom")


@dataclass
class CameraPoses:
    """Attributes:
    base: the robot's frame in the fixed one, over time; None where there are no poses.
    source: in words, such as ``/odom``.
    notes: in words, what was found.
    skip_counts: poses that could not be used.
    """

    base: PoseHistory | Chain | None = None
    mount: Mount | None = None
    source: str = ""
    notes: list[str] = field(default_factory=list)
    skip_counts: SkipCounts = field(default_factory=SkipCounts)

    def at(self, stamp: float, received: float) -> Pose | None:
        """Of the camera, with a body's axes, at a stamp in seconds; None where it is not known."""
        if self.base is None or self.mount is None:
            return None
        base, camera = self.base.at(stamp, received), self.mount.at(stamp, received)
        return None if base is None or camera is None else compose(base, camera)


def read_poses(
    bag: BagFile,
    choice: PoseChoice | None,
    camera: str,
    when: tuple[float, float],
    options: RecordingOptions,
    where: str,
) -> CameraPoses:
    """Reads all of the poses.

    Args:
        camera: the frame that the images name.
        when: stamp and time of reception of the first image, seconds.

    Raises:
        VprError: transforms were asked for and do not lead from a fixed frame to the camera.
        Damaged: by the bag.
    """
    if choice is None:
        return CameraPoses(notes=["no poses: the images have none"])
    if choice.kind == "tf":
        return _from_tf(bag, choice, camera, when, options, where)
    assert choice.topic is not None
    if choice.kind == "navsat":
        return _from_navsat(bag, choice.topic, camera, when, options)
    return _from_topic(bag, choice.topic, camera, when, options)


def read_pose(message: Any) -> Pose:
    """Of a nav_msgs/Odometry, geometry_msgs/PoseStamped or PoseWithCovarianceStamped.

    Raises:
        ValueError: it holds NaN or no unit quaternion.
    """
    pose = message.pose if hasattr(message.pose, "position") else message.pose.pose
    p, q = pose.position, pose.orientation
    return unit(p.x, p.y, p.z, q.x, q.y, q.z, q.w)


def _from_topic(
    bag: BagFile, topic: Topic, camera: str, when: tuple[float, float], options: RecordingOptions
) -> CameraPoses:
    found = CameraPoses(source=topic.name)
    samples = PoseSamples()
    fixed, said, unstamped = "", "", 0
    for _, received, raw in bag.messages([topic.name]):
        try:
            message = read_message(raw, topic.type, topic.ros1)
        except VprError as error:
            found.skip_counts.add(f"messages of {topic.name} that cannot be read", str(error))
            continue
        stamp = nanoseconds(message.header.stamp)
        unstamped += not stamp
        stamp = stamp or received
        try:
            samples.add(stamp / 1e9, received / 1e9, read_pose(message))
        except ValueError:
            found.skip_counts.add("poses that hold NaN or no unit quaternion", f"{topic.name} at {stamp / 1e9:.3f}")
            continue
        if not fixed:
            fixed = message.header.frame_id.lstrip("/")
            said = getattr(message, "child_frame_id", "").lstrip("/")
    if not len(samples):
        found.notes.append(f"poses: {topic}: none of them can be used")
        return found
    history = PoseHistory(samples.table(), options.pose_gap)
    tree = _mounting(bag, options, [said or options.base_frame or "", camera])
    base = guess_base(tree, camera, said or options.base_frame)
    if not said and not options.base_frame and base == camera:
        base = ""  # nothing says whose poses these are: the robot's, more likely than the camera's
    found.mount, words = mount(tree, base, camera, when)
    found.base = history if len(history) else None
    found.notes.append(
        f"poses: {topic}, of {base or 'the base'} in {fixed or 'a frame without a name'}{_rate(history)}"
    )
    found.notes.append(words)
    _warn(found, history, unstamped, options.pose_gap)
    return found


def _from_navsat(
    bag: BagFile, topic: Topic, camera: str, when: tuple[float, float], options: RecordingOptions
) -> CameraPoses:
    found = CameraPoses(source=topic.name)
    samples = NavSatSamples()
    antenna, unstamped = "", 0
    for _, received, raw in bag.messages([topic.name]):
        try:
            message = read_message(raw, topic.type, topic.ros1)
            stamp = nanoseconds(message.header.stamp)
            unstamped += not stamp
            samples.add((stamp or received) / 1e9, received / 1e9, message)
            antenna = antenna or message.header.frame_id.lstrip("/")
        except VprError as error:
            found.skip_counts.add(f"messages of {topic.name} that cannot be read", str(error))
        except ValueError as error:
            found.skip_counts.add(f"messages of {topic.name} without a position", str(error))
    if not len(samples):
        found.notes.append(f"poses: {topic}: none of them holds a position")
        return found
    tree = _mounting(bag, options, [antenna, camera])
    base = guess_base(tree, camera, options.base_frame)
    found.mount, words = mount(tree, base, camera, when)
    table, moved = samples.table()
    arm = tree.chain(base, antenna) if antenna else None
    lever = arm.constant if arm is not None else None
    if lever is not None:  # from where the antenna is to where the base is
        back = Pose(-lever.x, -lever.y, -lever.z)
        for row in table:
            row[2:] = compose(Pose(*row[2:].tolist()), back).as_tuple()
    usual = float(np.median(np.diff(np.sort(table[:, 0])))) if len(table) > 1 else 0.0
    gap = max(options.pose_gap, 1.5 * usual)  # receivers are slow, vehicles steady: between two fixes a line is right
    history = PoseHistory(table, gap)
    found.base = history
    latitude, longitude = samples.first()
    origin = f"x east and y north of the first fix, {latitude:.7f}, {longitude:.7f}"
    found.notes.append(f"poses: {topic}, {origin}{_rate(history)}; the heading is the direction of travel")
    if gap > options.pose_gap:
        found.notes.append(f"fixes come every {usual:.2g} s: images up to {gap:.2g} s between two get a pose")
    if not moved:
        found.notes.append("the receiver never moved a meter: the heading is not known, taken as east")
    found.notes.append(words)
    _warn(found, history, unstamped, gap)
    return found


def _from_tf(
    bag: BagFile, choice: PoseChoice, camera: str, when: tuple[float, float], options: RecordingOptions, where: str
) -> CameraPoses:
    wanted = [*filter(None, (camera, options.base_frame, options.map_frame)), *((), ("base_link",))[not camera]]
    tree = _tree(bag, options.pose_gap, wanted, lambda topic: True)
    base = guess_base(tree, camera, options.base_frame)
    root = tree.root(base)
    fixed = options.map_frame or next((name for name in FIXED if tree.chain(name, base) is not None), root)
    chain = tree.chain(fixed, base)
    if chain is None or (chain.constant is not None and not options.map_frame):
        why = f"no chain of transforms from {fixed if fixed != base else 'a fixed frame'} to {base or 'the camera'}"
        words = f"{why}; frames: {', '.join(sorted(tree.frames)) or 'none'}"
        if options.pose_topic is not None:
            raise VprError(f"{where}: --pose-topic tf: {words}; name others with --map-frame and --base-frame")
        if choice.otherwise is not None:
            found = _from_navsat(bag, choice.otherwise, camera, when, options)
            found.notes.insert(0, f"TF not used: {words}")
            return found
        return CameraPoses(notes=[f"no poses: TF not used: {words}"])
    found = CameraPoses(chain, source="TF", skip_counts=tree.skip_counts)
    found.mount, words = mount(tree, base, camera, when)
    found.notes = [f"poses: TF, {' > '.join(chain.frames)}", words]
    return found


def _mounting(bag: BagFile, options: RecordingOptions, wanted: list[str]) -> TfTree:
    """The static transforms; the moving ones too where the camera does not hang on the base without them."""
    names = [name for name in wanted if name]
    tree = _tree(bag, options.pose_gap, names, is_static)
    if len(names) == 2 and names[0] != names[1] and tree.chain(*names) is None:
        whole = _tree(bag, options.pose_gap, names, lambda topic: True)
        if whole.chain(*names) is not None:
            return whole
    return tree


def _tree(bag: BagFile, gap: float, wanted: list[str], which: Callable[[Topic], bool]) -> TfTree:
    tree = TfTree(gap, wanted)
    names = [topic.name for topic in tf_topics(bag.topics) if topic.count and which(topic)]
    if not names:
        return tree
    for topic, received, raw in bag.messages(names):
        try:
            tree.add(read_message(raw, topic.type, topic.ros1), received, is_static(topic))
        except VprError as error:
            tree.skip_counts.add(f"messages of {topic.name} that cannot be read", str(error))
    return tree


def _rate(history: PoseHistory) -> str:
    steps = np.diff(history.stamps)
    steps = steps[steps > 0]
    return f", at {1 / np.median(steps):.1f} Hz" if len(steps) else ""


def _warn(found: CameraPoses, history: PoseHistory, unstamped: int, gap: float) -> None:
    if unstamped:
        found.notes.append(f"poses with a stamp of zero: {unstamped}; the time of reception was used")
    if history.jumps:
        found.notes.append(f"jumps of the poses' clock backward: {history.jumps}; each stretch is taken for itself")
    steps = np.diff(history.stamps)
    usual = float(np.median(steps)) if len(steps) else 0.0
    if usual > gap:
        found.notes.append(
            f"poses come every {usual:.2g} s, further apart than --pose-gap {gap:g}: images between them get no pose"
        )
