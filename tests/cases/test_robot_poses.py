"""Where the robot was: poses that are not the robot's, of two frames, too slow, or impossible."""

import numpy as np
import pytest

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
    for stamp in STAMPS:
        bag.pose(Pose(stamp, 0), stamp, topic=topic)
        bag.compressed(JPEG, stamp)
    assert given(bag)[0].poses.source == topic


@pytest.mark.parametrize("topic", ["/destination", "/lookahead_pose", "/gripper_pose", "/leader/pose"])
def test_a_pose_of_unknown_meaning_beside_tf(bag, topic):
    """TF says where the robot was; a PoseStamped may be of anything, a localization's pose has a covariance."""
    for stamp in STAMPS:
        bag.pose(Pose(0, stamp), stamp, topic=topic)
    drive_in_tf(bag)
    recording, poses = given(bag)
    assert recording.poses.source == "TF" and [pose.x for pose in poses] == pytest.approx(STAMPS)
    assert any(topic in note and "--pose-topic" in note for note in recording.notes)
    assert given(bag, pose_topic=topic)[0].poses.source == topic


@pytest.mark.parametrize(("topic", "covariance"), [("/fused", True), ("/slam/pose", False), ("/robot_pose", False)])
def test_the_pose_of_a_localization_beside_tf(bag, topic, covariance):
    for stamp in STAMPS:
        bag.pose(Pose(0, stamp), stamp, topic=topic, covariance=covariance)
    drive_in_tf(bag)
    assert given(bag)[0].poses.source == topic


def test_a_pose_where_tf_does_not_lead_to_the_camera(bag):
    for stamp in STAMPS:
        bag.pose(Pose(stamp, 0), stamp)
        bag.tf([("arm", "hand", Pose(stamp, 0))], stamp)
        bag.compressed(JPEG, stamp, frame="camera")
    recording, poses = given(bag)
    assert recording.poses.source == "/pose" and all(poses)


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


# Several frames on one topic


def two_odometries(bag, **of_second):
    """The second is 5 m aside."""
    for i, stamp in enumerate(STAMPS):
        if i % 2 == 0:
            bag.odometry(Pose(stamp, 5), stamp + 0.05, **of_second)
        bag.odometry(Pose(stamp, 0), stamp)
        bag.compressed(JPEG, stamp)


@pytest.mark.parametrize(
    "of_second", [{"frame": "map"}, {"child": "camera"}, {"frame": "map", "child": "camera"}, {"frame": ""}]
)
def test_the_frame_of_most_poses_is_taken(bag, of_second):
    """Though the other comes first."""
    two_odometries(bag, **of_second)
    recording, poses = given(bag)
    assert [pose.y for pose in poses] == [0] * len(STAMPS)
    assert recording.skip_counts.counts == {"poses of another frame on /odom": 11}
    assert any("/odom has poses of 2 frames" in note for note in recording.notes)


@pytest.mark.parametrize(
    ("of_second", "options"),
    [({"frame": "map"}, {"map_frame": "map"}), ({"child": "camera"}, {"base_frame": "camera"})],
)
def test_the_frame_that_is_requested_is_taken(bag, of_second, options):
    two_odometries(bag, **of_second)
    _, poses = given(bag, **options)
    assert {pose.y for pose in poses if pose is not None} == {5}


def test_pose_topics_of_two_frames(bag):
    for stamp in STAMPS:
        bag.pose(Pose(stamp, 0), stamp)
        bag.compressed(JPEG, stamp)
    bag.pose(Pose(0, 9), 11.02, frame="odom")
    recording, poses = given(bag)
    assert [pose.y for pose in poses] == [0] * len(STAMPS)
    assert recording.skip_counts.counts == {"poses of another frame on /pose": 1}


