"""What is learned from runs that are simulated in a map: the false-positive rate of a match, and the probability that it is right."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.recognition.laps import new_map
from vpr_aesvc import VprError
from vpr_aesvc.recognition.geometry.local_features import StoredKeypoints
from vpr_aesvc.recognition.learned_models import read_model
from vpr_aesvc.recognition.learning import learn_matches
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.match_model import MatchModel, match_prior, sequence_weight
from vpr_aesvc.recognition.matching import CandidateMatcher
from vpr_aesvc.recognition.sequence.likelihood import DEFAULT_LIKELIHOOD
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.recognition.simulated_runs import SimulatedAnswer, simulate_runs


def absent(inliers, segment=0, posterior=0.3):
    return SimulatedAnswer(int(inliers), posterior, posterior, True, False, segment)


def present(inliers, posterior=0.9):
    return SimulatedAnswer(int(inliers), posterior, posterior, False, True, 0)


def learned(random, count=400):
    """Inliers of a known law: geometric, mean 8, beyond a chance level of 10."""
    wrong = [absent(10 + one, at) for at, one in enumerate(random.geometric(1 / 8, count))]
    return MatchModel.learn([*wrong, *(present(one) for one in random.integers(5, 90, count))])


def test_the_rate_is_that_of_frames_that_fit_more_often_and_better_than_the_simulated_ones():
    """Twice as many in the tail, which is 1.4 times as long. It begins where 0.2 of the simulated frames are: at 23 inliers."""
    random, kept = np.random.default_rng(0), {rate: [] for rate in (0.1, 0.05, 0.02)}
    for _ in range(50):
        model = learned(random)
        for rate, found in kept.items():
            least = next(count for count in range(300) if model.false_positive_rate(count) <= rate)
            found.append(2 * 0.2 * (7 / 8) ** ((least - 23) / 1.4))
    for rate, found in kept.items():
        assert 0.6 * rate < np.mean(found) < 1.3 * rate
    rates = [model.false_positive_rate(count) for count in range(200)]
    assert rates[0] == 1.0 and rates == sorted(rates, reverse=True)
    assert model.false_positive_rate(10_000) == model.min_rate > 0


def test_a_frame_without_an_inlier_is_not_rare():
    """Though most simulated frames have none either."""
    wrong = [absent(0 if at < 350 else 9 + at % 20, at) for at in range(400)]
    model = MatchModel.learn([*wrong, *(present(20 + at) for at in range(60))])
    assert model.false_positive_rate(0) == 1.0 > model.false_positive_rate(30)
    assert model.probability(0, 0.99, True) < 0.15


def test_a_small_map_takes_its_tail_from_other_maps():
    few, none = MatchModel.learn([absent(9, at) for at in range(5)]), MatchModel.learn([])
    assert none.shape == match_prior()["segments"] and none.absent == none.present == 0
    assert few.false_positive_rate(81) < 0.015 and none.false_positive_rate(81) < 0.015
    assert none.with_sequence == tuple(match_prior()["curves"]["with_sequence"])
    assert "0 % of the tail from this map" in none.line()


def test_more_inliers_and_a_surer_sequence_are_more_probable():
    model = learned(np.random.default_rng(0))
    few, many = 15, 60
    assert model.probability(many, 0.9, True) > 0.8 > 0.3 > model.probability(few, 0.3, True)
    assert model.probability(few, 0.9, True) > model.probability(few, 0.1, True)
    assert model.probability(many, 0.9, False) > model.probability(few, 0.9, False)
    assert model.false_positive_rate(few) > model.false_positive_rate(many)
    assert sequence_weight(0.0) == 0.1 and sequence_weight(1.0) == 1.5


def test_a_model_is_stored_as_json_and_damaged_numbers_are_refused():
    stored = json.loads(json.dumps(learned(np.random.default_rng(0)).model_dump()))
    assert read_model(MatchModel, "match model", stored).model_dump() == MatchModel(**stored).model_dump()
    for change in (
        {"scale": -1.0},
        {"shape": float("nan")},
        {"present": "many"},
        {"body": [1.0]},
        {"with_sequence": [1]},
    ):
        with pytest.raises(VprError, match="learn it again"):
            read_model(MatchModel, "match model", {**stored, **change})


def test_runs_are_simulated_in_a_real_map(described, tmp_path):
    """Lap 1 of a corridor: without what a frame shows hardly anything fits; without the frame itself its neighbors do."""
    describer, frames, descriptors = described
    first = sum(frame.split == "database" for frame in frames)
    with new_map(tmp_path / "lap.vprmap", describer, frames[:first], descriptors[:first]) as place_map:
        snapshot = MapSnapshot(place_map, describer.dim)
        snapshot.update()
        keypoints = StoredKeypoints(place_map)
        keypoints.ids = snapshot.ids
        matcher = CandidateMatcher(snapshot, RecognizerSettings(), keypoints, None, 3)
        parts = []
        answers = list(simulate_runs(snapshot, matcher, DEFAULT_LIKELIHOOD, parts.append))
        gone = [one for one in answers if one.is_absent]
        there = [one for one in answers if not one.is_absent]
        assert len(there) == first and len(gone) > 0.7 * first
        assert np.median([one.inliers for one in there]) > 20 > 12 > np.quantile([one.inliers for one in gone], 0.9)
        assert np.mean([one.right for one in there]) > 0.9 and not any(one.right for one in gone)
        assert parts == sorted(parts) and parts[-1] == 1.0
        twice = [*frames[:first], *(replace(frame, sequence="again") for frame in frames[10:30])]
        both = np.concatenate([descriptors[:first], descriptors[10:30]])
        with new_map(tmp_path / "twice.vprmap", describer, twice, both) as repeated:
            snapshot_twice = MapSnapshot(repeated, describer.dim)
            snapshot_twice.update()
            keypoints_twice = StoredKeypoints(repeated)
            keypoints_twice.ids = snapshot_twice.ids
            matcher_twice = CandidateMatcher(snapshot_twice, RecognizerSettings(), keypoints_twice, None, 3)
            found = [one for one in simulate_runs(snapshot_twice, matcher_twice, DEFAULT_LIKELIHOOD) if one.is_absent]
        assert len(found) > 30 and max(one.inliers for one in found) < 40  # the second pass is no wrong answer
        parameters = [learn_matches(snapshot, place_map, DEFAULT_LIKELIHOOD, lambda part: None) for _ in range(2)]
        assert parameters[0] == parameters[1]  # deterministic
        assert MatchModel(**parameters[0]).false_positive_rate(60) <= 0.012
