"""The three modes of the engine on the laps of the corridor, with a real encoder and real maps. Needs no ROS."""

import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tests.recordings.corridor import LAP, SMEARED, STEP, corridor_frames
from vpr_aesvc import Describer, PlaceMap, VprError, read_image
from vpr_aesvc.images import decode_image
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.onboard.engine import Engine, IncomingFrame
from vpr_aesvc.onboard.loop_closure import UNKNOWN_METERS
from vpr_aesvc.recognition.learned_models import learn_map
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.transforms import distance
from vpr_aesvc.types import Frame, Intrinsics


@pytest.fixture(scope="module")
def describer(loop_model):
    return Describer.open(loop_model)


@pytest.fixture(scope="module")
def frames(loop_folder):
    return [frame for frame in corridor_frames(loop_folder) if frame.number != SMEARED]


def incoming(frame, camera="", posed=True):
    pose = (lambda: frame.pose) if posed else (lambda: None)
    return IncomingFrame(camera, Frame(str(frame.number), stamp=frame.stamp), partial(read_image, frame.path), pose)


def engine(place_map, describer, mode, **recognition):
    return Engine(place_map, describer, mode, RecognizerSettings(**recognition), KeyframeSettings(), "")


@pytest.fixture(scope="module")
def lap(frames, describer, tmp_path_factory):
    """Path of the map that mode ``mapping`` makes of the first lap."""
    path = tmp_path_factory.mktemp("map") / "lap.vprmap"
    with PlaceMap.create(path, describer) as place_map:
        mapper = engine(place_map, describer, "mapping")
        for frame in frames:
            if frame.lap == 1:
                assert mapper.process(incoming(frame)).place_id is not None
        learn_map(place_map)
    return path


def test_mapping_stores_keyframes_with_poses_and_thumbnails(lap, frames):
    with PlaceMap.open(lap) as place_map:
        places = list(place_map.places().values())
        assert [place.stamp for place in places] == [frame.stamp for frame in frames if frame.lap == 1]
        assert all(distance(place.pose, frame.pose) < 1e-9 for place, frame in zip(places, frames, strict=False))
        assert [traverse.name for traverse in place_map.traverses().values()] == ["2023-11-14 22:13:20"]
        assert place_map.thumbnail(places[0].id) is not None


def test_a_smeared_image_is_not_stored_but_the_next_one_is(loop_folder, describer, frames, tmp_path):
    smeared = corridor_frames(loop_folder)[SMEARED - 1]
    with PlaceMap.create(tmp_path / "m.vprmap", describer) as place_map:
        mapper = engine(place_map, describer, "mapping")
        for frame in frames[: SMEARED - 1]:
            mapper.process(incoming(frame))
        outcome = mapper.process(incoming(smeared))
        assert outcome.place_id is None and outcome.skip_reason and not outcome.bad_image and outcome.descriptor is None
        assert mapper.process(incoming(frames[SMEARED - 1])).place_id == SMEARED


def test_a_frame_too_near_to_the_last_place_is_not_decoded(describer, frames, tmp_path):
    def never():
        raise AssertionError("decoded")

    with PlaceMap.create(tmp_path / "m.vprmap", describer) as place_map:
        mapper = engine(place_map, describer, "mapping")
        assert mapper.process(incoming(frames[0])).place_id == 1
        again = mapper.process(
            IncomingFrame("", Frame("again", stamp=frames[0].stamp + 9), never, lambda: frames[0].pose)
        )
        assert again.place_id is None and "too near" in again.skip_reason and not again.bad_image
        other_camera = mapper.process(incoming(frames[0], camera="rear"))
        assert other_camera.place_id == 2
        assert place_map.places([2])[2].extra == {"camera": "rear"}


def test_localization_recognizes_the_later_laps(lap, describer, frames):
    with PlaceMap.open(lap) as place_map:
        robot = engine(place_map, describer, "localization")
        later = [frame for frame in frames if frame.lap > 1]
        outcomes = [robot.process(incoming(frame)) for frame in later]
        results = [outcome.recognition for outcome in outcomes]
        accepted = [result.accepted for result in results]
        errors = [distance(result.pose, frame.pose) for result, frame in zip(results, later, strict=True)]
        assert np.mean(accepted) > 0.65 and max(np.array(errors)[accepted]) <= 3 * STEP
        assert set(outcomes[0].milliseconds) == {"decode", "describe", "pose", "search", "sequence", "geometry"}
        assert all(outcome.place_id is None and outcome.loop_closure is None for outcome in outcomes)
        assert len(place_map) == sum(frame.lap == 1 for frame in frames)


def test_slam_closes_loops_only_with_correct_places(describer, frames, tmp_path):
    with PlaceMap.create(tmp_path / "m.vprmap", describer) as place_map:
        robot = engine(place_map, describer, "slam", recent_seconds=10.0)
        closures = []
        for frame in frames:
            closures.append(robot.process(incoming(frame)).loop_closure)
            for thread in threading.enumerate():  # on a robot, learning ends before the next frame
                if thread.name.startswith("vpr_aesvc learning"):
                    thread.join()
        closures = [closure for closure in closures if closure is not None]
        assert len(closures) >= 0.65 * sum(frame.lap > 1 for frame in frames)
        for closure in closures:
            apart = (frames[closure.to_place - 1].number - frames[closure.from_place - 1].number) % LAP
            assert min(apart, LAP - apart) <= 3
            assert closure.from_stamp == frames[closure.from_place - 1].stamp and closure.probability > 0.5
            assert np.linalg.eigvalsh(closure.covariance).min() > -1e-9
            assert 0 < closure.covariance[0, 0] < UNKNOWN_METERS**2


