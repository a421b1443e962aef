"""No pose without a known mount of the camera; the mount by TF, by parameter and by assumption; initialpose and map -> odom."""

import math
import unittest

import pytest

pytest.importorskip("launch_testing", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

import launch_testing
from geometry_msgs.msg import PoseWithCovarianceStamped
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from tests.ros import world
from tests.ros.launching import assert_ended_well, description
from tests.ros.robot import Robot, wait_for, wait_for_subscription
from vpr_aesvc import PlaceMap, read_image
from vpr_aesvc.ros.convert import pose_of
from vpr_aesvc.transforms import IDENTITY, OPTICAL, compose, distance, heading, inverse, pose_from_euler
from vpr_aesvc.types import Pose

BACKWARD = pose_from_euler(-0.2, 0.0, 0.5, 0.0, 0.0, math.pi)
"""A camera that looks back."""


def nanoseconds(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


@pytest.mark.launch_test
def generate_test_description():
    return description(mode="localization")


class TestMount(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.robot = Robot()
        cls.initial = cls.robot.subscribe(PoseWithCovarianceStamped, "/initialpose")
        cls.transforms = cls.robot.subscribe(TFMessage, "/tf")
        cls.images = {frame.number: read_image(frame.path) for frame in world.corridor()}

    @classmethod
    def tearDownClass(cls):
        cls.robot.close()

    def activate(self, **parameters):
        defaults = {"publish_initialpose": False, "publish_tf": False, "mode": "localization"}
        self.robot.activate(**(defaults | parameters))
        wait_for_subscription(self.robot.odometry)

    def drive(self, frames, base_in_camera=IDENTITY, frame_id="camera_optical_frame", later=0.0):
        """Shows frames; the odometry is that of a base with the camera's mount. Returns the new matches."""
        robot = self.robot
        first = len(robot.matches)
        for number, frame in enumerate(frames, 1):
            robot.publish_odometry(frame.stamp + later, compose(frame.pose, base_in_camera))
            robot.publish_image(self.images[frame.number], frame.stamp + later, frame=frame_id)
            robot.wait_for_matches(first + number)
        return robot.matches[first:]

    def poses_of(self, matches):
        """The poses of accepted matches, once they have come."""
        stamps = {nanoseconds(match) for match in matches if match.accepted}
        assert len(stamps) >= 5
        wait_for(lambda: stamps <= {nanoseconds(pose) for pose in self.robot.poses}, what="poses")
        return {nanoseconds(pose): pose_of(pose.pose.pose) for pose in self.robot.poses}

    def test_1_without_a_mount_no_pose_is_published_and_everybody_is_told(self):
        self.activate(publish_initialpose=True)
        matches = self.drive(world.corridor()[44:56])
        assert sum(match.accepted for match in matches) >= 5
        wait_for(  # in the first seconds the mount may still come
            lambda: self.drive(world.corridor()[55:56]) and self.robot.diagnostics()["level"] == "2", what="the error"
        )
        status = self.robot.diagnostics()
        assert "no pose is published" in status["message"] and "'camera_optical_frame'" in status["message"], status
        assert status["poses published"] == "0" and not self.robot.poses and not self.initial

    def test_2_the_mount_by_tf_is_used_as_soon_as_it_comes(self):
        self.robot.publish_mount(compose(BACKWARD, OPTICAL))
        wait_for(
            lambda: self.drive(world.corridor()[56:57]) and self.robot.diagnostics()["level"] == "0",
            what="the mount to be used",
        )
        self.robot.clear()
        matches = self.drive(world.corridor()[57:70], inverse(BACKWARD))
        poses = self.poses_of(matches)
        for match in matches:
            if match.accepted:
                camera = pose_of(match.candidates[0].pose)
                pose = poses[nanoseconds(match)]
                assert distance(compose(pose, BACKWARD), camera) < 1e-6
                turned = abs(heading(pose) - heading(camera))
                assert abs(turned - math.pi) < 1e-6, "the robot looks where its camera does not"

    def test_3_the_mount_by_parameter(self):
        self.activate(camera_mount=[0.3, 0.0, 0.5, 0.0, 0.0, 0.0], publish_initialpose=True)
        self.initial.clear()
        matches = self.drive(world.corridor()[44:60], inverse(Pose(0.3, 0, 0.5)), frame_id="not_in_tf")
        poses = self.poses_of(matches)
        for match in matches:
            if match.accepted:
                camera = pose_of(match.candidates[0].pose)
                assert distance(compose(poses[nanoseconds(match)], Pose(0.3, 0, 0.5)), camera) < 1e-6
        assert self.robot.diagnostics()["level"] == "0"

    def test_4_initialpose_comes_once_and_again_when_asked(self):
        """Goes on from test 3."""
        assert len(self.initial) == 1 and self.initial[0].header.frame_id == "map"
        same = [pose for pose in self.robot.poses if pose.header.stamp == self.initial[0].header.stamp]
        assert same and distance(pose_of(same[0].pose.pose), pose_of(self.initial[0].pose.pose)) < 1.5
        assert sum(same[0].pose.covariance[::7]) >= sum(self.initial[0].pose.covariance[::7]), (
            "the most precise of three"
        )
        response = self.robot.call(Trigger, "/vpr_node/relocalize", Trigger.Request())
        assert response.success and "/initialpose" in response.message, response
        self.drive(world.corridor()[60:75], inverse(Pose(0.3, 0, 0.5)), frame_id="not_in_tf")
        wait_for(lambda: len(self.initial) == 2, what="the second initial pose")
        assert self.robot.diagnostics()["initial poses published"] == "2"

    def test_5_map_to_odom(self):
        self.activate(camera_mount=[0.3, 0.0, 0.5, 0.0, 0.0, 0.0], publish_tf=True)
        odometry_in_map = Pose(0, 0)  # the corridor's map was made from the same odometry, in its first lap
        self.drive(world.corridor()[44:60], inverse(Pose(0.3, 0, 0.5)), frame_id="not_in_tf")

        def sent():
            return [one for message in self.transforms for one in message.transforms if one.header.frame_id == "map"]

        wait_for(lambda: len(sent()) > 5, what="map -> odom")
        last = sent()[-1]
        assert last.child_frame_id == "odom"
        move = last.transform.translation
        assert distance(Pose(move.x, move.y, move.z), odometry_in_map) < 3, (
            "laps differ by their drift and the places' distance"
        )

    def test_6_assume_camera_is_base(self):
        self.activate(camera_mount=[], assume_camera_is_base=True)
        self.robot.set_parameters(assume_camera_is_base=True)
        matches = self.drive(world.corridor()[44:60], frame_id="nowhere")
        wait_for(lambda: self.robot.poses, what="poses")
        assert self.robot.diagnostics()["level"] == "0"
        for match in matches:
            for pose in self.robot.poses:
                if pose.header.stamp == match.header.stamp:
                    assert distance(pose_of(pose.pose.pose), pose_of(match.candidates[0].pose)) < 1e-6

    def test_7_places_wait_for_the_mount_or_have_no_pose(self):
        path = world.folder() / "mount.vprmap"
        self.activate(assume_camera_is_base=False, mode="mapping", map=str(path))
        robot = self.robot
        for at, frame in enumerate(world.corridor()[:24:3]):
            robot.publish_odometry(frame.stamp, frame.pose)
            frame_id = "nowhere" if at % 2 else "camera_optical_frame"
            robot.publish_image(self.images[frame.number], frame.stamp, frame=frame_id)
            wait_for(lambda at=at: int(robot.diagnostics()["images"]) > at, what="the image")
        status = robot.diagnostics()
        assert status["level"] == "2" and "'nowhere'" in status["message"], dict(status)
        assert robot.change_state("deactivate") and robot.change_state("cleanup")
        with PlaceMap.open(path) as place_map:
            poses = [place.pose for place in place_map.places().values()]
        assert None in poses and any(pose is not None for pose in poses)

    def test_8_wrong_combinations_are_refused(self):
        robot = self.robot
        if robot.state() == "active":
            assert robot.change_state("deactivate") and robot.change_state("cleanup")
        for wrong, word in (
            ({"publish_tf": True}, "mode localization"),  # the mode is still mapping
            ({"camera_mount": [0.0, 1.0]}, "six numbers"),
        ):
            (done, reason), *_ = robot.set_parameters(**wrong)
            assert not done and word in reason, reason


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_exit_code_is_0_without_a_traceback(self, proc_info, proc_output):
        assert_ended_well(proc_info, proc_output)
