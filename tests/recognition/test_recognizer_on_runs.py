"""Events between two frames: the robot is kidnapped, its clock jumps, its map grows, or it stood still while mapping."""

from dataclasses import replace

import numpy as np
import pytest

from tests.recognition.laps import is_right, new_map, recognized, same_numbers
from tests.recognition.similarity.null_models import margin_at
from vpr_aesvc import Describer, PlaceMap, Recognizer, open_backbone, open_input, train
from vpr_aesvc.recognition.match_model import stored_name
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Intrinsics


@pytest.mark.parametrize("jump", [(6, 20), (12, 32), (15, 30)])
def test_a_robot_kidnapped_in_the_middle_of_a_run(described, lap, jump):
    describer, frames, descriptors = described
    path, first = lap
    order = [*range(first, first + jump[0]), *range(first + jump[1], len(frames))]
    with PlaceMap.open(path) as place_map:
        found = recognized(Recognizer(place_map, describer), [frames[at] for at in order], descriptors[order])
    right = np.array([is_right(one, frames[at]) for one, at in zip(found, order, strict=True)])
    accepted = np.array([one.accepted for one in found])
    assert right[accepted].all() and right[jump[0] : jump[0] + 5].any()
    assert accepted[: jump[0]].any() and accepted[jump[0] : jump[0] + 5].any()


@pytest.fixture(scope="module")
def clock_set_back(described, lap):
    """Recognitions of nine frames whose clock jumps back before the seventh, and of the last three alone."""
    describer, frames, descriptors = described
    path, first = lap
    stamped = [replace(frame, stamp=100.0 + at) for at, frame in enumerate(frames[first:])]
    stamped[6:] = [replace(frame, stamp=frame.stamp - 1000) for frame in stamped[6:]]
    settings = RecognizerSettings(geometry=False)
    with PlaceMap.open(path) as place_map:
        found = recognized(Recognizer(place_map, describer, settings), stamped[:9], descriptors[first : first + 9])
        alone = recognized(Recognizer(place_map, describer, settings), stamped[6:9], descriptors[first + 6 : first + 9])
    return found, alone


def test_a_clock_that_jumps_back_starts_a_new_sequence(clock_set_back):
    found, alone = clock_set_back
    assert [at for at, one in enumerate(found) if one.message] == [6]
    assert "clock jumped back by 999 s" in found[6].message
    assert [one.probability for one in found[6:]] == pytest.approx([one.probability for one in alone], rel=1e-6)


def test_a_new_sequence_in_the_real_corridor_is_less_sure(corridor_loop, mobilenet, clock_set_back):
    found, _ = clock_set_back
    assert found[5].lost < 0.1 < found[6].lost


def test_a_map_made_by_a_robot_that_stood_still(described, tmp_path, other_streets):
    """Twelve equal pictures at three places: the learned models are like those without, and the laps are recognized."""
    describer, frames, descriptors = described
    first = sum(frame.split == "database" for frame in frames)
    order = [at for at in range(first) for _ in range(12 if at in (5, 20, 33) else 1)]
    with (
        new_map(tmp_path / "still.vprmap", describer, [frames[at] for at in order], descriptors[order]) as still,
        new_map(tmp_path / "moving.vprmap", describer, frames[:first], descriptors[:first]) as moving,
    ):
        repeating, once = (Recognizer(one, describer) for one in (still, moving))
        found = recognized(repeating, frames[first:], descriptors[first:])
        recognized(once, frames[first : first + 1], descriptors[first : first + 1])
        others = [repeating.recognize(frame) for frame in open_input(other_streets).frames]
    assert repeating.learned.likelihood == once.learned.likelihood
    for inliers in (15, 30, 60):
        expected = once.learned.match_model.false_positive_rate(inliers)
        assert repeating.learned.match_model.false_positive_rate(inliers) == pytest.approx(expected, rel=0.5)
    for rate in (0.05, 0.01):
        expected = margin_at(once.learned.null, rate)
        assert margin_at(repeating.learned.null, rate) == pytest.approx(expected, rel=0.05)
    accepted = np.array([one.accepted for one in found])
    assert all(is_right(one, frame) for one, frame in zip(found, frames[first:], strict=True) if one.accepted)
    assert accepted.mean() >= 0.5 and not any(one.accepted for one in others)


