"""Exact answers on small tracks, where the motion model alone decides."""

import numpy as np
import pytest

from vpr_aesvc.errors import VprError
from vpr_aesvc.recognition.sequence.bayes_filter import SequenceFilter, SequenceSettings, best_place
from vpr_aesvc.recognition.sequence.forward_backward import smooth
from vpr_aesvc.recognition.sequence.likelihood import (
    DEFAULT_LIKELIHOOD,
    SimilarityLikelihood,
    learn_similarity_likelihood,
)
from vpr_aesvc.recognition.sequence.motion_model import MODES
from vpr_aesvc.recognition.sequence.place_track import PlaceTrack
from vpr_aesvc.types import Odometry

N = 60
SURE = SequenceSettings(carried_rate=1e-9, found_rate=1e-9, change_rate=0)


def log_ratios(*rows, places=N, ratio=200.0):
    """Log likelihood ratios in which ``rows`` are more likely than the others by ``ratio``."""
    row = np.full(places, -np.log(10))
    row[list(rows)] = np.log(ratio)
    return row


class Given(SimilarityLikelihood):
    """Takes the similarities as the log likelihood ratios themselves."""

    def __call__(self, similarities, places):
        return np.pad(np.asarray(similarities, float), (0, places - len(similarities)), constant_values=-np.inf)


GIVEN = Given(1.0, 0.5, change=1e-9)  # all frames are independent


def follower(track, settings=None):
    return SequenceFilter(track, settings, GIVEN)


def nothing(places=N):
    return np.zeros(places)


def straight(count=N, step=1.0, turned_back=False):
    """Poses along x, ``step`` meters apart, looking along it; or out and back along the same line."""
    poses = np.zeros((count, 7))
    poses[:, 6] = 1
    poses[:, 0] = np.arange(count) * step
    if turned_back:
        poses[:, 0] = np.minimum(poses[:, 0], poses[::-1, 0])
    return poses


def test_standing_still_leaves_the_belief_where_it_is():
    steady = follower(PlaceTrack([0] * N, straight()), SURE)
    first = steady.step(log_ratios(20), odometry=Odometry(0))
    for _ in range(50):
        last = steady.step(nothing(), odometry=Odometry(0))
    assert last.row == 20 and last.places == pytest.approx(first.places, abs=1e-6)


@pytest.mark.parametrize("forward", [2.0, -2.0])
def test_odometry_moves_by_its_distance_either_way_along_the_traverse(forward):
    """The direction is not known yet: two meters are two places along the traverse, with the prior of the modes, or two back."""
    track = PlaceTrack([0] * N, straight())
    moving = follower(track, SURE.model_copy(update={"odometry_error": 0.0}))
    moving.step(log_ratios(30, ratio=1e9))
    places = moving.step(nothing(), odometry=Odometry(forward)).places
    along = 32 if forward > 0 else 28
    share = MODES[0] + MODES[2] * MODES[0] / MODES[:2].sum()
    assert places[along] / places.sum() == pytest.approx(share, abs=0.025)  # distances are rounded to 5 %
    assert places[[27, 28, 29, 31, 32, 33]].sum() == pytest.approx(places.sum(), abs=1e-6)


def test_the_direction_is_kept_and_reversing_goes_back():
    """Against the order of the traverse, then in reverse: belief of the two frames before tells the direction."""
    moving = follower(PlaceTrack([0] * N, straight()), SURE)
    for row in (40, 39, 38, 37):
        moving.step(log_ratios(row), odometry=Odometry(1))
    on = moving.step(nothing(), odometry=Odometry(3))
    assert on.row == 34 and on.probability > 0.95
    back = moving.step(nothing(), odometry=Odometry(-4))
    assert back.row == 38 and back.probability > 0.9


def test_a_turn_distinguishes_a_corner_from_a_straight_line():
    """Two equal places; only one lies before a corner of 90 degrees."""
    poses = straight()
    poses[31:, 5], poses[31:, 6] = np.sin(np.pi / 4), np.cos(np.pi / 4)
    poses[31:, 0], poses[31:, 1] = 30, np.arange(1, N - 30)
    moving = follower(PlaceTrack([0] * N, poses), SURE)
    moving.step(log_ratios(10, 30))
    turned = moving.step(nothing(), odometry=Odometry(1, turn=np.pi / 2))
    assert turned.row == 31 and turned.places[28:34].sum() > 10 * turned.places[8:14].sum()


