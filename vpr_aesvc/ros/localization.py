"""Poses out: ~/pose for each accepted match, initialpose for a localization such as AMCL, and the transform map -> odom."""

from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster

from vpr_aesvc.onboard.body_pose import base_pose
from vpr_aesvc.onboard.engine import Outcome
from vpr_aesvc.onboard.relocalization import Relocalization, Sighting
from vpr_aesvc.ros.convert import transform_message, with_covariance
from vpr_aesvc.ros.diagnostics import Health
from vpr_aesvc.ros.motion import Motion
from vpr_aesvc.ros.settings import NodeSettings
from vpr_aesvc.transforms import compose, inverse
from vpr_aesvc.types import Pose

_TF_PERIOD = 0.05  # seconds
_TF_TOLERANCE = 0.1  # seconds in the future that a transform is stamped, so that it holds until the next one


class Localization:
    """Publishers of poses of ``base_frame`` in ``map_frame``. They publish nothing until the node is activated.

    The worker thread calls ``publish``, ``request`` and ``reset``.
    """

    def __init__(self, node: LifecycleNode, settings: NodeSettings, health: Health) -> None:
        self._node = node
        self._settings = settings
        self._health = health
        self.reset()
        self._motion: Motion | None = None
        self._pose = node.create_lifecycle_publisher(PoseWithCovarianceStamped, "~/pose", 10)
        self._initial_pose = None
        if settings.publish_initialpose:
            self._initial_pose = node.create_lifecycle_publisher(PoseWithCovarianceStamped, "initialpose", 10)
        self._broadcaster = TransformBroadcaster(node) if settings.publish_tf else None
        self._timer = None

    def activate(self, motion: Motion) -> None:
        self._motion = motion
        self.reset()
        if self._broadcaster is not None:
            clock = Clock(clock_type=ClockType.STEADY_TIME)
            self._timer = self._node.create_timer(_TF_PERIOD, self._send_transform, clock=clock)

    def deactivate(self) -> None:
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        self._motion = None

    def close(self) -> None:
        for publisher in filter(None, (self._pose, self._initial_pose)):
            self._node.destroy_lifecycle_publisher(publisher)
        if self._broadcaster is not None:
            self._node.destroy_publisher(self._broadcaster.pub_tf)

    def reset(self) -> None:
        """The next sure match is published on initialpose, as after the activation."""
        self._relocalization = Relocalization()
        self._due = False  # a fix has not been published on initialpose yet

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
        sighting = message = None
        if recognition.accepted and recognition.pose is not None and mount is not None:
            assert recognition.covariance is not None
            base, covariance = base_pose(recognition.pose, recognition.covariance, mount)
            camera = outcome.frame.pose
            sighting = Sighting(base, covariance, None if camera is None else compose(camera, inverse(mount)))
            map_header = Header(stamp=header.stamp, frame_id=self._settings.map_frame)
            message = PoseWithCovarianceStamped(header=map_header, pose=with_covariance(base, covariance))
            self._pose.publish(message)
        # With publish_tf the transform in TF is this node's own.
        localized = motion.localized() if self._initial_pose is not None and self._broadcaster is None else None
        event = self._relocalization.update(sighting, recognition.lost, localized)
        self._due |= event == "fix"
        initial = self._due and event != "none" and self._publish_initial_pose(message, recognition.why)
        if sighting is not None:
            self._health.counts["poses published"] += 1
            self._health.counts["initial poses published"] += initial

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
