"""The node's services. Whatever touches the map is done by the worker, between two frames."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_srvs.srv import Trigger
from vpr_aesvc_msgs.srv import AddPlace, GetMapInfo, LoadMap, QueryPlace, SaveMap

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.copies import backup
from vpr_aesvc.placemap.info import map_info
from vpr_aesvc.recordings.image_messages import rgb_of
from vpr_aesvc.ros.convert import matches_message, pose_of, seconds
from vpr_aesvc.ros.frame_worker import arrival
from vpr_aesvc.types import Frame

if TYPE_CHECKING:
    from vpr_aesvc.onboard.engine import Engine
    from vpr_aesvc.ros.node import VprNode


class Services:
    """Those of a configured node, active or not."""

    def __init__(self, node: VprNode) -> None:
        self._node = node
        group = MutuallyExclusiveCallbackGroup()
        kinds: dict[str, tuple[Any, Callable[[Engine, Any, Any], None]]] = {
            "query_place": (QueryPlace, self._query),
            "add_place": (AddPlace, self._add),
            "load_map": (LoadMap, self._load),
            "save_map": (SaveMap, self._save),
            "get_map_info": (GetMapInfo, self._info),
            "reset": (Trigger, self._reset),
        }
        self._services = [
            node.create_service(kind, f"~/{name}", self._guarded(process_frame), callback_group=group)
            for name, (kind, process_frame) in kinds.items()
        ]

    def close(self) -> None:
        for service in self._services:
            self._node.destroy_service(service)

    def _guarded(self, process_frame: Callable[[Engine, Any, Any], None]) -> Callable[[Any, Any], Any]:
        """A user's mistake is an answer, not an exception."""

        def call(request: Any, response: Any) -> Any:
            with self._node.busy:
                engine, worker = self._node.engine, self._node.worker
                try:
                    if engine is None or worker is None:
                        raise VprError("the node is not configured")
                    worker.submit(lambda: process_frame(engine, request, response)).result()
                    response.success = True
                except (VprError, ValueError) as error:
                    response.success, response.message = False, str(error)
                except CancelledError:
                    response.success, response.message = False, "the node is stopping"
                except Exception as error:  # else the caller would have no answer
                    response.success, response.message = False, f"a fault of this program: {error!r}"
                    self._node.get_logger().error(f"a fault of this program: {traceback.format_exc()}")
            return response

        return call

    def _query(self, engine: Engine, request: Any, response: Any) -> None:
        message = _picture(request)
        found = engine.query(rgb_of(message, "the image"), request.top or None)
        response.matches = matches_message(message.header, "", found)
        response.message = found.why

    def _add(self, engine: Engine, request: Any, response: Any) -> None:
        response.place_id = -1
        node = self._node
        given = bool(request.image.data) or bool(request.compressed.data)
        if not given and node.newest is None:
            raise VprError("no image was given, and none has come from a camera yet")
        if given:
            message = _picture(request)
            stamp = seconds(message.header.stamp) or node.get_clock().now().nanoseconds * 1e-9
            image, pose = rgb_of(message, "the image"), None
        else:
            assert node.newest is not None
            newest = arrival(node.newest, node.motion, node.cameras)
            stamp, image, pose = node.newest.stamp, newest.decode(), newest.pose()
        if request.has_pose:
            pose = pose_of(request.pose)
        frame = Frame(request.label or f"added {stamp:.9f}", stamp=stamp, pose=pose)
        response.place_id = engine.add(frame, image, request.traverse or None)
        response.message = f"place {response.place_id}: {frame.label}"

    def _load(self, engine: Engine, request: Any, response: Any) -> None:
        node = self._node
        if not request.path:
            raise VprError("path is empty: name a .vprmap file")
        place_map = PlaceMap.open(Path(request.path).expanduser(), engine.describer)
        try:
            node.engine = node.make_engine(place_map, engine.describer)
        except BaseException:
            place_map.close()
            raise
        engine.map.close()
        response.places = len(place_map)
        response.message = f"{len(place_map)} places in {place_map.path}"

    def _save(self, engine: Engine, request: Any, response: Any) -> None:
        if not request.path:
            raise VprError("path is empty: name the copy; the map itself is on disk already")
        backup(engine.map, Path(request.path).expanduser())
        response.message = f"{len(engine.map)} places in {request.path}"

    def _info(self, engine: Engine, request: Any, response: Any) -> None:
        info = map_info(engine.map)
        response.path, response.places, response.with_pose = info.path, info.places, info.with_pose
        response.traverses = [one.traverse.name for one in info.traverses]
        response.model_family, response.dim = info.model_family, info.dim
        response.size_bytes, response.memory_bytes = info.size_bytes, info.memory_bytes

    def _reset(self, engine: Engine, request: Any, response: Any) -> None:
        engine.reset("the sequence began anew, as was asked for")
        response.message = "the sequence begins anew with the next frame"


def _picture(request: Any) -> Any:
    """The image of a request.

    Raises:
        VprError: there are both or none, or a pose that is not finite.
    """
    raw, compressed = bool(request.image.data), bool(request.compressed.data)
    if raw == compressed:
        raise VprError(f"expected one of image and compressed, found {'both' if raw else 'neither'}")
    message = request.image if raw else request.compressed
    if not math.isfinite(seconds(message.header.stamp)):
        raise VprError("the image's stamp is not a number")
    return message
