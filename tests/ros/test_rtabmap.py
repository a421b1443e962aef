"""Loop closures become links between RTAB-Map's own nodes. RTAB-Map is played by a ROS node with its real messages and services."""

import math
import signal
import threading
from contextlib import closing

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")
pytest.importorskip("rtabmap_msgs", reason="rtabmap_msgs is not installed")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rtabmap_msgs.msg import Link, MapData
from rtabmap_msgs.msg import Node as NodeMessage
from rtabmap_msgs.srv import AddLink, GetMap2
from vpr_aesvc_msgs.msg import LoopClosure

from tests.ros.patience import wait_for
from tests.ros.processes import launch
from tests.ros.robot import Robot, wait_for_subscription
from vpr_aesvc.ros.convert import pose_message, time_message
from vpr_aesvc.ros.rtabmap import USER_CLOSURE, MapNode, RtabmapBridge, link_between
from vpr_aesvc.transforms import IDENTITY, distance, normalized_pose, relative_pose
from vpr_aesvc.types import Pose

START = 1.7e9  # a stamp of today: a float64 holds it to a quarter of a microsecond
LAP = 60.0


def driven(stamp):
    """Pose of the base: laps of 60 s on a circle of 4 m radius, 0.42 m/s."""
    turn = 2 * math.pi * (stamp - START) / LAP
    return Pose.planar(4 * math.sin(turn), 4 - 4 * math.cos(turn), turn)


def map_nodes(stamps, session=0, first=1):
    return [MapNode(number, session, stamp, driven(stamp)) for number, stamp in enumerate(stamps, first)]


NODES = map_nodes(START + np.arange(70.0))


def closure(older, newer, meters=0.05, radians=0.02, **fields):
    """What the node publishes for two places, measured without an error. Seconds since ``START``."""
    message = LoopClosure(body_frame="base_link", from_stamp=time_message(START + older), metric=True)
    message.header.stamp = time_message(START + newer)
    message.relative_pose.pose = pose_message(relative_pose(driven(START + older), driven(START + newer)))
    message.relative_pose.covariance = np.diag([meters**2] * 3 + [radians**2] * 3).ravel()
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def pose_in(link):
    at, turn = link.transform.translation, link.transform.rotation
    return normalized_pose(at.x, at.y, at.z, turn.x, turn.y, turn.z, turn.w)


def covariance_of(link):
    return np.linalg.inv(np.reshape(link.information, (6, 6)))


def test_a_link_joins_the_nodes_nearest_to_the_places():
    for older, newer in ((3.3, 63.4), (4.8, 64.1), (5.5, 66.0)):
        link = link_between(closure(older, newer), NODES)
        assert (link.from_id, link.to_id) == (math.floor(older + 0.5) + 1, round(newer) + 1)
        exact = relative_pose(NODES[link.from_id - 1].pose, NODES[link.to_id - 1].pose)
        error = distance(relative_pose(exact, pose_in(link)), IDENTITY)
        sigma = math.sqrt(covariance_of(link)[0, 0])
        assert error < 0.01  # the arc between two nodes is taken as straight
        assert 0.05 < sigma < 0.1


def test_at_the_stamps_of_the_nodes_nothing_is_added():
    for newer in (63, 33, 18):  # at the same spot, across the circle, a quarter of it away
        link = link_between(closure(3, newer), NODES)
        assert (link.from_id, link.to_id, link.type) == (4, newer + 1, USER_CLOSURE)
        exact = relative_pose(driven(START + 3), driven(START + newer))
        assert np.allclose(pose_in(link).as_tuple(), exact.as_tuple(), atol=1e-9)
        assert np.allclose(covariance_of(link), np.diag([0.05**2 + 1e-6] * 3 + [0.02**2 + 1e-6] * 3), atol=1e-9)


def test_the_information_is_along_the_axes_of_the_second_node():
    # OptimizerG2O and OptimizerGTSAM take Link::infMatrix as it is: both know it along the axes of the second pose.
    for newer, axes in ((33, (0, 1)), (18, (1, 0))):  # half a lap: the other way around
        message = closure(3, newer)
        message.relative_pose.covariance[0] = 1.0  # along x of the first
        covariance = covariance_of(link_between(message, NODES))
        assert math.isclose(covariance[axes[0], axes[0]], 1.0, rel_tol=1e-3)
        assert math.isclose(covariance[axes[1], axes[1]], 0.05**2, rel_tol=1e-2)


