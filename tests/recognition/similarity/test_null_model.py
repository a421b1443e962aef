import json

import numpy as np
import pytest

from tests.recognition.similarity.null_models import margin_at
from tests.recognition.similarity.test_neighborhoods import walk
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.calibration import reliability
from vpr_aesvc.projections.artifact import prefix, unit
from vpr_aesvc.recognition.learned_models import read_model
from vpr_aesvc.recognition.similarity.neighborhoods import Neighborhoods
from vpr_aesvc.recognition.similarity.null_model import NullModel, fit_logistic


@pytest.fixture(scope="module")
def rows():
    return walk(600)


@pytest.fixture(scope="module")
def null(rows):
    return NullModel.fit(Neighborhoods(rows))


def values(rows, frames):
    places = Neighborhoods(rows)
    return np.array([places.margin(similarities).value for similarities in frames @ rows.T])


def test_frames_from_elsewhere_are_accepted_at_the_requested_rate(rows, null):
    outside = values(rows, walk(3000, seed=7))
    for rate in (0.5, 0.2, 0.05):
        assert 0.4 * rate <= (null.false_positive_rate(outside) <= rate).mean() <= 1.6 * rate
    assert (null.false_positive_rate(outside) <= 0.01).mean() <= 0.01


def test_probabilities_hold_for_frames_in_the_map(rows, null):
    random = np.random.default_rng(3)
    at = random.integers(1, 599, 800)
    noisy = unit(rows[at] + rows[at - 1] + random.uniform(0.1, 0.6, (800, 1)) * random.standard_normal((800, 32)))
    places = Neighborhoods(rows)
    found = [places.margin(similarities) for similarities in noisy @ rows.T]
    right = np.abs(np.array([one.row for one in found]) - at) <= 3
    probability = null.probability(np.array([one.value for one in found]), in_map=1.0)
    assert 0.4 < right.mean() < 0.95
    assert probability[right].mean() > probability[~right].mean() + 0.1


def test_rate_and_probability_are_monotonic_and_bounded(null):
    grid = np.linspace(0, 20, 500)
    rate, probability = null.false_positive_rate(grid), null.probability(grid)
    assert (np.diff(rate) <= 0).all() and (np.diff(probability) >= 0).all()
    assert rate[0] <= 1 and rate[-1] > 0 and probability[0] >= 0 and probability[-1] <= 1
    assert rate[-1] == null.min_rate == pytest.approx(0.02 / (2 + null.segments))
    assert margin_at(null, 0.99 * null.min_rate) == np.inf  # no margin is enough in this map
    assert null.probability(2.0, in_map=0.5) < null.probability(2.0, in_map=0.99) < null.probability(2.0, in_map=1.0)
    assert null.probability(2.0, in_map=0.0) == 0


def test_standing_still_does_not_change_the_null(rows, null):
    random = np.random.default_rng(1)
    for copies in (50, 400):
        still = unit(rows[300] + 1e-3 * random.standard_normal((copies, 32)).astype(np.float32))
        held = NullModel.fit(Neighborhoods(np.concatenate([rows[:300], still, rows[301:]])))
        for rate in (0.2, 0.05, 0.01):
            assert margin_at(held, rate) == pytest.approx(margin_at(null, rate), rel=0.05)


def test_places_passed_twice_do_not_spoil_the_null(null):
    random = np.random.default_rng(2)
    lap = walk(600)
    again = unit(lap + 0.05 * random.standard_normal(lap.shape).astype(np.float32))
    twice = NullModel.fit(Neighborhoods(np.concatenate([lap, again]), ["a"] * 600 + ["b"] * 600))
    assert twice.revisited and not null.revisited
    assert margin_at(twice, 0.05) < 1.6 * margin_at(null, 0.05)
    where = np.tile(np.column_stack([np.arange(600) * 2.0, np.zeros(600)]), (2, 1))
    known = NullModel.fit(Neighborhoods(np.concatenate([lap, again]), ["a"] * 600 + ["b"] * 600, where))
    assert not known.revisited


