"""Loop closures of the node become links of RTAB-Map's graph.

RTAB-Map makes its own nodes, about one a second, so the stamp of a place lies between those of two of them. A link joins the nearer ones; where the
robot was at the place is interpolated between their odometry, which RTAB-Map publishes with them.

RTAB-Map's service answers nothing. Whether it accepted a link (Rtabmap::addLink refuses one that deforms the graph) is seen in the graph.
"""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from rclpy.task import Future
from rtabmap_msgs.msg import Link, MapData
from rtabmap_msgs.srv import AddLink, GetMap2
from std_msgs.msg import Header
from vpr_aesvc_msgs.msg import LoopClosure

from vpr_aesvc.onboard.body_pose import relative_base_pose
from vpr_aesvc.ros.convert import pose_of, seconds, transform_message
from vpr_aesvc.transforms import IDENTITY, angle, distance, interpolate, relative_pose, rotation_matrix
from vpr_aesvc.types import Floats, Pose

USER_CLOSURE = 4  # rtabmap::Link::kUserClosure
_EXACT = 1e-3  # seconds: a node keeps its stamp as a float64
_NOISE = (
    0.1,
    0.5,
)  # of an interpolated pose, as part of the way between the nodes: each second between them, and at most
_MOST_NOISE = 0.5  # standard deviation of an interpolated pose, meters and radians
_LEAST = 1e-6  # variance, m^2 and rad^2: RTAB-Map aborts at an information that is not finite (Link::setInfMatrix)
_PATIENCE = 20  # seconds for RTAB-Map to make the nodes around a place, and to answer
_ASK_AGAIN = 10  # seconds between requests for nodes that RTAB-Map made before this program started
_MOST_WAITING = 1000


@dataclass(frozen=True)
class MapNode:
    """A node of RTAB-Map: its session, stamp in seconds, and pose of the base by the odometry of that session."""

    id: int
    session: int
    stamp: float
    pose: Pose


@dataclass(eq=False)
class _Waiting:
    closure: LoopClosure
    seconds: int = 0


def link_between(closure: LoopClosure, nodes: Sequence[MapNode]) -> Link | None:
    """The link for a closure; None if there are no nodes around one of its places, or only one for both.

    The information is along and about the axes of the link's second node, as g2o and GTSAM take it.

    Args:
        nodes: by stamp.
    """
    older, newer = _at(nodes, seconds(closure.from_stamp)), _at(nodes, seconds(closure.header.stamp))
    if older is None or newer is None or older[0] == newer[0]:
        return None
    (first, place, noise), (second, newer_place, newer_noise) = older, newer
    covariance = np.reshape(closure.relative_pose.covariance, (6, 6))
    between, covariance = relative_base_pose(pose_of(closure.relative_pose.pose), covariance, (place, newer_place))
    turn = np.kron(np.eye(2), rotation_matrix(between).T)
    covariance = turn @ (covariance + np.diag(noise + newer_noise + _LEAST)) @ turn.T
    transform = transform_message(Header(), "", between).transform
    information = np.linalg.inv(covariance).ravel()
    return Link(from_id=first, to_id=second, type=USER_CLOSURE, transform=transform, information=information)


def _at(nodes: Sequence[MapNode], stamp: float) -> tuple[int, Pose, Floats] | None:
    """The node nearest in time, the pose at ``stamp`` in its frame, and the variances [6] of this pose."""
    after = bisect_left(nodes, stamp - _EXACT, key=lambda node: node.stamp)
    if after < len(nodes) and nodes[after].stamp <= stamp + _EXACT:
        return nodes[after].id, IDENTITY, np.zeros(6)
    if after in (0, len(nodes)) or nodes[after - 1].session != nodes[after].session:
        return None
    first, second = nodes[after - 1], nodes[after]
    span = second.stamp - first.stamp
    part = (stamp - first.stamp) / span
    near = first if part < 0.5 else second
    noise = np.repeat([distance(first.pose, second.pose), angle(first.pose, second.pose)], 3)
    noise *= min(_NOISE[0] * span, _NOISE[1])
    if noise.max() > _MOST_NOISE:
        return None
    return near.id, relative_pose(near.pose, interpolate(first.pose, second.pose, part)), noise**2