def test_no_link_without_nodes_around_both_places():
    assert link_between(closure(3, 63), []) is None
    assert link_between(closure(-3, 63), NODES) is None
    assert link_between(closure(3, 69.5), NODES) is None  # the next node is not there yet
    assert link_between(closure(3.1, 3.2), NODES) is None  # one node for both
    assert link_between(closure(3, 35), NODES[:30] + NODES[40:]) is None  # RTAB-Map did not run for 10 s, 4 m
    sessions = NODES[:3] + map_nodes(START + np.arange(3.0, 70.0), session=1, first=4)
    assert link_between(closure(2.5, 63), sessions) is None  # the odometries of two sessions


def test_where_the_robot_stood_nodes_far_apart_in_time_are_enough():
    nodes = [MapNode(1, 0, START, driven(START)), MapNode(2, 0, START + 40, driven(START + 0.1)), *NODES[60:]]
    link = link_between(closure(0, 63, from_stamp=time_message(START + 30)), nodes)
    assert (link.from_id, link.to_id) == (2, 64) and math.sqrt(covariance_of(link)[0, 0]) < 0.06


class Rtabmap:
    """RTAB-Map's topic and services. Of a link it checks what Rtabmap::addLink, Memory::addLink and Link::setInfMatrix check."""

    def __init__(self, nodes):
        self.nodes, self.links, self.refused, self.maps_asked = nodes, [], [], 0
        self.answers, self.map_answers = threading.Event(), threading.Event()
        self.answers.set()
        self.map_answers.set()
        self.intermediate = set()  # ids of nodes with a negative weight, as RTAB-Map's service publish_map sends them
        self._known = {node.id for node in nodes[:64]}
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node("rtabmap", namespace="rtabmap", context=self._context)
        self._node.declare_parameter("frame_id", "base_link")
        self._map_data = self._node.create_publisher(MapData, "mapData", 1)
        self._node.create_service(AddLink, "rtabmap/add_link", self._add_link)
        self._node.create_service(GetMap2, "rtabmap/get_map_data2", self._get_map)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def close(self):
        self.answers.set()
        self.map_answers.set()
        self._executor.shutdown()
        self._thread.join(5)
        self._node.destroy_node()
        self._context.try_shutdown()

    def _add_link(self, request, response):
        link = request.link
        information = np.reshape(link.information, (6, 6))
        ids = {link.from_id, link.to_id}
        fine = ids <= self._known  # "is not in working memory"
        fine &= 0 < link.type < 99  # Memory::addLink: above kNeighbor, not kUndef; RTAB-Map aborts
        fine &= bool(np.isfinite(information).all() and (information.diagonal() > 0).all())  # setInfMatrix aborts
        fine &= not ids & self.intermediate  # Memory::addLink aborts at a negative weight
        fine &= link.transform.rotation != type(link.transform.rotation)(w=0.0)  # "Link's transform is null!"
        fine &= ids not in [{one.from_id, one.to_id} for one in self.links]  # "already linked!"
        (self.links if fine else self.refused).append(link)
        self.answers.wait()
        return response

    def _get_map(self, request, response):
        assert not (request.with_images or request.with_scans or request.with_grids or request.with_words)
        self.maps_asked += 1
        self.map_answers.wait()
        response.data.nodes = [self._message(node) for node in self.nodes if node.id in self._known]
        return response

    def _message(self, node):
        pose, weight = pose_message(node.pose), -1 if node.id in self.intermediate else 0
        return NodeMessage(id=node.id, map_id=node.session, stamp=node.stamp, pose=pose, weight=weight)

    def publish(self, count):
        """As after the first ``count`` nodes: the newest with its data, all of them and the links by their ids."""
        self._known = {node.id for node in self.nodes[:count]}
        message = MapData(nodes=[self._message(self.nodes[count - 1])])
        message.graph.poses_id = [-7, *sorted(self._known)]  # -7: a landmark
        message.graph.poses = [pose_message(IDENTITY)] * (count + 1)
        message.graph.links = [Link(from_id=one.to_id, to_id=one.from_id, type=one.type) for one in self.links]
        self._map_data.publish(message)


