import numpy as np
import pytest

from vpr_aesvc.errors import VprError
from vpr_aesvc.projections import linear
from vpr_aesvc.projections.aesvc import constraint_terms, cosine_sample
from vpr_aesvc.projections.artifact import Projection, unit
from vpr_aesvc.projections.data import TrainingData


def data(rows=400, dim=24, seed=0, views=False):
    """Embeddings with a falling spectrum; views move the first four directions most."""
    random = np.random.default_rng(seed)
    rows_of = random.standard_normal((rows, dim)) * np.linspace(2, 0.1, dim) + 0.5
    if not views:
        return TrainingData.of(rows_of)
    change = random.standard_normal((rows, dim)) * np.where(np.arange(dim) < 4, 3.0, 0.05)
    return TrainingData.of(rows_of, rows_of + change, np.arange(rows))


def test_pure_whitening_meets_the_constraints():
    sample = data()
    terms = constraint_terms(sample, linear.whitening(sample, isotropic=0))
    assert max(terms.values()) < 1e-4, terms
    assert constraint_terms(sample, linear.pca(sample))["variance"] > 0.5


def test_whitening_narrows_the_cosines_toward_one_over_d():
    sample = data()
    before = cosine_sample(sample.embeddings).var()
    after = cosine_sample(linear.whitening(sample, isotropic=0)(sample.embeddings)).var()
    assert after < before
    assert after == pytest.approx(1 / 24, rel=0.15)


def test_shrinkage_leaves_less_variance_where_there_was_less():
    sample = data()
    latent = linear.whitening(sample, isotropic=0.5).raw(sample.embeddings)
    variance = latent.var(0)
    assert (np.diff(variance) < 1e-3).all() and variance[0] < 1 and variance[-1] < 0.2


def test_directions_that_views_move_come_late():
    sample = data(views=True)
    plain, robust = linear.whitening(sample, 0.05), linear.whitening(sample, 0.05, view=1.0)
    moved = [np.square(p.linear[:4, :8]).sum() / np.square(p.linear[:, :8]).sum() for p in (plain, robust)]
    assert moved[1] < moved[0] / 3


def test_the_rotated_raw_embedding_keeps_every_cosine():
    sample = data()
    rotated = linear.rotated_identity(sample)(sample.embeddings)
    assert np.allclose(rotated @ rotated.T, sample.embeddings @ sample.embeddings.T, atol=1e-5)


def test_pca_equals_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    sample = data()
    theirs = decomposition.PCA(8).fit(sample.embeddings)
    ours = linear.pca(sample).first(8).raw(sample.embeddings)
    assert np.allclose(np.abs(ours), np.abs(theirs.transform(sample.embeddings)), atol=1e-4)


def test_fewer_images_than_dimensions():
    sample = data(rows=15, dim=40)
    projection = linear.whitening(sample, 0.1)
    assert projection.dim_out == 40 and np.isfinite(projection(sample.embeddings)).all()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.eye(9), "at least 10 images, found 9"),
        (np.ones((20, 5)), "all images have the same embedding"),
        (np.tile(np.eye(4), (10, 1)), "at least 10 different images, found 4 among 40"),
        (np.full((20, 5), np.nan), "not finite"),
    ],
)
def test_data_that_cannot_be_fitted_on(rows, words):
    with pytest.raises(VprError, match=words):
        TrainingData.of(rows)


def hidden_projection(seed, mean, dim=6, size=4, hidden=5):
    random = np.random.default_rng(seed)
    shapes = (dim, size), (dim, hidden), (hidden,), (hidden, size)
    return Projection(mean, *(random.standard_normal(shape).astype(np.float32) for shape in shapes))


def test_rotating_and_truncating_projections():
    one = hidden_projection(1, np.full(6, 0.1, np.float32))
    rows = np.random.default_rng(0).standard_normal((9, 6))
    rotation = np.linalg.qr(np.random.default_rng(3).standard_normal((4, 4)))[0].astype(np.float32)
    assert np.allclose(one.rotated(rotation).raw(rows), one.raw(rows) @ rotation, atol=1e-5)
    assert np.allclose(one.first(2)(rows), unit(one.raw(rows)[:, :2]), atol=1e-6)


def test_saving_and_damage(tmp_path):
    projection = hidden_projection(0, np.zeros(6, np.float32))
    path = tmp_path / "p.safetensors"
    projection.save(path)
    rows = np.random.default_rng(0).standard_normal((3, 6))
    assert np.array_equal(Projection.load(path)(rows), projection(rows))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(VprError, match="missing or damaged"):
        Projection.load(path)
    with pytest.raises(VprError, match="missing or damaged"):
        Projection.load(tmp_path / "none")
