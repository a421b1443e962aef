"""Which topics are taken, and what is said where that is the user's choice."""

import numpy as np
import pytest

from tests.recordings.bags.bags import BagWriter
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.inputs import open_input
from vpr_aesvc.types import Pose

RGB = np.full((24, 32, 3), 90, np.uint8)
JPEG = encode_jpeg(RGB)


def made(
    tmp_path, raw=("/camera/image_raw",), compressed=(), odometry=(), poses=(), infos=(), fixes=(), tf=(), empty=()
):
    """A bag of three seconds with these topics."""
    with BagWriter(tmp_path / "bag") as bag:
        for topic, type in empty:
            bag.topic(topic, type)
        for stamp in (1.0, 2.0, 3.0):
            for topic in raw:
                bag.image(RGB, stamp, topic=topic)
            for topic in compressed:
                bag.compressed(JPEG, stamp, topic=topic)
            for topic in odometry:
                bag.odometry(Pose(stamp, 0), stamp, topic=topic)
            for topic in poses:
                bag.pose(Pose(stamp, 1), stamp, topic=topic)
            for topic in fixes:
                bag.fix(47, 8 + stamp / 1e4, 0, stamp, topic=topic)
            for parent, child in tf:
                bag.tf([(parent, child, Pose(stamp, 2))], stamp)
            for topic in infos:
                bag.camera_info(32, 24, stamp, topic=topic, fx=float(len(topic)))
    return tmp_path / "bag"


def opened(path, **options):
    return open_input(path, InputOptions(**options))


@pytest.mark.parametrize(
    ("topics", "chosen"),
    [
        ({"raw": ["/a/image_raw"]}, "/a/image_raw"),
        ({"raw": [], "compressed": ["/a/image_raw/compressed"]}, "/a/image_raw/compressed"),
        ({"raw": ["/a/image_raw"], "compressed": ["/a/image_raw/compressed"]}, "/a/image_raw"),
        (
            {"raw": [], "compressed": ["/a/image/compressed"], "empty": [("/a/image", "sensor_msgs/msg/Image")]},
            "/a/image/compressed",
        ),
        ({"raw": ["/a/color/image_raw", "/a/depth/image_rect_raw"]}, "/a/color/image_raw"),
        ({"raw": ["/a/image"], "compressed": ["/a/aligned_depth/image/compressedDepth"]}, "/a/image"),
    ],
)
def test_images_guessed(tmp_path, topics, chosen):
    assert opened(made(tmp_path, **topics)).topic.name == chosen


def test_images_asked_for(tmp_path):
    bag = made(tmp_path, raw=["/left/image", "/right/image"], compressed=["/left/image/compressed"], odometry=["/odom"])
    with pytest.raises(VprError) as error:
        opened(bag)
    assert "2 cameras, choose with --image-topic" in str(error.value)
    assert (
        "/left/image (sensor_msgs/Image, 3 messages, 1.0 Hz, 32 x 24 bgr8, in camera_optical_frame), /right/image ("
        in str(error.value)
    )
    assert opened(bag, image_topic="/right/image").topic.name == "/right/image"
    assert opened(bag, image_topic="right/image").topic.name == "/right/image"
    assert opened(bag, image_topic="/left/image/compressed").topic.name == "/left/image/compressed"
    with pytest.raises(
        VprError, match=r"--image-topic /middle: no such topic; expected one of /left/image \(sensor_msgs"
    ):
        opened(bag, image_topic="/middle")
    with pytest.raises(VprError, match=r"--image-topic /odom \(nav_msgs/Odometry, 3 messages\) holds no images"):
        opened(bag, image_topic="/odom")


def test_no_images(tmp_path):
    empty = [("/camera/image", "sensor_msgs/msg/Image")]
    with pytest.raises(VprError, match=r"no images; /camera/image \(sensor_msgs/Image, 0 messages\)"):
        opened(made(tmp_path, raw=[], odometry=["/odom"], empty=empty))
    (tmp_path / "other").mkdir()
    with pytest.raises(VprError, match=r"no images; it holds /odom \(nav_msgs/Odometry, 3 messages\)"):
        opened(made(tmp_path / "other", raw=[], odometry=["/odom"]))
    with pytest.raises(VprError, match=r"/camera/image .* is empty"):
        opened(tmp_path / "bag", image_topic="/camera/image")


@pytest.mark.parametrize(
    ("topics", "source"),
    [
        ({"odometry": ["/odom"], "poses": ["/pose", "/other"], "tf": [("odom", "base_link")]}, "/odom"),
        ({"poses": ["/slam/pose", "/goal_pose", "/initialpose"], "tf": [("odom", "base_link")]}, "/slam/pose"),
        ({"tf": [("odom", "base_link")], "fixes": ["/gps/fix"]}, "TF"),
        ({"tf": [("map", "odom"), ("odom", "base_link")]}, "TF"),
        ({"fixes": ["/gps/fix"]}, "/gps/fix"),
        ({}, ""),
    ],
)
def test_poses_guessed(tmp_path, topics, source):
    recording = opened(made(tmp_path, **topics))
    assert recording.poses.source == source
    assert (
        sum(one.pose is not None for one in recording) == (3 if source and "gps" not in source else 0)
        or source == "/gps/fix"
    )


def test_poses_asked_for(tmp_path):
    bag = made(tmp_path, odometry=["/wheels/odom", "/visual/odom"], poses=["/pose"], tf=[("odom", "base_link")])
    with pytest.raises(VprError) as error:
        opened(bag)
    assert "2 pose topics, choose with --pose-topic: /visual/odom (nav_msgs/Odometry, 3" in str(error.value)
    options = InputOptions(pose_gap=2.0)
    for topic, source in (
        ("/visual/odom", "/visual/odom"),
        ("pose", "/pose"),
        ("tf", "TF"),
        ("/tf", "TF"),
        ("none", ""),
    ):
        assert opened(bag, pose_topic=topic, pose_gap=options.pose_gap).poses.source == source
    assert all(one.pose is None for one in opened(bag, pose_topic="none"))
    with pytest.raises(VprError, match=r"--pose-topic /nothing: no such topic; expected one of .*/wheels/odom"):
        opened(bag, pose_topic="/nothing")
    with pytest.raises(VprError, match=r"--pose-topic /camera/image_raw .* holds no poses"):
        opened(bag, pose_topic="/camera/image_raw")


def test_tf_asked_for_where_there_is_none(tmp_path):
    with pytest.raises(VprError, match=r"--pose-topic tf: no transforms"):
        opened(made(tmp_path), pose_topic="tf")


@pytest.mark.parametrize(
    ("images", "infos", "chosen"),
    [
        ("/a/image_raw", ["/a/camera_info", "/longer/camera_info"], "/a/camera_info"),
        ("/a/image_raw", ["/elsewhere/camera_info"], "/elsewhere/camera_info"),
        ("/a/image_raw", ["/b/camera_info", "/cc/camera_info"], None),
        ("/a/image_raw", [], None),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_camera_info(tmp_path, images, infos, chosen, compressed):
    topics = {"raw": [], "compressed": [f"{images}/compressed"]} if compressed else {"raw": [images]}
    recording = opened(made(tmp_path, infos=infos, **topics))
    if chosen is None:
        assert recording.intrinsics is None
    else:
        assert recording.intrinsics.fx == len(chosen)
    assert any("intrinsics" in note for note in recording.notes)
