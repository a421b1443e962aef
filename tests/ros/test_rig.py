"""Two cameras as one: one match and one pose for each moment, also while a camera fails."""

import unittest
from dataclasses import replace
from itertools import count

import pytest

pytest.importorskip("launch_testing", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

import launch_testing
from sensor_msgs.msg import Image

from tests.recordings.corridor import PERIOD, STEP
from tests.ros import world
from tests.ros.front_rear import AHEAD, MOUNTS, base_at, frame_at, image_seen
from tests.ros.launching import assert_ended_well, description
from tests.ros.robot import Robot, image_message, wait_for, wait_for_subscription
from vpr_aesvc.ros.convert import pose_of
from vpr_aesvc.transforms import OPTICAL, compose, distance

FRAMES = world.corridor()[44:72]


@pytest.mark.launch_test
def generate_test_description():
    return description(cameras=["front", "rear"], rig=True, autostart=True)


class TestRig(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.robot = Robot()
        cls.images = {name: cls.robot.publisher(Image, f"/{name}/image") for name in MOUNTS}
        for name, mount in MOUNTS.items():
            cls.robot.publish_mount(compose(mount, OPTICAL), f"{name}_optical_frame")
        for publisher in (*cls.images.values(), cls.robot.odometry):
            wait_for_subscription(publisher)

    @classmethod
    def tearDownClass(cls):
        cls.robot.close()

    def publish(self, frame, cameras=tuple(MOUNTS), shown=None):
        """The images of one moment. ``shown``: the frame whose pictures the rear camera shows, by default the same."""
        self.robot.publish_odometry(frame.stamp, base_at(frame))
        for at, name in enumerate(cameras):
            image = image_seen(shown if shown and name == "rear" else frame, name)
            # Not exactly at the same time, as cameras are.
            self.images[name].publish(image_message(image, frame.stamp + 0.008 * at, f"{name}_optical_frame"))

    def joint(self):
        return [match for match in self.robot.matches if match.camera == "rig"]

    def test_1_one_match_and_one_pose_for_each_moment(self):
        robot = self.robot
        robot.clear()
        for at, frame in enumerate(FRAMES[:12], 1):
            self.publish(frame)
            robot.wait_for_matches(3 * at)
        assert [match.camera for match in robot.matches] == ["front", "rear", "rig"] * 12
        own = {(match.camera, frame_at(match.header.stamp).number): match for match in robot.matches}
        for match in self.joint():
            camera = match.header.frame_id.removesuffix("_optical_frame")
            one = own[camera, frame_at(match.header.stamp).number]
            assert match.candidates == one.candidates and "of 2 cameras agree" in match.why
            assert match.false_positive_rate >= one.false_positive_rate
        accepted = [match for match in self.joint() if match.accepted]
        assert len(accepted) >= 6, [match.why for match in self.joint()]
        wait_for(lambda: len(robot.poses) >= len(accepted), what="poses")
        for pose, match in zip(robot.poses, accepted, strict=True):
            assert pose.header.stamp == match.header.stamp
            assert distance(pose_of(pose.pose.pose), base_at(frame_at(pose.header.stamp))) < 3 * STEP
        status = robot.diagnostics()
        assert status["rig frames"] == "12" and status["accepted rig frames"] == str(len(accepted))

    def test_2_cameras_that_contradict_each_other_give_no_pose(self):
        robot = self.robot
        robot.clear()
        for at, frame in enumerate(FRAMES[12:16], 1):
            before = next(one for one in world.corridor() if one.number == frame.number - AHEAD)
            self.publish(frame, shown=before)  # both cameras see the same picture
            robot.wait_for_matches(3 * at)
        sure = {match.camera for match in robot.matches if match.accepted}
        refused = [match for match in self.joint() if "are sure of different places" in match.why]
        assert sure >= {"front", "rear"} and refused, [match.why for match in robot.matches]
        assert not any(match.accepted for match in refused)
        assert len(robot.poses) <= 4 - len(refused)

    def test_3_the_rig_goes_on_without_a_camera_and_says_so(self):
        robot = self.robot
        robot.clear()
        for frame in FRAMES[16:23]:
            self.publish(frame, ["front"])
        wait_for(lambda: len(self.joint()) >= 2, what="joint matches without the rear camera")

        def warned():
            status = robot.diagnostics()
            return status["level"] == "1" and status["message"].startswith(
                ("the rig goes on without rear", "nothing comes")
            )

        wait_for(warned, what="a warning")
        # Again and again, as an image may get lost: the node subscribes best effort.
        later = (replace(FRAMES[23], stamp=FRAMES[23].stamp + number * PERIOD) for number in count())

        def without_warning():
            self.publish(next(later))
            return not warned()

        def has_both():
            self.publish(next(later))
            robot.diagnostics()  # some time
            return any("of 2 cameras" in match.why for match in self.joint())

        wait_for(without_warning, what="the end of the warning")
        robot.clear()
        wait_for(has_both, what="both cameras again")


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_exit_code_is_0_without_a_traceback(self, proc_info, proc_output):
        assert_ended_well(proc_info, proc_output)
