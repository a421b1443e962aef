"""The robot's three modes on the corridor's laps, with a real encoder and real maps; no ROS."""

import threading
from functools import partial

import numpy as np
import pytest

from tests.recordings.corridor import LAP, SMEARED, STEP, corridor_frames
from vpr_aesvc import Describer, PlaceMap, VprError, read_image
from vpr_aesvc.images import decode_image
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.onboard.engine import Arrival, Engine
from vpr_aesvc.onboard.loop_closure import UNKNOWN_METERS
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.transforms import distance
from vpr_aesvc.types import Frame


@pytest.fixture(scope="module")
def describer(corridor_model):
    return Describer.open(corridor_model)


@pytest.fixture(scope="module")
def frames(corridor_loop):
    return [frame for frame in corridor_frames(corridor_loop.parent) if frame.number != SMEARED]


def arrival(frame, camera="", posed=True):
    pose = (lambda: frame.pose) if posed else (lambda: None)
    return Arrival(camera, Frame(str(frame.number), stamp=frame.stamp), partial(read_image, frame.path), pose)


def engine(place_map, describer, mode, **recognition):
    return Engine(place_map, describer, mode, RecognizerSettings(**recognition), KeyframeSettings(), "")


@pytest.fixture(scope="module")
def lap(frames, describer, tmp_path_factory):
    """The file of a map that mode ``mapping`` made of the first lap."""
    path = tmp_path_factory.mktemp("map") / "lap.vprmap"
    with PlaceMap.create(path, describer) as place_map:
        mapper = engine(place_map, describer, "mapping")
        for frame in frames:
            if frame.lap == 1:
                assert mapper.process(arrival(frame)).place is not None
    return path


def test_mapping_makes_places_of_keyframes_with_poses_and_pictures(lap, frames):
    with PlaceMap.open(lap) as place_map:
        places = list(place_map.places().values())
        assert [place.stamp for place in places] == [frame.stamp for frame in frames if frame.lap == 1]
        assert all(distance(place.pose, frame.pose) < 1e-9 for place, frame in zip(places, frames, strict=False))
        assert [traverse.name for traverse in place_map.traverses().values()] == ["2023-11-14 22:13:20"]
        assert place_map.thumbnail(places[0].id) is not None


def test_a_smeared_picture_becomes_no_place_and_the_next_is_tried(corridor_loop, describer, frames, tmp_path):
    smeared = corridor_frames(corridor_loop.parent)[SMEARED - 1]
    with PlaceMap.create(tmp_path / "m.vprmap", describer) as place_map:
        mapper = engine(place_map, describer, "mapping")
        for frame in frames[: SMEARED - 1]:
            mapper.process(arrival(frame))
        outcome = mapper.process(arrival(smeared))
        assert outcome.place is None and outcome.skipped and not outcome.bad and outcome.descriptor is None
        assert mapper.process(arrival(frames[SMEARED - 1])).place == SMEARED


def test_what_is_too_near_to_the_last_place_is_not_decoded(describer, frames, tmp_path):
    def never():
        raise AssertionError("decoded")

    with PlaceMap.create(tmp_path / "m.vprmap", describer) as place_map:
        mapper = engine(place_map, describer, "mapping")
        assert mapper.process(arrival(frames[0])).place == 1
        again = mapper.process(Arrival("", Frame("again", stamp=frames[0].stamp + 9), never, lambda: frames[0].pose))
        assert again.place is None and "too near" in again.skipped and not again.bad
        other_camera = mapper.process(arrival(frames[0], camera="rear"))
        assert other_camera.place == 2
        assert place_map.places([2])[2].extra == {"camera": "rear"}


def test_localization_finds_the_later_laps(lap, describer, frames):
    with PlaceMap.open(lap) as place_map:
        robot = engine(place_map, describer, "localization")
        later = [frame for frame in frames if frame.lap > 1]
        outcomes = [robot.process(arrival(frame)) for frame in later]
        found = [outcome.recognition for outcome in outcomes]
        accepted = [one.accepted for one in found]
        errors = [distance(one.pose, frame.pose) for one, frame in zip(found, later, strict=True)]
        assert np.mean(accepted) >= 0.8 and max(np.array(errors)[accepted]) <= 3 * STEP
        assert set(outcomes[0].milliseconds) == {"decode", "describe", "pose", "recognize"}
        assert all(outcome.place is None and outcome.closure is None for outcome in outcomes)
        assert len(place_map) == sum(frame.lap == 1 for frame in frames)


