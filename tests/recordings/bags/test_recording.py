"""Every form of bag gives the same recording."""

import shutil

import numpy as np
import pytest

from tests.recordings.bags.bags import FX, BagWriter, camera_pose, storage_file, write_bag
from tests.recordings.corridor import corridor_frames
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.transforms import angle, distance
from vpr_aesvc.types import Pose

STORAGES = ["sqlite3", "mcap", "ros1"]
FORMS = [(storage, None) for storage in STORAGES]
FORMS += [
    ("sqlite3", "message"),
    ("sqlite3", "file"),
    ("mcap", "chunk"),
    ("mcap", "message"),
    ("mcap", "file"),
    ("ros1", "chunk"),
]


@pytest.fixture(scope="module")
def frames(loop_folder):
    return corridor_frames(loop_folder)[:8]


def check(recording, frames, places=1e-6, turns=1e-6):
    given = list(recording)
    assert recording.images == len(given) == len(frames)
    for number, (one, frame) in enumerate(zip(given, frames, strict=True)):
        assert one.label == f"/camera/image_raw {number:06d}"
        assert one.stamp == frame.stamp and one.image is None
        assert distance(one.pose, camera_pose(frame)) < places
        assert angle(one.pose, camera_pose(frame)) < turns
    assert not len(recording.skip_counts)
    return given


@pytest.mark.parametrize(("storage", "compression"), FORMS)
@pytest.mark.parametrize("compressed", [False, True])
def test_forms(frames, tmp_path, storage, compression, compressed):
    bag = write_bag(tmp_path / "bag", frames, storage, compressed, compression=compression)
    recording = open_input(bag)
    assert recording.kind == {"ros1": "ROS 1 bag"}.get(storage, f"ROS 2 bag ({storage})")
    assert recording.intrinsics.fx == FX and recording.intrinsics.cx == 255.5
    for one, frame in zip(check(recording, frames), frames, strict=True):
        assert np.array_equal(one.decode(), read_image(frame.path))
    check(recording, frames)  # and anew


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("poses", ["pose", "pose_covariance", "tf"])
def test_pose_sources(frames, tmp_path, storage, poses):
    recording = open_input(write_bag(tmp_path / "bag", frames, storage, True, poses))
    check(recording, frames)
    assert recording.poses.source == {"tf": "TF"}.get(poses, "/pose")


@pytest.mark.parametrize("storage", STORAGES)
def test_satellites(loop_folder, tmp_path, storage):
    """Positions to a centimeter of a plane that touches the earth; the heading, of a circle in strides of a meter, nearly."""
    frames = corridor_frames(loop_folder)[:40]
    recording = open_input(write_bag(tmp_path / "bag", frames, storage, True, "navsat"))
    given = [one.pose for one in recording]
    truth = [camera_pose(frame) for frame in frames]
    assert max(map(distance, given[3:-3], truth[3:-3])) < 0.03
    assert max(map(angle, given[3:-3], truth[3:-3])) < 0.05
    assert max(map(distance, given, truth)) < 0.15  # before the middle of the first stride and after that of the last
    assert any("47.3977000" in note for note in recording.notes)


def test_fixes_once_a_second_still_give_poses(frames, tmp_path):
    recording = open_input(write_bag(tmp_path / "bag", frames, poses="navsat", compressed=True, pose_period=1.0))
    assert sum(one.pose is not None for one in recording) >= 7
    assert any("fixes come every 1 s" in note for note in recording.notes)


@pytest.mark.parametrize("compression", [None, "message"])
def test_a_file_by_itself(frames, tmp_path, compression):
    for storage in ("sqlite3", "mcap"):
        bag = write_bag(tmp_path / storage, frames, storage, compression=compression)
        check(open_input(storage_file(bag)), frames)
        alone = shutil.copy(storage_file(bag), tmp_path)
        check(open_input(alone), frames)


