"""Loop closures between robots: each asks the others for their places, one after the other, and recognizes them in its own map.

A question names the last place that was looked at. So nothing is lost: after a broken connection or a restart of either side it goes on from there.
"""

import json
import time
from functools import partial
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from vpr_aesvc_msgs.srv import NextPlace

from vpr_aesvc.errors import VprError
from vpr_aesvc.fleet import FLEET_ID
from vpr_aesvc.images import decode_image
from vpr_aesvc.onboard.loop_closure import loop_closure
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.self_check import stored_view
from vpr_aesvc.recordings.bags.camera import read_intrinsics
from vpr_aesvc.ros import convert
from vpr_aesvc.ros.session import Session
from vpr_aesvc.types import Frame, Pose

_PERIOD = 1.0  # seconds between two questions when there was no new place
_PATIENCE = 10.0  # seconds after which a question is asked again
_KEY = "peers"  # of the map's metadata: the id of each robot's map, and of the last place looked at


def next_place(session: Session, request: Any, response: Any) -> None:
    """Answers the service ``next_place``. Call it in the worker thread. Raises VprError while the camera's mount is not known yet."""
    place_map = session.engine.map
    response.map_id = place_map.id
    with place_map.arrays() as arrays:
        alive = np.flatnonzero(arrays.alive)
        later = alive[np.searchsorted(arrays.ids[alive], request.after, "right") :]
        response.found = bool(len(later))
        if not response.found:
            return
        place = place_map.places([int(arrays.ids[later[0]])])[int(arrays.ids[later[0]])]
        values = arrays.index.descriptors(later[:1])[0] if FLEET_ID not in place.extra else np.empty(0, np.float32)
    camera = place.extra.get("camera", "")
    mount = _mount(session, camera)
    header = Header(stamp=convert.time_message(place.stamp))
    response.descriptor = convert.descriptor_message(
        header, session.robot, camera, place.id, place_map.model_family, place_map.sizes, values
    )
    response.traverse, response.has_pose, response.has_mount = place.traverse, place.pose is not None, mount is not None
    response.pose = convert.pose_message(place.pose or Pose(0, 0))
    response.mount = convert.pose_message(mount or Pose(0, 0))
    jpeg, (image, intrinsics) = place_map.thumbnail_jpeg(place.id), stored_view(place_map, place)
    if jpeg is not None:
        response.image = CompressedImage(header=header, format="jpeg", data=jpeg)
    if image is not None and intrinsics is not None:
        response.camera_info = convert.camera_info_message(intrinsics, image.shape[1], image.shape[0])


def _mount(session: Session, camera: str) -> Pose | None:
    """Of one of the robot's cameras; None for a camera that it has no more."""
    name = camera or session.settings.cameras[0]
    mount = None if session.motion is None else session.motion.mount_of(name)
    if mount is None and name in session.settings.cameras:
        raise VprError(f"the mount of camera {name!r} is not known yet")
    return mount


