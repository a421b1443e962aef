"""Images in, matches out: transports, encodings, two cameras, TF, the pose of the robot's base, bad input."""

import unittest

import numpy as np
import pytest

pytest.importorskip("launch_testing", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

import launch_testing
import launch_testing.actions
from launch import LaunchDescription
from launch_ros.actions import LifecycleNode
from sensor_msgs.msg import CompressedImage
from visualization_msgs.msg import MarkerArray

from tests.ros import world
from tests.ros.launching import assert_ended_well, vpr_node
from tests.ros.patience import wait_for
from tests.ros.robot import Robot, compressed_message, image_message, wait_for_subscription
from vpr_aesvc import read_image
from vpr_aesvc.ros.convert import pose_of
from vpr_aesvc.transforms import OPTICAL, compose, distance
from vpr_aesvc.types import Pose

MOUNT = Pose(0.3, 0.0, 0.5)
"""Pose of the camera in base_link."""


@pytest.mark.launch_test
def generate_test_description():
    first = vpr_node(autostart=True, publish_descriptors=True)
    second = LifecycleNode(
        package="vpr_aesvc",
        executable="vpr_node",
        name="pair",
        namespace="",
        output="screen",
        sigterm_timeout="60",
        parameters=[
            {
                "model": str(world.model()),
                "map": str(world.lap_map()),
                "cameras": ["front", "rear"],
                "compressed": True,
                "autostart": True,
                "pose_source": "none",
            }
        ],
    )
    return LaunchDescription([first, second, launch_testing.actions.ReadyToTest()]), {}


class TestFrames(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.robot = Robot()
        cls.pair = Robot("pair_watcher", "/pair")
        cls.robot.publish_mount(compose(MOUNT, OPTICAL))
        wait_for_subscription(cls.robot.images)
        wait_for_subscription(cls.robot.odometry)

    @classmethod
    def tearDownClass(cls):
        cls.robot.close()
        cls.pair.close()

    def test_1_three_encodings_match_the_same_place(self):
        robot = self.robot
        frame = world.corridor()[10]
        image = read_image(frame.path)
        for at, encoding in enumerate(("rgb8", "bgr8", "mono8")):
            robot.clear()
            robot.images.publish(image_message(image, frame.stamp + at, encoding=encoding))
            best = robot.wait_for_matches(1)[0].candidates[0]
            assert best.stamp.sec == int(frame.stamp), encoding
            assert best.similarity > (0.999 if encoding != "mono8" else 0.6), (encoding, best.similarity)

    def test_2_the_pose_is_that_of_the_base(self):
        robot = self.robot
        robot.clear()
        accepted = []
        for frame in world.corridor()[44:60]:
            before = len(robot.matches)
            robot.publish_odometry(frame.stamp, frame.pose)
            robot.publish_image(read_image(frame.path), frame.stamp)
            match = robot.wait_for_matches(before + 1)[-1]
            assert match.header.stamp.sec == int(frame.stamp) and match.header.frame_id == "camera_optical_frame"
            if match.accepted:
                accepted.append(match)
        assert len(accepted) >= 5
        since = accepted[0].header.stamp.sec  # ignore late poses of the previous test

        def poses():
            return [pose for pose in robot.poses if pose.header.stamp.sec >= since]

        wait_for(lambda: len(poses()) >= len(accepted), what="poses")
        for match, pose in zip(accepted, poses(), strict=True):
            assert pose.header.frame_id == "map" and pose.header.stamp == match.header.stamp
            camera = pose_of(match.candidates[0].pose)
            assert distance(compose(pose_of(pose.pose.pose), MOUNT), camera) < 1e-6
            spread = np.array(pose.pose.covariance).reshape(6, 6)
            assert np.allclose(spread, spread.T) and np.linalg.eigvalsh(spread).min() > -1e-9 and spread[0, 0] > 0
        assert len({tuple(pose.pose.covariance) for pose in poses()}) > 1, "the covariance is constant"

    def test_3_match_images_markers_and_descriptors(self):
        robot = self.robot
        match_images = robot.subscribe(CompressedImage, "/vpr_node/match_image/compressed")
        markers = robot.subscribe(MarkerArray, "/vpr_node/markers")
        wait_for(lambda: robot.node.count_publishers("/vpr_node/markers"), what="markers")
        frame = world.corridor()[62]
        robot.clear()

        def all_received():
            robot.publish_image(read_image(frame.path), frame.stamp + len(robot.matches))
            robot.wait_for_matches(len(robot.matches) + 1)
            return match_images and markers and robot.messages["/vpr_node/descriptor"]

        wait_for(all_received, what="a match image, markers and a descriptor")
        assert bytes(match_images[0].data[:3]) == b"\xff\xd8\xff"
        descriptor = robot.messages["/vpr_node/descriptor"][0]
        assert np.linalg.norm(descriptor.values) == pytest.approx(1, abs=1e-3) and descriptor.sizes[-1] == len(
            descriptor.values
        )
        drawn = {marker.ns for message in markers for marker in message.markers}
        assert {"match", "match line"} <= drawn or "places" in drawn

    def test_4_two_compressed_cameras_have_separate_sequences(self):
        pair = self.pair
        front, rear = (pair.publisher(CompressedImage, f"/{name}/image/compressed") for name in ("front", "rear"))
        wait_for_subscription(front)
        wait_for_subscription(rear)
        pair.clear()
        for frame in world.corridor()[44:50]:
            for one, name in ((front, "front"), (rear, "rear")):
                before = len(pair.matches)
                suffix = ".png" if name == "front" else ".jpg"
                one.publish(compressed_message(read_image(frame.path), frame.stamp, f"{name}_optical", suffix))
                match = pair.wait_for_matches(before + 1)[-1]
                assert match.camera == name and match.header.frame_id == f"{name}_optical" and match.message == ""
        assert sum(match.accepted for match in pair.matches) >= 6

    def test_5_bad_input_is_counted_and_reported(self):
        robot = self.robot
        robot.clear()
        good = world.corridor()[50]
        image = read_image(good.path)
        whole = image_message(image, good.stamp)

        def damaged(**fields):
            message = image_message(image[:8, :8], good.stamp)
            for name, value in fields.items():
                setattr(message, name, value)
            return message

        bad = [
            damaged(height=0, width=0, data=[]),
            damaged(step=3),
            damaged(encoding="tartan"),
            damaged(encoding=""),
            damaged(data=list(range(10))),
            damaged(height=10_000, width=10_000, step=30_000),
        ]
        for at, message in enumerate(bad, 1):
            robot.images.publish(message)
            wait_for(
                lambda at=at: int(robot.diagnostics().get("bad input: picture", "0")) >= at, what=f"bad image {at}"
            )
        robot.publish_odometry(float("1e9"), Pose(0, 0))
        nan = robot.odometry.msg_type()
        nan.pose.pose.position.x = float("nan")
        nan.pose.pose.orientation.w = 1.0
        robot.odometry.publish(nan)
        wait_for(lambda: int(robot.diagnostics().get("bad input: pose", "0")) >= 1, what="a bad pose to be counted")
        robot.clear()
        robot.images.publish(image_message(image, 0.0))
        assert robot.wait_for_matches(1)[0].header.stamp.sec > 0
        assert robot.diagnostics()["bad input: stamp of zero"] == "1"
        robot.images.publish(whole)
        robot.wait_for_matches(2)
        back = image_message(image, good.stamp - 3600)
        robot.images.publish(back)
        assert "clock jumped back by" in robot.wait_for_matches(3)[-1].message
        robot.clear()
        robot.images.publish(whole)
        assert robot.wait_for_matches(1)[0].candidates

    def test_6_truncated_and_huge_compressed_images_are_counted(self):
        pair, front = self.pair, self.pair.publisher(CompressedImage, "/front/image/compressed")
        good = compressed_message(read_image(world.corridor()[50].path), 1.0, suffix=".jpg")
        cut = compressed_message(read_image(world.corridor()[50].path), 2.0, suffix=".jpg")
        cut.data = cut.data[: len(cut.data) // 2]
        bomb = compressed_message(np.zeros((10_000, 10_000, 3), np.uint8), 3.0)
        for at, message in enumerate((cut, bomb), 1):
            front.publish(message)
            wait_for(lambda at=at: int(pair.diagnostics().get("bad input: picture", "0")) >= at, what=f"bad image {at}")
        pair.clear()
        front.publish(good)
        assert pair.wait_for_matches(1)[0].candidates


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_exit_code_is_0_without_a_traceback(self, proc_info, proc_output):
        assert_ended_well(proc_info, proc_output)
