"""Poses read by their places give what reading everything gives."""

import pytest

from tests.recordings.bags.bags import storage_file, write_bag
from tests.recordings.corridor import corridor_frames
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.inputs import open_input
from vpr_aesvc.recordings.bags.mcap_index import McapIndex
from vpr_aesvc.recordings.bags.reader import open_bag

TYPES = {"/odom": "nav_msgs/msg/Odometry", "/tf_static": "tf2_msgs/msg/TFMessage"}


@pytest.fixture(scope="module")
def bag(loop_folder, tmp_path_factory):
    frames = corridor_frames(loop_folder)[:8]
    return write_bag(tmp_path_factory.mktemp("bag") / "bag", frames, "mcap")


def test_same_messages(bag):
    """Asked together with images, everything is read."""
    by_place = list(McapIndex(storage_file(bag)).messages(TYPES))
    whole = [
        (topic.name, received, bytes(raw))
        for topic, received, raw in open_bag(bag).messages([*TYPES, "/camera/image_raw"])
        if topic.name in TYPES
    ]
    assert len(by_place) == 72 and sorted(by_place) == sorted(whole)
    assert [time for _, time, _ in by_place] == sorted(time for _, time, _ in by_place)
    assert by_place == [(one.name, time, raw) for one, time, raw in open_bag(bag).messages(list(TYPES))]


@pytest.mark.parametrize("coding", ["LZ4", "ZSTD"])
def test_compressed_chunks(bag, tmp_path, coding):
    """Small chunks, whose times overlap as those of a recorder do that gets messages late."""
    from mcap.writer import CompressionType, Writer

    messages = list(open_bag(bag).messages([*TYPES, "/camera/image_raw"]))
    for i in range(0, len(messages) - 4, 5):
        messages[i], messages[i + 4] = messages[i + 4], messages[i]
    with (tmp_path / "other.mcap").open("wb") as out:
        writer = Writer(out, chunk_size=2000, compression=CompressionType[coding])
        writer.start(profile="ros2")
        channels = {}
        for topic, received, raw in messages:
            if topic.name not in channels:
                schema = writer.register_schema(topic.type, "ros2msg", b"")
                channels[topic.name] = writer.register_channel(topic.name, "cdr", schema)
            writer.add_message(channels[topic.name], received, raw, received)
        writer.finish()
    by_place = list(McapIndex(tmp_path / "other.mcap").messages(TYPES))
    assert [time for _, time, _ in by_place] == sorted(time for _, time, _ in by_place)
    assert sorted(by_place) == sorted(McapIndex(storage_file(bag)).messages(TYPES))


def test_an_index_that_points_elsewhere(bag, tmp_path):
    """Every message index shifted by a byte: found out, and the file read from its beginning."""
    data = bytearray(storage_file(bag).read_bytes())
    summary = McapIndex(storage_file(bag))
    for chunk in summary._chunks:
        for place in chunk.message_index_offsets.values():
            data[place + 15 + 8] ^= 1
    file = tmp_path / "shifted.mcap"
    file.write_bytes(data)
    with pytest.raises(ValueError, match="bytes that are no message, "):
        list(McapIndex(file).messages(TYPES))
    recording = open_input(file, InputOptions())
    assert all(one.pose is not None for one in recording)
