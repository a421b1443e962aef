"""A transport that the node does not read itself: the launch file starts image_transport's republish, which decodes it."""

import unittest

import pytest

pytest.importorskip("launch_testing", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

import launch_testing
import launch_testing.actions
from ament_index_python.packages import get_packages_with_prefixes
from launch import LaunchDescription
from launch_ros.actions import Node
from sensor_msgs.msg import Image

from tests.ros import world
from tests.ros.launching import vpr_launch
from tests.ros.robot import Robot, image_message, wait_for_subscription
from vpr_aesvc import read_image

if "zstd_image_transport" not in get_packages_with_prefixes():
    pytest.skip("package zstd_image_transport is not installed", allow_module_level=True)


@pytest.mark.launch_test
def generate_test_description():
    camera = Node(  # takes raw images from the test, and publishes them compressed by zstd only
        package="image_transport",
        executable="republish",
        name="camera",
        arguments=["raw", "zstd"],
        parameters=[{"in_transport": "raw", "out_transport": "zstd"}],
        remappings=[("in", "/source"), ("out/zstd", "/robot1/camera/image_raw/zstd")],
    )
    return LaunchDescription(
        [camera, vpr_launch("robot1", image_transport="zstd"), launch_testing.actions.ReadyToTest()]
    ), {}


class TestZstd(unittest.TestCase):
    def test_the_node_gets_the_same_images(self):
        robot = Robot("watcher", prefix="/robot1")
        try:
            source = robot.publisher(Image, "/source")
            wait_for_subscription(source)
            frame = world.corridor()[10]
            source.publish(image_message(read_image(frame.path), frame.stamp))
            match = robot.wait_for_matches(1)[0]
            assert match.candidates[0].stamp.sec == int(frame.stamp) and match.candidates[0].similarity > 0.999
            topics = dict(robot.node.get_topic_names_and_types())
            assert "/robot1/vpr_node/image" in topics and robot.node.count_publishers("/robot1/camera/image_raw") == 1
        finally:
            robot.close()
