"""Bags that are cut off, unindexed or without their metadata: clear errors, and the good part is used if requested."""

import contextlib
import random
import re
import shutil
import sqlite3

import numpy as np
import pytest

from tests.recordings.bags.bags import BagWriter, camera_pose, storage_file, write_bag
from tests.recordings.corridor import corridor_frames
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.images import encode_jpeg, read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.transforms import OPTICAL, distance
from vpr_aesvc.types import Pose

KEEP = InputOptions(keep_good=True)


@pytest.fixture(scope="module")
def frames(loop_folder):
    return corridor_frames(loop_folder)[:12]


@pytest.fixture(scope="module")
def whole(frames, tmp_path_factory):
    """A whole bag of each storage, with raw images so that there are many pages and chunks."""
    folder = tmp_path_factory.mktemp("whole")
    return {storage: write_bag(folder / storage, frames, storage) for storage in ("sqlite3", "mcap", "ros1")}


def cut(bag, target, share):
    """The bag's file alone, its end cut off."""
    file = storage_file(bag)
    target = target.with_suffix(file.suffix)
    data = file.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target


def check_part(recording, frames):
    """Frames of the recording are the first ones of the corridor, whole and with right poses; how many."""
    given = list(recording)
    for one, frame in zip(given, frames, strict=False):
        assert one.stamp == frame.stamp
        assert one.decode().shape == (384, 512, 3)
        if one.pose is not None:
            assert distance(one.pose, camera_pose(frame)) < 1e-6
    return len(given)


REPAIR = {
    "sqlite3": r'sqlite3 \S+ "\.recover" \| sqlite3 recovered\.db3',
    "ros1": r"rosbag reindex \S+",
    "mcap": r"mcap recover \S+ -o",
}


def check_cut(bag, frames, at_least, at_most, storage="mcap"):
    with pytest.raises(
        VprError, match=rf"damaged: .*messages over \d\.\d s come before; .*{REPAIR[storage]}.*--keep-good"
    ):
        open_input(bag)
    recording = open_input(bag, KEEP)
    assert at_least <= check_part(recording, frames) <= at_most
    assert recording.poses.base is not None
    assert any("the rest of the bag" in line for line in recording.skip_counts.lines())


def check_refused(bag, storage):
    """With and without keep_good: rosbags reads nothing of it, and the error names the command that repairs it."""
    for options in (InputOptions(), KEEP):
        with pytest.raises(VprError, match=rf"{re.escape(str(bag))}: the bag cannot be opened: .*{REPAIR[storage]}`$"):
            open_input(bag, options)


@pytest.mark.parametrize("storage", ["sqlite3", "mcap", "ros1"])
def test_truncated(whole, frames, tmp_path, storage):
    bag = cut(whole[storage], tmp_path / "cut", 0.6)
    check_refused(bag, storage) if storage == "sqlite3" else check_cut(bag, frames, 5, 8, storage)


@pytest.mark.parametrize(("storage", "compression"), [("mcap", "chunk"), ("mcap", "message"), ("ros1", "chunk")])
def test_truncated_and_compressed(frames, tmp_path, storage, compression):
    bag = cut(write_bag(tmp_path / "whole", frames, storage, compression=compression), tmp_path / "cut", 0.6)
    check_cut(bag, frames, 4, 8, storage)


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_truncated_inside_its_folder(whole, frames, tmp_path, storage):
    """metadata.yaml promises more messages than the file holds."""
    bag = tmp_path / "bag"
    shutil.copytree(whole[storage], bag)
    file = storage_file(bag)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    check_cut(bag, frames, 4, 7) if storage == "mcap" else check_refused(bag, storage)


@pytest.mark.parametrize("storage", ["sqlite3", "mcap", "ros1"])
def test_damage_in_the_middle(whole, frames, tmp_path, storage):
    """The index is good, bytes in the middle are not."""
    file = storage_file(whole[storage])
    bag = tmp_path / file.name
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1_500_000] = b"\xa5" * 1_500_000  # larger than a chunk, an image and all between them
    bag.write_bytes(data)
    check_refused(bag, storage) if storage == "sqlite3" else check_cut(bag, frames, 5, 6, storage)


