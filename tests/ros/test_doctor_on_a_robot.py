"""``vpr doctor`` on a real graph: a robot that is wired well, and what it says of each fault."""

import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from tests.ros.robot import Robot, image_message
from vpr_aesvc.onboard.checkup import Speed
from vpr_aesvc.ros.doctor import Wiring, check_robot
from vpr_aesvc.transforms import OPTICAL
from vpr_aesvc.types import Pose

PICTURE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


class Driver:
    """Publishes images and odometry, 20 a second, until it is closed."""

    def __init__(self, robot, age=0.0, frame="camera_optical_frame", encoding="rgb8", images=True, child=None):
        self._ending = threading.Event()

        def run():
            while not self._ending.wait(0.05):
                stamp = 0.0 if age is None else time.time() - age
                if images:
                    message = image_message(PICTURE, stamp, frame)
                    message.encoding = encoding
                    robot.images.publish(message)
                robot.drive(stamp, Pose(1, 2))

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join()


@pytest.fixture(scope="module")
def robot():
    robot = Robot()
    robot.mount(OPTICAL)
    yield robot
    robot.close()


def said(speed=None, **wiring):
    given = {"image_topic": "/camera/image_raw", "compressed": False, "odom_topic": "/odom", "base_frame": "base_link"}
    return check_robot(Wiring(**(given | {"node": "/vpr_node"} | wiring)), speed, listen=1.0)


def faults(found):
    return [one for one in found if one.level != "ok" and "is not running" not in one.what]


def only(found, *words):
    """The one fault holds all the words, and advice."""
    (fault,) = faults(found)
    assert all(word in fault.what for word in words) and fault.advice, fault
    return fault


def test_of_a_robot_that_is_wired_well_it_finds_no_fault(robot):
    with Driver(robot):
        found = said(
            Speed(describe=10.0, recognize=5.0), image_topic="camera/image_raw"
        )  # as a name, without its slash
    assert not faults(found), faults(found)
    words = " | ".join(one.what for one in found if one.level == "ok")
    assert "64 x 48" in words and "TF knows" in words and "/odom" in words and "all are looked at" in words
    (absent,) = [one for one in found if "is not running" in one.what]
    assert absent.level == "warning" and "ros2 launch" in absent.advice


def test_stamps_that_are_old_ahead_or_zero(robot):
    for age, level, words in ((60.0, "warning", "behind"), (-60.0, "warning", "ahead of"), (None, "error", "are zero")):
        with Driver(robot, age):
            found = faults(said())
        assert len(found) == 2 and all(one.level == level and words in one.what for one in found), found


def test_a_camera_that_tf_does_not_know(robot):
    with Driver(robot, frame="elsewhere"):
        assert "static_transform" in only(said(), "'elsewhere'", "'base_link'").advice
    with Driver(robot):
        found = faults(said(base_frame="chassis"))
    assert {"'chassis'" in one.what for one in found} == {True} and len(found) == 2  # of TF and of the odometry


def test_nobody_publishes_and_what_there_is_instead(robot):
    with Driver(robot):
        fault = only(said(image_topic="/front/image"), "nobody publishes /front/image", "/camera/image_raw")
        assert fault.level == "error"
        fault = only(said(odom_topic="/odometry"), "nobody publishes /odometry", "/odom ")
        assert "--odom-topic ''" in fault.advice
        assert not faults(said(odom_topic=None))


def test_a_topic_of_another_type_and_images_that_do_not_come(robot):
    with Driver(robot):
        only(said(image_topic="/odom"), "/odom is nav_msgs/msg/Odometry", "sensor_msgs/msg/Image")
    with Driver(robot, images=False):
        assert only(said(), "no image came").level == "error"


def test_an_encoding_that_is_no_picture(robot):
    with Driver(robot, encoding="tartan"):
        assert only(said(), "'tartan'").level == "error"


def test_a_camera_faster_than_the_machine(robot):
    with Driver(robot):
        fault = only(said(Speed(describe=200.0)), "the others dropped")
    assert "max_rate" in fault.advice and fault.level == "warning"


def test_two_publishers_of_one_topic(robot):
    other = Robot("other")
    try:
        with Driver(robot):
            found = faults(said())
    finally:
        other.close()
    assert any("2 publishers: other, robot" in one.what for one in found), found


def test_a_node_that_looks_elsewhere_or_is_not_active(robot):
    node = Robot("vpr_node", target="/nothing")
    try:
        with Driver(robot):
            assert any("it is not active" in one.what for one in faults(said()))
            latched = QoSProfile(depth=1, durability=DurabilityPolicy.VOLATILE)
            node.node.create_subscription(CompressedImage, "/camera/image_raw/compressed", print, latched)
            assert any("not at /camera/image_raw" in one.what for one in faults(said()))
            node.node.create_subscription(Image, "/camera/image_raw", lambda message: None, latched)
            assert not [one for one in faults(said()) if "node /vpr_node" in one.what]
    finally:
        node.close()


def test_ctrl_c_ends_the_command_at_once():
    words = [sys.executable, "-c", "from vpr_aesvc.cli.main import main; main()", "doctor", "--seconds", "60"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert "listening" in process.stderr.readline()
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130 and "Traceback" not in process.stderr.read()
    finally:
        process.kill()
