import json

import numpy as np
import pytest

from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.datasets import open_input
from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import read_image
from vpr_aesvc.recognition.geometry.inlier_model import InlierModel, fit_logistic, learn_inlier_model
from vpr_aesvc.recognition.geometry.local_features import detect_keypoints
from vpr_aesvc.recognition.geometry.reranking import MIN_INLIERS, rerank
from vpr_aesvc.recognition.geometry.verification import Geometry, verify


def seen(inliers, keypoints=300):
    return Geometry(inliers, inliers + 10, keypoints, why=f"{inliers} inliers")


@pytest.mark.parametrize(
    ("candidates", "order", "best"),
    [
        ([seen(20), seen(50), seen(5)], (1, 0, 2), 1),  # supported ones by inliers
        (
            [seen(5), seen(11), seen(0)],
            (0, 1, 2),
            None,
        ),  # chance counts change no order; textured and unsupported: vetoed
        ([seen(0, 10), seen(9)], (0, 1), 0),  # the first cannot tell
        ([seen(9), seen(0, 10)], (0, 1), None),  # not taken only because the one before it was ruled out
        ([seen(9, 10), seen(12, 12)], (1, 0), 1),  # support counts however few the key points
        ([seen(30), seen(30)], (0, 1), 0),  # equal: the more similar
        ([], (), None),
    ],
)
def test_order_and_veto(candidates, order, best):
    found = rerank(candidates)
    assert (found.order, found.best) == (order, best)
    assert len(found.verdicts) == len(candidates) and found.why


def test_chance_stays_below_support(ie_tower, corridor_loop):
    here = [detect_keypoints(read_image(f.path), "orb") for f in open_input(ie_tower).frames[::60]]
    there = [detect_keypoints(read_image(f.path), "orb") for f in open_input(corridor_loop).frames[::8]]
    counts = [verify(one, other).inliers for one in here for other in there]
    assert len(counts) > 250 and np.mean(np.array(counts) >= MIN_INLIERS) < 0.01


