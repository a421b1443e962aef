"""The pose of the camera over time, from a pose topic or from TF. Read in one pass, before any image."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import eq
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions, SkipCounts
from vpr_aesvc.recordings.bags.camera import Extrinsics, camera_extrinsics, find_base_frame
from vpr_aesvc.recordings.bags.images import FirstImage
from vpr_aesvc.recordings.bags.messages import BagFile, Topic, nanoseconds, read_message
from vpr_aesvc.recordings.bags.navsat import NavSatSamples
from vpr_aesvc.recordings.bags.tf_tree import TfTree, TransformChain
from vpr_aesvc.recordings.bags.topics import KINDS, Frames, PoseChoice, frames_of, in_frames, is_static, tf_topics
from vpr_aesvc.recordings.pose_checks import odd_motion
from vpr_aesvc.recordings.pose_history import PoseHistory, PoseSamples
from vpr_aesvc.transforms import compose, normalized_pose
from vpr_aesvc.types import Pose

Samples = TypeVar("Samples", PoseSamples, NavSatSamples)
FIXED_FRAMES = ("map", "world", "odom")


@dataclass
class CameraPoses:
    """Attributes:
    base: the robot's base frame in the fixed frame over time; None without poses.
    extrinsics: the camera in the base frame.
    source: the pose topic, ``TF``, or empty.
    notes: what was found, one sentence each.
    skip_counts: poses that cannot be used.
    """

    base: PoseHistory | TransformChain | None = None
    extrinsics: Extrinsics | None = None
    source: str = ""
    notes: list[str] = field(default_factory=list)
    skip_counts: SkipCounts = field(default_factory=SkipCounts)
    unstamped: int = 0

    def at(self, stamp: float, received: float) -> Pose | None:
        """The pose of the camera (x forward, y left, z up) at a stamp in seconds; None if it is not known."""
        if self.base is None or self.extrinsics is None:
            return None
        try:
            base, camera = self.base.at(stamp, received), self.extrinsics.at(stamp, received)
            return None if base is None or camera is None else compose(base, camera)
        except ValueError:  # the transforms add up to a position that no robot can have
            return None

    def set_history(self, history: PoseHistory, gap: float) -> None:
        """Takes the poses of the base, and notes what is odd about their stamps."""
        self.base = history
        if self.unstamped:
            self.notes.append(f"poses with a stamp of zero: {self.unstamped}; the time of reception is used")
        if history.jumps:
            self.notes.append(f"poses whose stamp jumps back: {history.jumps}; poses before and after are not mixed")
        steps = np.diff(history.stamps)
        period = float(np.median(steps)) if len(steps) else 0.0
        if period > gap:
            self.notes.append(
                f"poses come every {period:.2g} s, further apart than --pose-gap {gap:g}: images between them get no pose"
            )


class PoseReader:
    """Reads the poses of a bag.

    Args:
        first: the first image. Its frame is the camera's frame.
    """

    def __init__(self, bag: BagFile, first: FirstImage, options: InputOptions, path: str) -> None:
        self._bag, self._options, self._path = bag, options, path
        self._camera, self._time = first.frame, first.time

    def read(self, choice: PoseChoice | None) -> CameraPoses:
        """
        Raises:
            VprError: TF was requested and does not lead from a fixed frame to the camera, or transforms add up to an absurd position.
            Damaged: the bag is damaged.
        """
        if choice is None:
            return CameraPoses(notes=["no poses: images get none"])
        try:
            if choice.topic is None:
                poses = self._from_tf(choice.fallback)
            else:
                poses = self._from_navsat(choice.topic) if choice.kind == "navsat" else self._from_topic(choice.topic)
        except ValueError as error:
            raise VprError(
                f"{self._path}: where the camera is: {error}; --pose-topic none leaves the poses out"
            ) from error
        if choice.left_out:
            names = ", ".join(topic.name for topic in choice.left_out)
            poses.notes.append(
                f"not taken for the robot's pose, by the name: {names}; choose another with --pose-topic"
            )
        if choice.unsure and poses.source == "TF":
            names = ", ".join(topic.name for topic in choice.unsure)
            poses.notes.append(f"TF goes before {names}, which may be of something else; choose with --pose-topic")
        return poses

    def _from_topic(self, topic: Topic) -> CameraPoses:
        poses, found = CameraPoses(source=topic.name), defaultdict[Frames, PoseSamples](PoseSamples)
        for stamp, received, message in self._messages(topic, poses):
            try:
                pose = pose_of_message(message)
            except ValueError:
                example = f"{topic.name} at {stamp / 1e9:.3f}"
                poses.skip_counts.add("poses with NaN or without a unit quaternion", example)
                continue
            found[frames_of(message)].add(stamp / 1e9, received / 1e9, pose)
        if not found:
            poses.notes.append(f"poses: {topic}: none can be used")
            return poses
        samples, (fixed, child) = self._of_one_frame(found, topic, poses)
        named = child or self._options.base_frame
        tree = self._tree_to_camera(named or "")
        base = find_base_frame(tree, self._camera, named)
        if not named and base == self._camera:
            base = ""  # the topic does not name a frame: assume the robot's base, not the camera
        history = PoseHistory(samples.table(), self._options.pose_gap)
        frames = f"of {base or 'the base'} in {fixed or 'an unnamed frame'}"
        poses.extrinsics, note = camera_extrinsics(tree, base, self._camera, self._time)
        poses.notes[:0] = [f"poses: {topic}, {frames}{_rate(history)}", note]
        poses.set_history(history, self._options.pose_gap)
        poses.notes += odd_motion(samples.table()[:, 0], samples.table()[:, 2:], f"poses of {topic.name}")
        return poses

    def _of_one_frame(
        self, found: Mapping[Frames, Samples], topic: Topic, poses: CameraPoses
    ) -> tuple[Samples, Frames]:
        """The poses of one frame, where two publishers share a topic, and their frames: those that the user named, else of most messages, else
        of the first. The others are counted."""
        named = self._options.map_frame, self._options.base_frame
        kept = max(found, key=lambda of: (sum(map(eq, of, named)), len(found[of])))
        for frames, samples in found.items():
            if frames != kept:
                example = f"{in_frames(frames)}, not {in_frames(kept)}"
                poses.skip_counts.add(f"poses of another frame on {topic.name}", example, len(samples))
        if len(found) > 1:
            used = f"those {in_frames(kept)} are used; --map-frame or --base-frame chooses others"
            poses.notes.append(f"{topic.name} has poses of {len(found)} frames: {used}")
        return found[kept], kept

    def _from_navsat(self, topic: Topic) -> CameraPoses:
        poses, found = CameraPoses(source=topic.name), defaultdict[Frames, NavSatSamples](NavSatSamples)
        reason = f"messages of {topic.name} without a position"
        for stamp, received, message in self._messages(topic, poses):
            try:
                found[frames_of(message)].add(stamp / 1e9, received / 1e9, message)
            except ValueError as error:
                poses.skip_counts.add(reason, str(error))
        for one in found.values():
            if unset := one.drop_unset():
                poses.skip_counts.add(reason, "latitude 0, longitude 0", unset)
        positions = {frames: one for frames, one in found.items() if len(one)}
        if not positions:
            poses.notes.append(f"poses: {topic}: none holds a position")
            return poses
        samples, (antenna, _) = self._of_one_frame(positions, topic, poses)
        tree = self._tree_to_camera(antenna)
        base = find_base_frame(tree, self._camera, self._options.base_frame)
        poses.extrinsics, note = camera_extrinsics(tree, base, self._camera, self._time)
        table, moved = samples.table()
        lever_arm = tree.lookup(base, antenna) if antenna else None
        if lever_arm is not None and lever_arm.static_pose is not None:
            _move_to_base(table, lever_arm.static_pose)
        period = float(np.median(np.diff(np.sort(table[:, 0])))) if len(table) > 1 else 0.0
        gap = max(self._options.pose_gap, 1.5 * period)  # fixes are slow, and vehicles move evenly between two
        history = PoseHistory(table, gap)
        latitude, longitude = samples.origin()
        origin = f"x east and y north of the first fix, {latitude:.7f}, {longitude:.7f}"
        poses.notes.append(f"poses: {topic}, {origin}{_rate(history)}; the heading is the direction of travel")
        if gap > self._options.pose_gap:
            poses.notes.append(
                f"fixes come every {period:.2g} s: an image between two at most {gap:.2g} s apart gets a pose"
            )
        if not moved:
            poses.notes.append("the receiver never moved a meter: the heading is not known, east is assumed")
        poses.notes.append(note)
        poses.set_history(history, gap)
        poses.notes += odd_motion(table[:, 0], table[:, 2:5], f"poses of {topic.name}")
        return poses

    def _from_tf(self, fallback: Topic | None) -> CameraPoses:
        options = self._options
        wanted = [self._camera or "base_link", options.base_frame, options.map_frame]
        tree = self._read_tree([name for name in wanted if name])
        base = find_base_frame(tree, self._camera, options.base_frame)
        usual = (name for name in FIXED_FRAMES if tree.lookup(name, base) is not None)
        fixed = options.map_frame or next(usual, tree.root(base))
        chain = tree.lookup(fixed, base)
        if chain is not None and (chain.static_pose is None or options.map_frame):
            poses = CameraPoses(chain, source="TF", skip_counts=tree.skip_counts)
            poses.extrinsics, note = camera_extrinsics(tree, base, self._camera, self._time)
            poses.notes = [f"poses: TF, {' > '.join(chain.frames)}", note]
            poses.notes += tree.notes(*(one for one in (chain, poses.extrinsics.chain) if one is not None))
            return poses
        missing = f"no chain of transforms from {fixed if fixed != base else 'a fixed frame'} to {base or 'the camera'}"
        missing += f"; frames: {', '.join(sorted(tree.frames)) or 'none'}"
        if options.pose_topic is not None:
            raise VprError(f"{self._path}: --pose-topic tf: {missing}; name others with --map-frame and --base-frame")
        if fallback is None:
            return CameraPoses(notes=[f"no poses: TF is not used: {missing}"])
        poses = self._from_navsat(fallback) if KINDS[fallback.type] == "navsat" else self._from_topic(fallback)
        poses.notes.insert(0, f"TF is not used: {missing}")
        return poses

    def _messages(self, topic: Topic, poses: CameraPoses) -> Iterator[tuple[int, int, Any]]:
        """Stamp and time of reception in nanoseconds, and the message; a stamp of zero is replaced by the time of reception."""
        for _, received, raw in self._bag.messages([topic.name]):
            try:
                message = read_message(raw, topic.type, topic.ros1)
            except VprError as error:
                poses.skip_counts.add(f"messages of {topic.name} that cannot be read", str(error))
                continue
            stamp = nanoseconds(message.header.stamp)
            poses.unstamped += not stamp
            yield stamp or received, received, message

    def _tree_to_camera(self, frame: str) -> TfTree:
        """The static transforms; the moving ones too if the camera cannot be reached from ``frame`` without them."""
        wanted = [name for name in (frame, self._camera) if name]
        tree = self._read_tree(wanted, static_only=True)
        if len(wanted) == 2 and frame != self._camera and tree.lookup(frame, self._camera) is None:
            all_transforms = self._read_tree(wanted)
            if all_transforms.lookup(frame, self._camera) is not None:
                return all_transforms
        return tree

    def _read_tree(self, wanted: list[str], static_only: bool = False) -> TfTree:
        tree = TfTree(self._options.pose_gap, wanted)
        topics = [
            topic for topic in tf_topics(self._bag.topics) if topic.count and (is_static(topic) or not static_only)
        ]
        for topic, received, raw in self._bag.messages([topic.name for topic in topics]) if topics else ():
            try:
                tree.add(read_message(raw, topic.type, topic.ros1), received, is_static(topic))
            except VprError as error:
                tree.skip_counts.add(f"messages of {topic.name} that cannot be read", str(error))
        return tree


def pose_of_message(message: Any) -> Pose:
    """The pose in a nav_msgs/Odometry, geometry_msgs/PoseStamped or PoseWithCovarianceStamped.

    Raises:
        ValueError: it holds NaN or no unit quaternion.
    """
    pose = message.pose if hasattr(message.pose, "position") else message.pose.pose
    p, q = pose.position, pose.orientation
    return normalized_pose(p.x, p.y, p.z, q.x, q.y, q.z, q.w)


def _move_to_base(table: NDArray[np.float64], antenna: Pose) -> None:
    """Replaces the poses of the antenna by those of the base; ``antenna`` is its pose in the base frame."""
    back = Pose(-antenna.x, -antenna.y, -antenna.z)
    for row in table:
        row[2:] = compose(Pose(*row[2:].tolist()), back).as_tuple()


def _rate(history: PoseHistory) -> str:
    steps = np.diff(history.stamps)
    steps = steps[steps > 0]
    return f", at {1 / np.median(steps):.1f} Hz" if len(steps) else ""
