"""What the nodes that run answer, for the page of ``vpr view --live``: a subscriber like RViz, in a process of its own. The node does nothing more for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image
from vpr_aesvc_msgs.msg import Descriptor, PlaceMatches

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.recognition.geometry.verification import Geometry
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.result import Candidate, Recognition
from vpr_aesvc.recordings.image_messages import rgb_of
from vpr_aesvc.ros.convert import seconds
from vpr_aesvc.ros.graph import COMPRESSED, IMAGE, full_name, type_name
from vpr_aesvc.types import Frame, Match
from vpr_aesvc.view.recognized_run import NEWEST, RecognizedRun

_DISCOVERY = 2.0  # seconds in which DDS finds the nodes of a graph
_PATIENCE = 5.0  # seconds more, on a busy machine
_MATCHES = type_name(PlaceMatches)
_IMAGES = {IMAGE: Image, COMPRESSED: CompressedImage}
_WAITING = 40  # messages that wait for the node's answer: the images that come meanwhile


@contextmanager
def followed_nodes(place_map: OpenMap, warn: Callable[[str], None]) -> Iterator[list[RecognizedRun]]:
    """A run for each node that recognizes in the map. It grows until the block ends. ``warn`` is called once for a node that answers with another map.

    Raises:
        VprError: no node publishes matches.
    """
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C ends the server, then this
    node = rclpy.create_node("vpr_view", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=_spin, args=(executor,), name="vpr_aesvc view")
    thread.start()
    try:
        time.sleep(_DISCOVERY)
        deadline = time.monotonic() + _PATIENCE
        while not (found := _publishers(node)):
            if time.monotonic() > deadline:
                advice = "start and configure the node, or set ROS_DOMAIN_ID as for it; `vpr doctor` says more"
                raise VprError(f"nobody publishes {_MATCHES}: {advice}")
            time.sleep(0.1)
        yield [_FollowedNode(node, place_map, topic, info, warn).run for topic, info in sorted(found.items())]
    finally:
        executor.shutdown()
        context.try_shutdown()
        thread.join()


def _publishers(node: Any) -> dict[str, Any]:
    """What publishes matches, by topic."""
    topics = [name for name, kinds in node.get_topic_names_and_types() if _MATCHES in kinds]
    return {name: info for name in topics for info in node.get_publishers_info_by_topic(name)}


def _spin(executor: SingleThreadedExecutor) -> None:
    with suppress(ExternalShutdownException):  # the usual end
        executor.spin()


class _FollowedNode:
    """Joins the matches of a node with the images and the descriptors that have the same header."""

    def __init__(self, node: Any, place_map: OpenMap, topic: str, info: Any, warn: Callable[[str], None]) -> None:
        self._map, self._name, self._warn = place_map, full_name(info), cache(warn)
        self._snapshot = MapSnapshot(place_map, place_map.dim)
        self.run = RecognizedRun(self._name, self._snapshot, most=NEWEST)
        self._waiting: dict[type, dict[tuple[Any, ...], Any]] = {Image: {}, Descriptor: {}}
        self._node, self._info, self._heard = node, info, set[str]()
        self._listen_to_images()  # first: of messages that are there, the executor takes them in this order
        self._listen(Descriptor, topic.removesuffix("matches") + "descriptor", partial(self._keep, Descriptor))
        self._listen(PlaceMatches, topic, self._answered)

    def _listen(self, kind: type, topic: str, call: Callable[[Any], None]) -> None:
        self._heard.add(topic)
        self._node.create_subscription(kind, topic, call, qos_profile_sensor_data)

    def _listen_to_images(self) -> None:
        """To the topics that the node hears, which it does while it is active."""
        info, heard = self._info, []
        with suppress(RuntimeError):  # the node has left the graph, or is not fully known yet
            heard = self._node.get_subscriber_names_and_types_by_node(info.node_name, info.node_namespace)
        for topic, types in heard:
            if types[0] in _IMAGES and topic not in self._heard:
                self._listen(_IMAGES[types[0]], topic, partial(self._keep, Image))

    def _keep(self, kind: type, message: Any) -> None:
        if getattr(message, "encoding", "").lower() in ("16uc1", "32fc1"):
            return  # depth has the header of its image
        waiting = self._waiting[kind]
        waiting[_key(message.header)] = message
        while len(waiting) > _WAITING:
            del waiting[next(iter(waiting))]

    def _answered(self, message: Any) -> None:
        try:
            self._show(message)
        except VprError as error:
            self._warn(f"{self._name}: not shown: {error}")

    def _show(self, message: Any) -> None:
        key = _key(message.header)
        image, descriptor = (self._waiting[kind].get(key) for kind in (Image, Descriptor))
        places = self._map.places([one.place_id for one in message.candidates])
        if any(one.place_id in places and places[one.place_id].label != one.label for one in message.candidates):
            raise VprError(f"it answers with another map than {self._map.path}")
        if image is None:
            self._listen_to_images()
        if descriptor is not None:
            self._snapshot.update()
        candidates = tuple(
            _candidate(one, places[one.place_id]) for one in message.candidates if one.place_id in places
        )
        stamp = seconds(message.header.stamp)
        label = f"{message.camera}{'/' if message.camera else ''}{stamp:.3f}"
        frame = Frame(label, stamp=stamp, decode=None if image is None else partial(rgb_of, image, label))
        result = Recognition(
            message.accepted,
            message.why,
            candidates[0].match if candidates else None,
            candidates,
            message.probability,
            message.false_positive_rate,
            lost=message.lost,
            message=message.message or None,
        )
        self.run.add(frame, None if descriptor is None else np.array(descriptor.values, np.float32), result)


def _key(header: Any) -> tuple[Any, ...]:
    return header.stamp.sec, header.stamp.nanosec, header.frame_id


def _candidate(message: Any, place: Any) -> Candidate:
    inliers = message.inliers
    why = f"{inliers} key points agree; the node does not send which"
    geometry = None if inliers < 0 else Geometry(inliers, 0, 0, why=why)
    return Candidate(Match(place, message.similarity), message.posterior, geometry)
