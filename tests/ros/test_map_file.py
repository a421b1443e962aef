"""The map file while the node uses it: a second writer, a map that vanishes, comes back, or is replaced."""

import shutil
import time
from contextlib import closing, contextmanager
from signal import SIGINT

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

from tests.recordings.corridor import pose_at
from tests.ros import world
from tests.ros.patience import patience, wait_for
from tests.ros.processes import vpr_node
from tests.ros.robot import Robot, wait_for_subscription
from vpr_aesvc import Describer, PlaceMap, read_image
from vpr_aesvc.placemap.repair import check_map
from vpr_aesvc.types import Frame


@pytest.fixture
def path(tmp_path):
    return shutil.copyfile(world.lap_map(), tmp_path / "office.vprmap")


@pytest.fixture
def other(tmp_path):
    """A map of the later laps, with another number of places."""
    path = tmp_path / "other.vprmap"
    frames = [frame for frame in world.corridor() if frame.lap == 2][:25]
    describer = Describer.open(world.model())
    with PlaceMap.create(path, describer) as place_map:
        for frame in frames:
            image = read_image(frame.path)
            place = Frame(str(frame.number), stamp=frame.stamp, pose=frame.pose)
            place_map.add([place], describer.describe(image)[None], [image], "lap 2")
    return path


@contextmanager
def node(path, mode, *remappings, **parameters):
    values = {"model": world.model(), "map": path, "mode": mode, "autostart": "true", "diagnostics_period": 0.2}
    values["assume_camera_is_base"] = "true"  # else the diagnostics are about its mount
    with vpr_node(*remappings, **values | parameters) as process:
        process.wait_for_output(" places in ")
        yield process


def status(robot, words):
    """The first status whose message has these words."""
    found = []

    def has_words():
        found[:] = [robot.diagnostics()]
        return words in found[0]["message"]

    wait_for(has_words, what=lambda: f"diagnostics with {words!r}, the last: {found[0]}")
    return found[0]


def recognized(robot, number):
    """The matches for a frame of the corridor."""
    robot.clear()
    robot.publish_image(read_image(world.corridor()[number].path), 1000.0 + time.monotonic())
    return robot.wait_for_matches(1)[-1]


def test_a_map_that_vanished_is_said_once_and_used_again_when_it_is_back(path):
    away = path.with_suffix(".away")
    with closing(Robot()) as robot, node(path, "localization", pose_source="none") as process:
        wait_for_subscription(robot.images)
        for _ in range(2):
            path.rename(away)
            assert status(robot, "the map file was removed")["level"] == "2"
            assert recognized(robot, 5).candidates[0].traverse == "lap 1"
            away.rename(path)
            process.wait_for_output("the map file is there again")
            wait_for(lambda: robot.diagnostics()["level"] != "2", what="the end of the error")
        assert process.output.count("the map file was removed") == 2
        process.send(SIGINT)
        assert process.wait() == 0 and "Traceback" not in process.output, process.output
    assert not check_map(path).problems


@pytest.mark.parametrize("replace", ["rename", "copy", "link"])
def test_a_replaced_map_is_opened(path, other, replace, tmp_path):
    link = tmp_path / "current.vprmap"
    link.symlink_to(path)
    with closing(Robot()) as robot, node(link, "localization", pose_source="none") as process:
        wait_for_subscription(robot.images)
        assert recognized(robot, 5).candidates[0].traverse == "lap 1"
        if replace == "rename":
            other.replace(path)
        elif replace == "copy":  # as scp does
            shutil.copyfile(other, path)
        else:
            link.unlink()
            link.symlink_to(other)
        process.wait_for_output("opened the new one, 25 places")
        assert recognized(robot, 5).candidates[0].traverse == "lap 2"
        wait_for(lambda: robot.diagnostics()["places in the map"] == "25", what="the places of the new map")
        assert robot.diagnostics()["level"] != "2"
        process.send(SIGINT)
        assert process.wait() == 0 and "Traceback" not in process.output, process.output
    assert not check_map(link).problems
    with PlaceMap.open(link) as place_map:
        assert len(place_map) == 25


def test_a_file_that_cannot_be_used_is_said_and_the_map_stays_in_use(path, other):
    with closing(Robot()) as robot, node(path, "localization", pose_source="none") as process:
        wait_for_subscription(robot.images)
        new = path.with_suffix(".new")
        new.write_text("no map")
        new.replace(path)
        assert status(robot, "the new one cannot be used")["level"] == "2"
        assert recognized(robot, 5).candidates[0].traverse == "lap 1"
        other.replace(path)
        process.wait_for_output("opened the new one, 25 places")
        assert recognized(robot, 5).candidates[0].traverse == "lap 2"


def test_a_replaced_map_is_not_extended(path, other):
    with closing(Robot()) as robot, node(path, "mapping", pose_source="none", keyframes__seconds=0.0) as process:
        wait_for_subscription(robot.images)
        content = other.read_bytes()
        other.replace(path)
        status(robot, "the map file was replaced; no place is added")
        robot.publish_image(read_image(world.corridor()[50].path), 5000.0)
        wait_for(lambda: int(robot.diagnostics().get("bad input: place", 0)), what="a place that is not stored")
        process.send(SIGINT)
        assert process.wait() == 0
    assert path.read_bytes() == content


def test_two_writers_lose_no_place(path):
    with (
        closing(Robot()) as robot,
        closing(Robot("second_robot", "/second")) as second,
        node(path, "mapping") as one,
        node(path, "slam", "__node:=second") as two,
    ):
        wait_for(lambda: robot.images.get_subscription_count() == 2, what="both nodes")
        wait_for_subscription(robot.odometry)
        for at, frame in enumerate(world.corridor()[:60], 1):
            robot.publish_odometry(float(at), pose_at(at))
            robot.publish_image(read_image(frame.path), float(at))
            time.sleep(0.1)
        time.sleep(patience())  # the last images
        each_added = [int(each.diagnostics()["places added"]) for each in (robot, second)]
        assert all(each_added)
        for process in (one, two):
            process.send(SIGINT, SIGINT)
            assert process.wait() == 0 and "Traceback" not in process.output, process.output
    with PlaceMap.open(path) as place_map:
        assert len(place_map) == 39 + sum(each_added)
    assert not check_map(path).problems
