"""Impossible motion is said; possible motion is not."""

import numpy as np
import pytest

from vpr_aesvc.recordings.pose_checks import odd_motion
from vpr_aesvc.trajectory import read_trajectory

COUNT = 400


def drive(speed=0.5, period=0.05, turn=0.0):
    """Stamps [n], and poses [n, 7] along x that turn by so many radians a second."""
    stamps = 100 + period * np.arange(COUNT)
    table = np.zeros((COUNT, 7))
    table[:, 0] = speed * (stamps - 100)
    half = turn * (stamps - 100) / 2
    table[:, 5], table[:, 6] = np.sin(half), np.cos(half)
    return stamps, table


@pytest.mark.parametrize(
    ("speed", "period", "turn"),
    [(0.5, 0.05, 0.3), (0.05, 0.1, 3.0), (15, 0.1, 0.3), (40, 0.05, 0.1), (0, 0.02, 0), (2, 1.0, 1.0), (30, 10, 0)],
)
def test_what_a_robot_a_car_or_a_person_does(speed, period, turn):
    assert odd_motion(*drive(speed, period, turn), "it") == []


def test_noise_bursts_stops_and_repeated_messages_are_no_jumps():
    random = np.random.default_rng(0)
    stamps, table = drive(10, 0.1)
    assert (
        odd_motion(stamps, table + np.pad(random.normal(0, 0.5, (COUNT, 3)), ((0, 0), (0, 4))), "it") == []
    )  # a receiver's noise
    assert (
        odd_motion(100 + np.arange(COUNT) // 2 * 0.2 + 1e-3 * (np.arange(COUNT) % 2), table, "it") == []
    )  # delivered in pairs
    halted = np.where(np.arange(COUNT) < 300, 0, table[:, 0] - table[300, 0])
    assert odd_motion(stamps, np.column_stack([halted, table[:, 1:]]), "it") == []
    assert odd_motion(np.repeat(stamps, 2), np.repeat(table, 2, axis=0), "it") == []
    assert (
        odd_motion(np.concatenate([stamps, stamps]), np.concatenate([table, table]), "it") == []
    )  # the clock was set back


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_poses(count):
    stamps, table = drive()
    assert odd_motion(stamps[:count], table[:count], "it") == []
    assert odd_motion(stamps[:1].repeat(count), table[:count], "it") == []


@pytest.mark.parametrize(("meters", "speed"), [(1.5, 0.5), (30, 0.5), (500, 0.5), (12, 10), (2e7, 0)])
def test_a_jump(meters, speed):
    stamps, table = drive(speed)
    table[200:, 1] += meters
    (note,) = odd_motion(stamps, table, "poses of /odom")
    assert (
        note.startswith("poses of /odom: 1 jump faster than a robot moves (")
        and f"{meters:.1f} m in 0.05 s at 110.000 s" in note
    )


def test_outliers():
    stamps, table = drive(1.0, 0.5)
    table[[50, 120], 0] += 800
    (note,) = odd_motion(stamps, table, "it")
    assert "4 jumps" in note and note.count(" s at ") == 3 and " ...;" in note


@pytest.mark.parametrize("every", [2, 3, 6, 20])
@pytest.mark.parametrize("apart", [0.4, 5, 200])
def test_two_sources_in_one(every, apart):
    stamps, table = drive(0.5)
    table[::every, 1] += apart
    (note,) = odd_motion(stamps, table, "it")
    assert "jump away and back" in note and "two sources" in note


def test_units():
    stamps, table = drive(0.5, turn=0.3)
    (note,) = odd_motion(stamps, table * [1000, 1000, 1000, 1, 1, 1, 1], "it")
    assert note.startswith("it: the usual speed is 500 m/s: the positions may be in millimeters, not in meters, unless")
    assert "a fast train or an aircraft" in note
    stamps, table = drive(0.5, turn=np.degrees(0.4))
    (note,) = odd_motion(stamps, table, "it")
    assert note == "it: turns of 23 rad/s: the angles may be in degrees, not in radians"
    assert odd_motion(stamps, table[:, :3], "it") == []


def test_a_real_car(request):
    poses = read_trajectory(request.getfixturevalue("kitti_poses")).poses
    table = np.array([pose.as_tuple() for pose in poses])
    assert odd_motion(0.1 * np.arange(len(table)), table, "it") == []


@pytest.fixture
def kitti_poses():
    from tests.conftest import _folder

    return _folder("kitti_clip") / "poses.txt"