def test_descriptors_of_64_numbers(corridor_loop, ie_tower, mobilenet, toy, described, tmp_path):
    """With a model of another building: lap 1 alone has too few images for 64 dimensions."""
    _, frames, _ = described
    first = sum(frame.split == "database" for frame in frames)
    train(open_input(ie_tower).frames[:800:8], open_backbone(str(mobilenet)), tmp_path / "model", method="aesvc")
    describer = Describer.open(tmp_path / "model")
    descriptors = describer.describe_batch([frame.image for frame in frames])
    with new_map(tmp_path / "lap.vprmap", describer, frames[:first], descriptors[:first]) as place_map:
        recognizer = Recognizer(place_map, describer, RecognizerSettings(size=64))
        found = recognized(recognizer, frames[first:], descriptors[first:])
        assert describer.dim > 64 and recognizer.snapshot.descriptors.shape == (first, 64)
        assert place_map.learned_parameters("similarities/64") is not None
        others = [recognizer.recognize(frame) for frame in open_input(toy).frames]
    right = np.array([is_right(one, frame) for one, frame in zip(found, frames[first:], strict=True)])
    accepted = np.array([one.accepted for one in found])
    assert right.mean() >= 0.95 and right[accepted].all() and accepted.mean() >= 0.55
    assert not any(one.accepted for one in others)


@pytest.fixture(scope="module")
def with_intrinsics(described, lap):
    """Recognitions of six frames without intrinsics, with plausible and with wrong ones; the first again with its own."""
    describer, frames, descriptors = described
    path, first = lap
    asked = range(first, first + 6)
    height, width = frames[first].image.shape[:2]
    known = Intrinsics(0.9 * width, 0.9 * width, (width - 1) / 2, (height - 1) / 2)
    wrong = Intrinsics(20.0, 3000.0, -500.0, 9000.0)
    answers = []
    with PlaceMap.open(path) as place_map:
        for intrinsics in (None, known, wrong):
            recognizer = Recognizer(place_map, describer, RecognizerSettings(verify_every=1), intrinsics)
            answers.append([recognizer.recognize(frames[at], descriptor=descriptors[at]) for at in asked])
        own = Recognizer(place_map, describer).recognize(frames[first], None, descriptors[first], known)
    return answers, own


def test_intrinsics_decide_nothing(with_intrinsics):
    answers, _ = with_intrinsics
    for one, other, misled in zip(*answers, strict=True):
        assert one.accepted == other.accepted == misled.accepted and one.inliers == other.inliers == misled.inliers
        assert one.best.place.id == other.best.place.id == misled.best.place.id
        assert one.candidates[0].geometry.rotation is None


def test_intrinsics_give_the_relative_pose_in_the_real_corridor(corridor_loop, mobilenet, with_intrinsics):
    answers, own = with_intrinsics
    turned = [one.candidates[0].geometry.rotation for one in answers[1]]
    assert sum(rotation is not None for rotation in turned) >= 2
    for rotation in turned:  # the robot looks the way it looked on the first lap
        assert rotation is None or np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))) < 20
    assert np.array_equal(own.candidates[0].geometry.rotation, turned[0]) or turned[0] is None


def test_a_growing_map_is_learned_again_in_the_background(described, tmp_path):
    describer, frames, descriptors = described
    with new_map(tmp_path / "growing.vprmap", describer, frames[:30], descriptors[:30]) as place_map:
        # Nothing is accepted: after a revisit, a map without positions would keep its match model.
        settings = RecognizerSettings(false_positive_rate=1e-6)
        recognizer = Recognizer(place_map, describer, settings, learn_in_background=True)
        recognizer.prepare()
        null = recognizer.learned.null
        place_map.add(frames[30:40], descriptors[30:40], [frame.image for frame in frames[30:40]])
        during = recognizer.recognize(frames[41], descriptor=descriptors[41])
        assert recognizer.learned.null is null and during.best is not None and len(recognizer.snapshot) == 40
        recognizer.prepare()  # waits
        assert recognizer.learned.null.places == 40
        assert [
            place_map.learned_parameters(name)["places"]
            for name in (f"similarities/{describer.dim}", stored_name(describer.dim))
        ] == [40, 40]
        with PlaceMap.open(place_map.path) as again:
            at_once = Recognizer(again, describer)
            again.store_learned_parameters(stored_name(describer.dim), None)
            again.store_learned_parameters(f"similarities/{describer.dim}", None)
            at_once.prepare()
        assert same_numbers(at_once.learned.null, recognizer.learned.null)
        assert same_numbers(at_once.learned.match_model, recognizer.learned.match_model)
        before = recognizer.learned.match_model
        place_map.add(frames[41:60], descriptors[41:60], [frame.image for frame in frames[41:60]])
        recognizer.recognize(frames[61], descriptor=descriptors[61])
    # The map was closed while the thread reads it: the earlier models stay, and nothing is raised in the thread.
    assert recognizer.learned.match_model is before
