"""Two robots in one domain, each in its namespace, started by the launch file. The second has two cameras that see different places."""

import unittest

import pytest

pytest.importorskip("launch_testing", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

import launch_testing
import launch_testing.actions
from launch import LaunchDescription
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage

from tests.recordings.corridor import STEP
from tests.ros import world
from tests.ros.front_rear import MOUNTS, base_at, frame_at, frames_apart, image_seen, number_seen
from tests.ros.launching import assert_ended_well, vpr_launch
from tests.ros.robot import Robot, compressed_message, wait_for, wait_for_subscription
from vpr_aesvc import read_image
from vpr_aesvc.ros.convert import pose_of
from vpr_aesvc.transforms import OPTICAL, compose, distance

FIRST = world.corridor()[44:54]
SECOND = world.corridor()[60:70]


@pytest.mark.launch_test
def generate_test_description():
    first = vpr_launch("robot1")
    second = vpr_launch("robot2", cameras="front,rear", image_transport="compressed", tf_topic="/tf")
    return LaunchDescription([first, second, launch_testing.actions.ReadyToTest()]), {}


def number_of(match):
    """The frame number of the best place."""
    return frame_at(match.candidates[0].stamp).number


class TestTwoRobots(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        cls.one = Robot("watcher1", prefix="/robot1", image_qos=best_effort)
        cls.two = Robot("watcher2", prefix="/robot2")
        cls.one.publish_mount(compose(MOUNTS["front"], OPTICAL))
        cls.shared = Robot("shared_tf")  # publishes on /tf_static
        cls.shared.publish_mount(compose(MOUNTS["front"], OPTICAL), "front_optical_frame")
        cls.shared.publish_mount(compose(MOUNTS["rear"], OPTICAL), "rear_optical_frame")
        cls.shared.publish_mount(
            compose(MOUNTS["rear"], OPTICAL)
        )  # the name of the first robot's frame: the trees must not mix
        cls.images = {}
        for name in ("front", "rear"):
            topic = f"/robot2/{name}/image_raw/compressed"
            cls.images[name] = cls.two.publisher(CompressedImage, topic)
            wait_for_subscription(cls.images[name])
        for each in (cls.one.images, cls.one.odometry, cls.two.odometry):
            wait_for_subscription(each)

    @classmethod
    def tearDownClass(cls):
        for each in (cls.one, cls.two, cls.shared):
            each.close()

    def test_1_each_robot_hears_its_own_camera_odometry_and_tf(self):
        """The first robot's camera is best effort. All drive at the same time."""
        for at, (first, second) in enumerate(zip(FIRST, SECOND, strict=True), 1):
            self.one.publish_odometry(first.stamp, base_at(first))
            self.two.publish_odometry(second.stamp, base_at(second))
            self.one.publish_image(read_image(first.path), first.stamp)
            self.publish_pair(second)
            self.one.wait_for_matches(at)
            self.two.wait_for_matches(2 * at)
        assert len(self.one.matches) == len(FIRST) and len(self.two.matches) == 2 * len(SECOND)
        for match, frame in zip(self.one.matches, FIRST, strict=True):
            assert match.header.stamp.sec == int(frame.stamp) and match.camera == ""
        accepted = [match for match in self.one.matches if match.accepted]
        assert len(accepted) >= len(FIRST) // 2
        for match in accepted:
            assert frames_apart(number_of(match), frame_at(match.header.stamp).number) <= 3
        wait_for(lambda: len(self.one.poses) >= len(accepted), what="poses of the first robot")
        for pose, match in zip(self.one.poses, accepted, strict=True):
            assert distance(compose(pose_of(pose.pose.pose), MOUNTS["front"]), pose_of(match.candidates[0].pose)) < 1e-6

    def test_2_two_cameras_that_see_different_places_give_one_pose_of_the_base(self):
        """Continues with the answers of the second robot."""
        for name in MOUNTS:
            answers = [match for match in self.two.matches if match.camera == name]
            assert [match.header.stamp.sec for match in answers] == [int(frame.stamp) for frame in SECOND]
            assert {match.header.frame_id for match in answers} == {f"{name}_optical_frame"}
            accepted = [match for match in answers if match.accepted]
            assert len(accepted) >= len(SECOND) // 2, (name, [match.why for match in answers])
            for match in accepted:
                assert frames_apart(number_of(match), number_seen(frame_at(match.header.stamp), name)) <= 3
        accepted = sum(match.accepted for match in self.two.matches)
        wait_for(lambda: len(self.two.poses) >= accepted, what="poses of the second robot")
        assert len(self.two.poses) == accepted
        for pose in self.two.poses:
            assert distance(pose_of(pose.pose.pose), base_at(frame_at(pose.header.stamp))) < 3 * STEP

    def publish_pair(self, frame):
        for name in MOUNTS:
            self.images[name].publish(compressed_message(image_seen(frame, name), frame.stamp, f"{name}_optical_frame"))

    def test_3_all_topics_are_in_the_namespace(self):
        node = self.one.node
        for topics in (node.get_subscriber_names_and_types_by_node, node.get_publisher_names_and_types_by_node):
            names = {name for name, _ in topics("vpr_node", "/robot1")}
            outside = {name for name in names if not name.startswith("/robot1/")}
            assert outside <= {"/diagnostics", "/parameter_events", "/rosout"}, outside
        assert self.one.diagnostics()["answered"] == str(len(FIRST))
        assert self.two.diagnostics()["answered"] == str(2 * len(SECOND))


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_exit_code_is_0_without_a_traceback(self, proc_info, proc_output):
        assert_ended_well(proc_info, proc_output)
