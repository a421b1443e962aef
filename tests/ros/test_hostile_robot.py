"""What must not end the node, nor make it silent: wrong transitions, all of them at once with services and frames, time that stands or
starts again, a map that is taken away."""

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
from tests.ros.robot import Robot, image_message, time_message, wait_for
from vpr_aesvc import PlaceMap, read_image
from vpr_aesvc.transforms import OPTICAL
from vpr_aesvc.types import Pose

MAP = world.folder() / "hostile.vprmap"
UNDER_FIRE = 8.0


@pytest.mark.launch_test
def generate_test_description():
    MAP.write_bytes(world.lap_map().read_bytes())
    return description(map=str(MAP), mode="slam", use_sim_time=True)


def tasks(robot_pid):
    return len(list(Path(f"/proc/{robot_pid}/task").iterdir()))


class TestHostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.robot = Robot()
        cls.robot.mount(OPTICAL)  # else the first frame of each round waits for it
        cls.images = [read_image(frame.path) for frame in world.corridor()[:40]]

    @classmethod
    def tearDownClass(cls):
        cls.robot.close()

    def ready(self, **parameters):
        """Active, with these parameters, and seen by the robot's publishers."""
        robot = self.robot
        for transition in {"active": ("deactivate", "cleanup"), "inactive": ("cleanup",)}.get(robot.state(), ()):
            assert robot.change(transition)
        assert all(done for done, _ in robot.set_parameters(**parameters))
        assert robot.change("configure") and robot.change("activate")
        wait_for(robot.images.get_subscription_count, what="the node's subscription to images")
        robot.forget()

    def test_1_a_transition_that_the_state_does_not_have_is_refused(self):
        robot = self.robot
        for wrong, right in (
            (("activate", "deactivate", "cleanup"), "configure"),
            (("configure", "deactivate"), "activate"),
        ):
            assert not any(robot.change(transition) for transition in wrong)
            assert robot.change(right)
        assert not robot.change("cleanup") and robot.state() == "active"

    def test_2_diagnostics_come_while_nobody_gives_the_time(self):
        assert self.robot.diagnostics()["state"] == "active"

    def test_3_transitions_services_parameters_and_frames_at_once(self, vpr_node):
        before = tasks(vpr_node.process_details["pid"])
        until = time.monotonic() + UNDER_FIRE
        others = [Robot(f"other_{number}") for number in range(3)]
        chance = random.Random(7)
        missed, done = [], []

        def show():
            number = len(done)
            self.robot.drive(number + 1.0, Pose.planar(number, 0, 0))
            self.robot.show(self.images[number % 40], number + 1.0)
            time.sleep(0.02)

        def move():
            others[0].change(chance.choice(["configure", "activate", "configure", "activate", "deactivate", "cleanup"]))

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
                others[1].call(kind, f"/vpr_node/{name}", request, patience=2.0)
            except TimeoutError:  # there is no such service in between, and a cleanup takes one away that was asked
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
        self.ready(recognition__candidates=5)
        self.robot.drive(1e6, Pose(0, 0))
        self.robot.show(self.images[0], 1e6)
        assert self.robot.answers(1)
        assert tasks(vpr_node.process_details["pid"]) <= before + 8, "threads are left behind"

    def test_4_motion_from_tf_begins_anew_with_the_clock_and_with_the_stamps(self):
        robot = self.robot
        moving, clock = robot.publisher(TFMessage, "/tf"), robot.publisher(Clock, "/clock")
        path = world.folder() / "tf.vprmap"
        self.ready(map=str(path), mode="mapping", pose_source="tf", keyframes__meters=0.5)
        wait_for(lambda: moving.get_subscription_count() and clock.get_subscription_count(), what="TF to be heard")
        for begin, ticks in ((2000.0, True), (1000.0, True), (500.0, False)):
            for number in range(8):
                stamp = begin + number / 2
                if ticks:
                    clock.publish(Clock(clock=time_message(stamp)))
                transform = TransformStamped(child_frame_id="base_link")
                transform.header.frame_id, transform.header.stamp = "odom", time_message(stamp)
                transform.transform.translation.x, transform.transform.rotation.w = float(number), 1.0
                moving.publish(TFMessage(transforms=[transform]))
                time.sleep(0.05)
                robot.show(self.images[number], stamp)
                time.sleep(0.15)
        robot.diagnostics()
        assert robot.change("deactivate") and robot.change("cleanup")
        with PlaceMap.open(path) as place_map:
            posed = [place.stamp for place in place_map.places().values() if place.pose is not None]
        for begin in (2000.0, 1000.0, 500.0):
            assert sum(begin <= stamp < begin + 4 for stamp in posed) >= 4, posed

    def test_5_a_map_that_is_taken_away_is_said_and_what_is_recognized_is_told_on(self):
        robot = self.robot
        self.ready(map=str(MAP), mode="slam", pose_source="none", keyframes__seconds=0.0)
        away = MAP.with_suffix(".away")
        MAP.rename(away)
        try:
            robot.show(self.images[5], 9000.0)
            assert robot.answers(1)[0].candidates
            told = robot.diagnostics()
            assert told["level"] == "2" and "removed or replaced" in told["message"], told
        finally:
            away.rename(MAP)
        robot.show(self.images[9], 9010.0)
        robot.answers(2)
        wait_for(lambda: robot.diagnostics()["level"] == "0", what="the trouble to be over")

    def test_6_pictures_that_are_all_bad_and_poses_that_do_not_come_are_told(self):
        robot = self.robot
        self.ready(mode="localization", map=str(world.lap_map()), pose_source="odom")
        spoiled = image_message(self.images[0], 1.0)
        spoiled.encoding = "tartan"
        robot.images.publish(spoiled)
        wait_for(lambda: "'tartan'" in robot.diagnostics()["message"], what="the encoding to be told")
        for number in range(25):
            robot.show(self.images[number], 9100.0 + number)
            robot.answers(number + 1)
        told = robot.diagnostics()
        assert told["level"] == "1" and "pose_source odom" in told["message"], told

    def test_7_cameras_that_cannot_be_are_refused_in_words(self):
        robot = self.robot
        assert robot.change("deactivate") and robot.change("cleanup")
        for cameras, words in ((["front left"], "front left"), (["a", "a"], "of its own")):
            (done, reason), *_ = robot.set_parameters(cameras=cameras)
            assert not done and words in reason, reason


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_it_ended_with_0_and_without_a_traceback(self, proc_info, proc_output):
        assert_ended_well(proc_info, proc_output)
