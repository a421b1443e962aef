"""Which files are a bag, and bags from which nothing can be seen."""

import json
import shutil

import cv2
import numpy as np
import pytest
from mcap.writer import Writer
from rosbags.typesys import get_types_from_msg

from tests.command import refused, vpr
from tests.recordings.bags.bags import BagWriter
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.inputs import open_input
from vpr_aesvc.keyframes.selection import write_table
from vpr_aesvc.recordings.bags.info import bag_info
from vpr_aesvc.types import Frame, Pose

RGB = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
JPEG = encode_jpeg(RGB)


def part(path, start, count=4, storage="ros1"):
    """A small bag of images and odometry; returns its file."""
    path.parent.mkdir(exist_ok=True)
    with BagWriter(path, storage) as bag:
        for i in range(count):
            bag.odometry(Pose(start + i, 0), start + i)
            bag.compressed(JPEG, start + i)
    return path


def stamps(path, **options):
    return [frame.stamp for frame in open_input(path, InputOptions(**options))]


# Bags that were not closed, and parts of bags


@pytest.mark.parametrize(
    "names",
    [
        ("drive_0.bag", "drive_1.bag", "drive_2.bag"),
        ("drive_9.bag", "drive_10.bag", "drive_11.bag"),
        ("drive_2024-01-01-10-00-00_0.bag", "drive_2024-01-01-10-05-00_1.bag", "drive_2024-01-01-10-10-00_2.bag"),
        ("2024-01-01-10-00-00_0.bag", "2024-01-01-10-05-00_1.bag", "2024-01-01-10-10-00_2.bag"),
    ],
)
def test_parts_of_a_ros1_bag(tmp_path, names):
    for i, name in enumerate(names):
        part(tmp_path / name, 10.0 * (i + 1))
    recording = open_input(tmp_path)
    assert [frame.stamp for frame in recording] == [10.0 * i + j for i in (1, 2, 3) for j in range(4)]
    assert f"files: {', '.join(names)}, taken as the parts of one recording" in recording.notes


def test_the_last_part_was_not_closed(tmp_path):
    part(tmp_path / "drive_0.bag", 10.0)
    data = part(tmp_path / "drive_1.bag", 20.0).rename(tmp_path / "drive_1.bag.active").read_bytes()
    (tmp_path / "drive_1.bag.active").write_bytes(data[: data.index(b"op=\x06") - 8])
    hint = r"rosbag reindex \S*drive_1\.bag\.active`, then rename it to drive_1\.bag"  # the damaged part, not the first one
    with pytest.raises(VprError, match=rf"drive_1\.bag\.active: truncated; 16 messages .*{hint}"):
        open_input(tmp_path)
    assert stamps(tmp_path, keep_good=True) == [10, 11, 12, 13, 20, 21, 22, 23]


@pytest.mark.parametrize(
    "names",
    [
        ("2024-01-01-10-00-00.bag", "2024-01-01-11-00-00.bag"),
        ("drive_2024-01-01-10-00-00_0.bag", "drive_2024-01-01-12-00-00_0.bag"),
        ("drive.bag", "drive.bag.active"),
        ("drive.bag", "drive.orig.bag"),
        ("monday_0.bag", "tuesday_1.bag"),
    ],
)
def test_several_bags_are_no_parts(tmp_path, names):
    for name in names:
        part(tmp_path / "made.bag", 10.0).rename(tmp_path / name)
    with pytest.raises(VprError, match=r"expected one bag, found 2: .*name one file"):
        open_input(tmp_path)
    assert len(stamps(tmp_path / names[0])) == 4


# Images beside a bag


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(4):
        cv2.imwrite(str(folder / f"{i}.png"), np.roll(RGB, i, 0))
    return folder


@pytest.mark.parametrize(
    "text", ["camera: front\n", "", "- a\n- b\n", "rosbag: [", "storage_identifier: mcap\n", "\xff\xfe"]
)
def test_a_metadata_yaml_of_another_kind(images, text):
    (images / "metadata.yaml").write_text(text, encoding="latin-1")
    source = open_input(images)
    assert isinstance(source, FrameSet) and len(source) == 4 and source.notes == []


@pytest.mark.parametrize("name", ["stray.bag", "stray.bag.active", "STRAY.BAG", "stray.mcap"])
def test_a_stray_bag_beside_images(images, name):
    (images / name).write_bytes(b"whatever it holds")
    source = open_input(images)
    assert isinstance(source, FrameSet) and len(source) == 4
    assert source.notes == [f"not read, beside the images: {name}; to read a bag, name its file"]


def test_a_stray_bag_beside_a_list_of_images(images):
    images.rename(images.parent / "frames")
    root = images.parent
    (root / "frames.csv").write_text("path,split\nframes/0.png,database\n")
    part(root / "raw.bag", 10.0)
    assert len(open_input(root)) == 1
    assert len(stamps(root / "raw.bag")) == 4


def test_a_stray_bag_beside_images_with_a_trajectory(images, tmp_path):
    trajectory = tmp_path / "poses.txt"
    trajectory.write_text("1 0 0 0 0 1 0 0 0 0 1 0\n" * 4)
    (images / "stray.bag").write_bytes(b"")
    recording = open_input(images, InputOptions(trajectory=trajectory))
    assert recording.is_recording and any("stray.bag" in note for note in recording.notes)


