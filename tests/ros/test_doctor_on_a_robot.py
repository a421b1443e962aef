"""``vpr doctor`` on a real ROS graph: a robot without faults, and one test per fault."""

import signal
import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from tests.command import VPR
from tests.ros.patience import patience
from tests.ros.processes import Process
from tests.ros.robot import Robot, image_message
from vpr_aesvc.onboard.checkup import ImageTime
from vpr_aesvc.ros.doctor import NodeTopics, check_robot
from vpr_aesvc.transforms import OPTICAL
from vpr_aesvc.types import Pose

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


class Driver:
    """Publishes images and odometry 20 times per second until it is closed. ``age`` is that of the stamps in seconds; None for zero stamps."""

    def __init__(self, robot, age=0.0, frame="camera_optical_frame", encoding="rgb8", images=True):
        self._ending = threading.Event()

        def run():
            while not self._ending.wait(0.05):
                stamp = 0.0 if age is None else time.time() - age
                if images:
                    message = image_message(IMAGE, stamp, frame)
                    message.encoding = encoding
                    robot.images.publish(message)
                robot.publish_odometry(stamp, Pose(1, 2))

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
    robot.publish_mount(OPTICAL)
    yield robot
    robot.close()


def check(image_time=None, **topics):
    defaults = {
        "image_topic": "/camera/image_raw",
        "compressed": False,
        "odom_topic": "/odom",
        "base_frame": "base_link",
        "node": "/vpr_node",
    }
    return check_robot(NodeTopics(**(defaults | topics)), image_time, duration=patience())


def faults(findings):
    return [finding for finding in findings if finding.level != "ok" and "is not running" not in finding.what]


def only_fault(findings, *words):
    """The only fault; asserts that it contains all words and has advice."""
    (fault,) = faults(findings)
    assert all(word in fault.what for word in words) and fault.advice, fault
    return fault


def test_a_robot_without_faults(robot):
    with Driver(robot):
        image_time = ImageTime(describe=10.0, recognize=5.0)
        findings = check(image_time, image_topic="camera/image_raw")  # a relative topic name
    assert not faults(findings), faults(findings)
    words = " | ".join(finding.what for finding in findings if finding.level == "ok")
    assert "64 x 48" in words and "TF has a transform" in words and "/odom" in words and "all are processed" in words
    (absent,) = [finding for finding in findings if "is not running" in finding.what]
    assert absent.level == "warning" and "ros2 launch" in absent.advice


def test_stamps_that_are_old_in_the_future_or_zero(robot):
    for age, level, words in ((60.0, "warning", "behind"), (-60.0, "warning", "ahead of"), (None, "error", "are zero")):
        with Driver(robot, age):
            result = faults(check())
        assert len(result) == 2 and all(fault.level == level and words in fault.what for fault in result), result


def test_a_camera_frame_without_a_transform(robot):
    with Driver(robot, frame="elsewhere"):
        assert "static_transform" in only_fault(check(), "'elsewhere'", "'base_link'").advice
    with Driver(robot):
        result = faults(check(base_frame="chassis"))
    assert len(result) == 2 and all("'chassis'" in fault.what for fault in result)  # TF and odometry


def test_a_missing_topic_and_similar_topics(robot):
    with Driver(robot):
        fault = only_fault(check(image_topic="/front/image"), "nobody publishes /front/image", "/camera/image_raw")
        assert fault.level == "error"
        fault = only_fault(check(odom_topic="/odometry"), "nobody publishes /odometry", "/odom ")
        assert "--odom-topic ''" in fault.advice
        assert not faults(check(odom_topic=None))


def test_a_topic_of_another_type_and_a_topic_without_images(robot):
    with Driver(robot):
        only_fault(check(image_topic="/odom"), "/odom is nav_msgs/msg/Odometry", "sensor_msgs/msg/Image")
    with Driver(robot, images=False):
        assert only_fault(check(), "no image came").level == "error"


def test_an_unknown_encoding(robot):
    with Driver(robot, encoding="tartan"):
        assert only_fault(check(), "'tartan'").level == "error"


def test_a_camera_faster_than_the_machine(robot):
    with Driver(robot):
        fault = only_fault(check(ImageTime(describe=200.0)), "the others are dropped")
    assert "max_rate" in fault.advice and fault.level == "warning"


def test_two_publishers_of_one_topic(robot):
    other = Robot("other")
    try:
        with Driver(robot):
            result = faults(check())
    finally:
        other.close()
    assert any("2 publishers: other, robot" in fault.what for fault in result), result


def test_a_node_that_subscribes_to_another_topic_or_is_not_active(robot):
    node = Robot("vpr_node", target="/nothing")
    try:
        with Driver(robot):
            assert any("is not active" in fault.what for fault in faults(check()))
            latched = QoSProfile(depth=1, durability=DurabilityPolicy.VOLATILE)
            node.node.create_subscription(CompressedImage, "/camera/image_raw/compressed", print, latched)
            assert any("not to /camera/image_raw" in fault.what for fault in faults(check()))
            node.node.create_subscription(Image, "/camera/image_raw", lambda message: None, latched)
            assert not [fault for fault in faults(check()) if "node /vpr_node" in fault.what]
    finally:
        node.close()


def test_ctrl_c_ends_the_command_at_once():
    with Process(*VPR, "doctor", "--seconds", "600") as process:
        process.wait_for_output("listening")
        time.sleep(patience())
        process.send(signal.SIGINT)
        assert process.wait() == 130 and "Traceback" not in process.output, process.output