class Peers:
    """Of an active session. Recognition runs in the worker thread, a place at a time, so that frames come in between."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._closures = dict.fromkeys(filter(None, session.settings.peers), 0)
        node = session.node
        self._clients = {
            peer: node.create_client(NextPlace, f"/{peer.strip('/')}/{node.get_name()}/next_place")
            for peer in self._closures
        }
        self._asked: dict[str, tuple[float, Any]] = {}  # time and future of the question in flight
        self._of: PlaceMap | None = None  # the map that the next two belong to
        self._last: dict[str, list[Any]] = {}
        self._stored = ""
        self._timer = node.create_timer(_PERIOD, self._ask_all, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        self._session.node.destroy_timer(self._timer)
        clients, self._clients = self._clients, {}
        for client in clients.values():
            self._session.node.destroy_client(client)

    def _ask_all(self) -> None:
        if self._is_ready():
            for peer in self._clients:
                asked, future = self._asked.get(peer, (-_PATIENCE, None))
                if time.monotonic() - asked >= _PATIENCE:
                    if future is not None:
                        self._clients[peer].remove_pending_request(future)
                    self._ask(peer)

    def _is_ready(self) -> bool:
        """What is recognized while the map is learned, or while nobody subscribes, would be lost: it is asked for afterwards."""
        session = self._session
        is_learned = session.engine.learned.is_ready(session.settings.recognition.geometry)
        return is_learned and session.publishers.inter_robot.get_subscription_count() > 0

    def _ask(self, peer: str) -> None:
        client = self._clients.get(peer)
        if client is None or not client.service_is_ready():
            self._session.health.peers[peer] = "not in reach"
            return
        place_map = self._session.engine.map
        if self._of is not place_map:
            self._asked.clear()  # their answers are for the map before
            self._stored = place_map.meta.get(_KEY, "{}")
            self._last = json.loads(self._stored)
            self._of = place_map
        future = client.call_async(NextPlace.Request(after=self._last.get(peer, ["", -1])[1]))
        self._asked[peer] = time.monotonic(), future
        future.add_done_callback(lambda done: self._session.worker.submit(partial(self._look, peer, done)))

    def _look(self, peer: str, future: Any) -> None:
        """In the worker thread. After an error, or if nothing can be recognized now, the same place is asked for again."""
        if peer not in self._clients or self._asked.get(peer, (0, None))[1] is not future:
            return
        if self._of is not self._session.engine.map or not self._is_ready():
            self._asked.pop(peer, None)
            return
        try:
            is_new = self._recognize(peer, future.result())
        except (VprError, ValueError) as error:
            self._session.health.peers[peer] = str(error)
            self._session.node.get_logger().warning(f"robot {peer}: {error}", throttle_duration_sec=10.0)
            is_new = False
        self._asked.pop(peer, None)
        if is_new:
            self._ask(peer)

    def _recognize(self, peer: str, answer: Any) -> bool:
        """Whether there may be more places."""
        if not answer.success:
            raise VprError(answer.message)
        known, last = self._last.get(peer, ["", -1])
        if known not in ("", answer.map_id):  # another map: from its first place on
            self._last[peer] = [answer.map_id, -1]
            return True
        published = False
        if answer.found:
            published = len(answer.descriptor.values) > 0 and self._publish_closure(peer, answer)
            last = answer.descriptor.place_id
        self._closures[peer] += published
        self._last[peer] = [answer.map_id, last]
        if (published or not answer.found) and (text := json.dumps(self._last)) != self._stored:
            self._session.engine.map.store_metadata(_KEY, text)
            self._stored = text
        said = f"{self._closures[peer]} loop closures, looked at its places up to {last}"
        self._session.health.peers[peer] = said if answer.found else f"{said}, all there are"
        return bool(answer.found)

    def _publish_closure(self, peer: str, answer: Any) -> bool:
        """Whether the place of the other robot is one of the own map."""
        session, descriptor = self._session, answer.descriptor
        if descriptor.model_family != session.engine.map.model_family:
            raise VprError(f"its model is {descriptor.model_family}, the map's {session.engine.map.model_family}")
        image = decode_image(bytes(answer.image.data), f"picture of {peer}") if answer.image.data else None
        frame = Frame(
            f"{peer}/{descriptor.place_id}",
            stamp=convert.seconds(descriptor.header.stamp) or None,
            pose=convert.pose_of(answer.pose) if answer.has_pose else None,
            image=image,
            sequence=f"{answer.traverse}/{descriptor.camera}",
        )
        intrinsics = read_intrinsics(answer.camera_info, False, None)[0] if answer.camera_info.k[0] else None
        values = np.array(descriptor.values, np.float32)
        found = session.engine.recognize_of_peer(peer, frame, values, intrinsics)
        if not found.accepted or found.best is None or FLEET_ID in found.best.place.extra:
            return False
        closure = loop_closure(found, descriptor.place_id)
        mount = _mount(session, closure.from_camera)
        if mount is None or not answer.has_mount:
            what = f"loop closure with robot {peer} skipped: the mount of a camera is not known"
            session.node.get_logger().warning(what, throttle_duration_sec=10.0)
            return False
        mounts = mount, convert.pose_of(answer.mount)
        base = session.settings.base_frame
        message = convert.loop_closure_message(descriptor.header, base, mounts, closure)
        message.from_robot, message.to_robot = session.robot, descriptor.robot or peer.strip("/")
        session.publishers.inter_robot.publish(message)
        return True
