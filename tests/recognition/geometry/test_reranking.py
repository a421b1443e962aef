import numpy as np
import pytest

from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.recognition.geometry.local_features import detect_keypoints
from vpr_aesvc.recognition.geometry.verification import MIN_INLIERS, Geometry, geometric_verdict, rerank, verify


def result(inliers, keypoints=300):
    return Geometry(inliers, inliers + 10, keypoints, why=f"{inliers} inliers")


@pytest.mark.parametrize(
    ("candidates", "order"),
    [
        ([result(20), result(50), result(5)], [1, 0, 2]),  # supported ones by inliers
        ([result(5), result(11), result(0)], [0, 1, 2]),  # fewer inliers than chance gives change no order
        ([result(9, 10), result(12, 12)], [1, 0]),  # supported with few key points
        ([result(30), result(30)], [0, 1]),  # equal: the more similar
        ([], []),
    ],
)
def test_order(candidates, order):
    assert rerank(candidates) == order


@pytest.mark.parametrize(
    ("candidate", "verdict"),
    [
        (result(12), "supported"),
        (result(12, 12), "supported"),
        (result(11), "unsupported"),
        (result(0, 75), "unsupported"),
        (result(11, 74), "cannot tell"),
        (result(0, 0), "cannot tell"),
    ],
)
def test_verdict(candidate, verdict):
    assert geometric_verdict(candidate) == verdict


def test_chance_stays_below_the_least_inliers(ie_tower, corridor_loop):
    here = [detect_keypoints(read_image(f.path), "orb") for f in open_input(ie_tower).frames[::60]]
    there = [detect_keypoints(read_image(f.path), "orb") for f in open_input(corridor_loop).frames[::8]]
    counts = [verify(one, other).inliers for one in here for other in there]
    assert len(counts) > 250 and np.mean(np.array(counts) >= MIN_INLIERS) < 0.01


@pytest.fixture(scope="module")
def corridor(loop_folder, encoder):
    """Key points, centered embeddings, and which frames are the database's."""
    inputs = open_input(loop_folder)
    images = [read_image(frame.path) for frame in inputs.frames]
    backbone = open_backbone(str(encoder))
    rows = np.vstack([backbone.embed(images[at : at + 16]) for at in range(0, len(images), 16)])
    database = np.array([frame.split == "database" for frame in inputs.frames])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    rows -= rows[database].mean(axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return inputs, [detect_keypoints(image, "orb") for image in images], rows, database


def test_fewer_wrong_matches_at_equal_recall(corridor_loop, mobilenet, corridor):
    inputs, keypoints, rows, database = corridor
    asked, stored = np.flatnonzero(~database), np.flatnonzero(database)
    right = positives(*(inputs.split(name).frames for name in ("query", "database"))).table(len(stored))
    similarity = rows[asked] @ rows[stored].T
    plain, checked = [], []
    for query, cosines, ok in zip(asked, similarity, right, strict=True):
        top = np.argsort(-cosines)[:5]
        found = [verify(keypoints[query], keypoints[stored[at]]) for at in top]
        first = rerank(found)[0]
        plain.append((cosines[top[0]], ok[top[0]]))
        checked.append((found[first].inliers, ok[top[first]]))

    def wrong_at(scored, recall):
        hits = np.array([good for _, good in sorted(scored, key=lambda one: -one[0])])
        at = np.searchsorted(np.cumsum(hits), np.ceil(recall * len(hits)))
        return int((~hits[: at + 1]).sum())

    for recall in (0.5, 0.7, 0.9):
        assert wrong_at(plain, recall) >= 1 and wrong_at(checked, recall) <= wrong_at(plain, recall) / 2