def test_a_picture_beside_a_bag(tmp_path):
    """A bag stays one, with and without metadata.yaml."""
    for folder, storage in (("one", "ros1"), ("two", "mcap")):
        part(tmp_path / folder / "x.bag" if storage == "ros1" else tmp_path / folder, 10.0, storage=storage)
        shutil.copy(cv2_file(tmp_path), tmp_path / folder / "preview.png")
        assert len(stamps(tmp_path / folder)) == 4
    for i in range(9):
        shutil.copy(cv2_file(tmp_path), tmp_path / "two" / f"{i}.png")
    assert len(stamps(tmp_path / "two")) == 4


def cv2_file(folder):
    cv2.imwrite(str(folder / "picture.png"), RGB)
    return folder / "picture.png"


# Images that cannot be decoded


def problem(path):
    return bag_info(path, InputOptions()).problem


@pytest.mark.parametrize(
    ("type", "definition"),
    [
        ("ffmpeg_image_transport_msgs/msg/FFMPEGPacket", "std_msgs/Header header\nuint8[] data"),
        ("foxglove_msgs/msg/CompressedVideo", "string frame_id\nuint8[] data\nstring format"),
        ("theora_image_transport/msg/Packet", "std_msgs/Header header\nuint8[] data"),
    ],
)
def test_video_packets(tmp_path, type, definition):
    with BagWriter(tmp_path / "bag") as bag:
        bag.store.register(get_types_from_msg(definition, type))
        bag.raw("/cam/video", type, b"\x00\x01\x00\x00" + bytes(20), 10.0)
    assert f"/cam/video ({type.replace('/msg/', '/')}, 1 message); convert them" in problem(tmp_path / "bag")


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1", "h265"])
def test_encodings_that_show_nothing(tmp_path, encoding):
    with BagWriter(tmp_path / "bag") as bag:
        for stamp in (10.0, 11.0):
            message = bag.make(
                "sensor_msgs/msg/Image", bag.header(stamp), 4, 4, encoding, 0, 16, np.zeros(64, np.uint8)
            )
            bag.write("/camera/image", message, stamp)
    found = problem(tmp_path / "bag")
    assert "none of the first 2 images can be decoded" in found and encoding in found


def test_json_of_foxglove(tmp_path):
    with (tmp_path / "fox.mcap").open("wb") as out:
        writer = Writer(out)
        writer.start()
        schema = writer.register_schema("foxglove.CompressedVideo", "jsonschema", b"{}")
        channel = writer.register_channel("/cam/video", "json", schema)
        writer.add_message(channel, 10**9, json.dumps({"data": "AAAA", "format": "h264"}).encode(), 10**9)
        writer.finish()
    refused(
        vpr("bag", "info", tmp_path / "fox.mcap"),
        "only messages of ROS are read, found /cam/video (foxglove.CompressedVideo, json)",
    )


def test_one_bad_image_at_the_start_is_no_problem(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.compressed(b"not a picture", 10.0)
        bag.compressed(JPEG, 11.0)
    assert problem(tmp_path / "bag") is None


# What `vpr bag images` writes


def test_images_of_a_bag_have_its_stamps_and_poses(tmp_path):
    start = 1_700_000_000.123456789
    with BagWriter(tmp_path / "bag") as bag:
        for i in range(5):
            bag.odometry(Pose.planar(i, 2 * i, 0.1 * i), start + i / 3)
            bag.compressed(encode_jpeg(np.roll(RGB, 5 * i, 0)), start + i / 3, frame="base_link")
    done = vpr("bag", "images", tmp_path / "bag", "-o", tmp_path / "images")
    assert done.returncode == 0, done.stderr
    before, after = list(open_input(tmp_path / "bag")), list(open_input(tmp_path / "images"))
    assert [frame.stamp for frame in after] == [frame.stamp for frame in before] and len(after) == 5
    assert [frame.pose.as_tuple() for frame in after] == [
        pytest.approx(frame.pose.as_tuple(), abs=1e-5) for frame in before
    ]
    lines = [f"{frame.stamp + 0.01:.6f} {frame.pose.x + 7} 0 0 0 0 0 1\n" for frame in before]
    (tmp_path / "slam.txt").write_text("".join(lines))
    recording = open_input(tmp_path / "images", InputOptions(trajectory=tmp_path / "slam.txt"))
    assert [frame.stamp for frame in recording] == [frame.stamp for frame in before]
    assert "stamps: frames.csv" in recording.notes
    assert [frame.pose.x for frame in list(recording)[1:]] == pytest.approx([8, 9, 10, 11], abs=0.05)


@pytest.mark.parametrize("stamps", [[10.1, 10.4, 10.8], [1e9 + 1e-6, 1e9 + 1, 1e9 + 2.5], [0.0, 1 / 30, 1e5 / 3]])
def test_stamps_are_written_as_they_are(tmp_path, stamps):
    frames = [Frame(f"{i}.jpg", path=tmp_path / f"{i}.jpg", stamp=stamp, index=i) for i, stamp in enumerate(stamps)]
    write_table(frames, tmp_path / "frames.csv")
    assert [frame.stamp for frame in open_input(tmp_path / "frames.csv")] == stamps
    assert [frame.pose for frame in open_input(tmp_path / "frames.csv")] == [None] * 3