def test_belief_passes_to_the_traverse_that_returns_through_the_same_place():
    """Out and back: the same places on two traverses."""
    track = PlaceTrack([0] * 30 + [1] * 30, straight(step=6.0, turned_back=True))
    assert track.cells[10] == track.cells[49]
    belief = follower(track, SURE)
    belief.step(log_ratios(10, ratio=1e9))
    after = belief.step(nothing(), odometry=Odometry(0)).places
    assert after[49] > 0.04 and after[10] > 0.9 and after[[10, 49]].sum() == pytest.approx(after.sum(), abs=1e-3)


def test_both_passes_of_a_place_count_as_one_answer():
    track = PlaceTrack([0] * 30 + [1] * 30, straight(step=6.0, turned_back=True))
    answer = follower(track).step(log_ratios(10, 49, ratio=1e6))
    assert answer.row in (10, 49) and answer.probability > 0.95


def test_a_longer_gap_spreads_belief_as_the_speed_allows():
    stamps = np.arange(200.0)
    spread = {}
    for gap in (1.0, 20.0):
        moving = follower(PlaceTrack([0] * 200, stamps=stamps), SURE)
        moving.step(log_ratios(100, places=200, ratio=1e9), stamp=1000.0)
        places = moving.step(nothing(200), stamp=1000.0 + gap).places
        ahead = places[101:] / places[101:].sum()
        rows = np.flatnonzero(ahead > 1e-3) + 1
        spread[gap] = rows.min(), rows.max(), places[100]
    assert spread[1.0][1] <= 3
    low, high, still = spread[20.0]
    assert low == pytest.approx(10, abs=2) and high == pytest.approx(30, abs=2)
    assert still == pytest.approx(MODES[2], abs=0.01)  # it may have stood still


def test_frames_without_map_stamps_that_come_late_pass_more_places():
    moving = follower(PlaceTrack([0] * N), SURE)
    for at, row in enumerate((10, 11, 12, 13)):
        moving.step(log_ratios(row), stamp=float(at))
    assert moving.step(nothing(), stamp=13.0).places[19:30].sum() > 0.7  # ten intervals: 5 to 15 places


def test_a_clock_that_jumps_back_starts_a_new_sequence():
    moving = follower(PlaceTrack([0] * N, stamps=np.arange(N)))
    for at in range(5):
        assert moving.step(log_ratios(20 + at), stamp=100.0 + at).message is None
    answer = moving.step(nothing(), stamp=97.5)
    assert answer.message == "the clock jumped back by 6.5 s: a new sequence begins"
    assert answer.places == pytest.approx(np.full(N, 0.5 / N)) and answer.lost == pytest.approx(0.5)
    assert moving.step(nothing(), stamp=98.0).message is None


def test_the_reason_of_a_reset_is_reported_once():
    moving = follower(PlaceTrack([0] * N))
    moving.step(log_ratios(20))
    moving.reset("a new map was loaded")
    assert moving.step(nothing()).message == "a new map was loaded"
    assert moving.step(nothing()).message is None


def test_after_a_kidnapping_the_new_place_is_soon_accepted_and_the_old_one_is_not():
    moving = follower(PlaceTrack([0] * N))
    for row in range(10, 16):
        before = moving.step(log_ratios(row))
    assert before.accepted and before.row == 15
    after = [(row, moving.step(log_ratios(row))) for row in range(45, 50)]
    assert not after[0][1].accepted  # one frame does not outweigh six
    assert all(abs(answer.row - row) <= 3 for row, answer in after if answer.accepted)
    assert after[-1][1].accepted and after[-1][1].row == 49


def test_leaving_the_map_is_noticed():
    moving = follower(PlaceTrack([0] * N))
    for row in range(10, 16):
        moving.step(log_ratios(row))
    for _ in range(6):
        answer = moving.step(log_ratios())
    assert answer.lost > 0.9 and not answer.accepted


def test_places_beyond_the_row_and_with_minus_infinity_are_excluded():
    moving = follower(PlaceTrack([0] * N))
    row = log_ratios(20, 50)[:40]
    row[20] = -np.inf
    answer = moving.step(row)
    assert answer.places[20] == 0 and not answer.places[40:].any() and answer.places[:20].all()


def test_a_map_that_grows_from_nothing():
    moving = follower(PlaceTrack([]))
    assert moving.step(np.empty(0)).row is None
    for at in range(30):
        moving.track.append([0], stamps=np.array([float(at)]))
        answer = moving.step(log_ratios(at, places=at + 1), stamp=float(at))
    assert len(moving.track) == 30 and answer.row == 29 and answer.accepted
    whole = PlaceTrack([0] * 30, stamps=np.arange(30.0))
    assert moving.track.grid("seconds").centers == pytest.approx(whole.grid("seconds").centers)


