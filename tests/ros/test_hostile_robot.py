"""Faults that the node must survive and report: impossible transitions, concurrent requests, a stopped or restarted clock, a removed map."""

import random
import threading
import time
import unittest
from pathlib import Path

import pytest

pytest.importorskip("launch_testing", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

import launch_testing
from geometry_msgs.msg import TransformStamped
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from vpr_aesvc_msgs.srv import GetMapInfo, LoadMap, QueryPlace

from tests.ros import world
from tests.ros.launching import assert_ended_well, description
from tests.ros.patience import patience, wait_for
from tests.ros.robot import Robot, image_message, time_message
from vpr_aesvc import PlaceMap, read_image
from vpr_aesvc.transforms import OPTICAL
from vpr_aesvc.types import Pose

MAP = world.folder() / "hostile.vprmap"
STRESS_SECONDS = 8.0


@pytest.mark.launch_test
def generate_test_description():
    MAP.write_bytes(world.lap_map().read_bytes())
    return description(map=str(MAP), mode="slam", use_sim_time=True)


def thread_count(pid):
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


class TestHostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.robot = Robot()
        cls.robot.publish_mount(OPTICAL)  # else the first frame after each activation waits for it
        cls.images = [read_image(frame.path) for frame in world.corridor()[:40]]

    @classmethod
    def tearDownClass(cls):
        cls.robot.close()

    def test_1_an_impossible_transition_is_refused(self):
        robot = self.robot
        for wrong, right in (
            (("activate", "deactivate", "cleanup"), "configure"),
            (("configure", "deactivate"), "activate"),
        ):
            assert not any(robot.change_state(transition) for transition in wrong)
            assert robot.change_state(right)
        assert not robot.change_state("cleanup") and robot.state() == "active"

    def test_2_diagnostics_come_without_a_clock(self):
        assert self.robot.diagnostics()["state"] == "active"

    def test_3_concurrent_transitions_services_parameters_and_frames(self, vpr_node):
        before = thread_count(vpr_node.process_details["pid"])
        until = time.monotonic() + STRESS_SECONDS * patience()
        others = [Robot(f"other_{number}") for number in range(3)]
        chance = random.Random(7)
        missed, done = [], []

        def show():
            number = len(done)
            self.robot.publish_odometry(number + 1.0, Pose.planar(number, 0, 0))
            self.robot.publish_image(self.images[number % 40], number + 1.0)
            time.sleep(0.02)

        def move():
            others[0].change_state(
                chance.choice(["configure", "activate", "configure", "activate", "deactivate", "cleanup"])
            )

        def ask():
            kind, name, request = chance.choice(
                [
                    (LoadMap, "load_map", LoadMap.Request(path=str(MAP))),
                    (QueryPlace, "query_place", QueryPlace.Request(image=image_message(self.images[3], 1.0))),
                    (GetMapInfo, "get_map_info", GetMapInfo.Request()),
                    (Trigger, "reset", Trigger.Request()),
                ]
            )
            try:
                others[1].call(kind, f"/vpr_node/{name}", request, timeout=2.0)
            except TimeoutError:  # the service may not exist at the moment, or a cleanup may remove it during the call
                missed.append(name)

        def change():
            others[2].set_parameters(recognition__candidates=chance.randint(1, 9), keyframes__meters=chance.random())

        failed = []

        def repeat(work):
            try:
                while time.monotonic() < until:
                    work()
                    done.append(work)
            except Exception as error:
                failed.append((work, error))

        threads = [threading.Thread(target=repeat, args=(work,)) for work in (show, move, ask, change)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for other in others:
            other.close()
        assert not failed and {show, move, ask, change} == set(done), failed
        self.robot.activate(recognition__candidates=5)
        self.robot.publish_odometry(1e6, Pose(0, 0))
        self.robot.publish_image(self.images[0], 1e6)
        assert self.robot.wait_for_matches(1)
        assert thread_count(vpr_node.process_details["pid"]) <= before + 8, "threads were leaked"

    def test_4_poses_from_tf_survive_backward_jumps_of_clock_and_stamps(self):
        robot = self.robot
        moving, clock = robot.publisher(TFMessage, "/tf"), robot.publisher(Clock, "/clock")
        path = world.folder() / "tf.vprmap"
        self.robot.activate(map=str(path), mode="mapping", pose_source="tf", keyframes__meters=0.5)
        wait_for(
            lambda: moving.get_subscription_count() and clock.get_subscription_count(),
            what="the subscriptions to TF and /clock",
        )
        for begin, ticks in ((2000.0, True), (1000.0, True), (500.0, False)):
            for number in range(8):
                stamp = begin + number / 2
                if ticks:
                    clock.publish(Clock(clock=time_message(stamp)))
                transform = TransformStamped(child_frame_id="base_link")
                transform.header.frame_id, transform.header.stamp = "odom", time_message(stamp)
                transform.transform.translation.x, transform.transform.rotation.w = float(number), 1.0
                moving.publish(TFMessage(transforms=[transform]))
                time.sleep(0.05 * patience())
                robot.publish_image(self.images[number], stamp)
                time.sleep(0.15 * patience())
        robot.diagnostics()
        assert robot.change_state("deactivate") and robot.change_state("cleanup")
        with PlaceMap.open(path) as place_map:
            posed = [place.stamp for place in place_map.places().values() if place.pose is not None]
        for begin in (2000.0, 1000.0, 500.0):
            assert sum(begin <= stamp < begin + 4 for stamp in posed) >= 4, posed

    def test_5_a_removed_map_is_reported_and_recognition_goes_on(self):
        robot = self.robot
        self.robot.activate(map=str(MAP), mode="slam", pose_source="none", keyframes__seconds=0.0)
        away = MAP.with_suffix(".away")
        MAP.rename(away)
        try:
            robot.publish_image(self.images[5], 9000.0)
            assert robot.wait_for_matches(1)[0].candidates
            status = robot.diagnostics()
            assert status["level"] == "2" and "removed or replaced" in status["message"], status
        finally:
            away.rename(MAP)
        robot.publish_image(self.images[9], 9010.0)
        robot.wait_for_matches(2)
        wait_for(lambda: robot.diagnostics()["level"] == "0", what="the error to be cleared")

    def test_6_bad_images_and_missing_poses_are_reported(self):
        robot = self.robot
        self.robot.activate(mode="localization", map=str(world.lap_map()), pose_source="odom")
        bad = image_message(self.images[0], 1.0)
        bad.encoding = "tartan"
        robot.images.publish(bad)
        wait_for(lambda: "'tartan'" in robot.diagnostics()["message"], what="the encoding to be reported")
        for number in range(25):
            robot.publish_odometry(number + 1.0, Pose(0, 0))  # by another clock
            robot.publish_image(self.images[number], 9100.0 + number)
            robot.wait_for_matches(number + 1)
        status = robot.diagnostics()
        assert status["level"] == "1" and "pose_source odom" in status["message"], status

    def test_7_invalid_camera_names_are_refused_with_the_reason(self):
        robot = self.robot
        assert robot.change_state("deactivate") and robot.change_state("cleanup")
        for cameras, words in ((["front left"], "front left"), (["a", "a"], "must be different")):
            (done, reason), *_ = robot.set_parameters(cameras=cameras)
            assert not done and words in reason, reason


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_exit_code_is_0_without_a_traceback(self, proc_info, proc_output):
        assert_ended_well(proc_info, proc_output)
