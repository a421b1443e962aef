"""Killed while it maps: every place that was reported is there, and mapping goes on."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

from ament_index_python.packages import get_package_prefix

from tests.recordings.corridor import pose_at
from tests.ros import world
from tests.ros.robot import Robot, wait_for
from vpr_aesvc import PlaceMap, read_image
from vpr_aesvc.placemap.check import check_map

KILLS = 20


def start(path: Path) -> subprocess.Popen:
    node = Path(get_package_prefix("vpr_aesvc")) / "lib" / "vpr_aesvc" / "vpr_node"
    given = {
        "model": world.model(),
        "map": path,
        "mode": "mapping",
        "autostart": "true",
        "diagnostics_period": "0.02",
        "traverse": "drive",
    }
    parameters = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
    remappings = ["-r", "image:=/camera/image_raw"]
    return subprocess.Popen(
        [str(node), "--ros-args", *parameters, *remappings], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def reported(robot: Robot) -> int:
    """Places in the map, as the node last said; 0 where it has not."""
    said = [
        one.value
        for message in robot.heard["/diagnostics"][-1:]
        for one in message.status[0].values
        if one.key == "places in the map"
    ]
    return int(said[0] or 0) if said else 0


def test_a_killed_mapper_loses_nothing_that_it_had_reported_and_goes_on(tmp_path):
    path = tmp_path / "drive.vprmap"
    frames = world.corridor()
    images = [read_image(frame.path) for frame in frames[:40]]
    number = known = 0
    for kill in range(KILLS):
        robot = Robot(f"robot_{kill}")  # a new one has not heard of the dead
        process = start(path)
        try:
            wait_for(robot.images.get_subscription_count, what=f"the node to start, round {kill}")
            wait_for(robot.odometry.get_subscription_count, what="its subscription to odometry")
            before = number
            while reported(robot) < known + 3 + kill % 4:
                number += 1
                stamp = frames[0].stamp + number
                robot.drive(stamp, pose_at(number))
                robot.show(images[number % len(images)], stamp)
                assert number < before + 2000, "the node maps nothing"
                time.sleep(0.02 * (kill % 3))
            said = reported(robot)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            robot.close()
        with PlaceMap.open(path) as place_map:
            assert len(place_map) >= said, f"round {kill}: {said} places were reported, {len(place_map)} are there"
            known = len(place_map)
        assert not check_map(path).problems
    assert known >= 3 * KILLS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_node_in_order(number, tmp_path):
    path = tmp_path / "drive.vprmap"
    robot = Robot()
    process = start(path)
    try:
        wait_for(robot.images.get_subscription_count, what="the node to start")
        for at in range(5):
            robot.drive(at + 1.0, pose_at(at))
            robot.show(read_image(world.corridor()[at].path), at + 1.0)
        wait_for(lambda: reported(robot) >= 1, what="a place")
        process.send_signal(number)
        process.send_signal(number)  # whoever presses twice does not end it the sooner
        said, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        robot.close()
    assert process.returncode == 0 and "Traceback" not in said, said
    with PlaceMap.open(path) as place_map:
        assert len(place_map) >= 1