def test_without_type_definitions(frames, tmp_path):
    """As recorders wrote it up to ROS 2 Humble."""
    import sqlite3

    file = storage_file(write_bag(tmp_path / "bag", frames))
    base = sqlite3.connect(file)
    base.executescript("DROP TABLE message_definitions; DROP TABLE schema; DROP TABLE metadata")
    base.execute("ALTER TABLE topics DROP COLUMN type_description_hash")
    base.commit()
    base.close()
    (file.parent / "metadata.yaml").unlink()
    check(open_input(file), frames)


def test_a_type_that_nobody_can_parse(frames, tmp_path):
    """A bag is read although the definition of somebody's own message is broken."""
    bag = write_bag(tmp_path / "bag", frames)
    import sqlite3

    base = sqlite3.connect(storage_file(bag))
    base.execute("INSERT INTO topics VALUES (99, '/own', 'own/msg/Thing', 'cdr', '', '')")
    base.execute("INSERT INTO message_definitions VALUES (99, 'own/msg/Thing', 'ros2msg', '&&& no definition', '')")
    base.commit()
    base.close()
    check(open_input(bag), frames)


def test_ros1_messages_in_mcap(frames, tmp_path):
    """As `mcap convert` makes it of a ROS 1 bag."""
    from mcap.writer import Writer

    from vpr_aesvc.recordings.bags.reader import open_bag

    source = open_bag(write_bag(tmp_path / "bag", frames, "ros1"))
    with (tmp_path / "converted.mcap").open("wb") as out:
        writer = Writer(out)
        writer.start(profile="ros1")
        channels = {}
        for topic, received, raw in source.messages(list(source.topics)):
            if topic.name not in channels:
                schema = writer.register_schema(topic.type.replace("/msg/", "/"), "ros1msg", b"")
                channels[topic.name] = writer.register_channel(topic.name, "ros1", schema)
            writer.add_message(channels[topic.name], received, raw, received)
        writer.finish()
    for one, frame in zip(check(open_input(tmp_path / "converted.mcap"), frames), frames, strict=True):
        assert np.array_equal(one.decode(), read_image(frame.path))


@pytest.mark.parametrize("coding", ["NONE", "LZ4", "ZSTD"])
@pytest.mark.parametrize("profile", ["ros2", ""])
def test_mcap_of_another_writer(frames, tmp_path, coding, profile):
    """Chunks of the size that recorders make; a profile that is not named, as some tools write it."""
    from mcap.writer import CompressionType, Writer

    from vpr_aesvc.recordings.bags.reader import open_bag

    source = open_bag(write_bag(tmp_path / "bag", frames, "sqlite3"))
    with (tmp_path / "other.mcap").open("wb") as out:
        writer = Writer(out, chunk_size=768 * 1024, compression=CompressionType[coding])
        writer.start(profile=profile)
        channels = {}
        for topic, received, raw in source.messages(list(source.topics)):
            if topic.name not in channels:
                schema = writer.register_schema(topic.type, "ros2msg", b"")
                channels[topic.name] = writer.register_channel(topic.name, "cdr", schema)
            writer.add_message(channels[topic.name], received, raw, received)
        writer.finish()
    for one, frame in zip(check(open_input(tmp_path / "other.mcap"), frames), frames, strict=True):
        assert np.array_equal(one.decode(), read_image(frame.path))


def test_big_endian(frames, tmp_path):
    """CDR says in its second byte how it is coded."""
    with BagWriter(tmp_path / "bag") as bag:
        for frame in frames:
            for message, topic in ((image_of(bag, frame), "/image"), (odometry_of(bag, frame), "/odom")):
                type = message.__msgtype__
                coded = bag.store.serialize_cdr(message, type, little_endian=False)
                bag.raw(topic, type, coded, frame.stamp)
    for one, frame in zip(open_input(tmp_path / "bag"), frames, strict=True):
        assert one.stamp == frame.stamp
        assert distance(one.pose, frame.pose) < 1e-6
        assert np.array_equal(one.decode(), read_image(frame.path))


def image_of(bag, frame):
    from tests.recordings.bags.bags import image_message

    return image_message(bag, read_image(frame.path), frame.stamp, "bgr8")


