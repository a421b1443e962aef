"""While a sequence is sure, most frames need no key points. Real laps, real streets, a real encoder."""

from dataclasses import replace

import numpy as np
import pytest

from tests.recognition.laps import is_right, recognized
from vpr_aesvc import Intrinsics, PlaceMap, Recognizer, RecognizerSettings, open_input
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.onboard.engine import Engine
from vpr_aesvc.recognition import frame_keypoints
from vpr_aesvc.recognition.geometry import local_features


@pytest.fixture
def detected(monkeypatch):
    """The pictures in which key points of frames were detected."""
    pictures = []

    def detect(image):
        pictures.append(image)
        return local_features.detect_keypoints(image)

    monkeypatch.setattr(frame_keypoints, "detect_keypoints", detect)
    return pictures


def later(described, lap, count=None):
    frames, descriptors = described[1][lap[1] :], described[2][lap[1] :]
    return frames[:count], descriptors[:count]


def unverified(found):
    return np.array([one.best is not None and one.inliers is None for one in found])


def test_frames_of_a_sure_sequence_are_answered_without_key_points(described, lap, detected):
    frames, descriptors = later(described, lap)
    with PlaceMap.open(lap[0]) as place_map:
        every = recognized(Recognizer(place_map, described[0], RecognizerSettings(verify_every=1)), frames, descriptors)
        assert len(detected) == len(frames) and not unverified(every).any()
        detected.clear()
        found = recognized(Recognizer(place_map, described[0]), frames, descriptors)
        again = recognized(Recognizer(place_map, described[0]), frames, descriptors)
    without = unverified(found)
    assert without.sum() >= 5 and len(detected) == 2 * (len(frames) - without.sum())
    assert [one.why for one in found] == [one.why for one in again]
    for one, other, frame, is_without in zip(found, every, frames, without, strict=True):
        if not is_without:
            assert one.best == other.best and one.accepted == other.accepted
        else:
            assert one.accepted and one.probability > 0.9 and is_right(one, frame)
            assert abs(one.best.place.id - other.best.place.id) <= 1
            assert "key points matched" in one.why and "before; the sequence gives this place" in one.why
    for start in range(len(without) - 3):  # at least one in four is verified
        assert not without[start : start + 4].all()


def test_intrinsics_cost_nothing_where_the_map_cannot_give_metric_poses(described, lap):
    """This map knows no camera."""
    frames, descriptors = later(described, lap)
    height, width = frames[0].image.shape[:2]
    camera = Intrinsics(width, width, width / 2, height / 2)
    with PlaceMap.open(lap[0]) as place_map:
        without = recognized(Recognizer(place_map, described[0]), frames, descriptors)
        found = recognized(Recognizer(place_map, described[0], intrinsics=camera), frames, descriptors)
    assert unverified(found).sum() >= 5 and [one.why for one in found] == [one.why for one in without]
    assert all("does not know its camera" in one.metric_refusal for one in found if one.inliers is None)
    assert all("intrinsics" in one.metric_refusal for one in without if one.inliers is None)


def test_a_frame_from_elsewhere_is_verified_though_the_sequence_was_sure(described, lap, other_streets):
    frames, descriptors = later(described, lap)
    streets = list(open_input(other_streets).frames)[:3]
    with PlaceMap.open(lap[0]) as place_map:
        found = recognized(Recognizer(place_map, described[0]), frames, descriptors)
        last = int(np.flatnonzero(unverified(found))[0])  # after this frame the robot is somewhere else
        recognizer = Recognizer(place_map, described[0])
        assert unverified(recognized(recognizer, frames[: last + 1], descriptors[: last + 1]))[-1]
        elsewhere = [
            recognizer.recognize(replace(frame, stamp=frames[last].stamp and frames[last].stamp + at))
            for at, frame in enumerate(streets, 1)
        ]
    assert not any(one.accepted for one in elsewhere) and not unverified(elsewhere).any()


@pytest.mark.parametrize(
    "settings",
    [{"sequence": False}, {"recent_places": 5}, {"false_positive_rate": 1e-6}],
    ids=lambda one: next(iter(one)),
)
def test_every_frame_is_verified(described, lap, settings):
    """Without a sequence, for loop closing, and where key points cannot be as certain as requested."""
    frames, descriptors = later(described, lap, 30)
    with PlaceMap.open(lap[0]) as place_map:
        recognizer = Recognizer(place_map, described[0], RecognizerSettings(**settings))
        assert not unverified(recognized(recognizer, frames, descriptors)).any()


def test_a_new_sequence_is_verified_from_its_first_frame_on(described, lap):
    frames, descriptors = later(described, lap)
    with PlaceMap.open(lap[0]) as place_map:
        found = recognized(Recognizer(place_map, described[0]), frames, descriptors)
        last = int(np.flatnonzero(unverified(found))[0])
        recognizer = Recognizer(place_map, described[0])
        recognized(recognizer, frames[:last], descriptors[:last])
        recognizer.reset()
        assert recognizer.recognize(frames[last], descriptor=descriptors[last]).inliers is not None


def test_loop_closures_of_a_robot_are_always_verified(described, lap):
    with PlaceMap.open(lap[0]) as place_map:
        for exclusion in ({}, {"recent_places": 0}):
            given = RecognizerSettings(**exclusion)
            engine = Engine(place_map, described[0], "slam", given, KeyframeSettings(), "lap")
            assert engine._settings.verify_every == 1
        engine = Engine(place_map, described[0], "localization", given, KeyframeSettings(), "lap")
        assert engine._settings.verify_every == 4
