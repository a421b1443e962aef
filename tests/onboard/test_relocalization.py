"""Which match may set the robot's pose anew. A robot drives along x; its odometry starts 10 m behind the map's origin and turned by 90 degrees."""

import math

import numpy as np
import pytest

from vpr_aesvc.onboard.relocalization import Relocalization, Sighting
from vpr_aesvc.transforms import angle, compose, distance, inverse, pose_from_euler
from vpr_aesvc.types import Pose

ODOMETRY_IN_MAP = pose_from_euler(-10, 0, 0, 0, 0, math.pi / 2)
COVARIANCE = np.diag([0.1**2] * 3 + [0.05**2] * 3)


def sighting(x, error=(0.0, 0.0), odometry=True, frame=ODOMETRY_IN_MAP):
    """The robot at ``x`` meters, matched with an error in meters."""
    truth = Pose(x, 0)
    base = Pose(x + error[0], error[1])
    return Sighting(base, COVARIANCE, compose(inverse(frame), truth) if odometry else None)


def events(relocalization, sightings, lost=0.0, localized=None):
    return [relocalization.update(one, lost, localized) for one in sightings]


@pytest.mark.parametrize("odometry", [True, False])
def test_the_third_match_that_agrees_is_the_only_fix(odometry):
    drive = [sighting(0.2 * at, odometry=odometry) for at in range(30)]
    found = events(Relocalization(), drive)
    assert found[:3] == ["none", "none", "fix"]
    assert set(found[3:]) == {"agrees" if odometry else "none"}


def test_wrong_matches_are_no_fix_and_break_nothing():
    rng = np.random.default_rng(0)
    wrong = [sighting(0.2 * at, rng.uniform(20, 90, 2)) for at in range(10)]
    assert set(events(Relocalization(), wrong)) == {"none"}
    relocalization = Relocalization()
    assert events(relocalization, [sighting(0), wrong[1], sighting(1), sighting(2)])[-1] == "fix"
    before = relocalization.odometry_in_map
    assert relocalization.update(sighting(3, (40, 40)), 0.0) == "none"
    assert relocalization.odometry_in_map == before


def test_the_pose_of_the_odometry_in_the_map():
    relocalization = Relocalization()
    assert relocalization.odometry_in_map is None
    rng = np.random.default_rng(1)
    errors = []
    for at in range(200):
        relocalization.update(sighting(0.2 * at, rng.normal(0, 0.3, 2)), 0.0)
        if at > 50:
            errors.append(distance(relocalization.odometry_in_map, ODOMETRY_IN_MAP))
    assert np.median(errors) < 0.15, "a single match is 0.4 m off: the estimate must be better"
    assert angle(relocalization.odometry_in_map, ODOMETRY_IN_MAP) < 0.01


def test_slow_drift_of_the_odometry_is_followed_without_a_new_fix():
    relocalization = Relocalization()
    found = []
    for at in range(600):
        drifted = pose_from_euler(-10, 0.02 * at, 0, 0, 0, math.pi / 2)  # 12 m in 120 m
        found.append(relocalization.update(sighting(0.2 * at, frame=drifted), 0.0))
        if at > 10:
            assert distance(relocalization.odometry_in_map, drifted) < 0.6
    assert found.count("fix") == 1


def test_a_new_fix_comes_after_the_robot_was_lost():
    relocalization = Relocalization()
    events(relocalization, [sighting(at) for at in range(5)])
    assert set(events(relocalization, [None] * 4, lost=0.9)) == {"none"}
    assert relocalization.update(sighting(9), 0.0) == "agrees", "four frames are not lost"
    events(relocalization, [None] * 5, lost=0.9)
    assert events(relocalization, [sighting(10), sighting(11), sighting(12)])[-1] == "fix"
    events(relocalization, [None] * 9, lost=0.2)
    assert events(relocalization, [sighting(20), sighting(21), sighting(22)]) == ["agrees"] * 3, "refused, not lost"


def test_a_carried_robot_gets_one_new_fix():
    relocalization = Relocalization()
    events(relocalization, [sighting(at) for at in range(5)])
    carried = [sighting(at, (50, 20)) for at in range(5, 12)]  # the odometry does not know
    found = events(relocalization, carried)
    assert found.count("fix") == 1 and found[-1] == "agrees"


def test_a_fix_contradicts_the_localization_of_amcl():
    relocalization = Relocalization()
    events(relocalization, [sighting(at) for at in range(5)])
    found = [relocalization.update(sighting(at), 0.0, Pose(at + 0.5, 0.3)) for at in range(5, 10)]
    assert set(found) == {"agrees"}
    assert relocalization.update(sighting(10), 0.0, Pose(60, 0)) == "fix", "AMCL is elsewhere, and the match is sure"


def test_a_localization_that_ignores_the_fix_causes_no_other():
    relocalization = Relocalization()
    found = [relocalization.update(sighting(at), 0.0, Pose(500, 500)) for at in range(50)]
    assert found.count("fix") == 1
    slow = [sighting(0.1 * at, odometry=False) for at in range(50)]
    relocalization = Relocalization()
    assert [relocalization.update(one, 0.0, Pose(500, 500)) for one in slow].count("fix") == 1


def test_a_requested_fix_needs_three_new_matches():
    relocalization = Relocalization()
    events(relocalization, [sighting(at) for at in range(5)])
    relocalization.request()
    found = events(relocalization, [sighting(at) for at in (5, 6, 7, 8)])
    assert found == ["none", "none", "fix", "agrees"]


def test_a_wide_covariance_agrees_not_with_everything():
    wide = np.diag([50.0**2] * 3 + [3.0**2] * 3)
    far = [Sighting(Pose(40.0 * at, 0), wide, Pose(0, 0)) for at in range(6)]
    assert "fix" not in events(Relocalization(), far)
