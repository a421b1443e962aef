"""The node is killed while it maps: no reported place is lost, and mapping can go on."""

import signal
import time
from contextlib import closing
from itertools import count

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

from tests.recordings.corridor import pose_at
from tests.ros import world
from tests.ros.patience import wait_for
from tests.ros.processes import Process, vpr_node
from tests.ros.robot import Robot, wait_for_subscription
from vpr_aesvc import PlaceMap, read_image
from vpr_aesvc.placemap.repair import check_map

KILLS = 20


def start(path) -> Process:
    return vpr_node(
        model=world.model(), map=path, mode="mapping", autostart="true", diagnostics_period=0.02, traverse="drive"
    )


def reported(robot: Robot) -> int:
    """Places in the map by the last diagnostics; 0 if there are none."""
    values = [
        item.value
        for message in robot.messages["/diagnostics"][-1:]
        for item in message.status[0].values
        if item.key == "places in the map"
    ]
    return int(values[0] or 0) if values else 0


def test_a_killed_mapper_loses_no_reported_place(tmp_path):
    path = tmp_path / "drive.vprmap"
    frames = world.corridor()
    images = [read_image(frame.path) for frame in frames[:40]]
    number = known = 0
    for kill in range(KILLS):
        # A new robot has no messages of the killed node. The end of the block kills the node.
        with closing(Robot(f"robot_{kill}")) as robot, start(path):
            wait_for_subscription(robot.images)
            wait_for_subscription(robot.odometry)
            before = number
            while reported(robot) < known + 3 + kill % 4:
                number += 1
                stamp = frames[0].stamp + number
                robot.publish_odometry(stamp, pose_at(number))
                robot.publish_image(images[number % len(images)], stamp)
                assert number < before + 2000, "the node adds no places"
                time.sleep(0.02 * (kill % 3))
            stored = reported(robot)
        with PlaceMap.open(path) as place_map:
            assert len(place_map) >= stored, (
                f"round {kill}: {stored} places were reported, the map has {len(place_map)}"
            )
            known = len(place_map)
        assert not check_map(path).problems
    assert known >= 3 * KILLS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_node_cleanly(number, tmp_path):
    path = tmp_path / "drive.vprmap"
    with closing(Robot()) as robot, start(path) as process:
        wait_for_subscription(robot.images)
        stamps = count(1)

        def drive():  # the node adds no places at first, while it waits for the camera's transform
            at = next(stamps)
            robot.publish_odometry(float(at), pose_at(at))
            robot.publish_image(read_image(world.corridor()[at % 40].path), float(at))
            time.sleep(0.02)
            return reported(robot) >= 1

        wait_for(drive, what="a place")
        process.send(number, number)  # a second signal must not interrupt the shutdown
        assert process.wait() == 0 and "Traceback" not in process.output, process.output
    with PlaceMap.open(path) as place_map:
        assert len(place_map) >= 1
