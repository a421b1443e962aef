"""Stamps, poses and frames as they should not be."""

import math

import numpy as np
import pytest

from tests.recordings.bags.bags import BagWriter
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.inputs import open_input
from vpr_aesvc.transforms import IDENTITY, OPTICAL, compose, distance, heading, rotate
from vpr_aesvc.types import Intrinsics, Pose

RGB = np.full((24, 32, 3), 90, np.uint8)
JPEG = encode_jpeg(RGB)


@pytest.fixture
def bag(tmp_path):
    """Written in the test; closed by ``given``."""
    with BagWriter(tmp_path / "bag") as writer:
        writer.at = tmp_path / "bag"
        yield writer


def given(bag, **options):
    bag.writer.close()
    bag.writer.close = lambda: None
    recording = open_input(bag.at, InputOptions(**options))
    return recording, list(recording)


def said(recording, *words):
    text = "\n".join(recording.notes)
    for word in words:
        assert word in text, text


def test_stamps_of_zero(bag):
    for received in (5.0, 5.5, 6.0):
        bag.odometry(Pose(received, 0), 0.0, received)
        bag.compressed(JPEG, 0.0, received + 0.1)
    recording, frames = given(bag)
    assert [one.stamp for one in frames] == [5.1, 5.6, 6.1]
    assert frames[1].pose.x == pytest.approx(5.6)
    said(recording, "3 of 3 images have a stamp of zero", "poses with a stamp of zero: 3")


def test_stamps_out_of_order_and_equal(bag):
    for i, stamp in enumerate((10.0, 10.2, 10.1, 10.2, 10.4)):
        bag.compressed(JPEG, stamp, 20.0 + i)
    recording, frames = given(bag)
    assert [one.stamp for one in frames] == [10.0, 10.2, 10.2, 10.4]
    assert recording.skip_counts.counts == {"images out of order": 1}
    assert recording.skip_counts.examples["images out of order"] == ["number 2, 0.100 s before the last"]
    said(recording, "images with the same stamp as the one before: 1")


def test_a_clock_that_jumps_back(bag):
    """A simulation that was started anew: two runs with the same stamps elsewhere do not mix."""
    received = 100.0
    for run in (0, 1):
        for i in range(5):
            stamp = 10.0 + 0.4 * i
            bag.odometry(Pose(stamp, 50.0 * run), stamp, received)
            bag.compressed(JPEG, stamp + 0.1, received + 0.01)
            received += 0.4
    recording, frames = given(bag)
    assert len(frames) == 10
    poses = [one.pose for one in frames]
    assert [pose.y for pose in poses if pose] == [0.0] * 4 + [50.0] * 4
    assert poses[0].x == pytest.approx(10.1) and poses[5].x == pytest.approx(10.1)
    assert len({one.label for one in frames}) == 10
    said(recording, "images whose stamp jumps back: 1", "poses whose stamp jumps back: 1")


def test_poses_that_are_none(bag):
    for i in range(6):
        bag.odometry(Pose(i, 0), 10.0 + i / 4)
        bag.compressed(JPEG, 10.0 + i / 4)
    broken(bag, x=math.nan, qw=1.0, stamp=10.1)
    broken(bag, x=1e9, qw=0.0, stamp=10.2)
    broken(bag, x=1e9, qw=math.inf, stamp=10.3)
    recording, frames = given(bag)
    assert [one.pose.x for one in frames] == [0, 1, 2, 3, 4, 5]
    assert recording.skip_counts.counts == {"poses with NaN or without a unit quaternion": 3}


def broken(bag, x, qw, stamp):
    point = bag.make("geometry_msgs/msg/Point", x, 0.0, 0.0)
    pose = bag.make("geometry_msgs/msg/Pose", point, bag.make("geometry_msgs/msg/Quaternion", 0.0, 0.0, 0.0, qw))
    placed = bag.make("geometry_msgs/msg/PoseWithCovariance", pose, np.zeros(36))
    zero = bag.make("geometry_msgs/msg/Vector3", 0.0, 0.0, 0.0)
    twist = bag.make("geometry_msgs/msg/Twist", zero, zero)
    twist = bag.make("geometry_msgs/msg/TwistWithCovariance", twist, np.zeros(36))
    bag.write("/odom", bag.make("nav_msgs/msg/Odometry", bag.header(stamp, "odom"), "base_link", placed, twist), stamp)


