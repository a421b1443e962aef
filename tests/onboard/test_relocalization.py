"""Which match may set the robot's pose anew. A robot drives along x; its odometry starts 10 m behind the map's origin and turned by 90 degrees."""

import math
from dataclasses import replace

import numpy as np
import pytest

from vpr_aesvc.onboard.relocalization import Relocalization, Sighting
from vpr_aesvc.transforms import angle, compose, distance, inverse, pose_from_euler
from vpr_aesvc.types import Pose

ODOMETRY_IN_MAP = pose_from_euler(-10, 0, 0, 0, 0, math.pi / 2)
COVARIANCE = np.diag([0.1**2] * 3 + [0.05**2] * 3)


PERIOD = 0.2
"""Seconds between two frames."""


def sighting(x, error=(0.0, 0.0), odometry=True, frame=ODOMETRY_IN_MAP, covariance=COVARIANCE):
    """The robot at ``x`` meters, matched with an error in meters."""
    truth = Pose(x, 0)
    base = Pose(x + error[0], error[1])
    return Sighting(base, covariance, compose(inverse(frame), truth) if odometry else None)


class Robot:
    """A relocalization with its clock."""

    def __init__(self):
        self.relocalization = Relocalization()
        self.now = 100.0

    def see(self, *sightings, lost=0.0, probability=0.9, localized=None, covariance=None):
        """The events of the next frames."""
        found = []
        for one in sightings:
            self.now += PERIOD
            found.append(self.relocalization.update(one, lost, probability, self.now, localized, covariance))
        return found

    @property
    def state(self):
        return self.relocalization.state(self.now)[0]


@pytest.fixture
def robot():
    return Robot()


@pytest.mark.parametrize("odometry", [True, False])
def test_the_third_match_that_agrees_is_the_only_fix(robot, odometry):
    found = robot.see(*(sighting(0.2 * at, odometry=odometry) for at in range(30)))
    assert found[:3] == ["none", "none", "fix"]
    assert set(found[3:]) == {"agrees" if odometry else "none"}


def test_wrong_matches_are_no_fix_and_break_nothing(robot):
    rng = np.random.default_rng(0)
    wrong = [sighting(0.2 * at, rng.uniform(20, 90, 2)) for at in range(10)]
    assert set(robot.see(*wrong)) == {"none"} and robot.state == "unsure"
    robot = Robot()
    assert robot.see(sighting(0), wrong[1], sighting(1), sighting(2))[-1] == "fix"
    before = robot.relocalization.odometry_in_map
    assert robot.see(sighting(3, (40, 40))) == ["none"]
    assert robot.relocalization.odometry_in_map == before


def test_the_fix_is_the_most_precise_of_the_sightings_that_agree(robot):
    measured = replace(sighting(0.5, covariance=COVARIANCE / 100), metric=True)
    assert robot.see(sighting(0, (0.9, 0)), measured, sighting(1.5, (0.9, 0)))[-1] == "fix"
    fix = robot.relocalization.fix
    assert distance(fix.base, Pose(1.5, 0)) < 1e-6, "moved by odometry"
    assert (np.diag(fix.covariance)[:3] > np.diag(measured.covariance)[:3]).all(), "the odometry drifts"
    assert np.trace(fix.covariance) < np.trace(COVARIANCE)


def test_a_fix_that_no_sighting_measured_is_their_mean(robot):
    """The robot drives past a place: its pose is first before the robot, then behind it."""
    assert robot.see(sighting(0, (0.9, 0)), sighting(0.6, (0.3, 0)), sighting(1.2, (-0.3, 0)))[-1] == "fix"
    fix = robot.relocalization.fix
    assert distance(fix.base, Pose(1.5, 0)) < 1e-6 and np.trace(fix.covariance) >= np.trace(COVARIANCE)


def test_the_pose_of_the_odometry_in_the_map(robot):
    assert robot.relocalization.odometry_in_map is None
    rng = np.random.default_rng(1)
    errors = []
    for at in range(200):
        robot.see(sighting(0.2 * at, rng.normal(0, 0.3, 2)))
        if at > 50:
            errors.append(distance(robot.relocalization.odometry_in_map, ODOMETRY_IN_MAP))
    assert np.median(errors) < 0.15, "a single match is 0.4 m off: the estimate must be better"
    assert angle(robot.relocalization.odometry_in_map, ODOMETRY_IN_MAP) < 0.01


def test_slow_drift_of_the_odometry_is_followed_without_a_new_fix(robot):
    found = []
    for at in range(600):
        drifted = pose_from_euler(-10, 0.02 * at, 0, 0, 0, math.pi / 2)  # 12 m in 120 m
        found += robot.see(sighting(0.2 * at, frame=drifted))
        if at > 10:
            assert distance(robot.relocalization.odometry_in_map, drifted) < 0.6
    assert found.count("fix") == 1


