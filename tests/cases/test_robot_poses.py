"""Where the robot was: poses that are not the robot's, of two frames, too slow, or impossible."""

import numpy as np
import pytest

from tests.cases.folder import case
from tests.command import vpr
from tests.recordings.bags.bags import BagWriter
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.inputs import open_input
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.types import Pose

JPEG = encode_jpeg(np.full((24, 32, 3), 90, np.uint8))
STAMPS = [10.0 + 0.1 * i for i in range(21)]


def built(model, drive, output, *options):
    """What `vpr map build` prints, and the poses of the places."""
    done = vpr("map", "build", drive, "-m", model, "-o", output, *options)
    assert done.returncode == 0, done.stderr
    with PlaceMap.open(output) as places:
        return " ".join((done.stdout + done.stderr).split()), [one.pose for one in places.places().values()]


@pytest.fixture
def bag(tmp_path):
    """Written in the test; opened by ``given``."""
    with BagWriter(tmp_path / "bag") as writer:
        writer.at = tmp_path / "bag"
        yield writer


def given(bag, **options):
    bag.writer.close()
    bag.writer.close = lambda: None
    recording = open_input(bag.at, InputOptions(**options))
    return recording, [one.pose for one in recording]


def drive_in_tf(bag):
    for stamp in STAMPS:
        bag.tf([("odom", "base_link", Pose(stamp, 0))], stamp)
        bag.compressed(JPEG, stamp, frame="base_link")


def test_goal_beside_tf(drawn_model, tmp_path):
    said, poses = built(drawn_model, case("goal-beside-tf") / "drive", tmp_path / "map")
    assert len(poses) == 12 and "6.6 m traveled" in said
    assert "poses: TF, odom > base_link" in said and "/move_base/current_goal" in said


@pytest.mark.parametrize(
    "topic",
    [
        "/goal", "/move_base_simple/goal", "/goal_pose", "/moveTarget/pose", "/mavros/setpoint_position/local", "/target_pose",
        "/waypoints/next", "/next_waypoint", "/dock_pose", "/docking/pose", "/aruco/marker_pose", "/aruco_single/pose", "/initialpose",
        "/initial_pose", "/desired_pose", "/command/pose", "/cmd_pose", "/detected_dock_pose", "/object_pose",
    ],
)  # fmt: skip
def test_a_pose_that_is_not_the_robots(bag, topic):
    """Beside TF it is left out and named; alone it is the user's choice; where it is requested it is taken."""
    bag.pose(Pose(7, 7), 10.5, topic=topic)
    drive_in_tf(bag)
    recording, poses = given(bag)
    assert recording.poses.source == "TF" and [pose.x for pose in poses] == pytest.approx(STAMPS)
    assert any(topic in note and "--pose-topic" in note for note in recording.notes)
    assert given(bag, pose_topic=topic)[0].poses.source == topic


@pytest.mark.parametrize(
    "topic",
    ["/docs/pose", "/remarkable/odom_pose", "/recommended/pose", "/tag/pose", "/personal_robot/pose", "/slam/pose"],
)
def test_names_that_only_look_so(bag, topic):
    bag.pose(Pose(7, 7), 10.5, topic=topic)
    drive_in_tf(bag)
    assert given(bag)[0].poses.source == topic


def test_goals_of_every_kind(bag):
    """An odometry or a fix of a target is as little the robot's; the robot's own pose of a later kind is taken."""
    bag.odometry(Pose(7, 7), 10.5, topic="/target/odom")
    bag.pose(Pose(8, 8), 10.5, topic="/goal_pose")
    bag.fix(47, 8, 0, 10.5, topic="/target/fix")
    for stamp in STAMPS:
        bag.pose(Pose(stamp, 0), stamp)
        bag.compressed(JPEG, stamp)
    recording, poses = given(bag)
    assert recording.poses.source == "/pose" and all(poses)
    assert any(
        "/goal_pose, /target/fix, /target/odom" in ", ".join(sorted(note.split(": ")[-1].split("; ")[0].split(", ")))
        for note in recording.notes
    )


def test_only_goals(bag):
    for stamp in STAMPS:
        bag.pose(Pose(stamp, 0), stamp, topic="/goal_pose")
        bag.compressed(JPEG, stamp)
    with pytest.raises(
        VprError,
        match=r"/goal_pose \(geometry_msgs/PoseStamped, 21 messages, 10\.0 Hz, in map\); choose one with --pose-topic",
    ):
        given(bag)
    assert given(bag, pose_topic="none")[1] == [None] * len(STAMPS)
    assert all(given(bag, pose_topic="/goal_pose")[1])


def test_the_choice_of_two_says_rates_and_frames(bag):
    for stamp in STAMPS:
        bag.odometry(Pose(stamp, 0), stamp, topic="/wheels/odom")
        bag.compressed(JPEG, stamp)
    bag.odometry(Pose(1, 0), 11.0, topic="/visual/odom", frame="", child="camera")
    with pytest.raises(VprError) as error:
        given(bag)
    assert "/wheels/odom (nav_msgs/Odometry, 21 messages, 10.0 Hz, of base_link in odom)" in str(error.value)
    assert "/visual/odom (nav_msgs/Odometry, 1 message, of camera in an unnamed frame)" in str(error.value)
