"""More dimensions than images: the same answers, without a D x D matrix."""

import time
import tracemalloc

import numpy as np
import pytest

from vpr_aesvc.projections import linear
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.fit import fit
from vpr_aesvc.projections.reduction import MOST_DIRECTIONS, basis_of, reduced
from vpr_aesvc.types import Frame


def wide(rows, dim, seed=0):
    """Embeddings of a few hidden causes and noise, and one view of each."""
    random = np.random.default_rng(seed)
    causes = random.standard_normal((rows, 30)) @ random.standard_normal((30, dim))
    embeddings = causes + random.standard_normal((rows, dim))
    return embeddings, embeddings + 0.5 * random.standard_normal((rows, dim))


def test_whitening_in_the_span_is_whitening():
    embeddings, views = wide(40, 200)
    data = TrainingData.of(embeddings, views, np.arange(40))
    basis = basis_of(data)
    assert basis.shape == (200, 80)
    queries = np.random.default_rng(1).standard_normal((5, 200))
    whole = linear.whitening(data, 0.2, 1.0)
    part = linear.whitening(reduced(data, basis), 0.2, 1.0).lifted(basis)
    assert part.dim_out == whole.dim_out == 39
    for rows in (embeddings, queries):  # signs of directions may differ, cosines may not
        one, other = whole(rows), part(rows)
        assert np.allclose(one @ one.T, other @ other.T, atol=2e-4)


def test_enough_images_are_left_as_they_are():
    embeddings, _ = wide(100, 60)
    assert basis_of(TrainingData.of(embeddings)) is None


def test_raw_of_a_very_long_embedding_ranks_as_all_its_numbers():
    embeddings, _ = wide(60, MOST_DIRECTIONS + 500)
    found = fit(TrainingData.of(embeddings), [Frame(str(i)) for i in range(60)], method="raw")
    queries = np.random.default_rng(1).standard_normal((20, MOST_DIRECTIONS + 500)) + embeddings[:20]
    kept = found.projection(queries) @ found.projection(embeddings).T
    whole = unit(queries) @ unit(embeddings).T
    assert found.projection.dim_out == 60 and "60 directions" in found.why
    assert np.array_equal(np.argsort(-kept, axis=1)[:, :10], np.argsort(-whole, axis=1)[:, :10])


@pytest.mark.slow
def test_eight_thousand_numbers_of_a_thousand_images():
    embeddings, _ = wide(1000, 8448)
    data = TrainingData.of(embeddings)
    frames = [Frame(str(i), sequence=f"{i // 50}", index=i) for i in range(1000)]
    tracemalloc.start()
    start = time.perf_counter()
    found = fit(data, frames, [64, 256], "aesvc")
    seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.projection.dim_in == 8448 and found.sizes == (64, 256, 999)
    assert peak < 8448 * 8448 * 4, "a D x D matrix was made"
    assert seconds < 120
