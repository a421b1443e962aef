"""`vpr query` of a bag: frame by frame as a robot would."""

import json

import numpy as np
import pytest

from tests.command import refused, vpr
from tests.recordings.bags.bags import FX, camera_pose, write_bag
from tests.recordings.corridor_bags import corridor_bags  # noqa: F401
from vpr_aesvc import Describer, Frame, PlaceMap, Recognizer, read_image
from vpr_aesvc.frame_source import SkipCounts
from vpr_aesvc.recognition.run import odometry_between
from vpr_aesvc.recordings.decoded import decoded, thinned
from vpr_aesvc.transforms import distance
from vpr_aesvc.types import Intrinsics


@pytest.fixture(scope="module")
def asked(corridor_bags):  # noqa: F811
    done = vpr("query", corridor_bags.map, corridor_bags.later, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_answers_are_those_of_the_recognizer(asked, corridor_bags):  # noqa: F811
    lines, said = asked
    frames = corridor_bags.later_frames
    assert [line["stamp"] for line in lines] == [frame.stamp for frame in frames]
    with PlaceMap.open(corridor_bags.map) as place_map:
        height, width = read_image(frames[0].path).shape[:2]
        lens = Intrinsics(FX, FX, (width - 1) / 2, (height - 1) / 2)  # the bag's camera_info
        recognizer = Recognizer(place_map, Describer.open(corridor_bags.model), intrinsics=lens)
        before = None
        for line, frame in zip(lines[:12], frames, strict=False):
            pose = camera_pose(frame)
            moved = None if before is None else odometry_between(before, pose)
            seen = Frame("", image=read_image(frame.path), stamp=frame.stamp, pose=pose)
            found = recognizer.recognize(seen, moved)
            before = pose
            assert line["matches"][0]["place"] == found.best.place.id and line["accepted"] == found.accepted
            assert line["inliers"] == found.inliers and line["why"] == found.why
            assert line["probability"] == pytest.approx(found.probability, abs=1e-3)  # poses went through the bag
            assert line["lost"] == pytest.approx(found.lost, abs=1e-3)
            assert line["pose"] == list(found.best.place.pose.as_tuple()) == line["matches"][0]["pose"]
            assert np.allclose(np.reshape(line["covariance"], (6, 6)), found.covariance, rtol=1e-2, atol=1e-6)
    away = []
    for line, frame in zip(lines, frames, strict=True):
        place = corridor_bags.frames[line["matches"][0]["place"] - 1]
        if line["accepted"]:
            away.append(distance(camera_pose(place), camera_pose(frame)))
    assert len(away) >= 30 and max(away) < 1.5 and np.mean(np.array(away) < 1) >= 0.95
    assert f"{len(away)} of 44 accepted" in said


def test_the_table_of_a_long_run_is_cut_and_a_run_can_be_thinned(corridor_bags):  # noqa: F811
    long = vpr("query", corridor_bags.map, corridor_bags.later, "--no-geometry", "--no-sequence")
    assert (
        "0 of 44 accepted" in long.stderr
        and "the most probable match, " in long.stderr
        and ": not accepted" in long.stderr
    )
    assert long.stdout.rstrip().endswith("and 4 more; --json gives all")
    thin = vpr("query", corridor_bags.map, corridor_bags.later, "--rate", "0.5", "--no-geometry", "--json")
    stamps = [json.loads(line)["stamp"] for line in thin.stdout.splitlines()]
    assert stamps == [frame.stamp for frame in corridor_bags.later_frames[::4]]


def test_what_does_not_fit_a_recording(corridor_bags, tmp_path, drawn, drawn_map):  # noqa: F811
    refused(vpr("query", corridor_bags.map, corridor_bags.later, "--shortlist", "9"), "leave out --shortlist")
    refused(vpr("query", drawn_map, drawn, "--rate", "2"), "--rate is for a recording")
    refused(vpr("query", drawn_map, drawn, "--image-topic", "/x"), "--image-topic is for a ROS bag")
    refused(vpr("query", corridor_bags.map, tmp_path / "gone.mcap"), "no such file")
    unposed = write_bag(tmp_path / "unposed", corridor_bags.later_frames[:2], compressed=True, poses=None)
    done = vpr("query", corridor_bags.map, unposed, "--json", "--no-geometry")
    assert len(done.stdout.splitlines()) == 2


def recorded(stamps, images):
    return [
        Frame(str(at), stamp=stamp, decode=image) for at, (stamp, image) in enumerate(zip(stamps, images, strict=True))
    ]


def test_frames_are_decoded_in_order_and_damaged_ones_noted(corridor_bags, tmp_path):  # noqa: F811
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 nothing")
    paths = [corridor_bags.frames[0].path, broken, corridor_bags.frames[1].path]
    skip_counts = SkipCounts()
    frames = recorded([0.0, 1.0, 2.0], [lambda path=path: read_image(path) for path in paths])
    seen = list(decoded(frames, skip_counts))
    assert [frame.label for frame in seen] == ["0", "2"] and np.array_equal(seen[1].image, read_image(paths[2]))
    assert len(skip_counts) == 1 and "broken.jpg" in skip_counts.lines()[0]


def test_thinning_keeps_the_beat():
    def kept(stamps, rate):
        return [one.stamp for one in thinned(recorded(stamps, [None] * len(stamps)), rate)]

    at_30 = [at / 30 for at in range(300)]
    assert len(kept(at_30, 20.0)) == 200 and len(kept(at_30, 10.0)) == 100 and kept(at_30, None) == at_30
    assert kept(at_30, 1.0) == pytest.approx(list(range(10)))
    assert kept([100.0, 100.1, 5.0, 5.1, 6.2], 1.0) == [100.0, 5.0, 6.2]  # the clock was set back
    assert kept([0.0, 10.0, 10.2, 10.4, 11.0], 1.0) == [0.0, 10.0, 11.0]  # no catching up after a gap
    assert kept([None, None], 1.0) == [None, None]
