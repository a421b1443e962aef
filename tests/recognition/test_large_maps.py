"""The way of large maps, on a small real map: with fewer places than the sample and the shortlist have, its answers are those of the dense way."""

from dataclasses import replace

import numpy as np
import pytest

from tests.recognition.laps import is_right, new_map, posed
from vpr_aesvc import PlaceMap, Pose, Recognizer
from vpr_aesvc.recognition import map_snapshot
from vpr_aesvc.recognition.learning import learn_matches
from vpr_aesvc.recognition.match_model import MatchModel
from vpr_aesvc.recognition.run import RunFollower, recognize_run
from vpr_aesvc.recognition.sequence.likelihood import DEFAULT_LIKELIHOOD
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.recognition.similarity import sampled
from vpr_aesvc.recognition.similarity.sampled import StoredDescriptors

QUICK = RecognizerSettings(geometry=False)


def both_ways(monkeypatch, make):
    """What ``make`` returns the dense way, and the way of large maps."""
    dense = make()
    monkeypatch.setattr(map_snapshot, "DENSE_PLACES", 0)
    return dense, make()


def assert_equal_answers(dense, large):
    for one, other in zip(dense, large, strict=True):
        assert one.accepted == other.accepted and one.best.place.id == other.best.place.id
        assert other.best.similarity == pytest.approx(one.best.similarity, abs=1e-5)
        assert other.probability == pytest.approx(one.probability, abs=0.02)
        assert other.lost == pytest.approx(one.lost, abs=0.02)
        assert other.false_positive_rate == pytest.approx(one.false_positive_rate, rel=1e-3)
        assert other.covariance == pytest.approx(one.covariance, rel=0.05, abs=0.05)
    assert any(one.accepted for one in dense)


@pytest.mark.parametrize("settings", [QUICK, QUICK.model_copy(update={"recent_places": 12})])
def test_the_answers_of_a_run_are_those_of_the_dense_way(described, lap, monkeypatch, settings):
    _, frames, descriptors = described
    path, first = lap

    def answers():
        with PlaceMap.open(path) as place_map:
            follower = RunFollower(Recognizer(place_map, None, settings))
            return [
                follower.recognize(replace(posed(frame), stamp=float(at)), row)
                for at, (frame, row) in enumerate(zip(frames[first:], descriptors[first:], strict=True))
            ]

    assert_equal_answers(*both_ways(monkeypatch, answers))


def test_the_models_learned_from_stored_descriptors_are_those_of_the_dense_way(described, tmp_path, monkeypatch):
    describer, frames, descriptors = described

    def learned():
        with new_map(tmp_path / f"{map_snapshot.DENSE_PLACES}.vprmap", describer, frames, descriptors) as place_map:
            recognizer = Recognizer(place_map, None, QUICK)
            recognizer.prepare()
            assert isinstance(recognizer.snapshot.descriptors, StoredDescriptors) == (not map_snapshot.DENSE_PLACES)
            return recognizer.learned.null, recognizer.learned.likelihood

    (null, likelihood), (large_null, large_likelihood) = both_ways(monkeypatch, learned)
    assert large_likelihood.sharpness == likelihood.sharpness
    assert (large_likelihood.offset, large_likelihood.change) == pytest.approx(
        (likelihood.offset, likelihood.change), rel=1e-4
    )
    assert large_null.body == pytest.approx(null.body, rel=1e-3, abs=1e-4) and large_null.segments == pytest.approx(
        null.segments
    )


def test_the_match_model_of_a_large_map_is_that_of_the_dense_way(lap, monkeypatch):
    """The same stretches, hidden places and candidates; the posterior differs by rounding."""

    def learned():
        with PlaceMap.open(lap[0]) as place_map:
            snapshot = map_snapshot.MapSnapshot(place_map, place_map.dim)
            snapshot.update()
            return learn_matches(snapshot, place_map, DEFAULT_LIKELIHOOD, lambda part: None)

    dense, large = both_ways(monkeypatch, learned)
    assert dense["absent"] == large["absent"] >= 20 and dense["present"] == large["present"]
    for clear in (9.0, 15.0, 30.0, 60.0):
        one, other = (MatchModel(**model).false_positive_rate(clear) for model in (dense, large))
        assert one == pytest.approx(other, rel=0.3)


