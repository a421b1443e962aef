"""What the node publishes of each outcome. What costs time to make is made only while someone listens."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage
from visualization_msgs.msg import MarkerArray
from vpr_aesvc_msgs.msg import Descriptor, LoopClosure, PlaceMatches

from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.onboard.match_image import match_image
from vpr_aesvc.ros import convert
from vpr_aesvc.ros.markers import match_markers, place_markers
from vpr_aesvc.ros.settings import NodeSettings

if TYPE_CHECKING:
    from std_msgs.msg import Header

    from vpr_aesvc.describer import Describer
    from vpr_aesvc.onboard.engine import Outcome
    from vpr_aesvc.placemap import PlaceMap
    from vpr_aesvc.types import Pose

_JPEG_QUALITY = 80


class Outputs:
    """The publishers of a configured node; they are silent until it is activated."""

    def __init__(self, node: LifecycleNode, settings: NodeSettings) -> None:
        self._node = node
        self._settings = settings
        self._drawn: tuple[PlaceMap, int] | None = None  # the map of the last message of markers, and its places then
        kept = QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL
        )  # whoever comes later sees the map as well
        self.matches = node.create_lifecycle_publisher(PlaceMatches, "~/matches", 10)
        self.pose = node.create_lifecycle_publisher(PoseWithCovarianceStamped, "~/pose", 10)
        self.closures = node.create_lifecycle_publisher(LoopClosure, "~/loop_closures", 50)
        self.descriptor = node.create_lifecycle_publisher(Descriptor, "~/descriptor", 10)
        self.markers = node.create_lifecycle_publisher(MarkerArray, "~/markers", kept)
        self.picture = node.create_lifecycle_publisher(CompressedImage, "~/match_image/compressed", 1)

    def close(self) -> None:
        for one in (self.matches, self.pose, self.closures, self.descriptor, self.markers, self.picture):
            self._node.destroy_lifecycle_publisher(one)  # destroy_publisher would keep it among the managed ones

    def publish(self, outcome: Outcome, header: Header, mount: Pose, place_map: PlaceMap, describer: Describer) -> None:
        """Args:
        header: of the image.
        mount: the camera (x where it looks) in the robot's base.
        """
        if outcome.descriptor is not None and self._settings.publish_descriptors:
            family, sizes = describer.family, describer.sizes
            self.descriptor.publish(
                convert.descriptor_message(header, outcome.camera, family, sizes, outcome.descriptor)
            )
        if outcome.closure is not None:
            self.closures.publish(convert.closure_message(header, outcome.closure))
        found = outcome.recognition
        if found is None:
            return
        self.matches.publish(convert.matches_message(header, outcome.camera, found))
        of_map = copy(header)
        of_map.frame_id = self._settings.map_frame
        if found.accepted and found.pose is not None:
            self.pose.publish(convert.base_pose_message(of_map, found, mount))
        if _heard(self.picture) and outcome.frame.image is not None:
            stored = None if found.best is None else place_map.thumbnail(found.best.place.id)
            drawn = match_image(outcome.frame.image, stored, found)
            data = encode_jpeg(drawn, _JPEG_QUALITY)
            self.picture.publish(CompressedImage(header=header, format="jpeg", data=data))
        if _heard(self.markers):
            here = outcome.frame.pose if self._settings.mode == "slam" else None  # elsewhere odometry has another frame
            self.markers.publish(match_markers(of_map, here, found.pose, found.accepted))

    def draw_places(self, place_map: PlaceMap) -> None:
        """The map's places, where they have changed in number and someone looks."""
        if _heard(self.markers) and self._drawn != (now := (place_map, len(place_map))):
            self._drawn = now
            self.markers.publish(place_markers(self._settings.map_frame, place_map.places().values()))


def _heard(publisher: Any) -> bool:
    return bool(publisher.get_subscription_count())