@pytest.mark.parametrize("storage", ["sqlite3", "ros1"])
def test_damage_that_reading_finds(whole, frames, tmp_path, storage):
    """rosbags opens the bag and fails at an image in the middle."""
    file = storage_file(whole[storage])
    data = bytearray(file.read_bytes())
    bag = tmp_path / file.name
    bag.write_bytes(break_image(data, read_image(frames[6].path), storage))
    with pytest.raises(VprError, match=rf"damaged after [1-7] images: .*{REPAIR[storage]}.*--keep-good"):
        list(open_input(bag))
    recording = open_input(bag, KEEP)
    assert 1 <= check_part(recording, frames) <= 7
    assert any("the rest of the bag" in line for line in recording.skip_counts.lines())


def break_image(data, rgb, storage):
    """SQLite: the pointer to the next page in one page of the image. ROS 1: the length of the message's header."""
    row = rgb[100, :, ::-1].tobytes()  # some row of the image
    place = data.index(row)
    if storage == "sqlite3":
        page = place // 4096 * 4096
        data[page : page + 4] = b"\xa5" * 4
        return data
    start = data.rindex(b"op=", 0, place) - 8  # the first field of the record, and the two lengths before it
    data[start : start + 4] = b"\xff" * 4
    return data


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_without_metadata(whole, frames, tmp_path, storage):
    """As a folder and as a file, beside which nothing is written."""
    bag = tmp_path / "bag"
    bag.mkdir()
    file = shutil.copy(storage_file(whole[storage]), bag)
    for path in (bag, file):
        recording = open_input(path)
        assert check_part(recording, frames) == 12
        assert recording.images == 12 and recording.poses.base is not None
    assert [one.name for one in bag.iterdir()] == [storage_file(whole[storage]).name]


def test_a_name_that_sqlite_reads_as_more(whole, frames, tmp_path):
    file = shutil.copy(storage_file(whole["sqlite3"]), tmp_path / "run #1?mode=x%20.db3")
    assert check_part(open_input(file), frames) == 12
    folder = tmp_path / "a bag #2"
    shutil.copytree(whole["sqlite3"], folder)
    assert check_part(open_input(folder), frames) == 12


def unindexed_mcap(file, target):
    """As the recorder leaves it without chunks and summary: every message by itself."""
    from mcap.reader import make_reader
    from mcap.writer import Writer

    with file.open("rb") as source, target.open("wb") as out:
        writer = Writer(out, use_chunking=False, use_summary_offsets=False, use_statistics=False)
        writer.start(profile="ros2")
        channels = {}
        for schema, channel, message in make_reader(source).iter_messages(log_time_order=False):
            if channel.id not in channels:
                known = writer.register_schema(schema.name, schema.encoding, schema.data)
                channels[channel.id] = writer.register_channel(channel.topic, "cdr", known)
            writer.add_message(channels[channel.id], message.log_time, message.data, message.publish_time)
        writer.finish()
    return target


def test_unindexed_mcap(whole, frames, tmp_path):
    bag = unindexed_mcap(storage_file(whole["mcap"]), tmp_path / "plain.mcap")
    recording = open_input(bag)
    assert check_part(recording, frames) == 12
    assert not len(recording.skip_counts)


@pytest.mark.parametrize("name", ["killed.bag", "killed.bag.active", "KILLED.BAG"])
def test_unindexed_ros1(whole, frames, tmp_path, name):
    """As `rosbag record` leaves it when it is killed: the header says that there is no index."""
    data = whole["ros1"].read_bytes()
    field = data.index(b"index_pos=") + len(b"index_pos=")
    bag = tmp_path / name
    end = int.from_bytes(data[field : field + 8], "little")
    bag.write_bytes(data[:field] + bytes(8) + data[field + 8 : end])
    check_cut(bag, frames, 12, 12, "ros1")
    check_cut(tmp_path, frames, 12, 12, "ros1")
    with pytest.raises(VprError) as error:
        open_input(bag)
    assert ("then rename it to killed.bag" in str(error.value)) == name.endswith(".active")


def test_messages_that_were_not_merged(whole, frames, tmp_path):
    file = shutil.copy(storage_file(whole["sqlite3"]), tmp_path / "run.db3")
    base = sqlite3.connect(file)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("INSERT INTO messages(topic_id, timestamp, data) VALUES (1, 5, x'00')")
    base.commit()
    shutil.copy(file, tmp_path / "copy.db3")
    shutil.copy(f"{file}-wal", tmp_path / "copy.db3-wal")
    base.close()
    with pytest.raises(VprError, match=r"copy.db3-wal holds messages.*wal_checkpoint"):
        open_input(tmp_path / "copy.db3")
    assert check_part(open_input(tmp_path / "copy.db3", KEEP), frames) == 12


