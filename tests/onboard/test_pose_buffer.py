"""Poses at image stamps: interpolated, extrapolated, or unknown."""

import threading

import pytest

from vpr_aesvc.onboard.pose_buffer import PoseBuffer
from vpr_aesvc.transforms import heading
from vpr_aesvc.types import Pose


@pytest.fixture
def buffer():
    buffer = PoseBuffer(gap=0.5)
    buffer.add(10.0, Pose.planar(0, 0, 0.0))
    buffer.add(10.2, Pose.planar(1, 0, 0.4))
    return buffer


def test_a_pose_between_two_is_interpolated(buffer):
    result = buffer.at(10.05)
    assert (result.x, heading(result)) == pytest.approx((0.25, 0.1))
    assert buffer.at(10.2) == Pose.planar(1, 0, 0.4)


def test_no_pose_before_the_first_and_in_a_gap(buffer):
    assert buffer.at(9.99) is None
    assert buffer.at(10.71) is None
    buffer.add(11.0, Pose.planar(2, 0))
    assert buffer.at(10.6) is None


def test_a_pose_after_the_last_is_extrapolated(buffer):
    on = buffer.at(10.3)
    assert (on.x, heading(on)) == pytest.approx((1.5, 0.6))
    single = PoseBuffer(gap=0.5)
    single.add(1.0, Pose.planar(3, 0))
    assert single.at(1.2) == Pose.planar(3, 0)
    noisy = PoseBuffer(gap=0.5)
    for at in range(50):
        noisy.add(at * 0.01, Pose.planar(at * 0.01 + (0.002 if at % 2 else 0.0), 0))
    assert noisy.at(0.69).x == pytest.approx(0.69, abs=0.01)


def test_a_request_waits_for_the_next_pose_up_to_its_limit(buffer):
    threading.Timer(0.05, buffer.add, (10.4, Pose.planar(2, 0, 0.4))).start()
    assert buffer.at(10.3, wait=2.0).x == pytest.approx(1.5)
    assert buffer.at(10.5, wait=0.1).x == pytest.approx(2.5)


def test_late_poses_are_ignored_and_a_backward_clock_jump_clears_the_buffer(buffer):
    buffer.add(10.1, Pose.planar(50, 0))
    assert buffer.at(10.1).x == pytest.approx(0.5)
    buffer.add(3.0, Pose.planar(7, 0))
    assert buffer.at(10.1) is None
    assert buffer.at(3.0).x == 7
