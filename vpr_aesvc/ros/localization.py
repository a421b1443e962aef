"""Poses out: ~/pose for each accepted match, initialpose for a localization such as AMCL, the transform map -> odom, and ~/localization_ok."""

import time

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.timer import Timer
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster
from vpr_aesvc_msgs.msg import LocalizationStatus

from vpr_aesvc.onboard.body_pose import base_pose
from vpr_aesvc.onboard.engine import Outcome
from vpr_aesvc.onboard.pose_search import PoseSearch
from vpr_aesvc.onboard.relocalization import Relocalization, Sighting, State
from vpr_aesvc.ros.convert import transform_message, with_covariance
from vpr_aesvc.ros.diagnostics import Health
from vpr_aesvc.ros.motion import Motion
from vpr_aesvc.ros.settings import NodeSettings
from vpr_aesvc.transforms import compose, inverse
from vpr_aesvc.types import Pose

_TF_PERIOD = 0.05  # seconds
_STATUS_PERIOD = 1.0  # seconds
_TF_TOLERANCE = 0.1  # seconds in the future that a transform is stamped, so that it holds until the next one


class Localization:
    """Publishers of poses of ``base_frame`` in ``map_frame``. They publish nothing until the node is activated.

    The worker thread calls ``publish``, ``request`` and ``reset``.

    Attributes:
        search: the one that is running; None if there is none.
    """

    def __init__(self, node: LifecycleNode, settings: NodeSettings, health: Health) -> None:
        self._node = node
        self._settings = settings
        self._health = health
        self.search: PoseSearch | None = None
        self._motion: Motion | None = None
        self._pose = node.create_lifecycle_publisher(PoseWithCovarianceStamped, "~/pose", 10)
        self._initial_pose = self._status = None
        if settings.publish_initialpose:
            self._initial_pose = node.create_lifecycle_publisher(PoseWithCovarianceStamped, "initialpose", 10)
        if settings.mode == "localization":
            latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self._status = node.create_lifecycle_publisher(LocalizationStatus, "~/localization_ok", latched)
        self._broadcaster = TransformBroadcaster(node) if settings.publish_tf else None
        self._timers: list[Timer] = []
        self._published: tuple[State, Time] | None = None  # the last state, and when it began
        self.reset("the node starts")

    def activate(self, motion: Motion) -> None:
        self._motion = motion
        self.reset("the node starts")
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        if self._broadcaster is not None:
            self._timers.append(self._node.create_timer(_TF_PERIOD, self._send_transform, clock=clock))
        if self._status is not None:
            self._timers.append(self._node.create_timer(_STATUS_PERIOD, self._publish_status, clock=clock))

    def deactivate(self) -> None:
        while self._timers:
            self._node.destroy_timer(self._timers.pop())
        if self._motion is not None:
            self._publish_status(("lost", "the node is not active"))
        self._motion = None

    def close(self) -> None:
        for publisher in filter(None, (self._pose, self._initial_pose, self._status)):
            self._node.destroy_lifecycle_publisher(publisher)
        if self._broadcaster is not None:
            self._node.destroy_publisher(self._broadcaster.pub_tf)

    def reset(self, reason: str) -> None:
        """The next sure match is published on initialpose, as after the activation. A search ends with the reason."""
        self._relocalization = Relocalization()
        self._due = False  # a fix has not been published on initialpose yet
        if self.search is not None:
            self.search.stopped = reason

    def request(self) -> str:
        """The next sure match is published on initialpose; returns what happens in words."""
        self._relocalization.request()
        if self._initial_pose is None:
            return "the sequence starts again with the next frame; set publish_initialpose to publish the next sure pose on initialpose"
        return f"the next sure pose is published on {self._initial_pose.topic_name}"

    def publish(self, outcome: Outcome, header: Header, mount: Pose | None, motion: Motion | None) -> None:
        """Publishes the pose of an accepted match.

        Args:
            header: of the image.
            mount: pose of the camera in ``base_frame``; None if unknown: nothing is published.
        """
        recognition = outcome.recognition
        if recognition is None or motion is None:
            return
        sighting = None
        if recognition.accepted and recognition.pose is not None and mount is not None:
            assert recognition.covariance is not None
            base, covariance = base_pose(recognition.pose, recognition.covariance, mount)
            camera = outcome.frame.pose
            odometry = None if camera is None else compose(camera, inverse(mount))
            sighting = Sighting(base, covariance, odometry, recognition.metric is not None)
            self._pose.publish(self._message(sighting, header))
        # With publish_tf the transform in TF is this node's own.
        localized = motion.localized() if self._status is not None and self._broadcaster is None else (None, None)
        event = self._relocalization.update(
            sighting, recognition.lost, recognition.probability, time.monotonic(), *localized
        )
        self._due |= event == "fix"
        best = self._relocalization.fix if event == "fix" else sighting
        initial = False
        if self._due and event != "none" and best is not None:
            initial = self._publish_initial_pose(self._message(best, header), recognition.why)
        if sighting is not None:
            self._health.counts["poses published"] += 1
            self._health.counts["initial poses published"] += initial
        if self.search is not None:
            self.search.update(recognition, sighting, outcome.frame.stamp)
        if self._published is None or self._published[0] != self._relocalization.state(time.monotonic())[0]:
            self._publish_status()

    def _message(self, sighting: Sighting, header: Header) -> PoseWithCovarianceStamped:
        map_header = Header(stamp=header.stamp, frame_id=self._settings.map_frame)
        return PoseWithCovarianceStamped(header=map_header, pose=with_covariance(sighting.base, sighting.covariance))

    def _publish_status(self, told: tuple[State, str] | None = None) -> None:
        """``told``: state and reason, by default those of the last frames."""
        if self._status is None:
            return
        state, why = told or self._relocalization.state(time.monotonic())
        now = self._node.get_clock().now().to_msg()
        if self._published is None or self._published[0] != state:
            self._published = state, now
        number = {"lost": LocalizationStatus.LOST, "unsure": LocalizationStatus.UNSURE, "sure": LocalizationStatus.SURE}
        header = Header(stamp=now, frame_id=self._settings.map_frame)
        self._status.publish(LocalizationStatus(header=header, state=number[state], since=self._published[1], why=why))

    def _publish_initial_pose(self, message: PoseWithCovarianceStamped, why: str) -> bool:
        """Whether there is a subscriber. AMCL may start after this node, and would miss a pose published before."""
        publisher, log = self._initial_pose, self._node.get_logger()
        if publisher is None:
            return False
        if not publisher.get_subscription_count():
            log.warning(
                f"the pose is sure, but nothing subscribes to {publisher.topic_name} yet", throttle_duration_sec=10.0
            )
            return False
        self._due = False
        publisher.publish(message)
        log.info(f"published the pose on {publisher.topic_name}: {why}")
        return True

    def _send_transform(self) -> None:
        motion, odometry_in_map = self._motion, self._relocalization.odometry_in_map
        if self._broadcaster is None or motion is None or odometry_in_map is None:
            return
        stamp = (self._node.get_clock().now() + Duration(seconds=_TF_TOLERANCE)).to_msg()
        header = Header(stamp=stamp, frame_id=self._settings.map_frame)
        self._broadcaster.sendTransform(transform_message(header, motion.odom_frame, odometry_in_map))