def counts_of(robot):
    said = [one.status[0] for one in list(robot.messages["/diagnostics"]) if "RTAB-Map" in one.status[0].name]
    values = {item.key: item.value for item in said[-1].values} if said else {}
    return {key.split(":")[0]: values[key] for key in sorted(values)} | {"message": said[-1].message if said else ""}


def test_closures_reach_rtabmap_through_the_launch_file():
    with closing(Robot(target="/nobody")) as robot, launch("rtabmap.launch.py", autostart="false") as process:
        closures = robot.publisher(LoopClosure, "/vpr_node/loop_closures", 50)
        wait_for_subscription(closures)

        def wait_while(publishing, condition, what):
            def so_far():
                publishing()
                return condition()

            wait_for(so_far, what=lambda: f"{what}; {counts_of(robot)}; {process.output}")

        closures.publish(closure(3.3, 63.4))
        process.wait_for_output("no /rtabmap/rtabmap/add_link: loop closures wait")
        with closing(Rtabmap(NODES)) as rtabmap:
            process.wait_for_output("RTAB-Map is there; 1 loop closures waited for it")
            # The node at 64 s is not there yet, that at 3 s was made before the bridge came.
            wait_while(lambda: rtabmap.publish(64), lambda: rtabmap.maps_asked, "the question for the nodes")
            for _ in range(2):
                closures.publish(closure(4, 60, metric=False))
            closures.publish(closure(4, 60, body_frame="base_footprint"))
            process.wait_for_output("its translation was not measured")
            process.wait_for_output(
                "its base_frame is base_footprint, RTAB-Map's frame_id base_link; give both the same"
            )
            assert not rtabmap.links
            wait_while(lambda: rtabmap.publish(65), lambda: rtabmap.links, "a link")
            [link], expected = rtabmap.links, link_between(closure(3.3, 63.4), NODES[:65])
            assert (link.from_id, link.to_id, link.type) == (4, 64, USER_CLOSURE)
            assert np.allclose(pose_in(link).as_tuple(), pose_in(expected).as_tuple(), atol=1e-12)
            assert np.allclose(link.information, expected.information, rtol=1e-12)
            closures.publish(closure(3.2, 63.3))  # between the same nodes
            wait_while(lambda: None, lambda: counts_of(robot).get("linked already") == "1", "a closure that is linked")
            linked = "links in RTAB-Map's graph"
            wait_while(
                lambda: rtabmap.publish(65), lambda: counts_of(robot).get(linked) == "1", "the link in the graph"
            )
            assert len(rtabmap.links) == 1 and not rtabmap.refused
        closures.publish(closure(5, 62.9))
        process.wait_for_output("no /rtabmap/rtabmap/add_link", times=2)
        with closing(
            Rtabmap(map_nodes(START + np.arange(3.0, 73.0)))
        ) as other:  # a new database: the same ids, other nodes
            wait_while(lambda: other.publish(70), lambda: other.links, "a link after the restart")
            assert [(one.from_id, one.to_id) for one in other.links] == [(3, 61)] and not other.refused
            wait_while(lambda: None, lambda: counts_of(robot).get("links sent") == "2", "the answer")
        said = counts_of(robot)
        assert (said["closures received"], said["linked already"], said["waiting"]) == ("6", "1", "0")
        process.send(signal.SIGINT, group=True)
        process.wait()
        assert "Traceback" not in process.output, process.output
        assert process.output.count("its translation was not measured") == 1


@pytest.fixture
def bridge():
    """The node in this process, with a clock that the test turns; its inputs, and RTAB-Map."""
    rclpy.init()
    with closing(Robot(target="/nobody")) as robot, closing(Rtabmap(NODES)) as rtabmap:
        node = RtabmapBridge()
        closures = robot.publisher(LoopClosure, "/vpr_node/loop_closures", 50)

        def turn_until(condition, what, ticks=True):
            def so_far():
                if ticks and not (node._asked and rtabmap.answers.is_set()):  # a slow machine is not a patient one
                    node.every_second()
                for _ in range(4):
                    rclpy.spin_once(node, timeout_sec=0.005)
                return condition()

            wait_for(so_far, what=lambda: f"{what}; {counts_of(robot)}")

        turn_until(closures.get_subscription_count, "the subscription", ticks=False)
        yield robot, rtabmap, closures, turn_until
        node.destroy_node()
    rclpy.shutdown()