def test_all_poses_are_none(bag):
    broken(bag, math.nan, 1.0, 10.0)
    bag.compressed(JPEG, 10.0)
    recording, frames = given(bag)
    assert frames[0].pose is None and len(recording.skip_counts) == 1
    said(recording, "none can be used")


def test_poses_by_another_clock(bag):
    for i in range(5):
        bag.odometry(Pose(i, 0), 10.0 + i, 1000.0 + i)
        bag.compressed(JPEG, 5000.0 + i, 1000.0 + i)
    recording, frames = given(bag)
    assert all(one.pose is None for one in frames)
    said(recording, "5 of 5 images have no pose", "poses from 10.0 to 14.0 s, images from 5000.0 to 5004.0 s")


def test_two_cameras_on_one_topic(bag):
    for i in range(4):
        bag.image(RGB, 10.0 + i, frame="left" if i % 2 == 0 else "right")
    bag.image(np.zeros((10, 10, 3), np.uint8), 20.0, frame="left")
    recording, frames = given(bag)
    assert [one.stamp for one in frames] == [10.0, 12.0]
    lines = recording.skip_counts.lines()
    assert (
        "2 images of another camera on the same topic: number 1 of right, not left, number 3 of right, not left"
        in lines
    )
    assert "1 images of another size on the same topic: number 4 of 10 x 10, not 32 x 24" in lines


def test_odd_images_are_found_by_decoding(bag):
    bag.image(RGB, 10.0)
    empty = bag.make("sensor_msgs/msg/Image", bag.header(11.0), 0, 0, "bgr8", 0, 0, np.zeros(0, np.uint8))
    bag.write("/camera/image_raw", empty, 11.0)
    unknown = bag.make("sensor_msgs/msg/Image", bag.header(12.0), 24, 32, "h264", 0, 96, RGB.ravel())
    bag.write("/camera/image_raw", unknown, 12.0)
    _, frames = given(bag)
    assert len(frames) == 3
    frames[0].decode()
    with pytest.raises(VprError, match=r"image_raw 000001: an image of 0 x 0 pixels"):
        frames[1].decode()
    with pytest.raises(VprError, match=r"image_raw 000002: encoding 'h264' is not supported"):
        frames[2].decode()


# Where the camera is


def poses_of(bag, **options):
    recording, frames = given(bag, **options)
    return recording, [one.pose for one in frames]


def drive(bag, frame, **odometry):
    """At x = 1, 2, 3 at 10, 11, 12 s, looking along y."""
    for i in (1, 2, 3):
        bag.odometry(Pose.planar(i, 0, math.pi / 2), 9.0 + i, **odometry)
        bag.compressed(JPEG, 9.0 + i, frame=frame)


@pytest.mark.parametrize(
    ("frame", "turn"), [("cam_optical", OPTICAL), ("cam", OPTICAL), ("cam_link", IDENTITY), ("down", None)]
)
def test_the_camera_looks_ahead_whatever_its_frame(bag, frame, turn):
    """An optical frame by its name or by its axes, or a body's."""
    down = compose(Pose(0, 0, 0, 0, math.sin(math.pi / 4), 0, math.cos(math.pi / 4)), OPTICAL)  # looks at the ground
    bag.tf(
        [("base_link", "mast", Pose(0, 0, 1)), ("mast", frame, compose(Pose(0.5, 0, 0), turn or down))],
        1.0,
        topic="/tf_static",
    )
    drive(bag, frame)
    recording, poses = poses_of(bag)
    assert distance(poses[1], Pose(2, 0.5, 1)) < 1e-9
    ahead = rotate(poses[1], (1.0, 0.0, 0.0))
    assert np.allclose(ahead, (0, 0, -1) if turn is None else (0, 1, 0), atol=1e-9)
    if turn is not None:
        assert heading(poses[1]) == pytest.approx(math.pi / 2)
        assert np.allclose(rotate(poses[1], (0.0, 0.0, 1.0)), (0, 0, 1))
    said(recording, f"base_link > mast > {frame}")


