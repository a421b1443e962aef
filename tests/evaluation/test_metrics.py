import numpy as np
import pytest

from vpr_aesvc.datasets.positives import Positives
from vpr_aesvc.evaluation.metrics import recall


def test_recall_by_hand():
    ranked = np.array([[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 1, 2]])
    right = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]], bool)  # the last query has no right place
    found = recall(ranked, Positives.of_table(right), (1, 2, 3))
    assert found.at == pytest.approx({1: 1 / 3, 2: 2 / 3, 3: 1.0})
    assert (found.queries, found.without) == (3, 1)


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
        assert (
            round(recall(ranked, Positives.of_table(np.eye(len(matrix), dtype=bool)), (1,)).at[1], 3) == published[name]
        ), path.name
        seen += 1
    assert seen == 4
