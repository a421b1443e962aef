"""A map of 10,000 places that nothing was learned from: configure, the first answer and the end do not wait for the learning."""

import signal
import time
from contextlib import closing

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

from vpr_aesvc_msgs.srv import SaveMap

from tests.recordings.corridor import pose_at
from tests.ros import world
from tests.ros.patience import patience, wait_for
from tests.ros.processes import vpr_node
from tests.ros.robot import Robot, wait_for_subscription
from vpr_aesvc import Describer, Frame, PlaceMap, Pose, read_image
from vpr_aesvc.images import encode_jpeg, thumbnail
from vpr_aesvc.placemap.place_table import DESCRIPTOR
from vpr_aesvc.placemap.repair import check_map
from vpr_aesvc.recognition.match_model import stored_name

PLACES = 10_000


@pytest.fixture(scope="module")
def big_map(tmp_path_factory):
    """Between two images of the corridor lie many places, half a meter apart, whose descriptors go from one to the other, with noise."""
    path = tmp_path_factory.mktemp("map") / "big.vprmap"
    describer = Describer.open(world.model())
    images = [read_image(frame.path) for frame in world.corridor()]
    jpegs = [encode_jpeg(thumbnail(image)) for image in images]
    known = describer.describe_batch([*images, images[0]])
    at = np.linspace(0, len(images), PLACES, endpoint=False)
    first, part = at.astype(int), (at % 1)[:, None]
    noise = np.random.default_rng(0).normal(0, 0.3 / np.sqrt(describer.dim), (PLACES, describer.dim))
    rows = (1 - part) * known[first] + part * known[first + 1] + noise
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    frames = [
        Frame(str(number), stamp=1.0 + number, pose=Pose.planar(0.5 * (number % 1000), 10.0 * (number // 1000), 0.0))
        for number in range(PLACES)
    ]
    with PlaceMap.create(path, describer) as place_map:
        place_map.add_stored(frames, rows.astype(DESCRIPTOR), [jpegs[number] for number in first])
    return path


def learned(path) -> list[bool]:
    """Whether the map has the models of similarity and of key points."""
    with PlaceMap.open(path) as place_map:
        names = f"similarities/{place_map.dim}", stored_name(place_map.dim)
        return [place_map.learned_parameters(name) is not None for name in names]


def test_nothing_waits_for_the_learning_of_a_big_map(big_map):
    values = {"model": world.model(), "map": big_map, "assume_camera_is_base": "true", "pose_source": "none"}
    with closing(Robot()) as robot, vpr_node(diagnostics_period=0.1, **values) as process:
        assert robot.state() == "unconfigured"
        images = [read_image(frame.path) for frame in world.corridor()[:20]]
        start = time.monotonic()
        assert robot.change_state("configure")
        configured = time.monotonic()
        assert robot.change_state("activate")
        for number in range(10_000):
            robot.publish_image(images[number % 20], 100.0 + number)
            time.sleep(0.05)
            if robot.matches:
                break
        answered = time.monotonic()
        print(f"configured after {configured - start:.2f} s, answered after {answered - start:.2f} s")
        assert configured - start <= 1.0 * patience() and answered - start <= 3.0 * patience()

        def percent() -> int:
            robot.publish_image(images[0], 20_000.0 + time.monotonic())
            status = robot.diagnostics()
            assert status["level"] == "0" and status["message"].startswith("learning the map, "), status
            assert status["message"].endswith(status["learning the map"])
            return int(status["learning the map"].removesuffix(" %"))

        before = percent()
        wait_for(lambda: percent() > before, what="progress")
        for match in robot.matches:
            assert not match.accepted and match.candidates and "no match is accepted yet" in match.why
        stopped = time.monotonic()
        process.send(signal.SIGINT)
        assert process.wait() == 0 and "Traceback" not in process.output, process.output
        ended = time.monotonic() - stopped
        print(f"ended after {ended:.2f} s")
        assert ended <= 1.0 * patience()
    assert not learned(big_map)[1] and not check_map(big_map).problems


def test_the_end_of_mapping_teaches_the_map_and_its_copy(tmp_path):
    path, copy = tmp_path / "drive.vprmap", tmp_path / "copy.vprmap"
    frames = [frame for frame in world.corridor() if frame.lap == 1]
    parameters = {"mode": "mapping", "autostart": "true", "pose_source": "none", "diagnostics_period": 0.1}
    values = {"model": world.model(), "map": path, **parameters}
    with closing(Robot()) as robot, vpr_node(**values) as process:
        wait_for_subscription(robot.images)
        for number, frame in enumerate(frames):
            robot.publish_image(read_image(frame.path), 10.0 + 2 * number)
            wait_for(lambda number=number: int(robot.diagnostics()["images"]) > number, what="an image")
        count = int(robot.diagnostics()["places in the map"])
        assert count > 20 and learned(path) == [False, False]
        response = robot.call(SaveMap, "/vpr_node/save_map", SaveMap.Request(path=str(copy)))
        assert response.success, response.message
        wait_for(lambda: learned(copy) == [True, True], what="what the copy teaches")
        assert learned(path) == [True, True]
        for number, frame in enumerate(frames[: count // 2]):
            robot.publish_image(read_image(frame.path), 200.0 + 2 * number)
            wait_for(lambda number=number: int(robot.diagnostics()["images"]) > len(frames) + number, what="an image")
        assert robot.change_state("deactivate")
        with PlaceMap.open(path) as place_map:
            wait_for(
                lambda: place_map.learned_parameters(stored_name(place_map.dim))["places"] == len(place_map),
                what="learning",
            )
            assert len(place_map) > 1.25 * count
        process.send(signal.SIGINT)
        assert process.wait() == 0 and "Traceback" not in process.output, process.output


def test_a_map_is_learned_without_a_frame_and_then_matches_are_accepted(tmp_path):
    path = tmp_path / "lap.vprmap"
    path.write_bytes(world.lap_map().read_bytes())
    with PlaceMap.open(path) as place_map:
        for name in (f"similarities/{place_map.dim}", stored_name(place_map.dim)):
            place_map.store_learned_parameters(name, None)
    frames = [frame for frame in world.corridor() if frame.lap > 1][:20]
    values = {"model": world.model(), "map": path, "pose_source": "odom", "autostart": "true"}
    with closing(Robot()) as robot, vpr_node(**values) as process:
        wait_for_subscription(robot.images)
        wait_for_subscription(robot.odometry)
        wait_for(lambda: learned(path) == [True, True], what="learning")
        for number, frame in enumerate(frames, 1):
            robot.publish_odometry(frame.stamp, pose_at(frame.number))
            robot.publish_image(read_image(frame.path), frame.stamp)
            robot.wait_for_matches(number)
        assert np.mean([match.accepted for match in robot.matches]) >= 0.4
        process.send(signal.SIGINT)
        assert process.wait() == 0, process.output