def test_repeated_frames_are_not_independent():
    """The same uninformative frame thirty times: the belief stays close to that after the first."""
    random = np.random.default_rng(3)
    row = random.normal(0, 0.1, 200).astype(np.float32)
    still = SequenceFilter(PlaceTrack([0] * 200), SURE, DEFAULT_LIKELIHOOD)
    probabilities = [still.step(row).probability for _ in range(30)]
    assert max(probabilities) < 2.5 * probabilities[0] < 0.5


def test_a_frame_that_cannot_be_used_changes_nothing():
    moving = SequenceFilter(PlaceTrack([0] * N))
    random = np.random.default_rng(0)
    before = moving.step(random.normal(size=N)).places
    for bad, words in (
        (np.full(N, np.nan), "not a finite number"),
        (np.zeros(N + 1), "at most 60 similarities"),
    ):
        with pytest.raises(VprError, match=words):
            moving.step(bad)
    with pytest.raises(VprError, match="stamp of a frame must be a finite"):
        moving.step(np.zeros(N), stamp=float("nan"))
    with pytest.raises(VprError, match="odometry must be finite"):
        moving.step(np.zeros(N), odometry=Odometry(float("inf")))
    assert moving._belief.sum(0) == pytest.approx(before)


def test_tracks_of_wrong_shapes():
    with pytest.raises(VprError, match=r"poses of shape \(3, 3\) or \(3, 7\), found \(3, 2\)"):
        PlaceTrack([0] * 3, np.zeros((3, 2)))
    with pytest.raises(VprError, match="expected 3 stamps"):
        PlaceTrack([0] * 3, stamps=np.zeros(2))


def test_belief_never_crosses_into_the_next_traverse():
    track = PlaceTrack(["monday"] * 10 + ["tuesday"] * 10)
    belief = np.zeros(20)
    belief[8] = 1
    moved = track.grid("places").propagate(belief, 0.0, 4.0)
    assert not moved[10:].any() and 0 < moved.sum() < 1  # the rest has left the traverse
    inside = np.zeros(20)
    inside[3] = 1
    assert track.grid("places").propagate(inside, 0.0, 4.0).sum() == pytest.approx(1)


def test_places_where_the_drive_stood_still_take_no_distance():
    """A hundred places at one point count as one."""
    x = np.concatenate([np.arange(10.0), np.full(100, 10.0), np.arange(11.0, 21.0)])
    poses = np.stack([x, 0 * x, 0 * x], 1)
    grid = PlaceTrack([0] * len(x), poses).grid("meters")
    belief = np.zeros(len(x))
    belief[8] = 1
    moved = grid.propagate(belief, 5.0, 5.0)
    assert (moved * grid.centers).sum() / moved.sum() == pytest.approx(grid.centers[8] + 5, abs=0.2)


def brute_force(track, settings, rows):
    """Forward-backward with the transition as a matrix, made row by row from single states."""
    run = SequenceFilter(track, settings, GIVEN)
    steps = []
    for row in rows:
        steps.append(run.predict(None, None))
        run.update(run.observe(row))
    n = len(track)
    weights = np.array([np.append(np.tile(np.exp(row), 3), 1.0) for row in rows])
    matrix = np.zeros((3 * n + 1, 3 * n + 1))
    for state in range(3 * n + 1):
        belief = np.zeros(3 * n + 1)
        belief[state] = 1
        moved, lost = steps[1].propagate(belief[:-1].reshape(3, n), belief[-1])
        matrix[state] = np.append(moved.ravel(), lost)
    assert matrix.sum(1) == pytest.approx(1)
    prior = np.append(np.repeat(MODES, n) * 0.5 / n, 0.5)
    forward, backward = [prior * weights[0]], [np.ones(3 * n + 1)]
    for weight in weights[1:]:
        forward.append(forward[-1] @ matrix * weight)
    for weight in weights[:0:-1]:
        backward.insert(0, matrix @ (weight * backward[0]))
    joint = np.array(forward) * np.array(backward)
    joint /= joint.sum(1, keepdims=True)
    return joint[:, :-1].reshape(len(rows), 3, n).sum(1), joint[:, -1]


def test_smoothing_equals_brute_force():
    random = np.random.default_rng(5)
    track = PlaceTrack(["a"] * 12 + ["b"] * 9)
    settings = SequenceSettings(carried_rate=0.05, speed_low=0.3, speed_high=2.2)
    rows = random.normal(0, 1.5, (9, 21))
    places, lost = brute_force(track, settings, rows)
    beliefs = smooth(rows, track, settings, GIVEN)
    assert np.array([one.places for one in beliefs]) == pytest.approx(places, abs=1e-4)
    assert np.array([one.lost for one in beliefs]) == pytest.approx(lost, abs=1e-4)


