"""More dimensions than images: the same results, without a D x D matrix."""

import tracemalloc

import numpy as np
import pytest

from vpr_aesvc.projections import linear
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.fit import fit
from vpr_aesvc.projections.reduction import MAX_DIMENSIONS, basis_of
from vpr_aesvc.types import Frame


def wide(rows, dim, seed=0):
    """Embeddings with 30 latent factors and noise, and one view of each."""
    random = np.random.default_rng(seed)
    signal = random.standard_normal((rows, 30)) @ random.standard_normal((30, dim))
    embeddings = signal + random.standard_normal((rows, dim))
    return embeddings, embeddings + 0.5 * random.standard_normal((rows, dim))


def test_a_fit_in_the_span_is_the_fit_in_all_dimensions():
    """Also for embeddings outside the span, such as places that are added to the map later."""
    embeddings, views = wide(40, 200)
    data = TrainingData.of(embeddings, views, np.arange(40))
    inside, outside = basis_of(data)
    assert inside.shape == (200, 80) and outside.shape == (200, 120)
    found = fit(data, [Frame(str(i)) for i in range(40)], method="aesvc")
    assert found.projection.dim_out == 200 and found.sizes == (8, 16, 32, 64, 128, 200)
    whole = linear.whitening(data, found.isotropic, found.view)
    queries = np.random.default_rng(1).standard_normal((5, 200))
    for rows in (embeddings, queries):  # signs of directions may differ, cosines may not
        one, other = whole(rows), found.projection(rows)
        assert np.allclose(one @ one.T, other @ other.T, atol=2e-4)


def test_enough_images_are_left_as_they_are():
    embeddings, _ = wide(100, 60)
    assert basis_of(TrainingData.of(embeddings)) is None


def test_raw_of_a_very_long_embedding_keeps_the_ranking():
    embeddings, _ = wide(60, MAX_DIMENSIONS + 500)
    result = fit(TrainingData.of(embeddings), [Frame(str(i)) for i in range(60)], method="raw")
    queries = np.random.default_rng(1).standard_normal((20, MAX_DIMENSIONS + 500)) + embeddings[:20]
    kept = result.projection(queries) @ result.projection(embeddings).T
    whole = unit(queries) @ unit(embeddings).T
    assert result.projection.dim_out == MAX_DIMENSIONS
    assert np.array_equal(np.argsort(-kept, axis=1)[:, :10], np.argsort(-whole, axis=1)[:, :10])


@pytest.mark.slow
def test_eight_thousand_numbers_of_a_thousand_images():
    embeddings, _ = wide(1000, 8448)
    data = TrainingData.of(embeddings)
    frames = [Frame(str(i), sequence=f"{i // 50}", index=i) for i in range(1000)]
    tracemalloc.start()
    result = fit(data, frames, [64, 256], "aesvc")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.projection.dim_in == 8448 and result.sizes == (64, 256, MAX_DIMENSIONS)
    assert peak < 8448 * 8448 * 8, "a D x D matrix was made"
