"""A bag played through the launch files gives the same map as `vpr map build`, and the same answers as `vpr query`."""

import json
import signal
from contextlib import closing

import numpy as np
import pytest

pytest.importorskip("launch_ros", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")
pytest.importorskip("ros2bag", reason="package ros2bag is not installed")

from tests.command import vpr
from tests.recordings.bags.bags import write_bag
from tests.recordings.corridor import START
from tests.ros import world
from tests.ros.patience import patience
from tests.ros.processes import launch
from tests.ros.robot import Robot
from vpr_aesvc import PlaceMap
from vpr_aesvc.transforms import distance


def rate():
    """Of the bag: one frame per 500 ms on an idle machine, so that a busy one drops none."""
    return 1 / patience()


@pytest.fixture(scope="module")
def bags(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bags")
    frames = world.corridor()
    for name, laps in (("first", [1]), ("later", [2, 3])):
        write_bag(folder / name, [frame for frame in frames if frame.lap in laps], poses="odometry")
    return folder


@pytest.fixture(scope="module")
def mapped(bags):
    """Path of the map that the launch file makes of the first lap."""
    path = bags / "node.vprmap"
    with launch("map_bag.launch.py", bag=bags / "first", model=world.model(), map=path, bag_rate=rate()) as process:
        assert process.wait(120) == 0, process.output
        assert "Traceback" not in process.output
    return path


def test_the_node_builds_the_same_map_as_the_command(bags, mapped):
    offline = bags / "offline.vprmap"
    done = vpr("map", "build", bags / "first", "-m", world.model(), "-o", offline)
    assert done.returncode == 0, done.stderr
    with PlaceMap.open(mapped) as one, PlaceMap.open(offline) as other:
        places, expected = list(one.places().values()), list(other.places().values())
        assert [place.stamp for place in places] == [place.stamp for place in expected] and len(places) == 39
        assert all(distance(a.pose, b.pose) < 1e-6 for a, b in zip(places, expected, strict=True))
        assert np.array_equal(one.descriptors()[1], other.descriptors()[1])


def test_the_node_gives_the_same_answers_as_the_command(bags, mapped):
    words = ("--sequence", "--geometry", "--false-positive-rate", 0.01, "--json")
    done = vpr("query", mapped, bags / "later", *words)
    assert done.returncode == 0, done.stderr
    offline = [json.loads(line) for line in done.stdout.splitlines()]
    arguments = {"bag": bags / "later", "model": world.model(), "map": mapped, "bag_rate": rate()}
    with closing(Robot()) as robot, launch("vpr.launch.py", **arguments) as process:
        process.wait_for_output("the bag has been played", 120)
        online = robot.wait_for_matches(len(offline))
        process.send(signal.SIGINT)
        assert process.wait() == 0 and "Traceback" not in process.output, process.output
    assert len(online) == len(offline)
    # The bag is played with its clock, and the node uses it, without an argument.
    assert abs(robot.messages["/diagnostics"][-1].header.stamp.sec - START) < 3600
    for one, other in zip(online, offline, strict=True):
        assert one.accepted == other["accepted"], (other["query"], one.why, other["why"])
        assert one.candidates[0].place_id == other["matches"][0]["place"]
        assert one.candidates[0].similarity == pytest.approx(other["matches"][0]["similarity"], abs=1e-5)
        assert one.probability == pytest.approx(other["probability"], abs=1e-3) and one.why == other["why"]
    accepted = [one for one in online if one.accepted]
    assert len(accepted) >= 0.65 * len(online)
