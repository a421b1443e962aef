"""Markers for RViz: the places of the map, the matched place, and a line from the camera to it."""

from collections.abc import Iterable

from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from vpr_aesvc.ros.convert import point_message, pose_message
from vpr_aesvc.types import Place, Pose

_PLACE, _ACCEPTED, _REJECTED = (0.45, 0.55, 0.65, 0.9), (0.1, 0.75, 0.3, 1.0), (0.85, 0.2, 0.2, 0.6)
_SIZE = 0.15  # meters


def place_markers(frame: str, places: Iterable[Place]) -> MarkerArray:
    """One dot per place with a pose."""
    dots = _marker(frame, "places", Marker.SPHERE_LIST, _PLACE)
    dots.points = [point_message(place.pose) for place in places if place.pose is not None]
    if not dots.points:
        dots.action = Marker.DELETE
    return MarkerArray(markers=[dots])


def match_markers(header: Header, camera: Pose | None, place: Pose | None, accepted: bool) -> MarkerArray:
    """An arrow at the matched place, in its viewing direction, and a line to it from the camera. Green if accepted, else red.

    Args:
        header: its ``frame_id`` is the map frame.
        camera: pose by odometry, in the map frame; None if unknown: no line.
        place: pose of the matched place; None removes arrow and line.
    """
    color = _ACCEPTED if accepted else _REJECTED
    arrow = _marker(header.frame_id, "match", Marker.ARROW, color)
    line = _marker(header.frame_id, "match line", Marker.LINE_STRIP, color)
    for marker in (arrow, line):
        marker.header.stamp = header.stamp
    if place is None:
        arrow.action = line.action = Marker.DELETE
        return MarkerArray(markers=[arrow, line])
    arrow.pose = pose_message(place)
    arrow.scale.x, arrow.scale.y, arrow.scale.z = 6 * _SIZE, _SIZE, _SIZE
    if camera is None:
        line.action = Marker.DELETE
    else:
        line.points = [point_message(camera), point_message(place)]
        line.scale.x = _SIZE / 3
    return MarkerArray(markers=[arrow, line])


def _marker(frame: str, namespace: str, kind: int, color: tuple[float, float, float, float]) -> Marker:
    marker = Marker(ns=namespace, id=0, type=kind, action=Marker.ADD, frame_locked=True)
    marker.header.frame_id = frame
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = marker.scale.z = _SIZE
    marker.color = ColorRGBA(r=color[0], g=color[1], b=color[2], a=color[3])
    return marker