def test_no_static_transform(bag):
    drive(bag, "cam_optical")
    recording, poses = poses_of(bag)
    assert distance(poses[1], Pose(2, 0)) < 1e-9 and heading(poses[1]) == pytest.approx(math.pi / 2)
    said(recording, "no transform from base_link to cam_optical")


def test_images_without_a_frame(bag):
    drive(bag, "")
    recording, poses = poses_of(bag)
    assert distance(poses[1], Pose(2, 0)) < 1e-9
    said(recording, "the images name no frame")


def test_odometry_of_the_camera_itself(bag):
    drive(bag, "cam_optical", child="cam_optical")
    recording, poses = poses_of(bag)
    assert distance(poses[1], Pose(2, 0)) < 1e-9
    said(recording, "the poses are those of the camera frame cam_optical")


def test_a_head_that_turns(bag):
    """The camera on a moving joint: its place is taken at each image's stamp."""
    for i in (1, 2, 3):
        bag.tf([("base_link", "head", Pose.planar(0, 0, 0.1 * i))], 9.0 + i)
    bag.tf([("head", "cam_optical", compose(Pose(1, 0), OPTICAL))], 1.0, topic="/tf_static")
    drive(bag, "cam_optical")
    recording, poses = poses_of(bag)
    assert [heading(pose) for pose in poses] == pytest.approx([math.pi / 2 + 0.1 * i for i in (1, 2, 3)])
    said(recording, "moves on base_link")


def test_fixed_transforms_that_are_repeated_on_tf(bag):
    """As static_transform_publisher of ROS 1 does, now and then, and too rarely to interpolate between."""
    for stamp in (10.0, 12.0):
        bag.tf([("base_link", "cam_optical", compose(Pose(1, 0), OPTICAL))], stamp)
    drive(bag, "cam_optical")
    recording, poses = poses_of(bag)
    assert [pose.y for pose in poses] == pytest.approx([1.0, 1.0, 1.0])
    said(recording, "1.00 m forward, 0.00 m left")


def tf_drive(bag, edges, frame="cam"):
    for i in (1, 2, 3):
        bag.tf([(parent, child, Pose(i, 0)) for parent, child in edges], 9.0 + i)
        bag.compressed(JPEG, 9.0 + i, frame=frame)


def test_tf_with_map_and_without(bag):
    bag.tf([("base_link", "cam", Pose(0, 0, 1))], 1.0, topic="/tf_static")
    tf_drive(bag, [("odom", "base_link"), ("map", "odom"), ("base_link", "wheel")])
    recording, poses = poses_of(bag)
    assert [pose.x for pose in poses] == [2, 4, 6] and poses[0].z == 1
    said(recording, "TF, map > odom > base_link")
    recording = open_input(bag.at, InputOptions(map_frame="odom", pose_topic="tf"))
    assert [one.pose.x for one in recording] == [1, 2, 3]
    with pytest.raises(
        VprError, match=r"no chain of transforms from world to base_link.*frames: base_link, cam, map.*--map-frame"
    ):
        open_input(bag.at, InputOptions(map_frame="world", pose_topic="tf"))


def test_tf_that_does_not_reach_the_camera_leaves_the_satellites(bag):
    tf_drive(bag, [("base_link", "wheel")])
    for i in range(3):
        bag.fix(47, 8 + i / 1e4, 0, 10.0 + i)
    recording, poses = poses_of(bag)
    assert recording.poses.source == "/gps/fix" and all(poses)
    said(recording, "TF is not used: no chain of transforms")


def test_tf_with_holes(bag):
    """NaN in one transform; a gap; names with the slash of ROS 1."""
    bag.tf([("/base_link", "/cam", IDENTITY)], 1.0, topic="/tf_static")
    for stamp in (10.0, 10.2, 10.4, 13.0, 13.2):
        bag.tf([("/odom", "/base_link", Pose(stamp, 0))], stamp)
    for stamp in (10.1, 11.0, 13.1):
        bag.compressed(JPEG, stamp, frame="/cam")
    _, poses = poses_of(bag)
    assert [pose if pose is None else round(pose.x, 6) for pose in poses] == [10.1, None, 13.1]