def test_slam_closes_the_loop_with_right_places_only(describer, frames, tmp_path):
    with PlaceMap.create(tmp_path / "m.vprmap", describer) as place_map:
        robot = engine(place_map, describer, "slam", recent_seconds=10.0)
        closures = []
        for frame in frames:
            closures.append(robot.process(arrival(frame)).closure)
            for thread in threading.enumerate():  # a robot is slower than this loop, and has learned by the next frame
                if thread.name == "vpr_aesvc learning":
                    thread.join()
        found = [one for one in closures if one is not None]
        assert len(found) >= 0.75 * sum(frame.lap > 1 for frame in frames)
        for one in found:
            apart = (frames[one.second - 1].number - frames[one.first - 1].number) % LAP
            assert min(apart, LAP - apart) <= 3
            assert one.stamp == frames[one.first - 1].stamp and one.probability > 0.5
            assert np.linalg.eigvalsh(one.covariance).min() > -1e-9
            assert 0 < one.covariance[0, 0] < UNKNOWN_METERS**2


def test_slam_leaves_out_what_was_just_seen_unless_told_otherwise(describer, frames, tmp_path):
    with PlaceMap.create(tmp_path / "m.vprmap", describer) as place_map:
        robot = engine(place_map, describer, "slam")
        for frame in frames[:30]:
            robot.process(arrival(frame))
        newest = robot.process(arrival(frames[30]))
        assert newest.recognition.best is None and newest.place == 31  # fifteen seconds: everything is recent


def test_a_bad_picture_is_an_outcome_and_the_next_frame_is_taken_in_its_stead(describer, frames, tmp_path):
    with PlaceMap.create(tmp_path / "m.vprmap", describer) as place_map:
        mapper = engine(place_map, describer, "mapping")
        bad = Arrival(
            "", Frame("bad", stamp=1.0), partial(decode_image, b"\xff\xd8\xff", "bad"), lambda: frames[0].pose
        )
        outcome = mapper.process(bad)
        assert outcome.bad and "bad" in outcome.skipped and outcome.place is None
        assert mapper.process(arrival(frames[0])).place == 1


def test_a_single_image_is_answered_without_disturbing_the_sequence(lap, describer, frames):
    with PlaceMap.open(lap) as place_map:
        robot, undisturbed = (engine(place_map, describer, "localization") for _ in range(2))
        for frame in frames[45:50]:
            robot.query(read_image(frames[10].path), top=3)
            one, other = robot.process(arrival(frame)).recognition, undisturbed.process(arrival(frame)).recognition
            assert one.best == other.best and one.why == other.why and one.lost == other.lost
        single = robot.query(read_image(frames[10].path), top=3)
        assert single.best.place.stamp == frames[10].stamp and len(single.candidates) == 3


def test_settings_that_do_not_fit_the_map_change_nothing(lap, describer, frames):
    with PlaceMap.open(lap) as place_map:
        robot = engine(place_map, describer, "localization")
        before = robot.process(arrival(frames[60])).recognition
        with pytest.raises(VprError, match="size"):
            robot.set_recognition(RecognizerSettings(size=7))
        robot.set_recognition(RecognizerSettings(candidates=2))
        after = robot.process(arrival(frames[60])).recognition
        assert after.best == before.best and (len(before.candidates), len(after.candidates)) == (5, 2)


def test_a_disk_that_refuses_the_place_does_not_silence_what_was_recognized(lap, describer, frames, tmp_path):
    path = tmp_path / "m.vprmap"
    path.write_bytes(lap.read_bytes())
    with PlaceMap.open(path) as place_map:
        robot = engine(place_map, describer, "slam", recent_seconds=10.0)
        later = [frame for frame in frames if frame.lap > 1]
        path.rename(tmp_path / "gone.vprmap")  # the map refuses what would be lost
        outcome = robot.process(arrival(later[0]))
        assert outcome.recognition is not None and outcome.place is None and outcome.closure is None
        assert "removed or replaced" in outcome.failed and not outcome.bad
        (tmp_path / "gone.vprmap").rename(path)
        again = robot.process(arrival(later[1]))
        assert again.place is not None and again.failed is None
