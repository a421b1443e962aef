import json
from dataclasses import asdict

import numpy as np
import pytest

from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.recognition.geometry.inlier_model import InlierModel, fit_inlier_curve, learn_inlier_model
from vpr_aesvc.recognition.geometry.local_features import detect_keypoints
from vpr_aesvc.recognition.geometry.verification import MIN_INLIERS, Geometry, geometric_verdict, rerank, verify
from vpr_aesvc.recognition.learned_models import read_model


def result(inliers, keypoints=300):
    return Geometry(inliers, inliers + 10, keypoints, why=f"{inliers} inliers")


@pytest.mark.parametrize(
    ("candidates", "order"),
    [
        ([result(20), result(50), result(5)], [1, 0, 2]),  # supported ones by inliers
        ([result(5), result(11), result(0)], [0, 1, 2]),  # fewer inliers than chance gives change no order
        ([result(9, 10), result(12, 12)], [1, 0]),  # supported with few key points
        ([result(30), result(30)], [0, 1]),  # equal: the more similar
        ([], []),
    ],
)
def test_order(candidates, order):
    assert rerank(candidates) == order


@pytest.mark.parametrize(
    ("candidate", "verdict"),
    [
        (result(12), "supported"),
        (result(12, 12), "supported"),
        (result(11), "unsupported"),
        (result(0, 75), "unsupported"),
        (result(11, 74), "cannot tell"),
        (result(0, 0), "cannot tell"),
    ],
)
def test_verdict(candidate, verdict):
    assert geometric_verdict(candidate) == verdict


def test_chance_stays_below_the_least_inliers(ie_tower, corridor_loop):
    here = [detect_keypoints(read_image(f.path), "orb") for f in open_input(ie_tower).frames[::60]]
    there = [detect_keypoints(read_image(f.path), "orb") for f in open_input(corridor_loop).frames[::8]]
    counts = [verify(one, other).inliers for one in here for other in there]
    assert len(counts) > 250 and np.mean(np.array(counts) >= MIN_INLIERS) < 0.01