def odometry_of(bag, frame):
    zero = bag.make("geometry_msgs/msg/Vector3", 0.0, 0.0, 0.0)
    twist = bag.make(
        "geometry_msgs/msg/TwistWithCovariance", bag.make("geometry_msgs/msg/Twist", zero, zero), np.zeros(36)
    )
    placed = bag.make("geometry_msgs/msg/PoseWithCovariance", bag.pose_message(frame.pose), np.zeros(36))
    return bag.make("nav_msgs/msg/Odometry", bag.header(frame.stamp, "odom"), "base_link", placed, twist)


def test_decode_says_which_image(frames, tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.compressed(frames[0].path.read_bytes(), 1.0)
        bag.compressed(frames[1].path.read_bytes()[:-5000], 2.0)
        whole = bag.make("sensor_msgs/msg/CompressedImage", bag.header(3.0), "jpeg", np.zeros(9, np.uint8))
        topic, type = "/camera/image_raw/compressed", "sensor_msgs/msg/CompressedImage"
        coded = bag.store.serialize_cdr(whole, type)
        bag.raw(topic, type, bytes(coded[:-12]), 3.0)
        bag.raw(topic, type, bytes(coded[:14]), 4.0)
    recording = open_input(tmp_path / "bag")
    first, cut = recording
    first.decode()
    with pytest.raises(VprError, match=r"bag: /camera/image_raw 000001: the file is truncated"):
        cut.decode()
    assert recording.skip_counts.counts == {"images whose message cannot be read": 2}
    example = recording.skip_counts.examples["images whose message cannot be read"][0]
    assert example.startswith("number 2: ") and "not a complete sensor_msgs/CompressedImage message" in example


def test_poses_between_and_gaps(frames, tmp_path):
    """Interpolated; none before the first, after the last, and in a gap that is longer than asked for."""
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        for stamp, x in ((10.0, 0.0), (10.4, 4.0), (12.0, 20.0), (12.2, 22.0)):
            bag.odometry(Pose(x, 0), stamp, child="camera")
        for stamp in (9.5, 10.1, 11.0, 12.1, 12.5):
            bag.compressed(frames[0].path.read_bytes(), stamp, frame="camera")
    recording = open_input(tmp_path / "bag")
    poses = [one.pose for one in recording]
    assert [pose if pose is None else round(pose.x, 6) for pose in poses] == [None, 1.0, None, 21.0, None]
    assert any("3 of 5 images have no pose" in note for note in recording.notes)
    wider = [one.pose for one in open_input(tmp_path / "bag", InputOptions(pose_gap=2.0))]
    assert wider[2].x == pytest.approx(10.0)


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_aligned_depth(frames, tmp_path, encoding):
    """It comes later than its image; that of the third is missing, that of the fifth is of another time."""
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        for number, frame in enumerate(frames):
            bag.image(read_image(frame.path), frame.stamp)
            if number != 2:
                stamp = frame.stamp + (0.05 if number == 4 else 0.004)
                pixels = np.full((24, 32), 1500 + number, np.uint16)
                if encoding == "32FC1":
                    pixels = (pixels / 1000).astype(np.float32)
                raw = pixels.view(np.uint8).reshape(24, -1)
                fields = {"height": 24, "width": 32, "encoding": encoding, "is_bigendian": 0, "step": raw.shape[1]}
                message = bag.make("sensor_msgs/msg/Image", header=bag.header(stamp), **fields, data=raw.ravel())
                bag.write("/camera/aligned_depth_to_color/image_raw", message, frame.stamp + 0.06)
    recording = open_input(tmp_path / "bag")
    assert recording.topic.name == "/camera/image_raw"
    found = list(recording)
    assert [one.depth is not None for one in found] == [number not in (2, 4) for number in range(len(frames))]
    for number in (0, 7):
        assert np.allclose(found[number].depth(), (1500 + number) / 1000)
    assert any("aligned_depth_to_color" in note and "for 6 of 8 images" in note for note in recording.notes)