@pytest.mark.parametrize("kind", ["odometry", "pose", "tf"])
@pytest.mark.parametrize("late", [0.0, 0.03])
def test_two_publishers_of_one_frame(bag, kind, late):
    """They cannot be told apart, so it is said; also where both use the same stamps."""
    for stamp in STAMPS:
        for y, at in ((0, stamp), (0.5, stamp + late)):
            pose = Pose(stamp, y)
            if kind == "tf":
                bag.tf([("odom", "base_link", pose)], at, at + y / 100)
            else:
                getattr(bag, kind)(pose, at, at + y / 100)
        bag.compressed(JPEG, stamp, frame="base_link")
    recording, _ = given(bag)
    assert any("jump away and back, by 0.5" in note and "two sources in one" in note for note in recording.notes), (
        recording.notes
    )


def test_two_parents_in_tf(bag):
    for stamp in STAMPS:
        bag.tf([("odom", "base_link", Pose(stamp, 0))], stamp)
        bag.compressed(JPEG, stamp, frame="base_link")
    bag.tf([("visual_odom", "base_link", Pose(0, 9))], 11.0)
    recording, poses = given(bag)
    assert all(pose.y == 0 for pose in poses)
    assert recording.skip_counts.counts == {"transforms of base_link in another frame": 1}


# Satellites without a position


def fixes(bag, *positions, **options):
    for i, (latitude, longitude, status) in enumerate(positions):
        bag.fix(latitude, longitude, 0, 10.0 + i, status=status)
        bag.compressed(JPEG, 10.0 + i)
    return given(bag, **options)


@pytest.mark.parametrize(
    "bad", [(0, 0, 0), (47, 8, -1), (0, 0, -1), (float("nan"), float("nan"), 0), (91, 8, 0), (1e-8, -1e-8, 2)]
)
def test_fixes_without_a_position(bag, bad):
    """At the beginning, where the origin would be, and between the others."""
    recording, poses = fixes(bag, bad, (47, 8, 0), (47, 8.0001, 0), bad, (47, 8.0003, 0))
    assert recording.skip_counts.counts == {"messages of /gps/fix without a position": 2}
    assert poses[0] is None and poses[1].x == 0 and poses[-1].x == pytest.approx(22.8, abs=0.1)


def test_a_drive_through_zero(bag):
    """Some simulators place the world there."""
    recording, poses = fixes(bag, (0, -1e-4, 0), (0, 0, 0), (0, 1e-4, 0))
    assert poses[-1].x == pytest.approx(22.3, abs=0.1) and not len(recording.skip_counts)


def test_no_fix_at_all(bag):
    recording, poses = fixes(bag, (0, 0, 0), (0, 0, 0))
    assert poses == [None, None] and any("none holds a position" in note for note in recording.notes)


def test_an_outlier_of_the_receiver(bag):
    recording, _ = fixes(bag, *[(47, 8 + i / 1e5, 0) for i in range(9)], (47.01, 8, 0), (47, 8.0001, 0))
    assert any(
        "2 jumps" in note and "1111.7 m in 1.00 s" in note and "at 19.000 s" in note for note in recording.notes
    ), recording.notes


# TF more slowly than the gap


def slow_tf(bag, period, until=14.0):
    """map > odom moves along y by 1 m/s; images every 0.5 s from 10.25 on."""
    for i in range(int((until - 10) / period) + 1):
        bag.tf([("map", "odom", Pose(0, i * period))], 10.0 + i * period)
    for i in range(int((until - 10) * 10) + 1):
        bag.tf([("odom", "base_link", Pose(1, 0))], 10.0 + i / 10)
    for i in range(int((until - 10) * 2)):
        bag.compressed(JPEG, 10.25 + i / 2, frame="base_link")
    return given(bag)


@pytest.mark.parametrize("period", [0.8, 1.0, 2.0])
def test_slow_transforms_are_interpolated(bag, period):
    recording, poses = slow_tf(bag, period)
    assert [pose.y for pose in poses] == pytest.approx([0.25 + i / 2 for i in range(8)])
    assert any(f"TF map > odom comes every {period:.2g} s" in note for note in recording.notes)


