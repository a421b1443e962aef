import numpy as np
import pytest

from vpr_aesvc.evaluation.metrics import rank, recall


def test_recall_by_hand():
    ranked = np.array([[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 1, 2]])
    right = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]], bool)  # the last query has no right place
    found = recall(ranked, right, (1, 2, 3))
    assert found.at == pytest.approx({1: 1 / 3, 2: 2 / 3, 3: 1.0})
    assert (found.queries, found.without) == (3, 1)


def test_rank_equals_brute_force():
    random = np.random.default_rng(0)
    database, queries = (random.standard_normal((n, 8)).astype(np.float32) for n in (40, 6))
    assert np.array_equal(rank(queries, database, 5), np.argsort(-(queries @ database.T), axis=1)[:, :5])


def test_published_recall_of_real_similarity_matrices():
    """R@1 of methods as published, from their similarity matrices alone."""
    from tests.conftest import DATA

    folder = DATA / "sped_similarity"
    if not folder.is_dir():
        pytest.skip(f"real data is absent: {folder}")
    published = {"netvlad": 0.679, "densevlad": 0.728, "cohog": 0.494, "hog": 0.499}
    seen = 0
    for path in sorted(folder.iterdir()):
        name = next((name for name in published if name in path.name.lower()), None)
        if name is None or path.suffix not in (".npy", ".npz"):
            continue
        loaded = np.load(path)
        matrix = loaded if isinstance(loaded, np.ndarray) else loaded[loaded.files[0]]
        ranked = np.argsort(-matrix.astype(np.float64), axis=1)
        assert round(recall(ranked, np.eye(len(matrix), dtype=bool), (1,)).at[1], 3) == published[name], path.name
        seen += 1
    assert seen == 4
