"""What RViz draws: the places of the map, and a line from the robot to the place it was recognized at."""

from __future__ import annotations

import math
from collections.abc import Iterable

from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from vpr_aesvc.ros.convert import point_message, pose_message
from vpr_aesvc.types import Place, Pose

_PLACE, _ACCEPTED, _REFUSED = (0.45, 0.55, 0.65, 0.9), (0.1, 0.75, 0.3, 1.0), (0.85, 0.2, 0.2, 0.6)
_SIZE = 0.15  # meters


def place_markers(frame: str, places: Iterable[Place]) -> MarkerArray:
    """Each place with a pose as a dot."""
    dots = _marker(frame, "places", Marker.SPHERE_LIST, _PLACE)
    dots.points = [point_message(place.pose) for place in places if place.pose is not None]
    if not dots.points:
        dots.action = Marker.DELETE
    return MarkerArray(markers=[dots])


def match_markers(header: Header, here: Pose | None, place: Pose | None, accepted: bool) -> MarkerArray:
    """The matched place as a ring's worth of arrow where its camera looked, and a line to it from where odometry has the robot.

    Args:
        header: its frame is the map's.
        here: None where odometry does not know, or is not in the map's frame.
    """
    color = _ACCEPTED if accepted else _REFUSED
    arrow = _marker(header.frame_id, "match", Marker.ARROW, color)
    line = _marker(header.frame_id, "match line", Marker.LINE_STRIP, color)
    for one in (arrow, line):
        one.header.stamp = header.stamp
    if place is None:
        arrow.action = line.action = Marker.DELETE
        return MarkerArray(markers=[arrow, line])
    arrow.pose = pose_message(place)
    arrow.scale.x, arrow.scale.y, arrow.scale.z = 6 * _SIZE, _SIZE, _SIZE
    if here is None or not math.isfinite(here.x):
        line.action = Marker.DELETE
    else:
        line.points = [point_message(here), point_message(place)]
        line.scale.x = _SIZE / 3
    return MarkerArray(markers=[arrow, line])


def _marker(frame: str, namespace: str, kind: int, color: tuple[float, float, float, float]) -> Marker:
    marker = Marker(ns=namespace, id=0, type=kind, action=Marker.ADD, frame_locked=True)
    marker.header.frame_id = frame
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = marker.scale.z = _SIZE
    marker.color = ColorRGBA(r=color[0], g=color[1], b=color[2], a=color[3])
    return marker
