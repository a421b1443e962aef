"""The filter on real laps of a robot, with descriptors of a real encoder."""

import numpy as np
import pytest

from benchmarks.seqslam import seqslam
from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.extraction import extract
from vpr_aesvc.inputs import open_input
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.linear import whitening
from vpr_aesvc.recognition.sequence.bayes_filter import SequenceFilter
from vpr_aesvc.recognition.sequence.forward_backward import smooth
from vpr_aesvc.recognition.sequence.likelihood import learn_similarity_likelihood
from vpr_aesvc.recognition.sequence.place_track import PlaceTrack


@pytest.fixture(scope="module")
def laps(loop_folder, encoder):
    """Frames, descriptors of all, and how many are lap 1. The projection is fitted on lap 1."""
    frames = open_input(loop_folder).frames
    embeddings = extract(open_backbone(str(encoder)), frames).embeddings
    first = sum(frame.split == "database" for frame in frames)
    return frames, whitening(TrainingData.of(embeddings[:first]), 2.0)(embeddings), first


def parts(laps):
    frames, described, first = laps
    right = positives(frames[first:], frames[:first]).table(first)
    return described[first:] @ described[:first].T, right, learn_similarity_likelihood(described[:first], [0] * first)


def test_later_laps_are_found_in_the_first(laps):
    similarities, right, likelihood = parts(laps)
    follower = SequenceFilter(PlaceTrack([0] * right.shape[1]), likelihood=likelihood)
    beliefs = [follower.step(row) for row in similarities]
    hit = right[np.arange(len(right)), [belief.row for belief in beliefs]]
    accepted = np.array([belief.accepted for belief in beliefs])
    assert hit.mean() >= 0.95 and hit[accepted].all() and accepted.mean() > 0.75
    assert np.flatnonzero(accepted)[0] < 5
    beliefs = smooth(similarities, follower.track, likelihood=likelihood)
    smoothed = right[np.arange(len(right)), [belief.row for belief in beliefs]]
    sure = np.array([belief.probability >= 0.95 for belief in beliefs])
    assert smoothed.mean() >= 0.97 and smoothed[sure].all() and sure.mean() >= 0.9


def test_the_window_of_the_baseline_helps_a_single_frame(laps):
    similarities, right, _ = parts(laps)
    traverses = np.zeros(right.shape[1], np.int64)
    blurred = similarities + np.random.default_rng(0).normal(0, 0.25, similarities.shape)
    single = right[np.arange(len(right)), blurred.argmax(1)].mean()
    window = seqslam(blurred, traverses, length=5, about=None)
    assert right[np.arange(len(right)), window.argmax(1)].mean() > single
    one = seqslam(similarities, traverses, length=1, about=None)
    assert np.array_equal(one.argmax(1), similarities.argmax(1))  # a window of one frame is that frame


def test_twenty_places_on_in_the_middle_of_a_lap(laps):
    similarities, right, likelihood = parts(laps)
    order = [*range(12), *range(32, 44)]
    follower = SequenceFilter(PlaceTrack([0] * right.shape[1]), likelihood=likelihood)
    beliefs = [follower.step(similarities[at]) for at in order]
    hit = np.array([right[at, belief.row] for at, belief in zip(order, beliefs, strict=True)])
    accepted = np.array([belief.accepted for belief in beliefs])
    assert hit[12:17].any() and hit[accepted].all() and accepted[12:20].any()


def test_one_run_with_a_map_that_grows(laps):
    """The last 20 frames are excluded: from one filter's map, and from the other by a shorter row of similarities."""
    frames, described, _ = laps
    index = np.array([frame.index for frame in frames])
    growing, shorter = SequenceFilter(PlaceTrack([])), SequenceFilter(PlaceTrack([]))
    right = []
    for at, row in enumerate(described):
        known = max(at - 20, 0)
        if known > len(growing.track):
            growing.track.append([0])
        shorter.track.append([0])
        similarities = row @ described[:known].T
        belief, other = growing.step(similarities), shorter.step(similarities)
        assert not other.places[known:].any()
        if belief.accepted:
            right.append(abs(index[belief.row] - index[at]) <= 3)
            assert at >= 40
    assert all(right) and len(right) >= 20
