"""Which measured loop closures a robot publishes. It drives along x in two laps of 100 m; its odometry is exact."""

import numpy as np
import pytest

from vpr_aesvc.onboard.loop_closure import ConsistencyCheck, LoopClosure
from vpr_aesvc.types import Place, Pose

STEP, LAP = 2.0, 50


def poses():
    """Of 100 places: there, and back on the same line without turning."""
    there = [Pose(STEP * at, 0.0) for at in range(LAP)]
    return there + there[::-1]


@pytest.fixture
def check():
    """After both laps."""
    check = ConsistencyCheck()
    for place, pose in enumerate(poses(), 1):
        check.add(place, pose)
    return check


def accepts(check, older, newer, wrong=(0.0, 0.0), metric=True, traverse="drive"):
    """A closure whose relative pose is wrong by so many meters."""
    one, other = poses()[older - 1], poses()[newer - 1]
    relative = Pose(other.x - one.x + wrong[0], wrong[1])
    covariance = np.diag([0.02**2] * 3 + [0.002**2] * 3)
    place = Place(older, "", traverse, pose=one)
    return check.accepts(LoopClosure(older, newer, None, "", 0.9, relative, covariance, metric), place, other)


def test_the_second_that_agrees_and_all_that_follow(check):
    assert [accepts(check, 30 - at, 71 + at) for at in range(5)] == [False, True, True, True, True]
    assert accepts(check, 20, 81), "some frames later"


def test_one_that_no_other_confirms(check):
    """Houses that look alike, on a stretch so long that the odometry cannot tell."""
    assert not accepts(check, 10, 91, (9.0, 0.0))
    assert not accepts(check, 9, 92) and accepts(check, 8, 93)
    assert not accepts(check, 7, 94, (-9.0, 0.0)), "among right ones"
    assert accepts(check, 6, 95)


def test_those_that_agree_with_each_other_against_the_odometry(check):
    """26 m wrong after 40 m."""
    assert not any(accepts(check, 40 - at, 61 + at, (26.0, 0.0)) for at in range(5))


def test_what_cannot_be_compared(check):
    assert accepts(check, 10, 91, (9.0, 0.0), metric=False)
    place = Place(10, "", "drive", pose=None)
    assert check.accepts(LoopClosure(10, 91, None, "", 0.9, Pose(0, 0), np.eye(6), True), place, Pose(0, 0))


def test_places_of_another_drive_have_odometry_of_their_own():
    check = ConsistencyCheck()
    for place in (101, 102, 103):
        check.add(place, Pose(500.0 + STEP * place, 0.0))
    covariance = np.diag([0.02**2] * 3 + [0.002**2] * 3)

    def accepted(older, newer, traverse):
        place = Place(older, "", traverse, pose=Pose(STEP * older, 0.0))
        closure = LoopClosure(older, newer, None, "", 0.9, Pose(0.5, 0.0), covariance, True)
        return check.accepts(closure, place, Pose(500.0 + STEP * newer, 0.0))

    assert [accepted(1, 101, "monday"), accepted(2, 102, "monday"), accepted(3, 103, "tuesday")] == [False, True, False]