class RtabmapBridge(Node):
    """Takes ``vpr_node/loop_closures`` and ``rtabmap/mapData``, calls ``rtabmap/rtabmap/add_link``; ``/diagnostics`` has the counts."""

    def __init__(self) -> None:
        super().__init__("vpr_rtabmap")
        self._waiting: deque[_Waiting] = deque()
        self._asked: dict[Future, _Waiting] = {}  # sent and not answered
        self._counts = Counter[str]()
        self._left_out = Counter[str]()  # by the reason
        self._away = False  # RTAB-Map is away, and it was said
        self._add_link = self.create_client(AddLink, "rtabmap/rtabmap/add_link")
        self._get_map = self.create_client(GetMap2, "rtabmap/rtabmap/get_map_data2")
        self._get_parameters = self.create_client(GetParameters, "rtabmap/rtabmap/get_parameters")
        self._forget()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_subscription(LoopClosure, "vpr_node/loop_closures", self._on_closure, 50)
        self.create_subscription(MapData, "rtabmap/mapData", self._on_map, 10)
        self.create_timer(1.0, self.every_second)

    def _forget(self) -> None:
        """RTAB-Map ended, or numbers its nodes anew. What it did not answer is sent again."""
        self._known: dict[int, MapNode | None] = {}  # None: no link can end there
        self._nodes: list[MapNode] = []  # those in the graph, by stamp
        self._links: set[tuple[int, int]] = set()  # of the graph
        self._sent: set[tuple[int, int]] = set()
        self._frame: str | None = None  # RTAB-Map's frame of the base
        self._unknown_nodes = True  # are in the graph
        self._seconds = 0  # since then
        for request in self._asked:
            self._add_link.remove_pending_request(request)
        self._waiting.extend(self._asked.values())
        self._asked.clear()
        for waiting in self._waiting:
            waiting.seconds = 0

    def _on_closure(self, closure: LoopClosure) -> None:
        self._counts["closures received"] += 1
        if why := _refusal(closure):
            return self._leave_out(why)
        self._waiting.append(_Waiting(closure))
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
            self._leave_out(f"more than {_MOST_WAITING} wait for RTAB-Map")
        self._send()

    def _on_map(self, data: MapData) -> None:
        self._learn(data)
        ids = {one for one in data.graph.poses_id if one > 0}  # those of landmarks are negative
        self._links = {_pair(link) for link in data.graph.links}
        self._unknown_nodes = bool(ids - self._known.keys())
        # With unknown nodes RTAB-Map may be another one, which uses the same ids again.
        nodes = [] if self._unknown_nodes else [node for one in ids if (node := self._known[one]) is not None]
        self._nodes = sorted(nodes, key=lambda node: node.stamp)
        self._send()

    def _on_nodes(self, answer: Future) -> None:
        self._learn(answer.result().data)  # which of them are in the graph, the next mapData says

    def _learn(self, data: MapData) -> None:
        for node in data.nodes:
            known = self._known.get(node.id)
            if known is not None and known.stamp != node.stamp:
                self._forget()
            try:  # RTAB-Map aborts at a link to an intermediate node, whose weight is negative (Memory::addLink)
                pose = pose_of(node.pose) if node.weight >= 0 else None
            except ValueError:  # without odometry
                pose = None
            self._known[node.id] = None if pose is None else MapNode(node.id, node.map_id, node.stamp, pose)

    def _on_frame(self, answer: Future) -> None:
        values = answer.result().values
        self._frame = values[0].string_value if values else ""

    def _send(self) -> None:
        """Sends what can be sent, and gives up what waited too long."""
        for _ in range(len(self._waiting) if self._is_there() else 0):
            waiting = self._waiting.popleft()
            body = waiting.closure.body_frame
            link = None if self._frame is None else link_between(waiting.closure, self._nodes)
            if self._frame not in (None, "", body):
                self._leave_out(f"its base_frame is {body}, RTAB-Map's frame_id {self._frame}; give both the same")
            elif link is None and waiting.seconds < _PATIENCE:
                self._waiting.append(waiting)
            elif link is None:
                self._leave_out(
                    "RTAB-Map's graph has no nodes with odometry around both stamps; give both the same images and clock"
                )
            elif (pair := _pair(link)) in self._links or pair in self._sent:
                self._counts["linked already"] += 1
            else:
                waiting.seconds = 0
                self._sent.add(pair)
                request = self._add_link.call_async(AddLink.Request(link=link))
                self._asked[request] = waiting
                request.add_done_callback(self._on_answer)

    def _on_answer(self, request: Future) -> None:
        self._counts["links sent"] += self._asked.pop(request, None) is not None

    def _leave_out(self, why: str) -> None:
        if not self._left_out[why]:
            self.get_logger().warning(f"a loop closure is not sent to RTAB-Map: {why}. /diagnostics counts these")
        self._left_out[why] += 1

    def _is_there(self) -> bool:
        return all(one.service_is_ready() for one in (self._add_link, self._get_map, self._get_parameters))

    def every_second(self) -> None:
        """Looks for RTAB-Map, counts how long closures wait for it, and publishes what became of them."""
        there = self._is_there()
        for waiting in (*self._waiting, *self._asked.values()):
            waiting.seconds += 1
        if not there or any(waiting.seconds > _PATIENCE for waiting in self._asked.values()):
            self._forget()
        self._seconds += there
        if self._seconds % _ASK_AGAIN == 1:
            if self._frame is None:
                request = GetParameters.Request(names=["frame_id"])
                self._get_parameters.call_async(request).add_done_callback(self._on_frame)
            if self._unknown_nodes:
                self._get_map.call_async(GetMap2.Request()).add_done_callback(self._on_nodes)
        if self._away and there:
            self.get_logger().info(f"RTAB-Map is there; {len(self._waiting)} loop closures waited for it")
        elif self._waiting and not there and not self._away:
            name = self.resolve_service_name("rtabmap/rtabmap/add_link")
            self.get_logger().warning(f"no {name}: loop closures wait; start RTAB-Map, or give rtabmap_namespace")
        self._away = not there and (self._away or bool(self._waiting))
        self._send()
        self._publish_diagnostics()

    def _publish_diagnostics(self) -> None:
        values = {name: self._counts[name] for name in ("closures received", "links sent", "linked already")}
        values |= {"links in RTAB-Map's graph": len(self._sent & self._links), "waiting": len(self._waiting)}
        values |= {f"not sent: {why}": count for why, count in self._left_out.items()}
        status = DiagnosticStatus(level=DiagnosticStatus.OK, name=f"{self.get_name()}: links for RTAB-Map")
        if self._away:
            status.level, status.message = DiagnosticStatus.WARN, "loop closures wait: RTAB-Map is away"
        status.values = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def _refusal(closure: LoopClosure) -> str:
    """Why a closure cannot become a link; empty if it can."""
    if not closure.metric:
        return "its translation was not measured, which needs intrinsics, and poses in the map"
    covariance = np.reshape(closure.relative_pose.covariance, (6, 6))
    try:
        pose_of(closure.relative_pose.pose)
        valid = np.isfinite(covariance).all() and np.linalg.eigvalsh(covariance)[0] > -_LEAST / 2
    except ValueError:
        valid = False
    return "" if valid else "its relative pose or covariance is not valid"


def _pair(link: Link) -> tuple[int, int]:
    return min(link.from_id, link.to_id), max(link.from_id, link.to_id)