def test_satellites_without_a_fix(bag):
    for i in range(4):
        bag.fix(47, 8 + i / 1e4, 0, 10.0 + i, status=-1 if i == 1 else 0)
        bag.compressed(JPEG, 10.0 + i)
    bag.fix(math.nan, 8, 0, 14.0)
    recording, poses = poses_of(bag)
    assert sum(pose is not None for pose in poses) >= 3
    assert recording.skip_counts.counts == {"messages of /gps/fix without a position": 2}


def test_the_antenna_is_not_the_robot(bag):
    """Two meters behind the base: the base is two meters ahead of every fix."""
    bag.tf([("base_link", "gps", Pose(-2, 0, 1)), ("base_link", "cam", IDENTITY)], 1.0, topic="/tf_static")
    for i in range(4):
        bag.fix(0.0, i / 1e4, 0, 10.0 + i)
        bag.compressed(JPEG, 10.0 + i, frame="cam")
    _, poses = poses_of(bag)
    assert distance(poses[0], Pose(2, 0, -1)) < 1e-6


# Intrinsics


def test_intrinsics_of_images_made_smaller(bag):
    bag.camera_info(64, 48, 1.0, fx=100.0, d=(0.1, 0, 0, 0, 0))
    bag.compressed(JPEG, 10.0)
    recording, _ = given(bag)
    assert (recording.intrinsics.fx, recording.intrinsics.cx) == (50.0, 15.5)
    assert recording.intrinsics.distortion == (0.1, 0, 0, 0, 0) and recording.image_size == (32, 24)
    said(recording, "plumb_bob, scaled from 64 x 48")


def test_a_calibration_of_another_camera(bag):
    bag.camera_info(64, 64, 1.0, fx=100.0)
    bag.compressed(JPEG, 10.0)
    recording, _ = given(bag)
    assert recording.intrinsics is None
    said(recording, "64 x 64 pixels, the images have 32 x 24: another aspect ratio")


def test_a_distortion_of_an_unknown_model_is_not_ignored(bag):
    bag.camera_info(32, 24, 1.0, fx=100.0, d=(0.1, 0.2, 0.3))
    bag.compressed(JPEG, 10.0)
    recording, _ = given(bag)
    assert recording.intrinsics is None
    said(recording, "'plumb_bob' with 3 coefficients", "the intrinsics are not known")


def test_a_calibration_file_in_place_of_camera_info(bag, tmp_path):
    bag.camera_info(32, 24, 1.0, fx=100.0)
    bag.compressed(JPEG, 10.0)
    (tmp_path / "camera.yaml").write_text(
        "image_width: 64\nimage_height: 48\ncamera_matrix: {data: [80, 0, 31.5, 0, 80, 23.5, 0, 0, 1]}\n"
        "distortion_model: equidistant\ndistortion_coefficients: {data: [0.1, 0, 0, 0]}\n"
    )
    recording, _ = given(bag, camera=tmp_path / "camera.yaml")
    assert recording.intrinsics == Intrinsics(40.0, 40.0, 15.5, 11.5, "equidistant", (0.1, 0, 0, 0))
    assert recording.image_size == (32, 24)
    said(recording, "equidistant, scaled from 64 x 48 (camera.yaml)")


def test_rectified_images_have_no_distortion(bag):
    bag.camera_info(32, 24, 1.0, fx=100.0, d=(0.1, 0, 0, 0, 0), topic="/camera/camera_info")
    bag.image(RGB, 10.0, topic="/camera/image_rect")
    recording, _ = given(bag)
    assert recording.intrinsics == Intrinsics(100.0, 100.0, 15.5, 11.5)


def test_not_calibrated(bag):
    bag.camera_info(32, 24, 1.0, fx=0.0)
    bag.compressed(JPEG, 10.0)
    recording, _ = given(bag)
    assert recording.intrinsics is None
    said(recording, "not calibrated")
