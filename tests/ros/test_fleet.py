"""The node pushes new places to a fleet's map, also after the server was away. What its own map does not know comes from the fleet."""

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
from vpr_aesvc import PlaceMap, open_map, read_image
from vpr_aesvc.placemap.copies import copy_places
from vpr_aesvc.recognition.learned_models import learn_map

if missing():
    pytest.skip(missing(), allow_module_level=True)

from vpr_aesvc.fleet.push import fleet_map_for, push  # needs psycopg

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

    def test_what_the_map_does_not_know_comes_from_the_fleet(self):
        robot, part = Robot(), world.folder() / "third.vprmap"
        later = [frame for frame in world.corridor() if frame.lap > 1]
        with PlaceMap.open(world.lap_map()) as lap:
            own = lap.descriptors()[0][: len(lap) // 3]
            with PlaceMap.create_like(part, lap.meta) as third:
                copy_places(lap, third, own)
                learn_map(third)
        try:
            with Server() as server:
                url = f"{server.url}?map=city&thumbnails=yes"
                with PlaceMap.open(world.lap_map()) as lap, fleet_map_for(url, lap) as fleet:
                    count = push(lap, fleet, "r2", "map").added
                robot.activate(mode="localization", map=str(part), fleet_url=url, fleet_frame="map", fleet_robot="r1")
                stamp = later[0].stamp

                def drive():
                    nonlocal stamp
                    for frame in later[len(own) + 5 : len(own) + 13]:
                        stamp += 0.5
                        robot.publish_odometry(stamp, frame.pose)
                        robot.publish_image(read_image(frame.path), stamp)
                        time.sleep(0.2)
                    stamp += 10.0
                    return [match for match in robot.matches if match.accepted]

                def has_pulled():
                    drive()
                    return "pulled" in robot.diagnostics()["asked of the fleet"]

                assert not drive()
                wait_for(has_pulled, 2 * TIMEOUT, "places of the fleet")
                wait_for(
                    lambda: any(one.candidates[0].traverse.startswith("r2/") for one in drive()), 2 * TIMEOUT, "a match"
                )
                assert robot.diagnostics()["places in the map"] == str(len(own) + count)
                assert robot.change_state("deactivate") and robot.change_state("cleanup")
        finally:
            robot.close()


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_exit_code_is_0_without_a_traceback(self, proc_info, proc_output):
        assert_ended_well(proc_info, proc_output)
