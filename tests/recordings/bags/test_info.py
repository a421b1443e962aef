"""`vpr bag info`: what is in a bag, in words and as JSON."""

import json
import shutil

import numpy as np
import pytest

from tests.command import refused, vpr
from tests.recordings.bags.bags import BagWriter, storage_file, write_bag
from tests.recordings.corridor import corridor_frames
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.recordings.bags.info import bag_info
from vpr_aesvc.types import Pose

JPEG = encode_jpeg(np.full((24, 32, 3), 90, np.uint8))


@pytest.fixture(scope="module")
def frames(loop_folder):
    return corridor_frames(loop_folder)[:10]


def words(path, **options):
    return "\n".join(bag_info(path, InputOptions(**options)).lines())


def test_a_good_bag(frames, tmp_path):
    bag = write_bag(tmp_path / "bag", frames, "mcap", poses="tf")
    done = vpr("bag", "info", bag)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{bag}: ROS 2 bag (mcap), ") and "4.5 s from 2023-11-14T22:13:20" in lines[0]
    assert (
        "  /camera/image_raw (sensor_msgs/Image, 10 messages, 2.0 Hz, 512 x 384 bgr8, in camera_optical_frame)\n"
        in done.stdout
    )
    assert "poses:\n  /tf (tf2_msgs/TFMessage, " in done.stdout
    assert "  intrinsics: fx 400.0" in done.stdout and "(/camera/camera_info)" in done.stdout
    assert (
        "a map would be built from:\n  images: /camera/image_raw" in done.stdout
        and "  poses: TF, map > odom > base_link" in done.stdout
    )
    assert lines[-1] == f"next: vpr map build {bag} -m MODEL -o MAP.vprmap"


def test_as_json(frames, tmp_path):
    bag = write_bag(tmp_path / "bag", frames, "ros1", compressed=True)
    done = vpr("bag", "info", bag, "--json")
    found = json.loads(done.stdout)
    assert found["kind"] == "ROS 1 bag" and found["seconds"] == pytest.approx(4.5) and found["problem"] is None
    (images,) = found["images"]
    assert "10 messages, 2.0 Hz, 512 x 384 jpeg, in camera_optical_frame" in images
    assert any("of base_link in odom" in poses for poses in found["poses"])
    assert any(line.startswith("intrinsics: fx 400.0") for line in found["used"])


def test_what_is_odd(tmp_path):
    """Gaps, stamps that are zero, equal and backward; NaN."""
    with BagWriter(tmp_path / "bag") as bag:
        for i, stamp in enumerate([10.0, 10.1, 10.2, 10.2, 10.3, 10.25, 10.4, 0.0, 12.0]):
            bag.compressed(JPEG, stamp, 10.5 + i / 10)
        for i in range(5):
            bag.fix(47, 8 + i / 1e4, 0, 10.0 + i, status=-1 if i == 2 else 0)
        bag.pose(Pose(0, 0), 10.0)
        bag.topic("/empty/image", "sensor_msgs/msg/Image")
    text = words(tmp_path / "bag", pose_topic="/gps/fix")
    assert "1 of 8 images have a stamp of zero" in text and "images with the same stamp as the one before: 1" in text
    assert "left out: 1 images out of order" in text
    assert "/empty/image (sensor_msgs/Image, 0 messages)\n" in text
    assert "left out: 1 messages of /gps/fix without a position" in text
    assert "poses: /gps/fix" in text


def test_a_choice_is_the_users(tmp_path):
    with BagWriter(tmp_path / "a bag") as bag:
        for stamp in (1.0, 2.0):
            bag.compressed(JPEG, stamp, topic="/left/image/compressed", frame="left")
            bag.compressed(JPEG, stamp, topic="/right/image/compressed", frame="right")
    done = vpr("bag", "info", tmp_path / "a bag")
    assert done.returncode == 1
    assert (
        done.stdout.splitlines()[-1].startswith("no map can be built with these options: ")
        and "--image-topic" in done.stdout
    )
    done = vpr("bag", "info", tmp_path / "a bag", "--image-topic", "/left/image/compressed")
    assert done.returncode == 0
    last = done.stdout.splitlines()[-1]
    assert last == f"next: vpr map build '{tmp_path}/a bag' --image-topic /left/image/compressed -m MODEL -o MAP.vprmap"


def test_damage_is_told(frames, tmp_path):
    file = storage_file(write_bag(tmp_path / "bag", frames, "mcap"))
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    done = vpr("bag", "info", cut)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "damaged: cut.mcap: truncated; " in done.stdout and f"run `mcap recover {cut}" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("--keep-good -m MODEL -o MAP.vprmap")


def test_no_bag(tmp_path):
    refused(vpr("bag", "info", tmp_path / "none"), "no such file or folder")
    (tmp_path / "empty").mkdir()
    refused(vpr("bag", "info", tmp_path / "empty"), "no .bag, .mcap or .db3 file")
    (tmp_path / "words.bag").write_text("no bag")
    refused(vpr("bag", "info", tmp_path / "words.bag"), "not a ROS 1 bag")
    shutil.copy(__file__, tmp_path / "video.mp4")
    refused(vpr("bag", "info", tmp_path / "video.mp4"), "expected a bag: .bag, .mcap or .db3")


def test_a_bag_without_anything(tmp_path):
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        bag.topic("/image", "sensor_msgs/msg/Image")
    done = vpr("bag", "info", tmp_path / "bag")
    assert done.returncode == 1 and "no images; /image" in done.stdout and "Traceback" not in done.stderr
