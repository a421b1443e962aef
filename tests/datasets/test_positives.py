from pathlib import Path

import numpy as np
import pytest

from tests.conftest import DATA
from vpr_aesvc.datasets.positives import Positives, Tolerance, positives
from vpr_aesvc.types import Frame, Pose


def positives_of(table: np.ndarray) -> Positives:
    """From bool [q, n]."""
    return Positives.of_pairs(*np.nonzero(table), len(table))


def frames_at(xy):
    return [Frame(str(row), pose=Pose(float(x), float(y))) for row, (x, y) in enumerate(xy)]


@pytest.mark.parametrize(("name", "queries", "database"), [("pitts30k_test", 6816, 10000), ("tokyo247", 315, 75984)])
def test_real_utm_positions_by_brute_force(name, queries, database):
    path = DATA / name.removesuffix("_test") / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"real data is absent: {path}")
    table = np.load(path)
    right = positives(frames_at(table["utmQ"]), frames_at(table["utmDb"]), Tolerance("meters", 25))
    assert len(right) == queries and (right.counts > 0).all()  # every query has one
    for query in range(0, queries, 7):
        distance = np.linalg.norm(table["utmDb"] - table["utmQ"][query], axis=1)
        assert len(distance) == database and np.array_equal(right[query], np.flatnonzero(distance <= 25))


def test_hits_by_hand():
    table = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]], bool)
    right = positives_of(table)
    assert right.counts.tolist() == [2, 0, 1] and right[0].tolist() == [0, 2]
    assert right.hits(np.array([[0, 1, 2], [0, 1, 3], [3, -1, 0]])).tolist() == [
        [True, False, True],
        [False, False, False],
        [True, False, False],
    ]
    assert np.array_equal(right.table(4), table)
    assert not positives_of(np.zeros((2, 3), bool)).hits(np.array([[0], [1]])).any()


def test_categories_and_ones_own_image():
    """Stanford Online Products asks every image for the others of its product."""
    items = [Frame(name, path=Path(name), category=name[0]) for name in ("a1", "a2", "b1", "b2", "c1")]
    assert positives(items, items).table(5).astype(int).tolist() == [
        [0, 1, 0, 0, 0],
        [1, 0, 0, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    assert positives(items, items, Tolerance("meters", 3)) is None  # they do not say where they are


def test_ones_own_image_by_any_path_and_more_than_once():
    def seen(*paths):
        return [Frame(path, path=Path(path), category="c") for path in paths]

    right = positives(seen("x/a", "x/../x/b"), seen("x/a", "x/b", "x/a", "x/c"))
    assert right[0].tolist() == [1, 3] and right[1].tolist() == [0, 2, 3]
