"""AE-SVC and its students as in the paper: from a random start, on the embeddings alone."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from vpr_aesvc.projections import linear, paper, ss2d
from vpr_aesvc.projections.aesvc import constraint_terms
from vpr_aesvc.projections.artifact import Projection, unit
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.fit import fit
from vpr_aesvc.projections.paper import ASSUMED, TEACHER_SIZE, Paper, standardized, train_autoencoder
from vpr_aesvc.types import Frame

torch = pytest.importorskip("torch")


def embeddings(rows=120, dim=16, seed=0):
    """With a mean and a falling spectrum, as those of foundation models."""
    random = np.random.default_rng(seed)
    return (random.standard_normal((rows, dim)) * np.linspace(1, 0.1, dim) + 1).astype(np.float32)


def frames(count):
    return [Frame(str(i), sequence=f"place {i // 2}", index=i % 2) for i in range(count)]


@pytest.fixture(scope="module", autouse=True)
def short_training():
    """Enough steps for so few numbers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper, "STEPS", 2000)
        patch.setattr(paper, "STUDENT_STEPS", 200)
        yield


@pytest.fixture(scope="module")
def fitted(short_training):
    return Paper(TrainingData.of(embeddings()), (4, 8, 16), 0, lambda stage: None)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_each_constraint_is_met_better_after_training_than_before(layers):
    data = standardized(TrainingData.of(embeddings()))
    found = {}

    def latent(steps):
        encoder = train_autoencoder(data, 16, 0, layers, steps, watch=lambda step, terms: found.update({step: terms}))
        with torch.inference_mode():
            return encoder(torch.from_numpy(data.embeddings - data.embeddings.mean(0))).numpy()

    def correlation(rows):
        return np.abs(np.corrcoef(rows.T) - np.eye(16)).mean()

    before, after = latent(1), latent(1000)
    assert correlation(after) < 0.7 * correlation(before)
    for name in ("variance", "reconstruction"):
        assert found[1000][name] < 0.3 * found[1][name], name
    assert found[1000]["mean"] < 0.03 and np.abs(after.mean(0)).mean() < 0.15
    assert np.abs(after.var(0) - 1).mean() < 0.3 * np.abs(before.var(0) - 1).mean()


def test_one_layer_becomes_a_projection_that_meets_the_constraints(fitted):
    latent = fitted.aesvc.raw(fitted.data.embeddings)
    assert np.abs(latent.mean(0)).max() < 0.1
    assert np.abs(np.cov(latent.T) - np.eye(16)).max() < 0.15
    before, after = (constraint_terms(fitted.data, one) for one in (linear.pca(fitted.data), fitted.aesvc))
    assert after["variance"] < 0.01 * before["variance"] and after["reconstruction"] < 1e-3


def test_views_have_no_influence(fitted):
    random = np.random.default_rng(1)
    rows = embeddings(60)
    viewed = TrainingData.of(rows, rows + random.standard_normal(rows.shape), np.arange(60))
    trained = [Paper(data, (8,), 0, lambda stage: None).vae(8) for data in (viewed, TrainingData.of(rows))]
    assert trained[0].linear.tobytes() == trained[1].linear.tobytes()


def test_a_student_serves_the_sizes_up_to_that_of_the_teacher(fitted):
    assert Paper(fitted.data, (8, 128, 512, 576), 0, lambda stage: None).student_sizes == (8, 128, TEACHER_SIZE)
    student = fitted.student(fitted.student_sizes)
    assert (student.dim_in, student.dim_out) == (16, 16)
    teacher, own = (one(fitted.data.embeddings) for one in (fitted.teacher, student))
    target = softmax(teacher @ teacher.T / 0.5, 1)

    def divergence(rows, size):
        short = unit(rows[:, :size])
        return -(target * log_softmax(short @ short.T / 0.5, 1)).sum(1).mean()

    for size in (4, 8):  # closer to the teacher than the first numbers of a latent without order
        assert divergence(own, size) < divergence(teacher, size), size


def test_a_student_for_one_size_is_ssd(fitted):
    assert fitted.student([4]).dim_out == 4 and fitted.vae(4).dim_out == 4


def losses(teacher, rows, sizes, equal):
    """Gradient of the first step with respect to a linear student, by size of the steps taken."""
    weights = torch.eye(rows.shape[1]).requires_grad_()
    batch = torch.from_numpy(rows - teacher.mean)
    steps = ss2d.distill(
        lambda x: x @ weights, [weights], [(batch, batch)], teacher, sizes, learning_rate=0.0, steps=1, equal=equal
    )
    assert list(steps) == [1]
    return weights.grad.numpy().copy()


def test_equal_weights_add_the_sizes_and_the_others_favor_small_ones():
    rows = unit(embeddings(50, 16))
    teacher = Projection.of(rows.mean(0), np.linalg.qr(np.random.default_rng(0).standard_normal((16, 16)))[0])
    small, large = (losses(teacher, rows, [size], True) for size in (4, 16))
    assert np.allclose(losses(teacher, rows, [4, 16], True), small + large, atol=1e-5)
    assert np.allclose(losses(teacher, rows, [4, 16], False), 4 * small + large, atol=1e-5)
    assert np.abs(small).max() > 1e-3


def test_fit_stores_both_and_needs_no_shrinkage():
    data = TrainingData.of(embeddings(80, 24))
    latent = fit(data, frames(80), method="aesvc-paper")
    assert (latent.method, latent.sizes, latent.isotropic) == ("aesvc-paper", (8, 16, 24), 0.0)
    assert latent.terms["after"]["variance"] < latent.terms["before"]["variance"]
    student = fit(data, frames(80), [8], method="ss2d-paper")
    assert student.sizes == (8, 24) and student.projection.dim_out == 24


def test_more_numbers_than_images():
    data = TrainingData.of(embeddings(20, 48))
    projection = Paper(data, (8, 19), 0, lambda stage: None).aesvc
    assert (projection.dim_in, projection.dim_out) == (48, 19)
    latent = projection.raw(data.embeddings)
    assert np.abs(latent.mean(0)).max() < 0.1 and np.abs(latent.var(0) - 1).max() < 0.1


def test_what_is_assumed_is_said():
    text = " ".join(ASSUMED.values())
    assert all(words in text for words in ("temperature", "learning rate", "hidden layer", "steps"))
