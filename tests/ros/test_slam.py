"""Mode slam over three laps."""

import time
import unittest

import numpy as np
import pytest

pytest.importorskip("launch_testing", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

import launch_testing

from tests.recordings.corridor import LAP
from tests.ros import world
from tests.ros.launching import assert_ended_well, description
from tests.ros.robot import Robot, wait_for_subscription
from vpr_aesvc import PlaceMap, read_image
from vpr_aesvc.ros.convert import pose_of
from vpr_aesvc.transforms import OPTICAL, compose, distance, inverse
from vpr_aesvc.types import Intrinsics, Pose

MOUNT = Pose(0.3, 0.0, 0.5)
"""Pose of the camera in base_link."""
LENS = (-0.1, 0.01, 0.0, 0.0, 0.0)
MAP = world.folder() / "slam.vprmap"


@pytest.mark.launch_test
def generate_test_description():
    return description(map=str(MAP), mode="slam", autostart=True, recognition__recent_seconds=10.0, traverse="drive")


class TestSlam(unittest.TestCase):
    def test_loops_are_closed_only_with_correct_places(self):
        robot = Robot()
        robot.publish_mount(compose(MOUNT, OPTICAL))
        frames = world.corridor()
        height, width = read_image(frames[0].path).shape[:2]
        try:
            wait_for_subscription(robot.images)
            wait_for_subscription(robot.odometry)
            wait_for_subscription(robot.camera_info)
            robot.publish_camera_info(2 * width, 2 * height, LENS)  # of images twice as large
            time.sleep(1)  # the mount and the calibration come
            for number, frame in enumerate(frames, 1):
                robot.publish_odometry(frame.stamp, frame.pose)
                robot.publish_image(read_image(frame.path), frame.stamp)
                robot.wait_for_matches(number)
                time.sleep(0.2)  # the node learns from the growing map between frames
            closures = list(robot.closures)
            assert robot.change_state("deactivate") and robot.change_state("cleanup")
        finally:
            robot.close()
        assert len(closures) >= 0.5 * sum(frame.lap > 1 for frame in frames)  # fewer while learning lags
        for one in closures:
            apart = (frames[one.to_place - 1].number - frames[one.from_place - 1].number) % LAP
            assert min(apart, LAP - apart) <= 3, "a wrong loop closure"
            assert one.header.stamp.sec == int(frames[one.to_place - 1].stamp)
            assert one.from_stamp.sec == int(frames[one.from_place - 1].stamp)
            assert 0.5 < one.probability <= 1
            assert one.body_frame == "base_link" and one.header.frame_id == "camera_optical_frame"
            # The cameras are at one place and differ by a rotation: so do the robots, about the camera.
            relative = pose_of(one.relative_pose.pose)
            cameras = compose(compose(inverse(MOUNT), relative), MOUNT)
            assert distance(cameras, Pose(0, 0)) < 1e-6
            assert np.linalg.eigvalsh(np.array(one.relative_pose.covariance).reshape(6, 6)).min() > -1e-9
        with PlaceMap.open(MAP) as place_map:
            places = list(place_map.places().values())
            fitted = Intrinsics(400.0, 400.0, (width - 1) / 2, (height - 1) / 2, "plumb_bob", LENS)
            assert place_map.cameras() == {("drive", ""): (fitted, (width, height))}
            assert place_map.camera_of(places[-1]) == (fitted, (width, height))
            assert len(places) == len(frames) and {place.traverse for place in places} == {"drive"}
            for place, frame in zip(places, frames, strict=True):
                assert distance(place.pose, compose(frame.pose, MOUNT)) < 1e-6


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_exit_code_is_0_without_a_traceback(self, proc_info, proc_output):
        assert_ended_well(proc_info, proc_output)
