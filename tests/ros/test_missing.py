"""What the running node says of an input that does not come: in its log and its diagnostics, over DDS."""

import contextlib
import threading
import time

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

import numpy as np
import rclpy
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from tf2_msgs.msg import TFMessage
from tf2_ros import Buffer

from tests.ros.patience import wait_for
from tests.ros.processes import running_node
from tests.ros.robot import Robot, compressed_message, image_message, time_message
from vpr_aesvc.ros.tf_frames import missing_transform
from vpr_aesvc.transforms import OPTICAL

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture(scope="module")
def robot():
    robot = Robot()
    robot.publish_mount(OPTICAL)
    yield robot
    robot.close()


def running(*remappings, **parameters):
    """The node, active."""
    return running_node("image:=/front/image", "camera_info:=/front/camera_info", *remappings, **parameters)


@contextlib.contextmanager
def publishing(robot, **topics):
    """Node /driver publishes ten times a second, until its ``hangs`` is set.

    Args:
        topics: (message class, topic, function that makes a message or None for nothing, QoS) by any name.
    """
    driver = rclpy.create_node("driver", context=robot.context)
    publishers = [(driver.create_publisher(kind, topic, qos), message) for kind, topic, message, qos in topics.values()]
    ending, driver.hangs = threading.Event(), threading.Event()

    def run():
        while not ending.wait(0.1):
            for publisher, message in publishers:
                if message is not None and not driver.hangs.is_set():
                    publisher.publish(message())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield driver
    finally:
        ending.set()
        thread.join()
        driver.destroy_node()


def image():
    return image_message(IMAGE, time.time())


def odometry():
    message = Odometry(child_frame_id="base_link")
    message.header.frame_id, message.header.stamp = "odom", time_message(time.time())
    message.pose.pose.orientation.w = 1.0
    return message


def said(process, *words):
    """The log line with all words."""

    def lines():
        return [line for line in process.output.splitlines() if all(word in line for word in words)]

    wait_for(lines, what=lambda: f"{words}; output:\n{process.output}")
    return lines()[0]


def transform():
    message = TransformStamped(child_frame_id="base_link")
    message.header.frame_id, message.header.stamp = "odom", time_message(time.time())
    message.transform.rotation.w = 1.0
    return TFMessage(transforms=[message])


CAMERA = (Image, "/front/image", image, 5)
ODOMETRY = (Odometry, "/odom", odometry, 5)


def test_a_misspelled_image_topic_and_a_missing_camera_info(robot):
    camera = (Image, "/front/image_raw", image, 5)
    with publishing(robot, camera=camera, odometry=ODOMETRY), running() as process:
        said(
            process,
            "[WARN]",
            "nobody publishes /front/image; similar: /front/image_raw",
            "; set image_topic:=/front/image_raw",
        )
        said(process, "[INFO]", "optional", "nobody publishes /front/camera_info")
        status = robot.diagnostics()
        assert status["level"] == "1" and "image_topic:=/front/image_raw" in status["message"], status
        assert "/front/camera_info" in status["missing inputs"]
        assert process.output.count("nobody publishes /front/image;") == 1


def test_only_a_compressed_sibling(robot):
    camera = (CompressedImage, "/front/image/compressed", lambda: compressed_message(IMAGE, time.time()), 5)
    with publishing(robot, camera=camera), running(pose_source="none") as process:
        said(process, "nobody publishes /front/image, but /front/image/compressed exists; set compressed:=true")


def test_a_best_effort_camera_for_a_reliable_subscription_and_no_odometry(robot):
    camera = (Image, "/front/image", image, BEST_EFFORT)
    with (
        publishing(robot, camera=camera, odometry=ODOMETRY),
        running("odom:=/robot1/wheels", reliability="reliable") as process,
    ):
        said(process, "QoS of /driver on /front/image is not compatible", "set reliability:=best_effort")
        said(process, "nobody publishes /robot1/wheels", "/odom", "set odom_topic:=/odom")


def test_images_that_stop_and_come_again(robot):
    with (
        running(pose_source="none", recognition__geometry=False) as process,
        publishing(robot, camera=CAMERA) as driver,
    ):
        wait_for(lambda: int(robot.diagnostics()["images"]) > 0, what="an image")
        driver.hangs.set()
        said(process, "/driver publishes /front/image, but no message comes", "ros2 topic hz")
        assert robot.diagnostics()["level"] == "1"
        driver.hangs.clear()
        wait_for(lambda: robot.diagnostics()["level"] == "0", what="the warning to end")


def test_tf_of_another_topic(robot):
    moved = ("/tf:=/robot1/tf", "/tf_static:=/robot1/tf_static")
    tf = (TFMessage, "/robot2/tf", transform, 5)
    with publishing(robot, tf=tf), running(*moved, pose_source="tf") as process:
        said(process, "no TF from 'odom' to 'base_link': /robot1/tf is silent, TF is on", "set tf_topic:=")


def test_tf_that_stops(robot):
    with running(pose_source="tf") as process, publishing(robot, tf=(TFMessage, "/tf", transform, 5)) as driver:
        said(process, "nobody publishes /front/image")
        assert "no TF" not in process.output and "does not change" not in process.output
        driver.hangs.set()
        said(process, "TF from 'odom' to 'base_link' does not change", "check the odometry that publishes it")


def test_a_static_transform_that_late_subscribers_miss(robot):
    volatile = QoSProfile(depth=1, durability=DurabilityPolicy.VOLATILE)
    with publishing(robot, tf=(TFMessage, "/tf_static", None, volatile)):
        wait_for(lambda: robot.node.count_publishers("/tf_static"), what="the graph")
        found = missing_transform(Buffer(), "base_link", "camera", node=robot.node)
    assert "is volatile, transient local is requested" in found.what and "transient_local" in found.advice
