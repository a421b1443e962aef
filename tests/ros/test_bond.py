"""The bond with the lifecycle manager of Nav2: formed, broken by each side, and restored."""

import signal
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")
pytest.importorskip("bond", reason="package bond, which comes with Nav2, is not installed")

import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from bond.msg import Status
from std_srvs.srv import Trigger

from tests.ros import processes, world
from tests.ros.processes import Process
from tests.ros.robot import TIMEOUT, Robot, wait_for, wait_for_subscription
from vpr_aesvc import read_image
from vpr_aesvc.ros import bond

FORMED = "bond with the lifecycle manager formed"
BROKEN = "Have not received a heartbeat from vpr_node"
ACTIVE = "Managed nodes are active"


@pytest.fixture
def robot():
    robot = Robot()
    yield robot
    robot.close()


def start_node(**parameters) -> Process:
    return processes.vpr_node(model=world.model(), map=world.lap_map(), pose_source="none", **parameters)


def start_manager(**parameters) -> Process:
    try:
        prefix = get_package_prefix("nav2_lifecycle_manager")
    except PackageNotFoundError:
        pytest.skip("nav2_lifecycle_manager is not installed")
    values = {"node_names": "[vpr_node]", "autostart": "true", "bond_respawn_max_duration": 60.0} | parameters
    words = [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]
    return Process(Path(prefix) / "lib" / "nav2_lifecycle_manager" / "lifecycle_manager", "--ros-args", *words)


def is_answering(robot: Robot) -> bool:
    frame = world.corridor()[10]
    wait_for_subscription(robot.images)
    robot.clear()
    robot.publish_image(read_image(frame.path), frame.stamp)
    return bool(robot.wait_for_matches(1))


def wait_for_heartbeats(robot: Robot) -> None:
    """Until both sides of the bond have sent two heartbeats more. A manager begins to miss them only after the second."""
    received = robot.subscribe(Status, "/bond")
    first = len(received)

    def beats() -> list[int]:
        return sorted(Counter(status.instance_id for status in received[first:]).values())

    wait_for(lambda: len(beats()) >= 2 and beats()[-2] >= 2, what="heartbeats of both sides")


def manage(robot: Robot, command: str) -> bool:
    from nav2_msgs.srv import ManageLifecycleNodes

    request = ManageLifecycleNodes.Request(command=getattr(ManageLifecycleNodes.Request, command))
    return robot.call(ManageLifecycleNodes, "/lifecycle_manager/manage_nodes", request, 2 * TIMEOUT).success


def test_the_manager_brings_back_a_node_that_hung(robot):
    with start_manager() as manager, start_node() as node:
        manager.wait_for_output(ACTIVE)
        node.wait_for_output(FORMED)
        assert robot.call(Trigger, "/lifecycle_manager/is_active", Trigger.Request()).success

        assert manage(robot, "PAUSE") and robot.state() == "inactive"
        assert manage(robot, "RESUME") and robot.state() == "active"
        node.wait_for_output(FORMED, times=2)
        assert "heartbeat" not in manager.output + node.output, manager.output

        wait_for_heartbeats(robot)
        node.send(signal.SIGSTOP)
        manager.wait_for_output(BROKEN)
        node.send(signal.SIGCONT)
        manager.wait_for_output("starting back up")
        node.wait_for_output(FORMED, times=3)
        assert is_answering(robot)

        node.send(signal.SIGINT)
        assert node.wait() == 0 and "Traceback" not in node.output, node.output
        manager.wait_for_output(BROKEN, times=2)


def test_the_manager_brings_back_a_node_that_was_killed_and_started_again(robot):
    # A manager whose request DDS sends to the dead process waits for ever; Cyclone DDS forgets that process after 10 s.
    with start_manager(bond_timeout=12.0) as manager:
        with start_node():
            manager.wait_for_output(ACTIVE)
            assert is_answering(robot)
            wait_for_heartbeats(robot)
        with start_node() as again:  # the first one was killed
            manager.wait_for_output(BROKEN)
            again.wait_for_output(FORMED)
            assert is_answering(robot)


def test_the_node_goes_on_without_its_manager_and_bonds_with_the_next_one(robot):
    with start_node() as node:
        with start_manager() as manager:
            manager.wait_for_output(ACTIVE)
            node.wait_for_output(FORMED)
            manager.send(signal.SIGKILL)
            node.wait_for_output("no heartbeat of the lifecycle manager for 4 s: the node goes on without it")
        assert robot.state() == "active" and is_answering(robot)

        assert robot.change_state("deactivate") and robot.change_state("cleanup")
        with start_manager() as manager:
            manager.wait_for_output(ACTIVE)
            node.wait_for_output(FORMED, times=2)
            manager.send(signal.SIGINT)
            assert manager.wait() == 0
            node.wait_for_output("the lifecycle manager has ended the bond: the node goes on without it")
        assert robot.state() == "active" and is_answering(robot)
        node.send(signal.SIGINT)
        assert node.wait() == 0 and "Traceback" not in node.output, node.output


def test_without_a_manager_nothing_is_said(robot):
    with start_node(autostart="true", assume_camera_is_base="true") as node:
        assert is_answering(robot)
        assert robot.change_state("deactivate") and robot.change_state("activate") and is_answering(robot)
        node.send(signal.SIGINT)
        assert node.wait() == 0
        assert not any(word in node.output for word in ("bond", "ERROR", "Traceback")), node.output


def test_heartbeats_need_no_executor_and_the_last_one_ends_the_bond(robot, monkeypatch):
    context = rclpy.Context()
    rclpy.init(context=context)
    received = robot.subscribe(Status, "/robot1/bond")
    # A plain node: rclpy keeps a destroyed LifecycleNode in the graph until its memory is collected.
    node = rclpy.create_node("bonded", namespace="robot1", context=context)
    formed = bond.form(node)
    wait_for(lambda: len(received) >= 10, what="heartbeats")
    assert formed is not None and all(status.active and status.id == "bonded" for status in received)
    formed.close()
    wait_for(lambda: not received[-1].active, what="the end of the bond")
    monkeypatch.setattr(bond, "Status", None)
    assert bond.form(node) is None  # without package bond
    node.destroy_node()
    context.try_shutdown()
