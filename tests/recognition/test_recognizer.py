"""The Recognizer on a robot's real laps, with real maps and a real encoder."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.recognition.laps import is_right, new_map, recognized
from vpr_aesvc import Frame, PlaceMap, Pose, Recognizer, VprError, open_input
from vpr_aesvc.recognition import frame_keypoints, matching
from vpr_aesvc.recognition.geometry import local_features
from vpr_aesvc.recognition.geometry.verification import verify
from vpr_aesvc.recognition.match_model import stored_name
from vpr_aesvc.recognition.settings import RecognizerSettings


def test_later_laps_are_recognized_and_other_places_are_not(described, lap, other_streets):
    describer, frames, descriptors = described
    path, first = lap
    with PlaceMap.open(path) as place_map:
        recognizer = Recognizer(place_map, describer)
        found = recognized(recognizer, frames[first:], descriptors[first:])
        right = np.array([is_right(one, frame) for one, frame in zip(found, frames[first:], strict=True)])
        accepted = np.array([one.accepted for one in found])
        assert right.mean() >= 0.95 and right[accepted].all() and accepted.mean() >= 0.7 and accepted[:5].any()
        assert all(one.false_positive_rate <= 0.01 for one in found if one.accepted)
        recognizer.reset("other streets")
        others = [recognizer.recognize(frame) for frame in open_input(other_streets).frames]
        assert others[0].message == "other streets" and not any(one.accepted for one in others)
        # The learned models are stored in the file: another recognizer reads them and gives the same answer.
        assert place_map.learned_parameters(stored_name(place_map.dim))["places"] == first
        again = Recognizer(place_map, describer)
        assert again.recognize(frames[first], descriptor=descriptors[first]).probability == found[0].probability


def test_real_streets_have_few_inliers_in_the_corridor(corridor_loop, toy, described, lap):
    describer, _, _ = described
    with PlaceMap.open(lap[0]) as place_map:
        recognizer = Recognizer(place_map, describer)
        assert max(recognizer.recognize(frame).inliers for frame in open_input(toy).frames) < 12


def test_loops_are_closed_while_the_map_grows(described, tmp_path):
    describer, frames, descriptors = described
    found = []
    with new_map(tmp_path / "growing.vprmap", describer, [], None) as place_map:
        recognizer = Recognizer(place_map, describer, RecognizerSettings(recent_places=20))
        for frame, row in zip(frames, descriptors, strict=True):
            place_map.add([frame], row[None], [frame.image])
            found.append(recognizer.recognize(frame, descriptor=row))
    accepted = np.array([one.accepted for one in found])
    right = [is_right(one, frame) for one, frame in zip(found, frames, strict=True) if one.accepted]
    assert all(right) and not accepted[:39].any()
    assert accepted[44:].mean() >= 0.55


def test_key_points_detected_ahead_are_those_of_the_frame(described, lap, monkeypatch):
    describer, frames, descriptors = described
    path, first = lap
    detected = []

    def detect(image):
        detected.append(image)
        return local_features.detect_keypoints(image)

    monkeypatch.setattr(frame_keypoints, "detect_keypoints", detect)
    asked = list(zip(frames[first : first + 3], descriptors[first:], strict=False))
    with PlaceMap.open(path) as place_map:
        alone, ahead, other = (Recognizer(place_map, describer, RecognizerSettings(sequence=False)) for _ in range(3))
        for frame, row in asked:
            ahead.look_ahead(frame.image)
            other.look_ahead(frames[0].image)  # of a frame that is then not asked
            found = [one.recognize(frame, descriptor=row) for one in (alone, ahead, other)]
            assert len({(one.inliers, one.best.place.id, one.false_positive_rate) for one in found}) == 1
        assert found[0].inliers >= 12
        # Once for each frame; the other's first image came before its map was read, and then it is kept.
        assert len(detected) == 3 + 3 + (3 + 1)
        waiting, row = frames[first + 3], descriptors[first + 3]
        image = ahead.decode_ahead(lambda: waiting.image.copy()).result()
        found = [one.recognize(replace(waiting, image=image), descriptor=row) for one in (ahead, alone)]
        assert len({(one.inliers, one.best.place.id, one.false_positive_rate) for one in found}) == 1
        assert len(detected) == 3 + 3 + (3 + 1) + 2


def test_after_the_warm_up_no_frame_waits_for_key_points_of_the_map(described, lap, monkeypatch):
    describer, frames, descriptors = described
    path, first = lap
    with PlaceMap.open(path) as place_map:
        Recognizer(place_map, describer).prepare()  # learns, if that has not been done
        detect, detected = local_features.detect_keypoints, []
        monkeypatch.setattr(local_features, "detect_keypoints", lambda image: detected.append(image) or detect(image))
        recognizer = Recognizer(place_map, describer)
        recognizer.update()
        recognizer.warm_up(0.0)
        assert len(detected) <= 1
        recognizer.warm_up(600.0)
        assert len(detected) == first
        recognized(recognizer, frames[first : first + 5], descriptors[first : first + 5])
        assert len(detected) == first


def test_models_that_cannot_change_the_match_are_not_fitted(described, lap, monkeypatch):
    """The match, its key points and its decision are those with all models fitted."""
    frames, descriptors = described[1][lap[1] :], described[2][lap[1] :]
    with PlaceMap.open(lap[0]) as place_map:
        found = recognized(Recognizer(place_map, described[0]), frames, descriptors)
        monkeypatch.setattr(matching, "verify", lambda query, place, intrinsics, _: verify(query, place, intrinsics))
        fitted = recognized(Recognizer(place_map, described[0]), frames, descriptors)
    assert [(one.best, one.why, one.inliers) for one in found] == [(one.best, one.why, one.inliers) for one in fitted]
    skipped = 0
    for result, complete in zip(found, fitted, strict=True):
        inliers = {one.match.place.id: one.geometry.inliers for one in complete.candidates if one.geometry}
        geometries = {one.match.place.id: one.geometry for one in result.candidates}
        assert result.inliers is None or geometries[result.best.place.id].inliers == result.inliers
        left_out = [count for place, count in inliers.items() if geometries[place] is None]
        assert all(count <= result.inliers for count in left_out)
        skipped += sum(count >= 12 for count in left_out)
    assert skipped >= 10


def test_sequence_and_geometry_can_be_turned_off(described, lap):
    describer, frames, descriptors = described
    path, first = lap
    with PlaceMap.open(path) as place_map:
        alone = Recognizer(place_map, describer, RecognizerSettings(sequence=False, geometry=False, candidates=3))
        one, other = (alone.recognize(frames[at], descriptor=descriptors[at]) for at in (first, first))
        assert one.inliers is None and len(one.candidates) == 3 and one.probability == other.probability
        assert one.candidates[0].match == one.best and "sequence" not in one.why


def test_the_sequence_makes_matches_of_the_real_corridor_sure(corridor_loop, mobilenet, described, lap):
    describer, frames, descriptors = described
    path, first = lap
    with PlaceMap.open(path) as place_map:
        with_sequence = Recognizer(place_map, describer, RecognizerSettings(geometry=False))
        several = [
            with_sequence.recognize(frame, descriptor=row)
            for frame, row in zip(frames[first : first + 6], descriptors[first:], strict=False)
        ]
        assert max(one.probability for one in several) > 0.95 > several[0].probability


@pytest.fixture(scope="module")
def later_laps(described, lap):
    """The recognitions of laps 2 and 3."""
    describer, frames, descriptors = described
    path, first = lap
    with PlaceMap.open(path) as place_map:
        return recognized(Recognizer(place_map, describer), frames[first:], descriptors[first:])


def test_the_covariance_is_the_spread_of_the_possible_places(later_laps):
    for one in later_laps:
        assert one.pose == one.best.place.pose
        assert one.covariance.shape == (6, 6) and np.allclose(one.covariance, one.covariance.T)
        assert np.linalg.eigvalsh(one.covariance).min() > 0
    spread = np.array([np.sqrt(np.trace(one.covariance[:2, :2])) for one in later_laps])
    sure = np.array([one.accepted and one.probability > 0.95 for one in later_laps])
    assert np.median(spread[sure]) < 3 and len(np.unique(spread)) == len(spread)
    assert all(one.covariance[2, 2] < 0.1 for one in later_laps)  # the map is flat


def test_unsure_matches_of_the_real_corridor_have_a_wide_spread(corridor_loop, mobilenet, later_laps):
    unsure = [one for one in later_laps if not one.accepted or one.probability <= 0.95]
    assert max(np.sqrt(np.trace(one.covariance[:2, :2])) for one in unsure) > 3


def test_a_frame_an_array_or_a_path_gives_the_same_answer(described, lap):
    describer, frames, _ = described
    path, first = lap
    query = frames[first]
    with PlaceMap.open(path) as place_map:
        given = (query, query.image, query.path, str(query.path))
        answers = [Recognizer(place_map, describer).recognize(one) for one in given]
        assert answers[0].accepted
        for one in answers[1:]:
            assert (one.best, one.probability, one.why) == (answers[0].best, answers[0].probability, answers[0].why)
        for wrong in ([1, 2], None, 3, b"001.jpg"):
            with pytest.raises(
                VprError, match=r"expected a Frame, an RGB uint8 array \[H, W, 3\] or the path of an image"
            ):
                Recognizer(place_map, describer).recognize(wrong)


def test_the_reason_of_a_decision(described, lap):
    describer, frames, descriptors = described
    path, first = lap
    found = {}
    with PlaceMap.open(path) as place_map:
        for sequence, geometry, rate in (
            (True, True, 0.01),
            (False, False, 0.01),
            (False, False, 0.2),
            (True, True, 1e-6),
        ):
            settings = RecognizerSettings(sequence=sequence, geometry=geometry, false_positive_rate=rate)
            recognizer = Recognizer(place_map, describer, settings)
            found[sequence, rate] = [one.why for one in recognized(recognizer, frames[first:], descriptors[first:])]
    reason = r"\(\d+ of \d+ matches fit a (homography|fundamental matrix)(, \d+ of them also match another place)?; the sequence gives this place \d+ %\)"
    assert any(
        re.fullmatch(rf"accepted: false-positive rate \S+ is within the requested 0.01 {reason}", why)
        for why in found[True, 0.01]
    )
    margin = r"\(similarity margin \d+\.\d\d\)"
    refused = rf"not accepted: false-positive rate \S+ is above the requested 0.01 {margin}"
    assert any(re.fullmatch(refused, why) for why in found[False, 0.01])
    assert any(re.fullmatch(rf"accepted: .* the requested 0.2 {margin}", why) for why in found[False, 0.2])
    limit = rf"not accepted: this map cannot promise a false-positive rate below \S+; requested is 1e-06 {reason}"
    assert any(re.fullmatch(limit, why) for why in found[True, 1e-6])


def test_empty_and_tiny_maps(described, tmp_path):
    describer, frames, descriptors = described
    with new_map(tmp_path / "empty.vprmap", describer, [], None) as place_map:
        recognizer = Recognizer(place_map, describer)
        nothing = recognizer.recognize(frames[0])
        assert not nothing.accepted and nothing.best is None and nothing.why == "the map is empty"
        place_map.add(frames[:3], descriptors[:3], [frame.image for frame in frames[:3]])
        tiny = recognizer.recognize(frames[1], descriptor=descriptors[1])
        assert tiny.best.place.id == 2 and not tiny.accepted and tiny.pose is None and tiny.covariance is None
        excluding = Recognizer(place_map, describer, RecognizerSettings(recent_places=3))
        assert excluding.recognize(frames[1]).why == "every place of the map is excluded for this frame"


def test_removed_places_and_changed_poses(described, lap, tmp_path):
    describer, frames, descriptors = described
    _, first = lap
    with new_map(tmp_path / "changing.vprmap", describer, frames[:first], descriptors[:first]) as place_map:
        recognizer = Recognizer(place_map, describer, RecognizerSettings(geometry=False))
        recognizer.recognize(frames[first], descriptor=descriptors[first])
        place_map.set_poses({place: Pose(float(place), 0.0) for place in range(1, first + 1)})
        assert place_map.learned_parameters("similarities/576") is None or describer.dim != 576
        found = recognizer.recognize(frames[first + 1], descriptor=descriptors[first + 1])
        assert found.pose == Pose(float(found.best.place.id), 0.0) and found.message is None
        place_map.remove([found.best.place.id])
        after = recognizer.recognize(frames[first + 1], descriptor=descriptors[first + 1])
        assert after.best.place.id != found.best.place.id and "removed" in after.message


def test_bad_frames_do_not_change_the_sequence(described, lap, tmp_path):
    describer, frames, descriptors = described
    path, first = lap
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    with PlaceMap.open(path) as place_map:
        disturbed, calm = (Recognizer(place_map, describer, RecognizerSettings(geometry=False)) for _ in range(2))
        for at in range(first, first + 4):
            with pytest.raises(VprError, match=r"broken\.jpg"):
                disturbed.recognize(Frame("broken", broken))
            with pytest.raises(VprError, match="uint8"):
                disturbed.recognize(Frame("floats", image=np.zeros((8, 8, 3))))
            with pytest.raises(VprError, match="neither an image nor a path"):
                disturbed.recognize(Frame("nothing"))
            with pytest.raises(VprError, match="not finite"):
                disturbed.recognize(frames[at], descriptor=np.full(describer.dim, np.nan, np.float32))
            one, other = (
                recognizer.recognize(frames[at], descriptor=descriptors[at]) for recognizer in (disturbed, calm)
            )
        assert one.probability == other.probability
        gray = disturbed.recognize(Frame("gray", image=np.full((120, 160, 3), 128, np.uint8)))
        assert not gray.accepted