def test_split_files_in_their_order(frames, tmp_path):
    """Two parts without metadata; numbered as a recorder does, where 10 comes after 2."""
    bag = tmp_path / "bag"
    bag.mkdir()
    for number, part in (("2", frames[:6]), ("10", frames[6:])):
        shutil.copy(storage_file(write_bag(tmp_path / number, part, "mcap")), bag / f"run_{number}.mcap")
    recording = open_input(bag)
    assert recording.images == 12 and check_part(recording, frames) == 12


def test_a_folder_of_several_bags(whole, tmp_path):
    for name in ("monday.mcap", "tuesday.mcap"):
        shutil.copy(storage_file(whole["mcap"]), tmp_path / name)
    with pytest.raises(VprError, match=r"expected one bag, found 2: monday, tuesday"):
        open_input(tmp_path)
    shutil.copy(storage_file(whole["sqlite3"]), tmp_path)
    with pytest.raises(VprError, match=r"files of several kinds: mcap, sqlite3"):
        open_input(tmp_path)


def test_truncated_where_the_file_is_compressed(frames, tmp_path):
    bag = write_bag(tmp_path / "bag", frames, compression="file")
    (file,) = bag.glob("*.zstd")
    file.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(VprError, match=r"cannot be opened: .*copy the bag again"):
        open_input(bag, KEEP)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.mcap", b"", r"not a ROS 2 bag \(mcap\); .*the file is empty"),
        ("empty.db3", b"", r"not a ROS 2 bag \(sqlite3\); .*the file is empty"),
        ("empty.bag", b"", "not a ROS 1 bag; .*the file is empty"),
        ("words.mcap", b"this is no bag" * 100, r"not a ROS 2 bag \(mcap\); .*found b'this is "),
        ("words.db3", b"this is no bag" * 100, r"not a ROS 2 bag \(sqlite3\); .*found b'this is no bag"),
        ("words.bag", b"this is no bag" * 100, "not a ROS 1 bag; .*found b'this is no ba"),
    ],
)
def test_no_bag_at_all(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(VprError, match=re.escape(str(tmp_path)) + ".*" + words):
        open_input(tmp_path / name, KEEP)


def test_a_file_that_metadata_names_is_gone(whole, tmp_path):
    bag = tmp_path / "bag"
    shutil.copytree(whole["mcap"], bag)
    storage_file(bag).unlink()
    with pytest.raises(VprError, match=r"names mcap.mcap, but the file is missing; .*ros2 bag reindex \S+ -s mcap`"):
        open_input(bag)


def test_damage_before_the_first_image(tmp_path):
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        for i in range(200):
            bag.odometry(Pose(i, 0), 10.0 + i)
    file = cut(tmp_path / "bag", tmp_path / "cut", 0.5)
    with pytest.raises(VprError, match=r"no message of the bag can be read|no images"):
        open_input(file, KEEP)


def small(path, storage, compression):
    """A bag of 30 small images, raw and compressed, with TF and camera_info."""
    rgb = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    with BagWriter(path, storage, compression) as bag:
        bag.tf([("base_link", "camera_optical_frame", OPTICAL)], 1.0, 1.0, "/tf_static")
        for i in range(30):
            bag.tf([("odom", "base_link", Pose(i, 0))], 10 + i / 10)
            bag.camera_info(32, 24, 10 + i / 10)
            bag.image(rgb, 10 + i / 10) if i % 2 else bag.compressed(encode_jpeg(rgb), 10 + i / 10)
    return storage_file(path)


@pytest.mark.parametrize(
    ("storage", "compression"),
    [("sqlite3", None), ("sqlite3", "message"), ("mcap", None), ("mcap", "chunk"), ("ros1", None)],
)
def test_bytes_changed_at_random(tmp_path, storage, compression):
    """Whatever the bytes, an error is the user's to read."""
    whole = small(tmp_path / ("bag.bag" if storage == "ros1" else "bag"), storage, compression)
    draw = random.Random(storage)
    ends = {"read": 0, "refused": 0}
    for _ in range(25):
        data = bytearray(whole.read_bytes())
        for _ in range(draw.choice([1, 20, 200])):
            data[draw.randrange(len(data))] = draw.randrange(256)
        file = tmp_path / f"changed{whole.suffix}"
        file.write_bytes(data[: draw.choice([len(data), draw.randrange(len(data))])])
        try:
            for one in open_input(file, KEEP):
                with contextlib.suppress(VprError):
                    one.decode()
            ends["read"] += 1
        except VprError:
            ends["refused"] += 1
    assert all(ends.values()), ends
