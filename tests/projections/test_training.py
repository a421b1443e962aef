"""The trained projections, on synthetic embeddings and on real ones."""

import numpy as np
import pytest

from vpr_aesvc.errors import VprError
from vpr_aesvc.inputs import open_input
from vpr_aesvc.projections import linear, ss2d, stages
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.fit import default_sizes, fit
from vpr_aesvc.projections.selection import hold_out, smallest_size
from vpr_aesvc.types import Frame

pytest.importorskip("torch")


def clustered(rows=300, dim=48, seed=0):
    """Two rows for each place, with noise that is larger in the first six dimensions."""
    random = np.random.default_rng(seed)
    spectrum = np.linspace(1, 0.05, dim)
    places = random.standard_normal((rows // 2, dim)) * spectrum
    noise = np.where(np.arange(dim) < 6, 0.8, 0.05)
    every = np.repeat(places, 2, axis=0) + random.standard_normal((rows, dim)) * noise + 1
    views = every + random.standard_normal(every.shape) * noise
    frames = [Frame(str(i), sequence=f"place {i // 2}", index=i % 2) for i in range(rows)]
    return TrainingData.of(every, views, np.arange(rows)), frames


def test_the_rotation_keeps_full_size_cosines_and_improves_prefixes():
    data, _ = clustered()
    teacher = linear.whitening(data, 0.1, 1.0)
    (turned,) = ss2d.train_rotation(data, teacher, [8, 16, 32], (0.1, 1.0), 0)
    one, other = teacher(data.embeddings), turned(data.embeddings)
    assert np.allclose(one @ one.T, other @ other.T, atol=1e-4)
    target = one @ one.T

    def error(rows):
        short = unit(rows[:, :8])
        return np.square(short @ short.T - target).mean()

    assert not np.allclose(one[:, :8], other[:, :8], atol=1e-2)
    assert error(other) < error(one) * 1.05


def test_sizes_beyond_what_a_rotation_mixes():
    """Only large sizes are requested: a rotation has no prefix to improve, and training still succeeds."""
    random = np.random.default_rng(0)
    data = TrainingData.of(random.standard_normal((320, 300)))
    teacher = linear.whitening(data)
    assert ss2d.train_rotation(data, teacher, [80, 300], (0.1, 0.0), 0) == [teacher]
    frames = [Frame(str(i), sequence=f"{i // 2}", index=i % 2) for i in range(320)]
    assert fit(data, frames, [80], "rotation").sizes == (80, 300)


def test_a_rotation_keeps_all_cosines_from_64_numbers_on():
    data, _ = clustered(rows=300, dim=100)
    teacher = linear.whitening(data, 1.0, 3.0)
    first, last = ss2d.train_rotation(data, teacher, [8, 16, 64, 100], (1.0, 3.0), 0, stops=(0.0, 1.0))
    assert first is teacher
    for size in (64, 100):
        one, other = (unit(form(data.embeddings)[:, :size]) for form in (teacher, last))
        assert np.allclose(one @ one.T, other @ other.T, atol=1e-4)
    assert not np.allclose(teacher(data.embeddings)[:, :16], last(data.embeddings)[:, :16], atol=1e-2)


def test_a_requested_rotation_that_does_not_help_is_the_latent_and_says_so():
    data, frames = clustered(rows=60)
    found, latent = (fit(data, frames, [8, 16], method) for method in ("rotation", "aesvc"))
    assert np.array_equal(found.projection.linear, latent.projection.linear)
    assert "so it is the AE-SVC latent" in found.why


def test_same_seed_same_bytes():
    data, frames = clustered(rows=60)
    runs = [fit(data, frames, [8, 16], "auto", seed=3) for _ in range(2)]
    for one, other in zip(*(run.projection.tensors().values() for run in runs), strict=True):
        assert one.tobytes() == other.tobytes()
    assert runs[0].scores == runs[1].scores and runs[0].method == runs[1].method


def test_a_projection_that_harms_is_not_used():
    """Places on an arc differ from their mean in length alone, which every projection of centered rows loses."""
    random = np.random.default_rng(0)
    arc = np.stack([3 * np.ones(80), np.linspace(-1, 1, 80)], 1)
    data = TrainingData.of(np.concatenate([arc, 0.015 * random.standard_normal((80, 14))], 1))
    found = fit(data, [Frame(str(i), sequence="s", index=i) for i in range(80)])
    assert found.method == "raw" and "worse than the raw embedding at" in found.why
    rows = found.projection(data.embeddings)
    assert np.allclose(rows @ rows.T, data.embeddings @ data.embeddings.T, atol=1e-5)


def eight_of_32():
    """Two rows for each place, which differ in eight dimensions; 24 weak ones say nothing."""
    random = np.random.default_rng(0)
    places = np.repeat(random.standard_normal((100, 8)), 2, 0) + 0.3 * random.standard_normal((200, 8))
    rows = np.concatenate([places, 0.02 * random.standard_normal((200, 24))], 1)
    return TrainingData.of(rows), [Frame(str(i), sequence=f"place {i // 2}", index=i % 2) for i in range(200)]


def test_shrunk_more_where_the_choice_harms_a_size(monkeypatch):
    monkeypatch.setattr(stages, "_choose_shrinkage", lambda *_: (0.001, 0.0))  # whitening brings up the weak dimensions
    isotropic, _ = stages.Stages(*eight_of_32(), (8, 32)).shrinkage
    assert isotropic in (0.003, 0.01, 0.03, 0.1)


def test_harmed_sizes():
    data, frames = eight_of_32()
    held = hold_out(data, frames, 0)
    raw = linear.rotated_identity(held.data)
    last_first = raw.rotated(np.eye(32, dtype=np.float32)[::-1])
    assert held.harmed_sizes(last_first, raw, [8, 16, 32]) == [8, 16]
    assert held.harmed_sizes(raw, last_first, [8, 16, 32]) == []


def test_held_out_frames_are_not_fitted_on():
    data, frames = clustered(rows=100)
    held = hold_out(data, frames, 0)
    assert "that must find their neighbors" in held.kind
    assert len(held.queries) == 40 and held.positives.shape == (40, 80)  # twenty frames and a view of each
    fitted = {row.tobytes() for part in (held.data.embeddings, held.data.views) for row in part}
    assert not fitted & {row.tobytes() for row in held.queries}
    unlabeled = hold_out(data, [Frame(str(i)) for i in range(100)], 0)
    assert "20 held-out frames, augmented views of which" in unlabeled.kind
    assert unlabeled.positives.sum(1).min() == 1 and len(unlabeled.data.views) == 80


def test_where_few_rows_have_views_those_are_held_out():
    every, _ = clustered(rows=200)
    chosen = np.arange(0, 200, 5)
    data = TrainingData.of(every.embeddings, every.views[chosen], chosen)
    held = hold_out(data, [Frame(str(i)) for i in range(200)], 0)
    assert len(held.queries) == 8 and held.positives.any(1).all()


def test_reciprocal_rank_by_hand():
    data, frames = clustered(rows=100)
    held = hold_out(data, frames, 0)
    ranks = held.reciprocal_ranks(linear.rotated_identity(data), [48])
    cosines = held.queries @ held.database.T
    assert len(ranks) == 20  # the mean of a frame's and its view's: they are not independent

    def one(row):
        order = np.argsort(-cosines[row])
        return 1 / (1 + np.flatnonzero(held.positives[row][order])[0])

    for at in (0, 5, 11):
        assert ranks[at] == pytest.approx((one(at) + one(20 + at)) / 2)


def test_the_smallest_size_that_held_out_frames_show_to_do():
    """Its loss against the best is at most .01, with two standard errors to spare; few frames show nothing."""
    hard = np.tile([1.0, 0.0], 50)[:, None]  # every second frame is found at no size
    lost = np.zeros((100, 1))
    lost[:10, 0] = 1 / 2
    ranks = np.hstack([hard * 0.5, hard - lost * hard, hard, hard])
    assert smallest_size(ranks) == 2
    assert smallest_size(ranks[10:]) == 1  # without the frames that lose there
    assert smallest_size(ranks[10:69]) is None
    almost = np.hstack([hard, hard])
    almost[0, 0] = 0.5  # one frame of 100: mean .005, two standard errors .01
    assert smallest_size(almost) == 1


def test_the_fit_recommends_a_size():
    data, frames = clustered(rows=300, dim=48)
    found = fit(data, frames, [8, 16, 32])
    scores = found.size_scores
    assert tuple(scores) == found.sizes and found.recommended_size in found.sizes
    assert scores[found.recommended_size] >= max(scores.values()) - 0.01
    few = fit(*clustered(rows=60), [8, 16])  # 12 held-out frames
    assert few.recommended_size is None and len(few.size_scores) == 3
    asked = fit(data, frames, [8], "aesvc")
    assert asked.recommended_size is None and asked.size_scores == {}


def test_too_few_to_hold_out_any():
    random = np.random.default_rng(0)
    data = TrainingData.of(random.standard_normal((12, 30)))
    found = fit(data, [Frame(str(i)) for i in range(12)])
    assert (
        found.method == "aesvc" and "12 images are too few to hold any out" in found.why and found.sizes == (8, 16, 30)
    )
    assert (found.isotropic, found.view) == (2, 10)


def test_nothing_says_which_images_show_the_same_place():
    random = np.random.default_rng(0)
    data = TrainingData.of(random.standard_normal((60, 30)))
    found = fit(data, [Frame(str(i)) for i in range(60)])
    assert found.method == "aesvc" and "too few images have neighbors" in found.why
    assert "the shrinkage is the one that is best on other maps" in found.why


def test_sizes_and_methods_out_of_range():
    data, frames = clustered(rows=60)
    with pytest.raises(
        VprError, match="size 500 is too large for 60 images of these embeddings; choose sizes up to 48"
    ):
        fit(data, frames, [500])
    with pytest.raises(VprError, match="method 'magic' is not known"):
        fit(data, frames, method="magic")
    assert default_sizes(192) == (8, 16, 32, 64, 128, 192)


@pytest.mark.slow
def test_real_images_mobilenet(mobilenet, ie_tower):
    """Recall on real images: whitening against raw, and a trained rotation against PCA at small sizes."""
    from vpr_aesvc.backbones import open_backbone
    from vpr_aesvc.datasets.positives import positives
    from vpr_aesvc.evaluation.metrics import recall
    from vpr_aesvc.extraction import extract
    from vpr_aesvc.placemap.index import SizedIndex

    inputs = open_input(ie_tower)
    backbone = open_backbone(str(mobilenet))
    database = extract(backbone, inputs.split("database").frames, views=1)
    queries = extract(backbone, inputs.split("query").frames)
    right = positives(queries.frames, database.frames)
    data = TrainingData.of(database.embeddings, database.views, database.view_rows)

    def recall_at_1(projection, size):
        ranked = SizedIndex(projection(database.embeddings)).search(projection(queries.embeddings), 10, size)[1]
        return recall(ranked, right).at[1]

    assert abs(recall_at_1(linear.rotated_identity(data), 576) - 0.415) <= 0.02
    white = linear.whitening(data, 0.1, 1.0)
    assert recall_at_1(white, 576) >= 0.53
    (turned,) = ss2d.train_rotation(data, white, default_sizes(576), (0.1, 1.0), 0)
    assert (
        abs(recall_at_1(turned, 576) - recall_at_1(white, 576)) <= 0.008
    )  # the same cosines but for rounding: two queries
    for size, pca in ((16, 0.268), (32, 0.347), (64, 0.396)):  # PCA's figures on this data
        assert recall_at_1(turned, size) >= pca + 0.02, size