def test_smoothing_is_cut_where_the_clock_jumps_back():
    rows = np.array([log_ratios(row) for row in (10, 11, 12, 40, 41, 42)])
    stamps = [0.0, 1, 2, 0, 1, 2]
    track = PlaceTrack([0] * N)
    beliefs = smooth(rows, track, likelihood=GIVEN, stamps=stamps)
    alone = smooth(rows[3:], track, likelihood=GIVEN, stamps=stamps[3:])
    for one, other in zip(beliefs[3:], alone, strict=True):
        assert one.places == pytest.approx(other.places, abs=1e-6)
    assert [bool(one.message) for one in beliefs] == [False, False, False, True, False, False]
    with pytest.raises(VprError, match="expected stamps for 6 frames, found 2"):
        smooth(rows, track, likelihood=GIVEN, stamps=[0.0, 1.0])
    with pytest.raises(VprError, match="no places"):
        smooth(rows[:, :0], PlaceTrack([]), likelihood=GIVEN)


@pytest.mark.parametrize("places", [31, 5000])
@pytest.mark.parametrize("kind", ["drawn", "steps", "half equal"])
def test_the_likelihood_is_that_of_the_formula(places, kind):
    """Of float32 similarities, as the recognizer has them."""
    row = np.random.default_rng(places).normal(0.2, 0.1, places)
    if kind == "steps":
        row = row.round(1)
    elif kind == "half equal":
        row[::2] = row.max()
    row = row.astype(np.float32)
    center = np.sort(row)[places // 2]
    spread = 1.4826 * np.sort(np.abs(row - center))[places // 2]
    score = 2.0 * np.minimum((row - center) / max(spread, 1e-9), 12) - 1.5
    score -= 0.9 * np.maximum(score - np.log(places), 0)
    found = SimilarityLikelihood(sharpness=2.0, offset=1.5, change=0.75)(row, places)
    assert np.allclose(found, np.log(0.95 * np.exp(score) + 0.05), atol=1e-4)


def test_the_likelihood_is_learned_from_neighbors():
    """Distinct neighbors give a sharp likelihood, a map of noise a blunt one. A ratio hardly exceeds the number of places."""
    random = np.random.default_rng(0)
    walk = np.cumsum(random.standard_normal((300, 64)), 0)
    walk -= np.stack([walk[max(0, at - 15) : at + 15].mean(0) for at in range(300)])
    smooth_map = walk / np.linalg.norm(walk, axis=1, keepdims=True)
    noise = random.standard_normal((300, 64))
    sharp, blunt = (learn_similarity_likelihood(rows, [0] * 300) for rows in (smooth_map, noise))
    assert sharp.sharpness > blunt.sharpness == pytest.approx(0.7)
    assert blunt.change > sharp.change
    assert np.exp(sharp(smooth_map @ smooth_map[9], 300)).max() < 300**1.5
    assert learn_similarity_likelihood(noise[:15], [0] * 15) == DEFAULT_LIKELIHOOD
    assert np.array_equal(DEFAULT_LIKELIHOOD(np.arange(15.0), 15), np.zeros(15))


def test_a_wide_range_is_most_likely_in_its_middle():
    """A move of 10 to 30 places is the sum of two halves; ``expected`` is the adjoint of ``propagate``."""
    grid = PlaceTrack([0] * 200).places_grid()
    start = np.zeros(200)
    start[100] = 1
    moved = grid.propagate(start, 10, 30)
    assert moved.argmax() == 120 and moved.sum() == pytest.approx(1) and not moved[:109].any() and not moved[132:].any()
    assert moved[115] == pytest.approx(moved[120] / 2, rel=0.1) and moved[115] == pytest.approx(moved[125])
    values = np.random.default_rng(0).random(200)
    for low, high in ((10, 30), (1, 1), (0.5, 1.5), (-30, -10)):
        assert values @ grid.propagate(start, low, high) == pytest.approx(start @ grid.expected(values, low, high))


def test_a_flat_belief_is_answered_by_its_middle_and_a_peak_by_the_peak():
    track = PlaceTrack([0] * N)
    flat = np.zeros(N)
    flat[20:27] = 1 / 7
    assert best_place(flat, track, 3)[0] == 23
    peaked = np.full(N, 0.001)
    peaked[[23, 30]] = 0.5, 0.3
    assert best_place(peaked, track, 3)[0] == 23