def test_a_closure_whose_nodes_never_come_is_left_out_after_a_while(bridge):
    robot, rtabmap, closures, turn_until = bridge
    closures.publish(closure(-3.3, 63))
    closures.publish(closure(3, 5, relative_pose=closure(3, 5, meters=math.nan).relative_pose))
    turn_until(lambda: rtabmap.publish(70) or counts_of(robot).get("waiting") == "1", "a closure that waits")
    turn_until(lambda: counts_of(robot).get("waiting") == "0", "its end")
    assert counts_of(robot)["closures received"] == "2" and not rtabmap.links + rtabmap.refused
    said = [one.status[0] for one in robot.messages["/diagnostics"] if "RTAB-Map" in one.status[0].name][-1]
    assert {item.key for item in said.values if item.key.startswith("not sent") and item.value == "1"} == {
        "not sent: its relative pose or covariance is not valid",
        "not sent: RTAB-Map's graph has no nodes with odometry around both stamps; give both the same images and clock",
    }


def test_no_link_ends_at_an_intermediate_node(bridge):
    _, rtabmap, closures, turn_until = bridge
    rtabmap.intermediate = {4, 64}
    closures.publish(closure(3, 63))
    turn_until(lambda: rtabmap.publish(70) or rtabmap.links + rtabmap.refused, "a link")
    assert rtabmap.links and not rtabmap.refused


def test_a_link_without_an_answer_is_not_sent_again_if_the_graph_has_it(bridge):
    robot, rtabmap, closures, turn_until = bridge
    rtabmap.answers.clear()
    closures.publish(closure(3, 63))
    closures.publish(closure(4, 66))
    turn_until(lambda: rtabmap.publish(70) or rtabmap.links, "a link")
    turn_until(lambda: counts_of(robot).get("waiting") == "2", "the end of the patience")
    rtabmap.answers.set()
    turn_until(lambda: len(rtabmap.links) == 2, "the other link, which RTAB-Map reads now")
    turn_until(lambda: rtabmap.publish(70) or counts_of(robot).get("waiting") == "0", "the end")
    assert counts_of(robot)["linked already"] == "2" and not rtabmap.refused


def test_a_link_that_rtabmap_did_not_get_is_sent_again(bridge):
    robot, rtabmap, closures, turn_until = bridge
    rtabmap.answers.clear()
    closures.publish(closure(3, 63))
    turn_until(lambda: rtabmap.publish(70) or rtabmap.links, "a link")
    rtabmap.links.clear()
    turn_until(lambda: counts_of(robot).get("waiting") == "1", "the end of the patience")
    rtabmap.answers.set()
    turn_until(lambda: rtabmap.publish(70) or rtabmap.links, "the link again")
    assert [(one.from_id, one.to_id) for one in rtabmap.links] == [(4, 64)] and not rtabmap.refused


def test_nodes_that_are_numbered_anew_are_not_taken_for_the_old_ones(bridge):
    robot, rtabmap, closures, turn_until = bridge
    closures.publish(closure(2, 60))
    turn_until(lambda: rtabmap.publish(65) or counts_of(robot).get("links sent") == "1", "a link")
    rtabmap.links.clear()
    asked = rtabmap.maps_asked
    rtabmap.nodes = map_nodes(START + np.arange(3.0, 73.0))  # another database was loaded; the service was never away
    rtabmap.map_answers.clear()
    turn_until(lambda: rtabmap.publish(70) or rtabmap.maps_asked > asked, "the question for the nodes")
    closures.publish(closure(5, 62.9))
    turn_until(lambda: counts_of(robot)["closures received"] == "2", "the closure")
    rtabmap.map_answers.set()
    turn_until(lambda: rtabmap.publish(70) or rtabmap.links + rtabmap.refused, "a link")
    assert [(one.from_id, one.to_id) for one in rtabmap.links] == [(3, 61)] and not rtabmap.refused
