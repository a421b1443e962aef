"""Camera poses in the odometry frame, at the stamp of an image, from a topic or from TF."""

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

_QUEUE_DEPTH = 50  # poses are frequent and small
# Seconds.
_MAPPING_WAIT = 0.05  # least wait for the pose of a place: a stored pose should be interpolated, not extrapolated
_MOUNT_WAIT = 1.0  # how long the first image of a camera waits for the camera's transform
_MOUNT_RETRY = 1.0  # between later tries
_BACKWARD_JUMP = 1.0  # a larger step back of the image stamps clears the TF buffer


class Motion:
    """Subscribes to the pose source from activation to deactivation. Camera axes: x forward, y left, z up."""

    def __init__(self, node: LifecycleNode, settings: NodeSettings, health: Health, group: Any) -> None:
        self._mounts: dict[str, Pose] = {}  # by frame_id, once TF has given them
        self._node = node
        self._settings = settings
        self._health = health
        self._poses = PoseBuffer(settings.pose_gap)
        self._last_tries: dict[str, float] = {}  # by frame_id, when its mount was last looked up
        self._tf = Buffer()
        self._last_stamp = 0.0  # of the last image whose pose was looked up in TF
        self._listener = TransformListener(self._tf, node)
        self._subscription = None
        qos = QoSProfile(depth=_QUEUE_DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)  # also matches reliable ones
        topics: dict[str, tuple[Any, Any]] = {
            "odom": (Odometry, lambda message: self._add_pose(message.header, message.pose.pose)),
            "pose": (PoseStamped, lambda message: self._add_pose(message.header, message.pose)),
        }
        if settings.pose_source in topics:
            kind, callback = topics[settings.pose_source]
            topic = settings.pose_source
            self._subscription = node.create_subscription(kind, topic, callback, qos, callback_group=group)

    def close(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._listener.unregister()

    def forget(self) -> None:
        """Drops all poses, after a jump of the clock. tf2 would ignore transforms that are older than those it has."""
        self._poses.clear()
        self._tf.clear()

    def camera_pose(self, frame_id: str, stamp: float) -> Pose | None:
        """Pose of the camera in the odometry frame at an image's stamp; None if unknown. Any thread may call it."""
        wait = self._settings.pose_wait
        if self._settings.mode != "localization":
            wait = max(wait, _MAPPING_WAIT)
        if self._settings.pose_source == "tf":
            base = self._base_from_tf(stamp, wait)
        elif self._settings.pose_source == "none":
            return None
        else:
            base = self._poses.at(stamp, wait)
        return None if base is None else compose(base, self.mount(frame_id))

    def mount(self, frame_id: str) -> Pose:
        """Pose of the camera in ``base_frame``. While TF does not know it: the identity, and another try about once a second."""
        if frame_id in self._mounts:
            return self._mounts[frame_id]
        now = time.monotonic()
        first = frame_id not in self._last_tries
        if frame_id and (first or now - self._last_tries[frame_id] > _MOUNT_RETRY):
            self._last_tries[frame_id] = now
            transform = self._look_up(self._settings.base_frame, frame_id, Time(), wait=_MOUNT_WAIT if first else 0.0)
            if transform is not None:
                self._mounts[frame_id] = as_body(transform, is_optical(frame_id, transform))
                return self._mounts[frame_id]
            if first:
                base = self._settings.base_frame
                self._node.get_logger().warning(
                    f"TF has no transform from {base!r} to camera frame {frame_id!r}: the camera is assumed at {base!r}, looking forward; "
                    "publish a static transform"
                )
        return IDENTITY

    def _add_pose(self, header: Any, message: Any) -> None:
        try:
            pose, stamp = pose_of(message), seconds(header.stamp)
            if stamp <= 0:
                raise ValueError("its stamp is zero; the publisher must stamp its messages")
            self._poses.add(stamp, pose)
        except ValueError as error:
            self._health.bad_input("pose", str(error))
            self._node.get_logger().warning(f"pose skipped: {error}", throttle_duration_sec=10.0)

    def _base_from_tf(self, stamp: float, wait: float) -> Pose | None:
        if stamp < self._last_stamp - _BACKWARD_JUMP:  # a bag started again without /clock
            self._tf.clear()
        self._last_stamp = stamp
        odom, base = self._settings.odom_frame, self._settings.base_frame
        pose = self._look_up(odom, base, Time(nanoseconds=round(1e9 * stamp)), wait)
        if pose is not None:
            return pose
        # No transform at the stamp: use the latest one if it is within pose_gap, as for poses from a topic.
        try:
            latest = self._tf.lookup_transform(odom, base, Time())
        except TransformException:
            return None
        age = stamp - seconds(latest.header.stamp)
        return self._look_up(odom, base, Time()) if abs(age) <= self._settings.pose_gap else None

    def _look_up(self, parent: str, child: str, at: Time, wait: float = 0.0) -> Pose | None:
        """Pose of frame ``child`` in frame ``parent``; None if TF has none within ``wait`` seconds."""
        try:
            transform = self._tf.lookup_transform(parent, child, at, Duration(seconds=wait)).transform
            position, turn = transform.translation, transform.rotation
            return normalized_pose(position.x, position.y, position.z, turn.x, turn.y, turn.z, turn.w)
        except (TransformException, ValueError):
            return None
