"""Every transition, valid and invalid parameters, and a clean end."""

import unittest

import pytest

pytest.importorskip("launch_testing", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

import launch_testing

from tests.ros import world
from tests.ros.launching import assert_ended_well, description
from tests.ros.robot import Robot, wait_for_subscription
from vpr_aesvc import read_image

ROUNDS = 50


@pytest.mark.launch_test
def generate_test_description():
    return description()


class TestLifecycle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.robot = Robot()

    @classmethod
    def tearDownClass(cls):
        cls.robot.close()

    def test_1_a_bad_model_or_map_fails_with_the_reason_and_can_be_corrected(self):
        robot = self.robot
        for name, value, reason in (
            ("model", "", "vpr train"),
            ("model", "/nowhere/model", "/nowhere/model"),
            ("map", "/nowhere/office.vprmap", "vpr map build"),
            ("map", str(world.model() / "model.json"), "model.json"),
        ):
            good = {"model": str(world.model()), "map": str(world.lap_map())}
            assert robot.set_parameters(**{name: value}) == [(True, "")]
            assert not robot.change_state("configure") and robot.state() == "unconfigured"
            status = robot.diagnostics()
            assert reason in status["message"] and status["level"] == "2", status
            assert robot.set_parameters(**{name: good[name]}) == [(True, "")]
        assert robot.change_state("configure") and robot.state() == "inactive"
        assert robot.diagnostics()["level"] == "0"
        assert robot.change_state("cleanup")

    def test_2_fifty_rounds_of_transitions(self):
        robot = self.robot
        memory = []
        for _ in range(ROUNDS):
            for transition, state in (
                ("configure", "inactive"),
                ("activate", "active"),
                ("deactivate", "inactive"),
                ("activate", "active"),
                ("deactivate", "inactive"),
                ("cleanup", "unconfigured"),
            ):
                assert robot.change_state(transition), transition
                assert robot.state() == state
            memory.append(float(robot.diagnostics()["memory, MB"]))
        # The heap grows ever slower, by 30 to 40 MB in 150 rounds; with MALLOC_ARENA_MAX=2 not after these. A model or a map that is not
        # freed takes more.
        assert memory[-1] < memory[ROUNDS // 5] + 60, memory
        assert robot.change_state("configure") and robot.change_state("activate")
        frame = world.corridor()[50]
        wait_for_subscription(robot.images)
        robot.clear()
        robot.publish_image(read_image(frame.path), frame.stamp)
        assert robot.wait_for_matches(1)[0].candidates[0].traverse == "lap 1"

    def test_3_live_parameters_change_and_others_are_refused_with_the_reason(self):
        robot = self.robot
        assert robot.state() == "active"
        assert robot.set_parameters(recognition__false_positive_rate=0.05) == [(True, "")]
        assert robot.set_parameters(recognition__candidates=3, keyframes__meters=2.0) == [(True, "")] * 2
        frame = world.corridor()[50]
        robot.clear()
        robot.publish_image(read_image(frame.path), frame.stamp)
        assert len(robot.wait_for_matches(1)[0].candidates) == 3
        for name, value in (
            ("recognition__false_positive_rate", 0.9),
            ("recognition__false_positive_rate", "much"),
            ("recognition__candidates", 0),
            ("keyframes__degrees", -1.0),
            ("autostart", True),
        ):
            (done, reason), *_ = robot.set_parameters(**{name: value})
            assert not done and reason, name
        for name, value in (("map", "other.vprmap"), ("mode", "slam"), ("cameras", ["a", "b"])):
            (done, reason), *_ = robot.set_parameters(**{name: value})
            assert not done and "before the node is configured" in reason, name
        (done, reason), *_ = robot.set_parameters(recognition__size=7)
        assert not done and "size" in reason
        robot.clear()
        robot.publish_image(read_image(frame.path), frame.stamp + 1)
        assert robot.wait_for_matches(1)

    def test_4_an_unknown_mode_is_refused(self):
        robot = self.robot
        assert robot.change_state("deactivate") and robot.change_state("cleanup")
        (done, reason), *_ = robot.set_parameters(mode="flying")
        assert not done and "mode" in reason
        assert robot.change_state("configure") and robot.change_state("activate")

    def test_5_shutdown_finalizes_the_node(self):
        assert self.robot.change_state("shutdown")
        assert self.robot.state() == "finalized"


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_exit_code_is_0_without_a_traceback(self, proc_info, proc_output):
        assert_ended_well(proc_info, proc_output)
