"""Camera poses in the odometry frame, at the stamp of an image, from a topic or from TF."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.time import Time
from tf2_msgs.msg import TFMessage
from tf2_ros import Buffer, TransformException

from vpr_aesvc.onboard.pose_buffer import PoseBuffer
from vpr_aesvc.ros.convert import pose_of, seconds
from vpr_aesvc.ros.diagnostics import Health
from vpr_aesvc.ros.sensor_thread import SensorThread
from vpr_aesvc.ros.settings import NodeSettings
from vpr_aesvc.ros.tf_frames import missing_transform
from vpr_aesvc.transforms import IDENTITY, as_body, compose, is_optical, normalized_pose
from vpr_aesvc.types import Floats, Pose

_QUEUE_DEPTH, _TF_DEPTH = 50, 100  # these messages are frequent and small
# Seconds.
_MAPPING_WAIT = 0.05  # least wait for the pose of a place: a stored pose should be interpolated, not extrapolated
_MOUNT_WAIT = 1.0  # after the activation, until a missing transform of a camera is an error
_MOUNT_LOG_PERIOD = 10.0  # between log lines
_BACKWARD_JUMP = 1.0  # a larger step back of the image stamps clears the TF buffer


class Motion:
    """Subscribes to the pose source from activation to deactivation. Camera axes: x forward, y left, z up."""

    def __init__(self, node: LifecycleNode, settings: NodeSettings, health: Health, sensors: SensorThread) -> None:
        self._mounts: dict[str, Pose] = {}  # by frame_id, once TF has given them
        self._frame_ids: dict[str, str] = {}  # the last one of each camera
        self._started = time.monotonic()
        self._reports_due: dict[str, float] = {}  # of missing mounts, by frame_id
        self._given_mounts = settings.mounts()
        self.odom_frame = settings.odom_frame  # of the last pose
        self._node = node
        self._settings = settings
        self._health = health
        self._poses = PoseBuffer(settings.pose_gap)
        self._tf = Buffer()
        self._last_stamp = 0.0  # of the last image whose pose was looked up in TF
        # As tf2's TransformListener, which would run in the executor.
        latched = QoSProfile(depth=_TF_DEPTH, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        sensors.subscribe(TFMessage, "/tf", partial(_each, self._tf.set_transform), QoSProfile(depth=_TF_DEPTH))
        sensors.subscribe(TFMessage, "/tf_static", partial(_each, self._tf.set_transform_static), latched)
        qos = QoSProfile(depth=_QUEUE_DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)  # also matches reliable ones
        topics: dict[str, tuple[Any, Any]] = {
            "odom": (Odometry, lambda message: self._add_pose(message.header, message.pose.pose)),
            "pose": (PoseStamped, lambda message: self._add_pose(message.header, message.pose)),
        }
        if settings.pose_source in topics:
            kind, callback = topics[settings.pose_source]
            topic = settings.pose_source
            setting = "odom_topic:=" if topic == "odom" else "the remapping pose:="
            callback = health.inputs.timed(callback, kind, topic, qos, setting)
            sensors.subscribe(kind, topic, callback, qos)
        elif settings.pose_source == "tf":
            health.inputs.expect_transform(self._tf, settings.odom_frame, settings.base_frame)
        self._covariance: Floats | None = None  # of the other localization
        if settings.mode == "localization" and not settings.publish_tf:
            kind, qos = PoseWithCovarianceStamped, qos_profile_sensor_data
            sensors.subscribe(kind, "amcl_pose", self._set_covariance, qos)

    def forget(self) -> None:
        """Drops all poses, after a jump of the clock. tf2 would ignore transforms that are older than those it has."""
        self._poses.clear()
        self._tf.clear()

    def camera_pose(self, camera: str, frame_id: str, stamp: float) -> Pose | None:
        """Pose of a camera in the odometry frame at an image's stamp; None if unknown, or if the camera's mount is. Any thread may call it."""
        wait = self._settings.pose_wait
        if self._settings.mode != "localization":
            wait = max(wait, _MAPPING_WAIT)
        mount = self.mount(camera, frame_id)
        if mount is None or self._settings.pose_source == "none":
            return None
        base = self._base_from_tf(stamp, wait) if self._settings.pose_source == "tf" else self._poses.at(stamp, wait)
        return None if base is None else compose(base, mount)

    def mount(self, camera: str, frame_id: str) -> Pose | None:
        """Pose of a camera (x forward, y left, z up) in ``base_frame``; None while it is not known. Never waits."""
        self._frame_ids[camera] = frame_id
        if camera in self._given_mounts:
            return self._given_mounts[camera]
        if frame_id not in self._mounts:
            transform = self._look_up(self._settings.base_frame, frame_id, Time()) if frame_id else None
            if transform is not None:
                self._mounts[frame_id] = as_body(transform, is_optical(frame_id, transform))
                self._health.missing_mounts.pop(frame_id, None)
            elif self.is_starting:
                return None
            elif self._settings.assume_camera_is_base:
                return IDENTITY
            else:
                self._report_missing_mount(frame_id)
                return None
        return self._mounts[frame_id]

    def mount_of(self, camera: str) -> Pose | None:
        """As ``mount``, of a camera whose image is not at hand; None if it has sent none and ``camera_mount`` is not set."""
        return (
            self.mount(camera, self._frame_ids[camera]) if camera in self._frame_ids else self._given_mounts.get(camera)
        )

    @property
    def is_starting(self) -> bool:
        """Whether static transforms may still be on their way."""
        return time.monotonic() - self._started < _MOUNT_WAIT

    def localized(self) -> tuple[Pose | None, Floats | None]:
        """Of another localization: latest pose of ``base_frame`` in ``map_frame`` by TF, and its covariance, float64 [6, 6], from topic
        ``amcl_pose``; None if there is none."""
        return self._look_up(self._settings.map_frame, self._settings.base_frame, Time()), self._covariance

    def _set_covariance(self, message: PoseWithCovarianceStamped) -> None:
        values = np.array(message.pose.covariance).reshape(6, 6)
        is_valid = np.isfinite(values).all() and (np.diag(values) >= 0).all() and values.any()
        self._covariance = values if is_valid else None

    def _report_missing_mount(self, frame_id: str) -> None:
        """In log and diagnostics, looked up at most every few seconds."""
        if (now := time.monotonic()) < self._reports_due.get(frame_id, 0.0):
            return
        self._reports_due[frame_id] = now + _MOUNT_LOG_PERIOD
        found = missing_transform(self._tf, self._settings.base_frame, frame_id, node=self._node)
        ways = "or set camera_mount, or assume_camera_is_base if the camera is at the base and looks forward"
        self._health.missing_mounts[frame_id] = f"no pose is published: {found}; {ways}"
        self._node.get_logger().error(self._health.missing_mounts[frame_id])

    def _add_pose(self, header: Any, message: Any) -> None:
        try:
            pose, stamp = pose_of(message), seconds(header.stamp)
            if stamp <= 0:
                raise ValueError("its stamp is zero; the publisher must stamp its messages")
            self._poses.add(stamp, pose)
            self.odom_frame = header.frame_id or self._settings.odom_frame
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


def _each(receive: Callable[[Any, str], None], message: TFMessage) -> None:
    for transform in message.transforms:
        receive(transform, "tf")
