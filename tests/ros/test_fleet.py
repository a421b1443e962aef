"""The node pushes new places to a fleet's map; it maps on while the server is away, and the fleet catches up."""

import signal
import time
import unittest

import pytest

pytest.importorskip("launch_testing", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

import launch_testing

from benchmarks.postgres import Server, missing
from tests.ros import world
from tests.ros.launching import assert_ended_well, description
from tests.ros.patience import TIMEOUT, wait_for
from tests.ros.robot import Robot
from vpr_aesvc import open_map, read_image

if missing():
    pytest.skip(missing(), allow_module_level=True)

MAP = world.folder() / "fleet.vprmap"


@pytest.mark.launch_test
def generate_test_description():
    return description()


class TestFleet(unittest.TestCase):
    def test_the_fleet_catches_up(self):
        robot, frames = Robot(), world.corridor()

        def drive(first, last):
            for frame in frames[first:last]:
                robot.publish_odometry(frame.stamp, frame.pose)
                robot.publish_image(read_image(frame.path), frame.stamp)
                time.sleep(0.3)

        def is_pushed(least):
            said = robot.diagnostics()
            places = int(said["places in the map"])
            return places >= least and said["fleet"] == f"all {places} places are pushed"

        try:
            with Server() as server:
                url = f"{server.url}?map=city"
                robot.activate(mode="mapping", map=str(MAP), fleet_url=url, fleet_robot="r1")
                drive(0, 8)
                wait_for(lambda: is_pushed(3), TIMEOUT, "the first places in the fleet's map")
                server.stop(signal.SIGKILL)
                before = int(robot.diagnostics()["places in the map"])
                drive(8, 16)
                wait_for(lambda: int(robot.diagnostics()["places in the map"]) >= before + 3, TIMEOUT, "new places")
                wait_for(lambda: "cannot be reached" in robot.diagnostics()["fleet"], TIMEOUT, "an error")
                server.start()
                wait_for(lambda: is_pushed(before + 3), TIMEOUT, "the fleet to catch up")
                with open_map(url) as fleet, open_map(MAP) as mine:
                    assert len(fleet) == len(fleet.places()) == len(mine) and set(fleet.traverses()) == {
                        f"r1/{name}" for name in mine.traverses()
                    }
                assert robot.change_state("deactivate") and robot.change_state("cleanup")
        finally:
            robot.close()


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_exit_code_is_0_without_a_traceback(self, proc_info, proc_output):
        assert_ended_well(proc_info, proc_output)
