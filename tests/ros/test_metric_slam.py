"""Loop closures of mode slam with intrinsics: the measured pose of the base, of a car that drives there and back."""

import time
import unittest

import numpy as np
import pytest

pytest.importorskip("launch_testing", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

import launch_testing
from sensor_msgs.msg import CameraInfo

from tests.conftest import DATA, has_data
from tests.pose_graph.drives import kitti_there_and_back
from tests.ros import world
from tests.ros.launching import assert_ended_well, description
from tests.ros.robot import OPTICAL_FRAME, Robot, wait_for_subscription
from vpr_aesvc.ros.convert import pose_of, time_message
from vpr_aesvc.transforms import OPTICAL, angle, compose, distance, inverse, pose_from_euler, relative_pose

if not has_data("kitti_clip"):
    pytest.skip(f"real data is absent: {DATA / 'kitti_clip'} (set VPR_TEST_DATA)", allow_module_level=True)
MOUNT = pose_from_euler(1.2, 0.3, 1.6, 0.02, -0.05, 0.3)
"""Pose of the camera in base_link."""
MAP = world.folder() / "metric_slam.vprmap"


@pytest.mark.launch_test
def generate_test_description():
    exclusion = {"recognition__recent_seconds": 4.0, "recognition__recent_meters": 15.0}
    return description(map=str(MAP), mode="slam", autostart=True, traverse="drive", **exclusion)


class TestMetricSlam(unittest.TestCase):
    def test_closures_have_the_pose_of_the_base(self):
        seen, camera = kitti_there_and_back(DATA / "kitti_clip")
        bases = [compose(one.pose, inverse(MOUNT)) for one in seen]
        robot = Robot()
        robot.publish_mount(compose(MOUNT, OPTICAL))
        try:
            for publisher in (robot.images, robot.odometry, robot.camera_info):
                wait_for_subscription(publisher)
            time.sleep(1)  # the mount comes
            k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
            for number, (one, base) in enumerate(zip(seen, bases, strict=True), 1):
                height, width = one.image.shape[:2]
                info = CameraInfo(width=width, height=height, k=k, distortion_model="plumb_bob", d=[0.0] * 5)
                info.header.stamp, info.header.frame_id = time_message(one.stamp), OPTICAL_FRAME
                robot.camera_info.publish(info)
                robot.publish_odometry(one.stamp, base)
                robot.publish_image(one.image, one.stamp)
                robot.wait_for_matches(number)
                time.sleep(0.3)  # the node learns from the growing map between frames
            closures = list(robot.closures)
            assert robot.change_state("deactivate") and robot.change_state("cleanup")
        finally:
            robot.close()
        meters, degrees = [], []
        for one in closures:
            assert one.body_frame == "base_link" and one.header.frame_id == OPTICAL_FRAME
            exact = relative_pose(bases[one.from_place - 1], bases[one.to_place - 1])
            assert one.metric == (np.sqrt(one.relative_pose.covariance[0]) < 1)
            if not one.metric:
                continue  # not measured: the place's pose, and its wide covariance
            assert one.relative_pose.covariance[0] > 0
            measured = pose_of(one.relative_pose.pose)
            meters.append(distance(measured, exact))
            degrees.append(np.degrees(angle(measured, exact)))
        print(f"{len(closures)} closures, meters {np.round(meters, 3)}, degrees {np.round(degrees, 2)}")
        assert len(meters) >= max(8, 0.8 * len(closures))  # fewer while learning lags
        assert np.median(meters) <= 0.1 and np.median(degrees) <= 0.2 and max(meters) < 0.5


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_exit_code_is_0_without_a_traceback(self, proc_info, proc_output):
        assert_ended_well(proc_info, proc_output)