def test_margins_where_the_robot_stood_still_while_mapping(described, tmp_path, monkeypatch):
    """Twelve equal places count as one; the best of them is found though only the first is scored."""
    describer, frames, descriptors = described
    first = sum(frame.split == "database" for frame in frames)
    order = [at for at in range(first) for _ in range(12 if at in (5, 20, 33) else 1)]

    def margins():
        path = tmp_path / f"{map_snapshot.DENSE_PLACES}.vprmap"
        with new_map(path, describer, [frames[at] for at in order], descriptors[order]) as place_map:
            snapshot = map_snapshot.MapSnapshot(place_map, place_map.dim)
            snapshot.update()
            assert len(snapshot.neighborhoods.kept) == first
            return [snapshot.neighborhoods.margin(snapshot.similarities(row)) for row in descriptors[first:]]

    for one, other in zip(*both_ways(monkeypatch, margins), strict=True):
        assert (one.row, one.rival) == (other.row, other.rival)
        assert (one.value, one.spread) == pytest.approx((other.value, other.spread), rel=2e-3, abs=1e-4)


def test_a_sample_stands_for_the_places_that_a_frame_is_not_compared_with(described, tmp_path, monkeypatch):
    """With a shortlist of ten and a sample of 24 of 40 places, laps are recognized, and all probabilities sum to 1."""
    describer, frames, descriptors = described
    first = sum(frame.split == "database" for frame in frames)
    for module, name, value in (
        (map_snapshot, "DENSE_PLACES", 0),
        (sampled, "SHORTLIST", 10),
        (sampled, "_SAMPLE", 24),
    ):
        monkeypatch.setattr(module, name, value)
    with new_map(tmp_path / "lap.vprmap", describer, frames[:first], descriptors[:first]) as place_map:
        recognizer = Recognizer(place_map, None, QUICK)
        recognizer.prepare()
        right = []
        for frame, row in zip(frames[first:], descriptors[first:], strict=True):
            similarities = recognizer.snapshot.similarities(row)
            assert 24 < len(similarities.rows) < first and similarities.weights.sum() == pytest.approx(first)
            belief = recognizer.filter.step(similarities)
            others = belief.rest * (first - len(belief.rows))
            assert belief.places.sum() + others + belief.lost == pytest.approx(1)
            right.append(is_right(recognizer.decide_match(None, similarities, belief), frame))
    assert np.mean(right) >= 0.9


def test_a_run_as_a_whole_is_compared_with_all_places(described, lap, monkeypatch):
    _, frames, descriptors = described
    path, first = lap

    def answers():
        with PlaceMap.open(path) as place_map:
            recognizer = Recognizer(place_map, None, QUICK)
            return recognize_run(recognizer, [posed(frame) for frame in frames[first:]], descriptors[first:])

    assert_equal_answers(*both_ways(monkeypatch, answers))


def test_a_map_grows_over_the_limit_and_loses_places(described, tmp_path, monkeypatch):
    """The sequence goes on in the sparse belief; places that are removed or get other poses are so at once."""
    describer, frames, descriptors = described
    monkeypatch.setattr(map_snapshot, "DENSE_PLACES", 45)
    first = sum(frame.split == "database" for frame in frames)
    with new_map(
        tmp_path / "map.vprmap", describer, [posed(frame) for frame in frames[:first]], descriptors[:first]
    ) as grown:
        recognizer = Recognizer(grown, None, QUICK)
        before = [
            recognizer.recognize(posed(frames[at]), descriptor=descriptors[at]) for at in range(first, first + 6)
        ][-1]
        assert before.lost < 0.1 and not isinstance(recognizer.snapshot.descriptors, StoredDescriptors)
        others = [replace(posed(frame), sequence="other") for frame in frames[-12:]]
        ids = grown.add(others, descriptors[-12:])
        after = recognizer.recognize(posed(frames[first + 6]), descriptor=descriptors[first + 6])
        assert isinstance(recognizer.snapshot.descriptors, StoredDescriptors) and after.message is None
        assert 0 <= after.best.place.id - before.best.place.id <= 3 and after.lost < 0.1  # the sequence goes on
        recognizer.reset()
        found = recognizer.recognize(frames[-5], descriptor=descriptors[-5])
        assert found.best.place.id == ids[-5] and found.best.similarity == pytest.approx(1, abs=1e-3)
        grown.set_poses({ids[-5]: Pose.planar(500.0, 0.0)})
        recognizer.reset()
        moved = recognizer.recognize(frames[-5], descriptor=descriptors[-5])
        assert moved.best.place.id == ids[-5] and moved.pose.x == 500.0
        grown.remove([ids[-5]])
        recognizer.reset()
        gone = recognizer.recognize(frames[-5], descriptor=descriptors[-5])
        assert gone.best.place.id != ids[-5] and len(recognizer.snapshot) == first + 11
        assert np.isfinite(gone.covariance).all()