def test_slam_excludes_recent_places_by_default(describer, frames, tmp_path):
    with PlaceMap.create(tmp_path / "m.vprmap", describer) as place_map:
        robot = engine(place_map, describer, "slam")
        for frame in frames[:30]:
            robot.process(incoming(frame))
        newest = robot.process(incoming(frames[30]))
        assert newest.recognition.best is None and newest.place_id == 31  # the whole map is from the last 15 s


def test_a_bad_image_is_skipped_and_the_next_frame_is_stored(describer, frames, tmp_path):
    with PlaceMap.create(tmp_path / "m.vprmap", describer) as place_map:
        mapper = engine(place_map, describer, "mapping")
        bad = IncomingFrame(
            "", Frame("bad", stamp=1.0), partial(decode_image, b"\xff\xd8\xff", "bad"), lambda: frames[0].pose
        )
        outcome = mapper.process(bad)
        assert outcome.bad_image and "bad" in outcome.skip_reason and outcome.place_id is None
        assert mapper.process(incoming(frames[0])).place_id == 1


def test_a_query_does_not_change_the_sequence(lap, describer, frames):
    with PlaceMap.open(lap) as place_map:
        robot, undisturbed = (engine(place_map, describer, "localization") for _ in range(2))
        for frame in frames[45:50]:
            robot.query(read_image(frames[10].path), top=3)
            one, other = robot.process(incoming(frame)).recognition, undisturbed.process(incoming(frame)).recognition
            assert one.best == other.best and one.why == other.why and one.lost == other.lost
        single = robot.query(read_image(frames[10].path), top=3)
        assert single.best.place.stamp == frames[10].stamp and len(single.candidates) == 3


def test_settings_that_do_not_fit_the_map_are_rejected(lap, describer, frames):
    with PlaceMap.open(lap) as place_map:
        robot = engine(place_map, describer, "localization")
        before = robot.process(incoming(frames[60])).recognition
        with pytest.raises(VprError, match="size"):
            robot.set_recognition(RecognizerSettings(size=7))
        robot.set_recognition(RecognizerSettings(candidates=2))
        after = robot.process(incoming(frames[60])).recognition
        assert after.best == before.best and (len(before.candidates), len(after.candidates)) == (5, 2)


def test_a_place_that_cannot_be_stored_does_not_lose_the_recognition(lap, describer, frames, tmp_path):
    path = tmp_path / "m.vprmap"
    path.write_bytes(lap.read_bytes())
    with PlaceMap.open(path) as place_map:
        robot = engine(place_map, describer, "slam", recent_seconds=10.0)
        later = [frame for frame in frames if frame.lap > 1]
        path.rename(tmp_path / "gone.vprmap")  # the map then refuses to write
        outcome = robot.process(incoming(later[0]))
        assert outcome.recognition is not None and outcome.place_id is None and outcome.loop_closure is None
        assert "removed or replaced" in outcome.place_error and not outcome.bad_image
        (tmp_path / "gone.vprmap").rename(path)
        again = robot.process(incoming(later[1]))
        assert again.place_id is not None and again.place_error is None


def test_places_store_the_camera_once_in_pixels_of_their_images(describer, frames, tmp_path):
    """The images are 512 x 384, the calibration is of images twice as large."""
    lens = Intrinsics(800.0, 800.0, 511.5, 383.5, "plumb_bob", (-0.1, 0.01, 0.0, 0.0))
    other = replace(lens, fx=900.0)  # an autofocus lens: the first calibration of a traverse counts
    with PlaceMap.create(tmp_path / "m.vprmap", describer) as place_map:
        mapper = engine(place_map, describer, "mapping")
        height, width = read_image(frames[0].path).shape[:2]
        size = 2 * width, 2 * height
        for frame, calibration in zip(
            frames[:4], [None, (lens, size), (other, size), (lens, (width, width))], strict=True
        ):
            outcome = mapper.process(replace(incoming(frame), calibration=calibration))
            assert outcome.place_id is not None and outcome.place_error is None
        assert outcome.intrinsics is None and "another aspect ratio" in outcome.calibration_error
        fitted = lens.resized((2, 2), (1, 1))
        assert list(place_map.cameras().values()) == [(fitted, (width, height))]
        assert place_map.camera_of(place_map.places()[1]) == (fitted, (width, height))


def test_the_relative_pose_comes_from_the_calibration_scaled_to_the_image(lap, describer, frames):
    later = [frame for frame in frames if frame.lap == 2][:6]
    height, width = read_image(later[0].path).shape[:2]
    lens = Intrinsics(0.9 * width, 0.9 * width, (width - 1) / 2, (height - 1) / 2)
    found = {}
    with PlaceMap.open(lap) as place_map:
        for scale in (None, 1, 2):
            calibration = scale and (lens.resized((1, 1), (scale, scale)), (scale * width, scale * height))
            localizer = engine(place_map, describer, "localization", verify_every=1)
            given = [replace(incoming(frame), calibration=calibration) for frame in later]
            geometries = [localizer.process(one).recognition.candidates[0].geometry for one in given]
            found[scale] = [one and one.rotation for one in geometries]
    assert found[None] == [None] * 6 and any(one is not None for one in found[1])
    for one, other in zip(found[1], found[2], strict=True):
        assert (one is None) == (other is None) and (one is None or np.allclose(one, other))
