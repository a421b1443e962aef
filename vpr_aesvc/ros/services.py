"""The node's services. The worker thread answers them between two frames, because only it may use the map."""

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_srvs.srv import Empty, Trigger
from vpr_aesvc_msgs.srv import AddPlace, GetMapInfo, LoadMap, NextPlace, QueryPlace, SaveMap

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.info import map_info
from vpr_aesvc.recordings.image_messages import rgb_of
from vpr_aesvc.ros.convert import matches_message, pose_of, seconds
from vpr_aesvc.ros.frame_worker import incoming_frame
from vpr_aesvc.ros.peers import next_place
from vpr_aesvc.ros.session import Session
from vpr_aesvc.types import Frame


class Services:
    """The services of a configured node, active or not. ``lock`` is held during a call; transitions hold it too."""

    def __init__(self, session: Session, lock: threading.RLock) -> None:
        self._session = session
        self._lock = lock
        group = MutuallyExclusiveCallbackGroup()
        handlers: dict[str, tuple[Any, Callable[[Any, Any], None]]] = {
            "query_place": (QueryPlace, self._query_place),
            "add_place": (AddPlace, self._add_place),
            "load_map": (LoadMap, self._load_map),
            "save_map": (SaveMap, self._save_map),
            "get_map_info": (GetMapInfo, self._get_map_info),
            "next_place": (NextPlace, partial(next_place, session)),
            "reset": (Trigger, self._reset),
            "relocalize": (Trigger, self._relocalize),
        }
        self._services = [
            session.node.create_service(kind, f"~/{name}", self._in_worker(handler), callback_group=group)
            for name, (kind, handler) in handlers.items()
        ]
        name = "~/reinitialize_global_localization"  # as AMCL's: Nav2 has a behavior-tree node that calls it
        service = session.node.create_service(Empty, name, self._reinitialize, callback_group=group)
        self._services.append(service)

    def close(self) -> None:
        for service in self._services:
            self._session.node.destroy_service(service)

    def _in_worker(self, handler: Callable[[Any, Any], None]) -> Callable[[Any, Any], Any]:
        """Runs the handler in the worker thread. An exception becomes a response with ``success`` false, so that the client gets an answer."""

        def call(request: Any, response: Any) -> Any:
            with self._lock:
                try:
                    self._session.worker.submit(lambda: handler(request, response)).result()
                    response.success = True
                except (VprError, ValueError) as error:
                    response.success, response.message = False, str(error)
                except CancelledError:
                    response.success, response.message = False, "the node is stopping"
                except Exception as error:
                    response.success, response.message = False, f"internal error: {error!r}"
                    self._session.node.get_logger().error(f"internal error: {traceback.format_exc()}")
            return response

        return call

    def _query_place(self, request: Any, response: Any) -> None:
        message = _image_of(request)
        recognition = self._session.engine.query(rgb_of(message, "the image"), request.top or None)
        response.matches = matches_message(message.header, self._session.settings.map_frame, "", recognition)
        response.message = recognition.why

    def _add_place(self, request: Any, response: Any) -> None:
        response.place_id = -1
        session, latest = self._session, self._session.latest_image
        if request.image.data or request.compressed.data:
            message = _image_of(request)
            stamp = seconds(message.header.stamp) or session.node.get_clock().now().nanoseconds * 1e-9
            image, pose, calibration, extra = rgb_of(message, "the image"), None, None, {}
        elif latest is not None:
            incoming = incoming_frame(session, latest)
            stamp, image, pose = latest.stamp, incoming.decode(), incoming.pose()
            calibration, extra = incoming.calibration, {"camera": latest.camera} if latest.camera else {}
        else:
            raise VprError("the request has no image, and no camera image was received yet; send an image")
        if request.has_pose:
            pose = pose_of(request.pose)
        frame = Frame(request.label or f"added {stamp:.9f}", stamp=stamp, pose=pose, extra=extra)
        response.place_id = session.engine.add(frame, image, request.traverse or None, calibration)
        response.message = f"place {response.place_id}: {frame.label}"

    def _load_map(self, request: Any, response: Any) -> None:
        if not request.path:
            raise VprError("path is empty: name a .vprmap file")
        place_map = self._session.load_map(Path(request.path).expanduser())
        response.places = len(place_map)
        response.message = f"{len(place_map)} places in {place_map.path}"

    def _save_map(self, request: Any, response: Any) -> None:
        if not request.path:
            raise VprError("path is empty: name the file of the copy; the map itself is already on disk")
        engine = self._session.engine
        engine.save(Path(request.path).expanduser())
        response.message = f"{len(engine.map)} places in {request.path}"

    def _get_map_info(self, request: Any, response: Any) -> None:
        info = map_info(self._session.engine.map)
        response.path, response.places, response.with_pose = info.path, info.places, info.with_pose
        response.traverses = [summary.traverse.name for summary in info.traverses]
        response.model_family, response.dim = info.model_family, info.dim
        response.size_bytes, response.memory_bytes = info.size_bytes, info.memory_bytes

    def _reset(self, request: Any, response: Any) -> None:
        self._session.engine.reset("the sequence was reset by a service call")
        response.message = "the sequence starts again with the next frame"

    def _relocalize(self, request: Any, response: Any) -> None:
        self._session.engine.reset("a new localization was requested by a service call")
        response.message = self._session.localization.request()

    def _reinitialize(self, request: Any, response: Any) -> Any:
        answer = self._in_worker(self._relocalize)(Trigger.Request(), Trigger.Response())
        self._session.node.get_logger().info(answer.message)
        return response


def _image_of(request: Any) -> Any:
    """The image message of a request.

    Raises:
        VprError: the request has both images or none.
    """
    raw, compressed = bool(request.image.data), bool(request.compressed.data)
    if raw == compressed:
        raise VprError(f"expected one of image and compressed, found {'both' if raw else 'neither'}")
    return request.image if raw else request.compressed