@pytest.fixture(scope="module")
def corridor(loop_folder, encoder):
    """Key points, centered embeddings, and which frames are the database's."""
    inputs = open_input(loop_folder)
    images = [read_image(frame.path) for frame in inputs.frames]
    backbone = open_backbone(str(encoder))
    rows = np.vstack([backbone.embed(images[at : at + 16]) for at in range(0, len(images), 16)])
    database = np.array([frame.split == "database" for frame in inputs.frames])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    rows -= rows[database].mean(axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return inputs, [detect_keypoints(image, "orb") for image in images], rows, database


def test_fewer_wrong_matches_at_equal_recall(corridor_loop, mobilenet, corridor):
    inputs, keypoints, rows, database = corridor
    asked, stored = np.flatnonzero(~database), np.flatnonzero(database)
    right = positives(*(inputs.split(name).frames for name in ("query", "database"))).table(len(stored))
    similarity = rows[asked] @ rows[stored].T
    plain, checked = [], []
    for query, cosines, ok in zip(asked, similarity, right, strict=True):
        top = np.argsort(-cosines)[:5]
        found = [verify(keypoints[query], keypoints[stored[at]]) for at in top]
        first = rerank(found)[0]
        plain.append((cosines[top[0]], ok[top[0]]))
        checked.append((found[first].inliers, ok[top[first]]))

    def wrong_at(scored, recall):
        hits = np.array([good for _, good in sorted(scored, key=lambda one: -one[0])])
        at = np.searchsorted(np.cumsum(hits), np.ceil(recall * len(hits)))
        return int((~hits[: at + 1]).sum())

    for recall in (0.5, 0.7, 0.9):
        assert wrong_at(plain, recall) >= 1 and wrong_at(checked, recall) <= wrong_at(plain, recall) / 2


@pytest.fixture(scope="module")
def lap(corridor):
    """Key points, embeddings and positions of the places of lap 1, and the inlier model learned from them."""
    _, keypoints, rows, database = corridor
    stored = np.flatnonzero(database)
    where = np.column_stack([np.zeros(len(stored)), np.arange(len(stored))])
    points = [keypoints[at].strongest(200) for at in stored]
    return points, rows[stored], where, learn_inlier_model(points, rows[stored], where)


def test_an_inlier_model_is_learned_from_the_map(lap):
    points, rows, where, model = lap
    assert len(model.absent) >= 20 and model.present >= 20
    assert model.probability(result(60)) > 0.9 > 0.3 > model.probability(result(0))
    assert model.probability(result(0, 10)) is None
    assert model.false_positive_rate(60) < 0.01
    assert read_model(InlierModel, "inlier model", json.loads(json.dumps(asdict(model)))) == model
    few, some, there = points[:22], rows[:22], where[:22]
    assert learn_inlier_model(few, some, there, far=1) == learn_inlier_model(few, some, there, far=1) is not None
    assert learn_inlier_model(few, some, there * 100) is None  # no place has a neighbor
    assert learn_inlier_model(few, some, there / 100) is None  # no place is far from another
    assert learn_inlier_model(few[:1], some[:1], there[:1]) is None


def test_five_inliers_are_chance_in_the_real_corridor(corridor_loop, mobilenet, lap):
    assert lap[3].false_positive_rate(5) > 0.01


def test_the_null_keeps_the_requested_rate():
    random = np.random.default_rng(0)
    kept = {rate: [] for rate in (0.1, 0.05, 0.01)}
    for _ in range(100):  # counts of a known law: geometric, mean 8, beyond a chance level
        model = InlierModel(tuple(sorted(10 + random.geometric(1 / 8, 200))), 1.0, 0.0, 100)
        for rate, found in kept.items():
            least = next(count for count in range(200) if model.false_positive_rate(count) <= rate)
            found.append((7 / 8) ** (least - 11))  # the true part at or above that count
    for rate, found in kept.items():
        assert rate / 2 < np.mean(found) < 1.3 * rate
    rates = [model.false_positive_rate(count) for count in range(80)]
    assert rates[0] == 1.0 and rates == sorted(rates, reverse=True)
    assert (
        model.false_positive_rate(1000) == rates[-1] == model.min_rate == 1 / 2000
    )  # 200 samples promise no smaller rate


def test_the_fit_finds_the_curve_that_drew_the_data():
    random = np.random.default_rng(0)
    inliers = random.integers(0, 100, 4000)
    right = random.random(4000) < 1 / (1 + np.exp(-(-5 + 1.7 * np.log1p(inliers))))
    slope, intercept = fit_inlier_curve(inliers, right, np.ones(4000))
    assert abs(slope - 1.7) < 0.15 and abs(intercept + 5) < 0.5


def test_fits_without_an_answer():
    counts = np.arange(40)
    for right in (counts < 20, np.zeros(40, np.bool_), np.ones(40, np.bool_), counts >= 20):
        slope, intercept = fit_inlier_curve(counts, right, np.ones(40))
        assert slope >= 0 and np.isfinite([slope, intercept]).all()
    model = InlierModel((0,) * 30, slope, intercept, 40)  # the last: separable
    assert model.probability(result(0)) < 0.05 and model.probability(result(39)) > 0.9


@pytest.mark.parametrize(
    "change",
    [{"slope": -1.0}, {"intercept": float("nan")}, {"present": "many"}, {"absent": [1, 2]}, {"absent": None}],
)
def test_damaged_numbers_are_refused(change):
    with pytest.raises(VprError, match="learn it again"):
        read_model(InlierModel, "", {"absent": [3] * 30, "slope": 1.0, "intercept": -3.0, "present": 40, **change})
    with pytest.raises(VprError, match="learn it again"):
        read_model(InlierModel, "", {})