def test_a_robot_that_was_lost_and_is_elsewhere_gets_a_new_fix_at_once(robot):
    robot.see(*map(sighting, range(5)))
    assert robot.state == "sure"
    assert set(robot.see(*[None] * 4, lost=0.9)) == {"none"}
    assert robot.see(sighting(9)) == ["agrees"], "four frames are not lost"
    robot.see(*[None] * 5, lost=0.9)
    assert robot.state == "lost"
    carried = [sighting(at, (50, 20)) for at in (10, 11, 12)]
    assert robot.see(*carried) == ["none", "none", "fix"] and robot.state == "sure"
    robot.see(*[None] * 9, lost=0.2)
    assert robot.see(*(sighting(at, (50, 20)) for at in (20, 21, 22))) == ["agrees"] * 3, "refused, not lost"


def test_a_robot_that_was_lost_and_is_where_its_localization_says_gets_no_new_fix(robot):
    robot.see(*map(sighting, range(5)))
    robot.see(*[None] * 9, lost=0.9)
    assert robot.see(*map(sighting, range(14, 18))) == ["agrees"] * 4 and robot.state == "sure"


def test_a_robot_that_is_nowhere_for_ten_seconds_is_lost(robot):
    robot.see(*map(sighting, range(5)))
    robot.see(*[None] * 200, probability=0.7)
    assert robot.state == "unsure", "40 s of matches that are refused"
    robot.see(*[None] * 30, probability=0.1)
    assert robot.state == "unsure"
    robot.see(*[None] * 8, probability=0.6)
    robot.see(*[None] * 15, probability=0.1)
    assert robot.state == "lost", "eight of fifty look like a place"
    robot.see(None, probability=0.7)
    assert robot.state == "lost", "until a sure match"
    assert robot.see(sighting(9)) == ["agrees"] and robot.state == "sure"


def test_a_carried_robot_gets_one_new_fix_after_a_while(robot):
    robot.see(*map(sighting, range(5)))
    carried = [sighting(at, (50, 20)) for at in range(5, 30)]  # the odometry does not know
    before = robot.now
    found = robot.see(*carried[:4])
    assert set(found) == {"none"} and robot.state == "unsure"
    found += robot.see(*carried[4:])
    assert found.count("fix") == 1 and found[-1] == "agrees" and robot.state == "sure"
    assert 2.0 <= (found.index("fix") + 1) * PERIOD < 2.5 and robot.now > before


def test_a_short_contradiction_is_no_fix(robot):
    robot.see(*map(sighting, range(5)))
    for start in range(5, 50, 5):  # five wrong matches that agree with each other, then a right one
        wrong = [sighting(at, (50, 20)) for at in range(start, start + 4)]
        assert robot.see(*wrong, sighting(start + 4)) == ["none"] * 4 + ["agrees"]


def test_the_localization_of_amcl_is_compared_by_both_covariances(robot):
    robot.see(*map(sighting, range(5)))
    for at in range(5, 10):
        assert robot.see(sighting(at), localized=Pose(at + 0.5, 0.3)) == ["agrees"]
    off = [Pose(at + 2.5, 0) for at in range(10, 40)]
    assert [robot.see(sighting(10 + at), localized=pose)[0] for at, pose in enumerate(off)] == ["agrees"] * 30
    unsure = np.diag([1.0] * 6)
    found = [robot.see(sighting(10 + at), localized=pose, covariance=unsure)[0] for at, pose in enumerate(off)]
    assert found == ["agrees"] * 30, "three standard deviations are more than 2.5 m"
    narrow = COVARIANCE / 100
    found = [robot.see(sighting(10 + at), localized=pose, covariance=narrow)[0] for at, pose in enumerate(off)]
    assert found.count("fix") == 1 and found.index("fix") * PERIOD >= 2, "2.5 m are more than both covariances and 1 m"
    assert robot.state == "unsure", "AMCL has not moved to the fix"
    assert robot.see(sighting(40), localized=Pose(40.2, 0), covariance=narrow) == ["agrees"] and robot.state == "sure"


def test_a_localization_that_ignores_the_fix_causes_no_other(robot):
    moving = [sighting(0.2 * at) for at in range(50)]
    assert robot.see(*moving, localized=Pose(500, 500)).count("fix") == 1 and robot.state == "unsure"
    robot = Robot()
    slow = [sighting(0.1 * at, odometry=False) for at in range(50)]
    assert robot.see(*slow, localized=Pose(500, 500)).count("fix") == 1


def test_a_pose_that_nothing_confirms_is_not_sure_for_long(robot):
    robot.see(*map(sighting, range(5)))
    robot.now += 9
    assert robot.state == "sure"
    robot.now += 2
    assert robot.state == "unsure" and "11 s" in robot.relocalization.state(robot.now)[1]
    assert robot.see(sighting(6)) == ["agrees"] and robot.state == "sure"


def test_a_robot_without_odometry_stays_sure_while_matches_agree(robot):
    robot.see(*(sighting(0, odometry=False) for _ in range(100)))
    assert robot.state == "sure"


def test_a_requested_fix_needs_three_new_matches(robot):
    robot.see(*map(sighting, range(5)))
    robot.relocalization.request()
    assert robot.state == "unsure"
    assert robot.see(*map(sighting, (5, 6, 7, 8))) == ["none", "none", "fix", "agrees"]


def test_a_wide_covariance_agrees_not_with_everything(robot):
    wide = np.diag([50.0**2] * 3 + [3.0**2] * 3)
    assert "fix" not in robot.see(*(Sighting(Pose(40.0 * at, 0), wide, Pose(0, 0)) for at in range(6)))