def test_transforms_too_slow_for_tf2(bag):
    """Its buffer holds 10 s."""
    recording, poses = slow_tf(bag, 12.0, until=22.0)
    assert poses == [None] * 24
    assert any("map > odom comes every 12 s, further apart than --pose-gap 0.5" in note for note in recording.notes)


def test_a_gap_of_a_fast_transform_stays_one(bag):
    for stamp in (10.0, 10.1, 10.2, 10.3, 13.0, 13.1):
        bag.tf([("odom", "base_link", Pose(stamp, 0))], stamp)
    for stamp in (10.05, 11.0, 13.05):
        bag.compressed(JPEG, stamp, frame="base_link")
    recording, poses = given(bag)
    assert [pose is None for pose in poses] == [False, True, False]
    assert any("(--pose-gap)" in note for note in recording.notes)


def test_a_slow_pose_topic_names_the_option(bag):
    for i in range(4):
        bag.pose(Pose(i, 0), 10.0 + i)
        bag.compressed(JPEG, 10.5 + i)
    recording, _ = given(bag)
    assert any("every 1 s, further apart than --pose-gap 0.5" in note for note in recording.notes)


# Absurd numbers


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("number", [1e308, -1e200, 1e10, float("inf"), float("nan")])
def test_absurd_positions_are_left_out(bag, number):
    zero = bag.make("geometry_msgs/msg/Vector3", 0.0, 0.0, 0.0)
    unit = bag.make("geometry_msgs/msg/Quaternion", 0.0, 0.0, 0.0, 1.0)
    for stamp in STAMPS:
        bag.odometry(Pose(stamp, 0), stamp)
        bag.compressed(JPEG, stamp)
    pose = bag.make("geometry_msgs/msg/Pose", bag.make("geometry_msgs/msg/Point", number, 0.0, 0.0), unit)
    twist = bag.make(
        "geometry_msgs/msg/TwistWithCovariance", bag.make("geometry_msgs/msg/Twist", zero, zero), np.zeros(36)
    )
    placed = bag.make("geometry_msgs/msg/PoseWithCovariance", pose, np.zeros(36))
    bag.write("/odom", bag.make("nav_msgs/msg/Odometry", bag.header(10.55, "odom"), "base_link", placed, twist), 10.55)
    recording, poses = given(bag)
    assert [pose.x for pose in poses] == STAMPS and len(recording.skip_counts) == 1


@pytest.mark.filterwarnings("error")
def test_transforms_that_add_up_to_an_absurd_position(bag):
    """On the robot they are refused; on the way no frame has a pose."""
    drive_in_tf(bag)
    for stamp in STAMPS:
        bag.tf([("map", "odom", Pose(1e9, 0))], stamp)
    assert given(bag)[1] == [None] * len(STAMPS)
    with BagWriter(bag.at.with_name("other")) as other:
        other.tf([("base_link", "mast", Pose(1e9, 0)), ("mast", "camera", Pose(1e9, 0))], 1.0, topic="/tf_static")
        other.odometry(Pose(0, 0), 10.0)
        other.compressed(JPEG, 10.0, frame="camera")
        other.at = bag.at.with_name("other")
        with pytest.raises(VprError, match=r"where the camera is: a position must be within .*--pose-topic none"):
            given(other)
        assert given(other, pose_topic="none")[1] == [None]


@pytest.mark.filterwarnings("error")
def test_absurd_altitudes_are_unknown(bag):
    for i, altitude in enumerate((400, 1e308, float("nan"), -1e300, 401)):
        bag.fix(47, 8 + i / 1e5, altitude, 10.0 + i)
        bag.compressed(JPEG, 10.0 + i)
    _, poses = given(bag)
    assert [pose.z for pose in poses] == pytest.approx([0, 0, 0, 0, 1], abs=0.01)
