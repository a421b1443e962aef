"""The samples for Nav2 and slam_toolbox with the real lifecycle manager. A subscription as theirs stands for AMCL and slam_toolbox."""

import math
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")
pytest.importorskip("bond", reason="package bond, which comes with Nav2, is not installed")

from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.qos import qos_profile_system_default
from std_srvs.srv import Trigger

from tests.ros import world
from tests.ros.processes import Process, launch
from tests.ros.robot import TIMEOUT, Robot, wait_for, wait_for_subscription
from vpr_aesvc import read_image
from vpr_aesvc.ros.convert import pose_of
from vpr_aesvc.transforms import OPTICAL, compose, distance, inverse
from vpr_aesvc.types import Pose

MOUNT = Pose(0.3, 0.0, 0.5)
"""Pose of the camera in base_link."""
MAP_SIZE = 400
"""Cells of the occupancy grid: AMCL rejects an initial pose with a larger x or y, in meters."""

SLAM_TOOLBOX_LAUNCH = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

def generate_launch_description():
    file, time = LaunchConfiguration("slam_params_file"), LaunchConfiguration("use_sim_time")
    node = Node(package="slam_toolbox", executable="localization_slam_toolbox_node", name="slam_toolbox", output="screen",
                parameters=[file, {"use_sim_time": time}])
    declared = [DeclareLaunchArgument("slam_params_file"), DeclareLaunchArgument("use_sim_time", default_value="true")]
    return LaunchDescription([*declared, node])
"""

SLAM_TOOLBOX_NODE = """
import rclpy
from geometry_msgs.msg import PoseWithCovarianceStamped

def localize(message):
    print(f"Localizing to: ({message.pose.pose.position.x:.2f} {message.pose.pose.position.y:.2f})", flush=True)

rclpy.init()
node = rclpy.create_node("slam_toolbox")
for name, default in (("map_file_name", ""), ("map_start_pose", [9.0]), ("base_frame", "")):
    print(f"{name}: {node.declare_parameter(name, default).value}", flush=True)
print(f"use_sim_time: {node.get_parameter('use_sim_time').value}", flush=True)
node.create_subscription(PoseWithCovarianceStamped, "initialpose", localize, 1)
try:
    rclpy.spin(node)
except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
    pass
"""


@pytest.fixture
def robot():
    robot = Robot()
    robot.publish_mount(compose(MOUNT, OPTICAL))
    yield robot
    robot.close()


@pytest.fixture
def parameters(tmp_path):
    """Arguments of the samples; every image is processed."""
    try:
        get_package_prefix("nav2_lifecycle_manager")
    except PackageNotFoundError:
        pytest.skip("nav2_lifecycle_manager is not installed")
    sample = Path(get_package_share_directory("vpr_aesvc")) / "config" / "relocalize.yaml"
    file = tmp_path / "relocalize.yaml"
    file.write_text(sample.read_text().replace("max_rate: 2.0", "max_rate: 0.0"))
    return {"model": world.model(), "map": world.lap_map(), "params_file": file}


def drive(robot, frames):
    wait_for_subscription(robot.images)
    wait_for_subscription(robot.odometry)
    for frame in frames:
        robot.clear()
        robot.publish_odometry(frame.stamp, compose(frame.pose, inverse(MOUNT)))
        robot.publish_image(read_image(frame.path), frame.stamp)
        robot.wait_for_matches(1)


def check_as_amcl(message):
    """The conditions under which AMCL takes an initial pose."""
    assert message.header.frame_id == "map"
    pose = message.pose.pose
    norm = math.hypot(pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w)
    assert abs(norm - 1) < 1e-6 and all(map(math.isfinite, message.pose.covariance))
    assert abs(pose.position.x) <= MAP_SIZE and abs(pose.position.y) <= MAP_SIZE
    assert all(message.pose.covariance[at] > 0 for at in (0, 7, 35))


def end(launched: Process) -> None:
    launched.send(signal.SIGINT)
    assert launched.wait(2 * TIMEOUT) == 0, launched.output
    assert "Traceback" not in launched.output, launched.output


def test_nav2(robot, parameters):
    with launch("nav2_relocalize.launch.py", **parameters) as launched:
        launched.wait_for_output("Managed nodes are active", 2 * TIMEOUT)
        launched.wait_for_output("bond with the lifecycle manager formed")
        drive(robot, world.corridor()[44:54])
        launched.wait_for_output("nothing subscribes to /initialpose yet")  # AMCL has not started

        poses = []
        robot.node.create_subscription(
            PoseWithCovarianceStamped, "/initialpose", poses.append, qos_profile_system_default
        )
        wait_for(lambda: robot.node.count_publishers("/initialpose"), what="the publisher")
        after = world.corridor()[54:64]
        drive(robot, after)
        wait_for(lambda: poses, what="the initial pose")
        check_as_amcl(poses[0])
        there = [compose(frame.pose, inverse(MOUNT)) for frame in after]
        assert min(distance(pose_of(poses[0].pose.pose), pose) for pose in there) < 3

        response = robot.call(Trigger, "/vpr_node/relocalize", Trigger.Request())
        assert response.success and len(poses) == 1, response
        drive(robot, world.corridor()[64:74])
        wait_for(lambda: len(poses) == 2, what="the second initial pose")

        started = r"\[vpr_node-\d+\]: process started with pid \[(\d+)\]"
        os.kill(int(re.findall(started, launched.output)[-1]), signal.SIGKILL)
        wait_for(lambda: len(re.findall(started, launched.output)) == 2, what=lambda: launched.output)
        time.sleep(1)  # ros2 launch loses a process if Ctrl-C interrupts the moment of its start
        end(launched)


def test_slam_toolbox(robot, parameters, tmp_path, monkeypatch):
    prefix = tmp_path / "slam_toolbox"
    files = {
        "share/ament_index/resource_index/packages/slam_toolbox": "",
        "share/slam_toolbox/launch/localization_launch.py": SLAM_TOOLBOX_LAUNCH,
        "share/slam_toolbox/config/mapper_params_localization.yaml": "slam_toolbox:\n  ros__parameters:\n    base_frame: base_footprint\n",
        "lib/slam_toolbox/localization_slam_toolbox_node": f"#!{sys.executable}\n{SLAM_TOOLBOX_NODE}",
    }
    for name, text in files.items():
        (prefix / name).parent.mkdir(parents=True, exist_ok=True)
        (prefix / name).write_text(text)
    (prefix / "lib/slam_toolbox/localization_slam_toolbox_node").chmod(0o755)
    path = f"{prefix}{os.pathsep}{os.environ['AMENT_PREFIX_PATH']}"
    monkeypatch.setenv("AMENT_PREFIX_PATH", path)
    with launch("slam_toolbox_relocalize.launch.py", pose_graph="/maps/office", **parameters) as launched:
        for words in (
            "map_file_name: /maps/office",
            "map_start_pose: [0.0, 0.0, 0.0]",
            "base_frame: base_footprint",
            "use_sim_time: False",
            "Managed nodes are active",
        ):
            launched.wait_for_output(words, 2 * TIMEOUT)
        drive(robot, world.corridor()[44:56])
        launched.wait_for_output("Localizing to: (")
        end(launched)
