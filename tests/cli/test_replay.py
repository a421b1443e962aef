"""`vpr replay`: a bag of what a robot would have said, read back with rosbags."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from tests.command import refused, vpr
from tests.recordings.bags.bags import nanoseconds
from tests.recordings.corridor_bags import corridor_bags  # noqa: F401
from vpr_aesvc import Match, Place, PlaceMap, read_image
from vpr_aesvc.images import decode_image
from vpr_aesvc.onboard.match_image import match_image
from vpr_aesvc.recognition.result import Recognition


def messages(bag: Path):
    """By topic: (time in the bag, message), in order."""
    found = {}
    with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        for connection, time, raw in reader.messages():
            found.setdefault(connection.topic, []).append((time, reader.deserialize(raw, connection.msgtype)))
    return found


def stamp(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


@pytest.fixture(scope="module")
def asked(corridor_bags):  # noqa: F811
    done = vpr("query", corridor_bags.map, corridor_bags.later, "--json", "--rate", "1")
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_holds_what_query_says(corridor_bags, asked, tmp_path, storage):  # noqa: F811
    images = storage == "mcap"
    options = ["--storage", storage, "--images" if images else "--no-images"]
    done = vpr("replay", corridor_bags.map, corridor_bags.later, "-o", tmp_path / "out", "--rate", "1", *options)
    assert done.returncode == 0, done.stderr
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == sorted(
        [".yaml", ".mcap" if images else ".db3"]
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
    found = messages(tmp_path / "out")
    accepted = [line for line in asked if line["accepted"]]
    assert 15 <= len(accepted) <= len(asked) == 22

    told = found["/vpr/diagnostics"]
    assert len(told) == len(asked)
    for (time, message), line in zip(told, asked, strict=True):
        assert time == stamp(message) == nanoseconds(line["stamp"])
        [status] = message.status
        values = {one.key: one.value for one in status.values}
        assert int(status.level) == (0 if line["accepted"] else 1) and status.message == line["why"] == values["why"]
        assert values["accepted"] == str(line["accepted"]).lower() and values["inliers"] == (
            "" if line["inliers"] is None else str(line["inliers"])
        )
        assert int(values["place"]) == line["matches"][0]["place"]
        assert float(values["similarity"]) == line["matches"][0]["similarity"]
        for name in ("probability", "false_positive_rate", "lost"):
            assert float(values[name]) == line[name]

    poses = found["/vpr/pose"]
    assert len(poses) == len(accepted)
    for (time, message), line in zip(poses, accepted, strict=True):
        pose = message.pose.pose
        assert time == stamp(message) == nanoseconds(line["stamp"]) and message.header.frame_id == "map"
        numbers = [*vars(pose.position).values(), *vars(pose.orientation).values()]
        assert [one for one in numbers if isinstance(one, float)] == line["pose"]
        assert np.array_equal(message.pose.covariance, line["covariance"])

    assert set(found) == {"/vpr/diagnostics", "/vpr/pose", *(["/vpr/match_image/compressed"] if images else [])}
    if images:
        pictures = found["/vpr/match_image/compressed"]
        assert [time for time, _ in pictures] == [time for time, _ in told]
        for (_, message), line in zip(pictures, asked, strict=True):
            assert message.format == "jpeg"
            red, green, _ = decode_image(message.data.tobytes())[2, 2:60].mean(0)
            assert (green > red + 40) if line["accepted"] else (red > green + 40)


def test_some_frames_of_the_real_corridor_are_refused(corridor_loop, mobilenet, asked):
    assert not all(line["accepted"] for line in asked)


def test_nothing_half_written_stays(corridor_bags, tmp_path):  # noqa: F811
    (tmp_path / "taken").mkdir()
    refused(vpr("replay", corridor_bags.map, corridor_bags.later, "-o", tmp_path / "taken"), "exists already")
    words = ("replay", corridor_bags.map, corridor_bags.later, "-o", tmp_path / "new", "--storage", "zip")
    refused(vpr(*words), 'Choose from: "mcap", "sqlite3"', code=2)
    cut = tmp_path / "cut"
    cut.mkdir()
    whole = next(corridor_bags.whole.glob("*.mcap")).read_bytes()
    (cut / "cut.mcap").write_bytes(whole[: len(whole) // 2])
    done = vpr("replay", corridor_bags.map, cut, "-o", tmp_path / "new")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    future = tmp_path / "future"
    future.mkdir()
    shutil.copy(corridor_bags.frames[0].path, future / "5000000000.5.jpg")  # in 2128; ROS counts to 2038
    (tmp_path / "future.tum").write_text("5000000000.5 0 0 0 0 0 0 1\n")
    words = ("--trajectory", tmp_path / "future.tum", "-o", tmp_path / "new")
    refused(vpr("replay", corridor_bags.map, future, *words), "its stamp is 5000000000.500")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "future", "future.tum", "taken"]


def test_a_picture_says_what_was_thought(corridor_bags):  # noqa: F811
    query = read_image(corridor_bags.frames[50].path)
    with PlaceMap.open(corridor_bags.map) as place_map:
        place = place_map.thumbnail(11)
    best = Match(Place(11, "Flur/übér.jpg " + "long " * 60, "lap"), 0.8)
    accepted = match_image(query, place, Recognition(True, "accepted: 40 inliers", best, inliers=40, probability=0.9))
    refusal = match_image(query, place, Recognition(False, "not accepted: " + "why " * 99, best, probability=0.1))
    nothing = match_image(query, None, Recognition(False, "the map is empty"))
    assert accepted.shape == refusal.shape == nothing.shape and accepted.dtype == np.uint8
    assert tuple(accepted[0, 0]) == (34, 150, 74) and tuple(refusal[0, 0]) == (198, 40, 40)
    height = 240
    left = accepted[4 : 4 + height, 4 : 4 + round(query.shape[1] * height / query.shape[0])]
    assert np.abs(left.astype(int).mean((0, 1)) - query.mean((0, 1))).max() < 2
    words = accepted[8 + height :]
    assert int((words > 128).all(2).sum()) > 200 and not np.array_equal(words, refusal[8 + height :])
    wide = match_image(np.zeros((100, 2000, 3), np.uint8), place, Recognition(False, "x", best))
    assert wide.shape[1] <= 4 * 240 + 3 * 4 + 320 and math.isfinite(float(wide.mean()))