@pytest.fixture(scope="module")
def corridor(corridor_loop, mobilenet):
    """Key points, centerd embeddings, where each frame is, and which are the database's."""
    inputs = open_input(corridor_loop)
    images = [read_image(frame.path) for frame in inputs.frames]
    backbone = open_backbone(str(mobilenet))
    rows = np.vstack([backbone.embed(images[at : at + 16]) for at in range(0, len(images), 16)])
    database = np.array([frame.split == "database" for frame in inputs.frames])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    rows -= rows[database].mean(axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return inputs, [detect_keypoints(image, "orb") for image in images], rows, database


def test_fewer_wrong_matches_at_equal_recall(corridor):
    inputs, keypoints, rows, database = corridor
    asked, stored = np.flatnonzero(~database), np.flatnonzero(database)
    right = positives(*(inputs.split(name).frames for name in ("query", "database"))).table(len(stored))
    similarity = rows[asked] @ rows[stored].T
    plain, checked = [], []
    for query, cosines, ok in zip(asked, similarity, right, strict=True):
        top = np.argsort(-cosines)[:5]
        found = [verify(keypoints[query], keypoints[stored[at]]) for at in top]
        first = rerank(found).order[0]
        plain.append((cosines[top[0]], ok[top[0]]))
        checked.append((found[first].inliers, ok[top[first]]))

    def wrong_at(scored, recall):
        hits = np.array([good for _, good in sorted(scored, key=lambda one: -one[0])])
        at = np.searchsorted(np.cumsum(hits), np.ceil(recall * len(hits)))
        return int((~hits[: at + 1]).sum())

    for recall in (0.5, 0.7, 0.9):
        assert wrong_at(plain, recall) >= 1 and wrong_at(checked, recall) <= wrong_at(plain, recall) / 2


def test_the_map_teaches_what_inliers_are_worth(corridor):
    _, keypoints, rows, database = corridor
    stored = np.flatnonzero(database)
    where = np.column_stack([np.zeros(len(stored)), np.arange(len(stored))])
    points = [keypoints[at].strongest(200) for at in stored]
    worth = learn_inlier_model(points, rows[stored], where)
    assert len(worth.absent) >= 20 and worth.present >= 20
    assert worth.probability(seen(60)) > 0.9 > 0.3 > worth.probability(seen(0))
    assert worth.probability(seen(0, 10)) is None
    assert worth.false_positive_rate(60) < 0.01 < worth.false_positive_rate(5)
    assert MIN_INLIERS <= worth.least_inliers(0.05) <= worth.least_inliers(0.001) < 60
    assert InlierModel.from_json(json.loads(json.dumps(worth.to_json()))) == worth
    few, some, there = points[:22], rows[stored[:22]], where[:22]
    assert learn_inlier_model(few, some, there, far=1) == learn_inlier_model(few, some, there, far=1) is not None
    assert learn_inlier_model(few, some, there * 100) is None  # no place has a neighbor
    assert learn_inlier_model(few, some, there / 100) is None  # no place is far from another
    assert learn_inlier_model(few[:1], some[:1], there[:1]) is None


def test_the_null_keeps_the_rate_it_is_asked_for():
    random = np.random.default_rng(0)
    kept = {rate: [] for rate in (0.1, 0.05, 0.01)}
    for _ in range(100):  # counts of a known law: geometric, mean 8, beyond a chance level
        worth = InlierModel(tuple(sorted(10 + random.geometric(1 / 8, 200))), 1.0, 0.0, 100)
        for rate, found in kept.items():
            found.append((7 / 8) ** (worth.least_inliers(rate) - 11))  # the true part at or above that count
    for rate, found in kept.items():
        assert rate / 2 < np.mean(found) < 1.3 * rate
    rates = [worth.false_positive_rate(count) for count in range(80)]
    assert rates[0] == 1.0 and rates == sorted(rates, reverse=True)
    assert (
        worth.false_positive_rate(1000) == rates[-1] == worth.least_rate == 1 / 2000
    )  # 200 answers show no more, however many inliers


def test_the_fit_finds_the_curve_that_drew_the_data():
    random = np.random.default_rng(0)
    inliers = random.integers(0, 100, 4000)
    right = random.random(4000) < 1 / (1 + np.exp(-(-5 + 1.7 * np.log1p(inliers))))
    slope, intercept = fit_logistic(inliers, right, np.ones(4000))
    assert abs(slope - 1.7) < 0.15 and abs(intercept + 5) < 0.5


def test_fits_without_an_answer():
    counts = np.arange(40)
    for right in (counts < 20, np.zeros(40, np.bool_), np.ones(40, np.bool_), counts >= 20):
        slope, intercept = fit_logistic(counts, right, np.ones(40))
        assert slope >= 0 and np.isfinite([slope, intercept]).all()
    worth = InlierModel((0,) * 30, slope, intercept, 40)  # the last: separable
    assert worth.probability(seen(0)) < 0.05 and worth.probability(seen(39)) > 0.9
    assert worth.least_inliers(0.01) == MIN_INLIERS


@pytest.mark.parametrize("rate", [0.0, -0.1, 0.5, float("nan")])
def test_rates_that_are_none(rate):
    with pytest.raises(VprError, match="a false positive rate is above 0"):
        InlierModel((0,) * 30, 1.0, 0.0, 40).least_inliers(rate)


@pytest.mark.parametrize(
    "change",
    [{"slope": -1.0}, {"intercept": float("nan")}, {"present": "many"}, {"absent": [1, 2]}, {"absent": None}],
)
def test_damaged_numbers_are_refused(change):
    with pytest.raises(VprError, match="learn it again"):
        InlierModel.from_json({"absent": [3] * 30, "slope": 1.0, "intercept": -3.0, "present": 40, **change})
    with pytest.raises(VprError, match="learn it again"):
        InlierModel.from_json({})
