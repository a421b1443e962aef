import numpy as np
import pytest

from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.errors import VprError
from vpr_aesvc.export.fetch import fetch_encoder
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.recognition.patches.matching import match_patches
from vpr_aesvc.recognition.patches.projection import PatchProjection

GRID = (12, 14)


def noise(seed):
    return unit(np.random.default_rng(seed).standard_normal((12 * 14, 32)))


def moved(patches, down, right):
    """The patches of a picture whose content moved; other content comes in."""
    cells = noise(9).reshape(12, 14, 32).copy()
    cells[down:, right:] = patches.reshape(12, 14, 32)[: 12 - down, : 14 - right]
    return cells.reshape(-1, 32)


def test_the_same_picture_and_unrelated_ones():
    same, other = match_patches(noise(0), noise(0), GRID), match_patches(noise(0), noise(1), GRID)
    assert (same.mutual, same.near) == (168, 168) and same.score == pytest.approx(1)
    assert other.near < other.mutual < 120 and other.score < 0.1
    assert match_patches(np.zeros((168, 32), np.float32), noise(0), GRID).score == 0  # a blank picture


def test_what_moved_as_one_counts_and_what_is_scattered_does_not():
    panned = match_patches(moved(noise(0), 2, 5), noise(0), GRID)
    assert panned.near >= 10 * 9 and panned.score > 90 / 168
    scattered = np.random.default_rng(0).permutation(noise(0))
    found = match_patches(scattered, noise(0), GRID)
    assert found.mutual == 168 and found.near < 60 and found.score < panned.score


def test_right_places_score_higher_in_the_real_corridor(corridor_loop, mobilenet, tmp_path):
    pytest.importorskip("onnx")
    inputs, encoder = open_input(corridor_loop), fetch_encoder(str(mobilenet), tmp_path / "encoder")
    queries, places = (inputs.split(name).frames for name in ("query", "database"))
    asked, stored = (
        encoder.embed_with_patches([read_image(frame.path) for frame in part])[1] for part in (queries, places)
    )
    right = positives(queries, places, inputs.tolerance).table(len(places))
    projection = PatchProjection.learn(stored, encoder.patch_grid)
    rows = [projection.decode(projection.encode(patches)) for patches in stored]
    scores = np.array([[match_patches(projection(one), row, projection.grid).score for row in rows] for one in asked])
    assert right[np.arange(len(queries)), scores.argmax(1)].mean() > 0.9  # of all 40 places
    assert np.median(scores[right]) > 1.5 * np.median(scores[~right])


def test_the_projection_whitens_and_keeps_its_numbers_in_a_byte():
    random = np.random.default_rng(0)
    patches = (random.standard_normal((20, 6, 48)) * np.linspace(3, 0.1, 48) + 0.5).astype(np.float32)
    projection = PatchProjection.learn(patches, (2, 3))
    rows = np.concatenate([projection(one) for one in patches])
    assert rows.shape == (120, 32) and np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    spread = rows.std(0)
    assert spread.max() < 3 * spread.min()  # the components of the patches differ thirtyfold
    stored = projection.encode(patches[0])
    assert len(stored) == 6 * 32 and np.abs(projection.decode(stored) - projection(patches[0])).max() < 0.02
    with pytest.raises(VprError, match="use the map's model"):
        projection(patches[0][:, :40])
    with pytest.raises(VprError, match="found 191 bytes"):
        projection.decode(stored[:-1])
    narrow = PatchProjection.learn(patches[:, :, :8], (2, 3))
    assert narrow(patches[0][:, :8]).shape == (6, 8)
