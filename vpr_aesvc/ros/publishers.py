"""Publishes the outcome of each frame. Images and markers are drawn only while they have subscribers."""

from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray
from vpr_aesvc_msgs.msg import Descriptor, LoopClosure, PlaceMatches

from vpr_aesvc.describer import Describer
from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.onboard.engine import Outcome
from vpr_aesvc.onboard.match_image import match_image
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.ros import convert
from vpr_aesvc.ros.markers import match_markers, place_markers
from vpr_aesvc.ros.settings import NodeSettings
from vpr_aesvc.types import Pose

_JPEG_QUALITY = 80


class Publishers:
    """The publishers of a configured node. They publish nothing until the node is activated."""

    def __init__(self, node: LifecycleNode, settings: NodeSettings, robot: str) -> None:
        self._node = node
        self._robot = robot
        self._settings = settings
        self._drawn: tuple[PlaceMap, int] | None = None  # map of the last place markers, and its number of places then
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)  # late subscribers see the map too
        kept = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._matches = node.create_lifecycle_publisher(PlaceMatches, "~/matches", 10)
        self._loop_closures = node.create_lifecycle_publisher(LoopClosure, "~/loop_closures", 50)
        self.inter_robot = node.create_lifecycle_publisher(LoopClosure, "~/inter_robot_loop_closures", kept)
        self._descriptor = node.create_lifecycle_publisher(Descriptor, "~/descriptor", 10)
        self._markers = node.create_lifecycle_publisher(MarkerArray, "~/markers", latched)
        self._match_image = node.create_lifecycle_publisher(CompressedImage, "~/match_image/compressed", 1)

    def close(self) -> None:
        publishers = self._matches, self._loop_closures, self._descriptor, self._markers, self._match_image
        # Not destroy_publisher: it would leave them among the managed entities.
        for publisher in (*publishers, self.inter_robot):
            self._node.destroy_lifecycle_publisher(publisher)

    def publish(
        self,
        outcome: Outcome,
        header: Header,
        mounts: tuple[Pose, Pose] | None,
        place_map: PlaceMap,
        describer: Describer,
    ) -> None:
        """Publishes on all topics but the poses and the place markers.

        Args:
            header: of the image.
            mounts: poses in ``base_frame`` of the cameras (x forward, y left, z up) of a loop closure's older and newer place; None if
                unknown: it is not published.
        """
        if outcome.descriptor is not None and self._settings.publish_descriptors:
            place = -1 if outcome.place_id is None else outcome.place_id
            of = self._robot, outcome.camera, place, describer.family, describer.sizes
            message = convert.descriptor_message(header, *of, outcome.descriptor)
            self._descriptor.publish(message)
        if outcome.loop_closure is not None and mounts is not None:
            base = self._settings.base_frame
            self._loop_closures.publish(convert.loop_closure_message(header, base, mounts, outcome.loop_closure))
        recognition = outcome.recognition
        if recognition is None:
            return
        self._matches.publish(convert.matches_message(header, self._settings.map_frame, outcome.camera, recognition))
        if _has_subscribers(self._match_image) and outcome.frame.image is not None:
            stored = None if recognition.best is None else place_map.thumbnail(recognition.best.place.id)
            drawn = match_image(outcome.frame.image, stored, recognition)
            data = encode_jpeg(drawn, _JPEG_QUALITY)
            self._match_image.publish(CompressedImage(header=header, format="jpeg", data=data))
        if _has_subscribers(self._markers):
            # Only in mode slam is the odometry frame the map's frame.
            camera = outcome.frame.pose if self._settings.mode == "slam" else None
            map_header = Header(stamp=header.stamp, frame_id=self._settings.map_frame)
            self._markers.publish(match_markers(map_header, camera, recognition.pose, recognition.accepted))

    def draw_places(self, place_map: PlaceMap) -> None:
        """Publishes the places as markers, if someone subscribes and the number of places has changed."""
        if _has_subscribers(self._markers) and self._drawn != (now := (place_map, len(place_map))):
            self._drawn = now
            self._markers.publish(place_markers(self._settings.map_frame, place_map.places().values()))


def _has_subscribers(publisher: Any) -> bool:
    return bool(publisher.get_subscription_count())
