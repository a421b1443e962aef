"""Where the robot's odometry has each camera, at the stamp of an image: from a topic or from TF."""

from __future__ import annotations

import time
from typing import Any

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from tf2_ros import Buffer, TransformException, TransformListener

from vpr_aesvc.onboard.pose_buffer import PoseBuffer
from vpr_aesvc.ros.convert import pose_of, seconds
from vpr_aesvc.ros.diagnostics import Health
from vpr_aesvc.ros.settings import NodeSettings
from vpr_aesvc.transforms import IDENTITY, as_body, compose, is_optical, normalized_pose
from vpr_aesvc.types import Pose

_QUEUE = 50  # poses come fast and are small
_PLACE_WAIT = 0.05
_FIRST_LOOK = 1.0  # seconds that the first frame of a camera waits for TF to say where it is
_BACK = 1.0  # seconds that stamps must go back for TF to begin anew
_LOOK_AGAIN = 1.0  # seconds between later looks


class Motion:
    """Subscribes to the pose source; made when the node is activated, closed when it is deactivated.

    Attributes:
        mounts: by frame of an image, the camera (x where it looks) in the robot's base. A camera that TF does not know is taken to be at the base.
    """

    def __init__(self, node: LifecycleNode, settings: NodeSettings, health: Health, group: Any) -> None:
        self.mounts: dict[str, Pose] = {}
        self._node = node
        self._settings = settings
        self._health = health
        self._poses = PoseBuffer(settings.pose_gap)
        self._looked: dict[str, float] = {}
        self._tf = Buffer()
        self._asked = 0.0  # the stamp that TF was last asked for
        self._listener = TransformListener(self._tf, node)
        self._subscription = None
        qos = QoSProfile(depth=_QUEUE, reliability=ReliabilityPolicy.BEST_EFFORT)  # hears both kinds of publishers
        kinds = {"odom": (Odometry, self._odometry), "pose": (PoseStamped, self._stamped)}
        if settings.pose_source in kinds:
            kind, heard = kinds[settings.pose_source]
            self._subscription = node.create_subscription(kind, settings.pose_source, heard, qos, callback_group=group)

    def close(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._listener.unregister()

    def forget(self) -> None:
        """The clock jumped: what came before says nothing of now."""
        self._poses.clear()
        self._tf.clear()  # of what moves; tf2 would refuse all that is older than what it has

    def camera_pose(self, frame_id: str, stamp: float) -> Pose | None:
        """Of the camera in the frame of the odometry, at an image's stamp; None where it is not known. May be called in any thread."""
        patience = self._settings.pose_wait
        if self._settings.mode != "localization":  # a place keeps its pose for years: better late than wrong
            patience = max(patience, _PLACE_WAIT)
        if self._settings.pose_source == "tf":
            base = self._from_tf(stamp, patience)
        elif self._settings.pose_source == "none":
            return None
        else:
            base = self._poses.at(stamp, patience)
        return None if base is None else compose(base, self.mount(frame_id))

    def mount(self, frame_id: str) -> Pose:
        """The camera in the robot's base; looked for again, now and then, while TF does not know it."""
        if frame_id in self.mounts:
            return self.mounts[frame_id]
        now = time.monotonic()
        first = frame_id not in self._looked
        if frame_id and (first or now - self._looked[frame_id] > _LOOK_AGAIN):
            self._looked[frame_id] = now
            patience = _FIRST_LOOK if first else 0.0
            found = self._look_up(self._settings.base_frame, frame_id, Time(), patience)
            if found is not None:
                self.mounts[frame_id] = as_body(found, is_optical(frame_id, found))
                return self.mounts[frame_id]
            if first:
                self._node.get_logger().warning(
                    f"TF does not say where frame {frame_id!r} is on {self._settings.base_frame!r}: the camera is taken to be there, "
                    "looking forward; publish a static transform"
                )
        return IDENTITY

    def _odometry(self, message: Odometry) -> None:
        self._take(message.header, message.pose.pose)

    def _stamped(self, message: PoseStamped) -> None:
        self._take(message.header, message.pose)

    def _take(self, header: Any, pose: Any) -> None:
        try:
            place, stamp = pose_of(pose), seconds(header.stamp)
            if stamp <= 0:
                raise ValueError("its stamp is zero: it cannot be told which image it belongs to")
            self._poses.add(stamp, place)
        except ValueError as error:
            self._health.refuse("pose", str(error))
            self._node.get_logger().warning(f"a pose is left out: {error}", throttle_duration_sec=10.0)

    def _from_tf(self, stamp: float, patience: float) -> Pose | None:
        at = Time(nanoseconds=round(1e9 * stamp))
        if stamp < self._asked - _BACK:  # a bag that began again without a clock of its own
            self._tf.clear()
        self._asked = stamp
        fixed, base = self._settings.odom_frame, self._settings.base_frame
        found = self._look_up(fixed, base, at, patience)
        if found is not None:
            return found
        # No transform has come after the stamp yet: the newest, if it is not too old, as for poses from a topic.
        try:
            newest = self._tf.lookup_transform(fixed, base, Time())
        except TransformException:
            return None
        age = stamp - seconds(newest.header.stamp)
        return self._look_up(fixed, base, Time()) if abs(age) <= self._settings.pose_gap else None

    def _look_up(self, outer: str, inner: str, at: Time, patience: float = 0.0) -> Pose | None:
        try:
            transform = self._tf.lookup_transform(outer, inner, at, Duration(seconds=patience)).transform
            move, turn = transform.translation, transform.rotation
            return normalized_pose(move.x, move.y, move.z, turn.x, turn.y, turn.z, turn.w)
        except (TransformException, ValueError):
            return None
