"""Frames in, answers out: transports, encodings, two cameras, TF; the pose of the robot's base."""

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
from tests.ros.robot import Robot, compressed_message, image_message, wait_for
from vpr_aesvc import read_image
from vpr_aesvc.ros.convert import pose_of
from vpr_aesvc.transforms import OPTICAL, compose, distance
from vpr_aesvc.types import Pose

MOUNT = Pose(0.3, 0.0, 0.5)
"""Of the camera on the robot, looking forward."""


@pytest.mark.launch_test
def generate_test_description():
    first = vpr_node(autostart=True, publish_descriptors=True)
    second = LifecycleNode(
        package="vpr_aesvc",
        executable="vpr_node",
        name="pair",
        namespace="",
        output="screen",
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
        cls.robot.mount(compose(MOUNT, OPTICAL))
        wait_for(cls.robot.images.get_subscription_count, what="the node's subscription to images")
        wait_for(cls.robot.odometry.get_subscription_count, what="the node's subscription to odometry")

    @classmethod
    def tearDownClass(cls):
        cls.robot.close()
        cls.pair.close()

    def test_1_three_encodings_give_the_same_place(self):
        robot = self.robot
        frame = world.corridor()[10]
        image = read_image(frame.path)
        for at, encoding in enumerate(("rgb8", "bgr8", "mono8")):
            robot.forget()
            robot.images.publish(image_message(image, frame.stamp + at, encoding=encoding))
            best = robot.answers(1)[0].candidates[0]
            assert best.stamp.sec == int(frame.stamp), encoding
            assert best.similarity > (0.999 if encoding != "mono8" else 0.6), (encoding, best.similarity)

    def test_2_the_pose_is_the_bases_and_matches_are_those_of_the_image(self):
        robot = self.robot
        robot.forget()
        accepted = []
        for frame in world.corridor()[44:60]:
            before = len(robot.matches)
            robot.drive(frame.stamp, frame.pose)
            robot.show(read_image(frame.path), frame.stamp)
            found = robot.answers(before + 1)[-1]
            assert found.header.stamp.sec == int(frame.stamp) and found.header.frame_id == "camera_optical_frame"
            if found.accepted:
                accepted.append(found)
        assert len(accepted) >= 10
        since = accepted[0].header.stamp.sec  # a pose of the test before may come late

        def poses():
            return [pose for pose in robot.poses if pose.header.stamp.sec >= since]

        wait_for(lambda: len(poses()) >= len(accepted), what="poses")
        for found, pose in zip(accepted, poses(), strict=True):
            assert pose.header.frame_id == "map" and pose.header.stamp == found.header.stamp
            camera = pose_of(found.candidates[0].pose)
            # In the map the camera was at the base (the map's drive had no transform); here it is not.
            assert distance(compose(pose_of(pose.pose.pose), MOUNT), camera) < 1e-6
            spread = np.array(pose.pose.covariance).reshape(6, 6)
            assert np.allclose(spread, spread.T) and np.linalg.eigvalsh(spread).min() > -1e-9 and spread[0, 0] > 0
        assert len({tuple(pose.pose.covariance) for pose in poses()}) > 1, "a constant covariance says nothing"

    def test_3_pictures_and_markers_are_made_while_someone_looks_and_descriptors_are_comparable(self):
        robot = self.robot
        pictures = robot.listen(CompressedImage, "/vpr_node/match_image/compressed")
        markers = robot.listen(MarkerArray, "/vpr_node/markers")
        wait_for(lambda: robot.node.count_publishers("/vpr_node/markers"), what="markers")
        frame = world.corridor()[62]
        robot.forget()

        def looked():
            robot.show(read_image(frame.path), frame.stamp + len(robot.matches))
            robot.answers(len(robot.matches) + 1)
            return pictures and markers and robot.heard["/vpr_node/descriptor"]

        wait_for(looked, what="a picture, markers and a descriptor")
        assert bytes(pictures[0].data[:3]) == b"\xff\xd8\xff"
        descriptor = robot.heard["/vpr_node/descriptor"][0]
        assert np.linalg.norm(descriptor.values) == pytest.approx(1, abs=1e-3) and descriptor.sizes[-1] == len(
            descriptor.values
        )
        drawn = {marker.ns for message in markers for marker in message.markers}
        assert {"match", "match line"} <= drawn or "places" in drawn

    def test_4_two_cameras_compressed_each_with_its_own_sequence(self):
        pair = self.pair
        front, rear = (pair.publisher(CompressedImage, f"/{name}/image/compressed") for name in ("front", "rear"))
        for one in (front, rear):
            wait_for(one.get_subscription_count, what="the subscription of a camera")
        pair.forget()
        for frame in world.corridor()[44:50]:
            for one, name in ((front, "front"), (rear, "rear")):
                before = len(pair.matches)
                suffix = ".png" if name == "front" else ".jpg"
                one.publish(compressed_message(read_image(frame.path), frame.stamp, f"{name}_optical", suffix))
                found = pair.answers(before + 1)[-1]
                assert found.camera == name and found.header.frame_id == f"{name}_optical" and found.message == ""
        assert sum(found.accepted for found in pair.matches) >= 6

    def test_5_hostile_input_is_counted_said_and_survived(self):
        robot = self.robot
        robot.forget()
        good = world.corridor()[50]
        image = read_image(good.path)
        whole = image_message(image, good.stamp)

        def spoiled(**fields):
            message = image_message(image[:8, :8], good.stamp)
            for name, value in fields.items():
                setattr(message, name, value)
            return message

        bad = [
            spoiled(height=0, width=0, data=[]),
            spoiled(step=3),
            spoiled(encoding="tartan"),
            spoiled(encoding=""),
            spoiled(data=list(range(10))),
            spoiled(height=10_000, width=10_000, step=30_000),
        ]
        for at, message in enumerate(bad, 1):
            robot.images.publish(message)
            wait_for(
                lambda at=at: int(robot.diagnostics().get("bad input: picture", "0")) >= at, what=f"bad picture {at}"
            )
        robot.drive(float("1e9"), Pose(0, 0))
        nan = robot.odometry.msg_type()
        nan.pose.pose.position.x = float("nan")
        nan.pose.pose.orientation.w = 1.0
        robot.odometry.publish(nan)
        wait_for(lambda: int(robot.diagnostics().get("bad input: pose", "0")) >= 1, what="a bad pose to be counted")
        robot.forget()
        robot.images.publish(image_message(image, 0.0))
        assert robot.answers(1)[0].header.stamp.sec > 0
        assert robot.diagnostics()["bad input: stamp of zero"] == "1"
        robot.images.publish(whole)
        robot.answers(2)
        back = image_message(image, good.stamp - 3600)
        robot.images.publish(back)
        assert "clock jumped back by" in robot.answers(3)[-1].message
        robot.forget()
        robot.images.publish(whole)
        assert robot.answers(1)[0].candidates

    def test_6_compressed_pictures_that_are_cut_or_huge_are_counted_and_survived(self):
        pair, front = self.pair, self.pair.publisher(CompressedImage, "/front/image/compressed")
        good = compressed_message(read_image(world.corridor()[50].path), 1.0, suffix=".jpg")
        cut = compressed_message(read_image(world.corridor()[50].path), 2.0, suffix=".jpg")
        cut.data = cut.data[: len(cut.data) // 2]
        bomb = compressed_message(np.zeros((10_000, 10_000, 3), np.uint8), 3.0)
        for at, message in enumerate((cut, bomb), 1):
            front.publish(message)
            wait_for(
                lambda at=at: int(pair.diagnostics().get("bad input: picture", "0")) >= at, what=f"bad picture {at}"
            )
        pair.forget()
        front.publish(good)
        assert pair.answers(1)[0].candidates


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_it_ended_with_0_and_without_a_traceback(self, proc_info, proc_output):
        assert_ended_well(proc_info, proc_output)
