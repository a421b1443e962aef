"""Every transition and back, parameters good and bad, and an end without a traceback."""

import unittest

import pytest

pytest.importorskip("launch_testing", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

import launch_testing

from tests.ros import world
from tests.ros.launching import assert_ended_well, description
from tests.ros.robot import Robot, wait_for
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

    def test_1_a_bad_model_or_map_fails_with_the_reason_and_the_node_can_be_configured_again(self):
        robot = self.robot
        for name, value, said in (
            ("model", "", "vpr train"),
            ("model", "/nowhere/model", "/nowhere/model"),
            ("map", "/nowhere/office.vprmap", "vpr map build"),
            ("map", str(world.model() / "model.json"), "model.json"),
        ):
            good = {"model": str(world.model()), "map": str(world.lap_map())}
            assert robot.set_parameters(**{name: value}) == [(True, "")]
            assert not robot.change("configure") and robot.state() == "unconfigured"
            trouble = robot.diagnostics()
            assert said in trouble["message"] and trouble["level"] == "2", trouble
            assert robot.set_parameters(**{name: good[name]}) == [(True, "")]
        assert robot.change("configure") and robot.state() == "inactive"
        assert robot.diagnostics()["level"] == "0"
        assert robot.change("cleanup")

    def test_2_every_transition_and_back_fifty_times_and_it_still_answers(self):
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
                assert robot.change(transition), transition
                assert robot.state() == state
            memory.append(float(robot.diagnostics()["memory, MB"]))
        assert memory[-1] < memory[ROUNDS // 5] + 30, memory
        assert robot.change("configure") and robot.change("activate")
        frame = world.corridor()[50]
        wait_for(robot.images.get_subscription_count, what="the node's subscription")
        robot.forget()
        robot.show(read_image(frame.path), frame.stamp)
        assert robot.answers(1)[0].candidates[0].traverse == "lap 1"

    def test_3_what_may_change_while_it_runs_does_and_the_rest_is_refused_with_the_reason(self):
        robot = self.robot
        assert robot.state() == "active"
        assert robot.set_parameters(recognition__false_positive_rate=0.05) == [(True, "")]
        assert robot.set_parameters(recognition__candidates=3, keyframes__meters=2.0) == [(True, "")] * 2
        frame = world.corridor()[50]
        robot.forget()
        robot.show(read_image(frame.path), frame.stamp)
        assert len(robot.answers(1)[0].candidates) == 3
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
        robot.forget()
        robot.show(read_image(frame.path), frame.stamp + 1)
        assert robot.answers(1)

    def test_4_a_mode_that_there_is_not_fails_to_configure(self):
        robot = self.robot
        assert robot.change("deactivate") and robot.change("cleanup")
        (done, reason), *_ = robot.set_parameters(mode="flying")
        assert not done and "mode" in reason
        assert robot.change("configure") and robot.change("activate")

    def test_5_shutdown_ends_the_nodes_life_in_order(self):
        assert self.robot.change("shutdown")
        assert self.robot.state() == "finalized"


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_it_ended_with_0_and_without_a_traceback(self, proc_info, proc_output):
        assert_ended_well(proc_info, proc_output)