def test_it_is_small_and_survives_json(null):
    text = json.dumps(null.model_dump(by_alias=True))
    assert len(text) < 2000
    assert read_model(NullModel, "null model", json.loads(text)) == null
    for key, value in (("scale", float("nan")), ("body", [1.0]), ("places", "many")):
        with pytest.raises(VprError, match=f"damaged .{key}"):
            read_model(NullModel, "null model", {**json.loads(text), key: value})
    with pytest.raises(VprError, match="damaged"):
        read_model(NullModel, "null model", {})


@pytest.mark.parametrize("count", [0, 1, 2, 5, 9, 10, 15, 20])
@pytest.mark.parametrize("alike", [False, True])
def test_a_tiny_map_promises_little(count, alike):
    rows = np.tile(walk(1), (count, 1)) if alike else walk(20)[:count]
    null = NullModel.fit(Neighborhoods(rows.reshape(count, 32)))
    assert np.isfinite([null.probability(1.0), null.false_positive_rate(1.0)]).all()
    outside = values(rows, walk(200, seed=7)) if count else np.zeros(200)
    assert (null.false_positive_rate(outside) <= 0.01).mean() <= 0.01


def test_reliability_counts_by_hand():
    diagram = reliability(np.array([0.05, 0.1, 0.9, 1.0]), np.array([False, True, True, True]), bins=2)
    assert diagram.counts.tolist() == [2, 2]
    assert diagram.predicted.tolist() == pytest.approx([0.075, 0.95]) and diagram.observed.tolist() == [0.5, 1.0]
    assert diagram.error == pytest.approx(0.5 * 0.425 + 0.5 * 0.05)
    with pytest.raises(VprError, match="between 0 and 1"):
        reliability(np.array([1.2]), np.array([True]))


def test_the_curve_equals_scikit_learns():
    linear_model = pytest.importorskip("sklearn.linear_model")
    random = np.random.default_rng(0)
    x = random.standard_normal(4000)
    true = random.random(4000) < 1 / (1 + np.exp(-(2 * x - 1)))
    ours, theirs = fit_logistic(x, true), linear_model.LogisticRegression(C=1e6).fit(x[:, None], true)
    assert (ours.offset, ours.slope) == pytest.approx((theirs.intercept_[0], theirs.coef_[0, 0]), abs=0.02)
    assert fit_logistic(-x, true).slope == 0
    assert np.isfinite(fit_logistic(x, x > 0)(x)).all()


@pytest.fixture(scope="module")
def tower(ie_tower, corridor_loop, toy, mobilenet):
    """(traverses, descriptors) of a map of every other floor, and the descriptors of the other floors and of a corridor and a street."""
    from vpr_aesvc.backbones import open_backbone
    from vpr_aesvc.extraction import extract
    from vpr_aesvc.inputs import open_input
    from vpr_aesvc.projections import linear
    from vpr_aesvc.projections.data import TrainingData

    frames = open_input(ie_tower).frames
    floors = sorted({frame.extra["floor"] for frame in frames})
    inside = [frame for frame in frames if frame.extra["floor"] in floors[::2] and frame.split == "database"]
    others = [frame for frame in frames if frame.extra["floor"] in floors[1::2]][::2]
    foreign = [*open_input(corridor_loop).frames[::2], *open_input(toy).frames]
    backbone = open_backbone(str(mobilenet))
    embedded = [extract(backbone, part).embeddings for part in (inside, others, foreign)]
    projection = linear.whitening(TrainingData.of(embedded[0]), 0.3)
    return [frame.sequence for frame in inside], *map(projection, embedded)


@pytest.mark.parametrize("size", [576, 64])
def test_a_tower_without_some_of_its_floors(tower, size):
    """The other floors look alike; a corridor and a street do not."""
    traverses, *descriptors = tower
    rows, others, foreign = (prefix(part, size) for part in descriptors)
    places = Neighborhoods(rows, traverses)
    null = NullModel.fit(places)
    near, far = (np.array([places.margin(s).value for s in part @ rows.T]) for part in (others, foreign))
    assert (null.false_positive_rate(far) <= 0.01).mean() <= 0.01
    assert (null.false_positive_rate(near) <= 0.05).mean() <= 0.1 and (
        null.false_positive_rate(near) <= 0.01
    ).mean() <= 0.04
    assert (null.false_positive_rate(near) <= 0.5).mean() >= 0.2
