"""AESVC and SS2D as scikit-learn estimators and as FAISS transforms, on embeddings of a real network where it is there."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
import faiss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from vpr_aesvc import open_backbone, open_input
from vpr_aesvc.extraction import extract
from vpr_aesvc.projections.artifact import prefix
from vpr_aesvc.sklearn import AESVC, SS2D


@parametrize_with_checks([AESVC(), SS2D()])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def embeddings(loop_folder, encoder):
    """float32 [84, 576]: fewer images than dimensions."""
    return extract(open_backbone(str(encoder)), list(open_input(loop_folder))).embeddings


@pytest.mark.parametrize("kind", [AESVC, SS2D])
@pytest.mark.parametrize("size", [None, 16])
def test_faiss_gives_the_same_descriptors(embeddings, kind, size):
    model = kind(n_components=size).fit(embeddings[:40])
    rows = np.ascontiguousarray(embeddings[40:], np.float32)
    expected = model.transform(rows)
    for transform in model.to_faiss():
        rows = transform.apply(rows)
    np.testing.assert_allclose(rows, expected, atol=1e-5)


def test_an_index_takes_raw_embeddings(embeddings, tmp_path):
    model = AESVC(n_components=32).fit(embeddings[:40])
    index = faiss.IndexPreTransform(faiss.IndexFlatIP(32))
    for transform in reversed(model.to_faiss()):
        index.prepend_transform(transform)
    index.add(embeddings[:40])
    faiss.write_index(index, str(tmp_path / "index"))
    similarities, rows = faiss.read_index(str(tmp_path / "index")).search(embeddings[40:], 1)
    cosines = model.transform(embeddings[40:]) @ model.transform(embeddings[:40]).T
    np.testing.assert_allclose(similarities[:, 0], cosines.max(1), atol=1e-5)
    assert (rows[:, 0] == cosines.argmax(1)).mean() > 0.95


@pytest.mark.parametrize("kind", [AESVC, SS2D])
def test_n_components_is_a_prefix_without_another_fit(embeddings, kind):
    model = kind().fit(embeddings[:40])
    full = model.transform(embeddings)
    assert full.shape == embeddings.shape
    np.testing.assert_allclose(np.linalg.norm(full, axis=1), 1, atol=1e-5)
    short = model.set_params(n_components=8).transform(embeddings)
    np.testing.assert_allclose(short, prefix(full, 8), atol=1e-6)
    assert list(model.get_feature_names_out()) == [f"{kind.__name__.lower()}{at}" for at in range(8)]


def test_a_rotation_keeps_the_cosines_of_the_latent(embeddings):
    latent, student = AESVC().fit(embeddings[:40]), SS2D().fit(embeddings[:40])
    whole, same = latent.transform(embeddings), student.transform(embeddings)
    np.testing.assert_allclose(same @ same.T, whole @ whole.T, atol=1e-4)
    assert not np.allclose(same[:, :8], whole[:, :8], atol=1e-2)


def test_the_mean_is_removed_and_the_constraints_hold(embeddings):
    """Of few images the shrinkage leaves variances apart; a small one whitens them."""
    many = np.repeat(embeddings, 20, 0) + 1e-4 * np.random.default_rng(0).standard_normal((1680, embeddings.shape[1]))
    model = AESVC(shrinkage=1e-6).fit(many)
    latent = model.projection_.raw(many.astype(np.float32))[:, :32]
    covariance = np.cov(latent.T)
    assert np.abs(latent.mean(0)).max() < 1e-2
    np.testing.assert_allclose(covariance, np.eye(32), atol=0.05)


def test_a_pipeline_and_a_clone_of_it(embeddings):
    pipeline = make_pipeline(FunctionTransformer(lambda rows: rows * 3), AESVC(n_components=8))
    np.testing.assert_allclose(
        pipeline.fit_transform(embeddings), AESVC(n_components=8).fit_transform(embeddings), atol=1e-4
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_components": 0}, "n_components must be 1 to 576"),
        ({"n_components": 577}, "n_components must be 1 to 576"),
        ({"shrinkage": 0}, "shrinkage must be above 0"),
        ({"shrinkage": 1.0}, "shrinkage must be above 0"),
    ],
)
def test_arguments_out_of_range(embeddings, arguments, words):
    with pytest.raises(ValueError, match=words):
        AESVC(**arguments).fit(embeddings)


def test_one_image_many_times():
    with pytest.raises(ValueError, match="all embeddings are the same"):
        AESVC().fit(np.tile(np.arange(1.0, 9.0), (20, 1)))
