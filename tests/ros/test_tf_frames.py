"""What is said of a transform that TF does not have."""

import pytest

pytest.importorskip("tf2_ros", reason="ROS 2 is not sourced")

from geometry_msgs.msg import TransformStamped
from tf2_ros import Buffer

from vpr_aesvc.ros.tf_frames import missing_transform


def said(*transforms, parent="base_link", child="camera_link", **options):
    buffer = Buffer()
    for above, below in transforms:
        transform = TransformStamped(child_frame_id=below)
        transform.header.frame_id, transform.transform.rotation.w = above, 1.0
        buffer.set_transform_static(transform, "test")
    return str(missing_transform(buffer, parent, child, **options))


def test_the_cause_and_the_remedy_are_in_one_line():
    for words, sentence in {
        ("nothing came on /tf", "robot_state_publisher", "--frame-id base_link --child-frame-id camera_link"): said(),
        ("'camera_link' does not exist", "similar: cameralink", "driver"): said(
            ("odom", "base_link"), ("base_link", "cameralink")
        ),
        ("'base_link' does not exist", "TF has: map, odom", "parameter"): said(
            ("odom", "camera_link"), ("map", "odom")
        ),
        ("trees, 'odom' and 'mast'", "--child-frame-id mast"): said(("odom", "base_link"), ("mast", "camera_link")),
        ("at the stamps", "one clock"): said(("base_link", "camera_link")),
        ("no frame_id", "driver"): said(child=""),
        ("'base_link' does not exist", "start the odometry"): said(
            ("odom", "wheel"), parent="odom", child="base_link", fixed=False
        ),
    }.items():
        assert all(word in sentence for word in words) and "\n" not in sentence, sentence
