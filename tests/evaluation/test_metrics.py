import numpy as np
import pytest

from tests.conftest import DATA
from vpr_aesvc.datasets.positives import Positives
from vpr_aesvc.evaluation.metrics import collapse, mean_average_precision, precision_recall, recall, recall_interval

PUBLISHED = {"netvlad": 0.679, "densevlad": 0.728, "hog": 0.499, "cohog": 0.494}  # R@1 on SPED, VPR-Bench


def positives_of(table: np.ndarray) -> Positives:
    """From bool [q, n]."""
    return Positives.of_pairs(*np.nonzero(table), len(table))


def published_similarity(name):
    path = DATA / "sped_similarity" / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"real data is absent: {path}")
    return np.load(path)["similarity"].astype(np.float64)


def test_recall_by_hand():
    ranked = np.array([[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 1, 2]])
    right = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]], bool)  # the last query has no right place
    found = recall(ranked, positives_of(right), (1, 2, 3))
    assert found.at == pytest.approx({1: 1 / 3, 2: 2 / 3, 3: 1.0})
    assert (found.queries, found.without) == (3, 1)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_recall_of_real_similarity_matrices(name):
    """From the matrices alone: as published."""
    ranked = np.argsort(-published_similarity(name), axis=1)
    right = positives_of(np.eye(len(ranked), dtype=bool))
    assert round(recall(ranked, right, (1,)).at[1], 3) == PUBLISHED[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_precision_recall_of_real_similarity_matrices(name):
    """The area is scikit-learn's, and the curve is what counting by hand gives at every level."""
    from sklearn.metrics import average_precision_score

    matrix = published_similarity(name)
    best, correct = matrix.max(1), matrix.argmax(1) == np.arange(len(matrix))
    curve = precision_recall(best, correct)
    assert curve.area == pytest.approx(average_precision_score(correct, best), abs=1e-9)
    order = np.argsort(-best, kind="stable")
    accepted = np.arange(1, len(order) + 1)
    right = np.cumsum(correct[order])
    ends = np.append(np.diff(best[order]) != 0, True)  # equal similarities are accepted together
    by_hand = (np.diff(right[ends] / correct.sum(), prepend=0) * right[ends] / accepted[ends]).sum()
    assert curve.area == pytest.approx(by_hand, abs=1e-9)
    first_wrong = best[~correct].max()
    assert curve.recall_at_full_precision == pytest.approx((best[correct] > first_wrong).sum() / correct.sum())
    assert curve.recall[0] == 0 and curve.recall[-1] == 1 and np.all(np.diff(curve.recall) >= 0)


def test_no_right_match_has_no_curve():
    assert precision_recall(np.array([0.5, 0.4]), np.array([False, False])) is None


def test_mean_average_precision_by_hand():
    ranked = np.array([[3, 0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3]])
    right = positives_of(np.array([[1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]], bool))
    first = (1 / 2 + 2 / 3) / 2  # right at ranks 2 and 3, two right places
    assert mean_average_precision(ranked, right, 4) == pytest.approx((first + 1 / 4) / 2)
    assert mean_average_precision(ranked, right, 2) == pytest.approx((1 / 2 / 2 + 0) / 2)
    assert mean_average_precision(ranked, right, 1) == 0.0


def test_mean_average_precision_at_all_is_scikit_learns():
    from sklearn.metrics import average_precision_score

    random = np.random.default_rng(0)
    scores, table = random.random((30, 50)), random.random((30, 50)) < 0.1
    table[:, 0] = True
    ranked = np.argsort(-scores, axis=1)
    theirs = np.mean([average_precision_score(right, score) for right, score in zip(table, scores, strict=True)])
    assert mean_average_precision(ranked, positives_of(table), 50) == pytest.approx(theirs, abs=1e-12)


def test_the_interval_is_the_bootstraps():
    hits = np.zeros(265)
    hits[:110] = 1
    random = np.random.default_rng(0)
    drawn = random.choice(hits, (20000, len(hits))).mean(1)
    low, high = recall_interval(110 / 265, 265)
    assert (low, high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.004)
    assert np.isnan(recall_interval(float("nan"), 0)).all()


def test_cutouts_of_one_panorama_collapse():
    group = np.array([0, 0, 1, 1, 2])
    ranked = np.array([[1, 0, 3, 2, 4], [4, -1, -1, -1, -1]])
    assert collapse(ranked, group, 3).tolist() == [[1, 3, 4], [4, -1, -1]]
    assert collapse(ranked, group, 2).tolist() == [[1, 3], [4, -1]]
