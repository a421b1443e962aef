"""The sparse belief of large maps against the belief of every place."""

import numpy as np
import pytest

from vpr_aesvc.recognition.row_sets import union, union_of_ranges, values_at
from vpr_aesvc.recognition.sequence import motion_model
from vpr_aesvc.recognition.sequence.bayes_filter import SequenceSettings, answer, best_place
from vpr_aesvc.recognition.sequence.motion_model import MODES, plan_step
from vpr_aesvc.recognition.sequence.place_track import PlaceTrack
from vpr_aesvc.recognition.sequence.sparse_belief import SparseBelief
from vpr_aesvc.types import Odometry

N = 400


@pytest.fixture(scope="module")
def track():
    """Two laps of a circle in four traverses of unequal steps, some places without a pose."""
    random = np.random.default_rng(0)
    angle = np.cumsum(random.uniform(0.5, 1.5, N)) * 4 * np.pi / N
    poses = np.zeros((N, 7))
    poses[:, 0], poses[:, 1] = 40 * np.cos(angle), 40 * np.sin(angle)
    poses[:, 5], poses[:, 6] = np.sin(angle / 2 + np.pi / 4), np.cos(angle / 2 + np.pi / 4)
    poses[::37] = np.nan
    return PlaceTrack(np.arange(N) // 100, poses, np.cumsum(random.uniform(0.8, 1.2, N)))


@pytest.mark.parametrize("unit", ["places", "seconds", "meters"])
@pytest.mark.parametrize("low, high", [(1, 1), (0.5, 1.5), (5, 15), (-15, -5), (0, 0), (150, 450)])
def test_belief_of_some_cells_moves_as_in_the_whole_grid(track, unit, low, high):
    grid = track.grid(unit)
    belief = np.zeros(N)
    belief[[0, 1, 50, 98, 99, 100, 203, 399]] = np.arange(1, 9)
    rows, amounts = grid.propagate_some(np.flatnonzero(belief), belief[belief > 0], low, high)
    assert np.all(np.diff(rows) > 0) and len(rows) < N
    moved = np.zeros(N)
    moved[rows] = amounts
    assert moved == pytest.approx(grid.propagate(belief, low, high), abs=1e-12)


def test_belief_of_some_places_passes_to_other_traverses_as_in_the_whole_map(track):
    revisits = track.revisits()
    belief = np.zeros(N)
    belief[[10, 11, 150, 300]] = 0.1, 0.2, 0.3, 0.4
    rows = union(np.flatnonzero(belief), revisits.others(np.flatnonzero(belief)))
    spread = np.zeros(N)
    spread[rows] = revisits.spread_some(rows, belief[rows])
    assert spread == pytest.approx(revisits.spread(belief), abs=1e-15)
    assert len(rows) > 5 and spread.sum() == pytest.approx(1)


@pytest.mark.parametrize("odometry", [None, Odometry(2.0, 0.0, 0.02), Odometry(-3.0, 0.0, 0.1), Odometry(0.0)])
@pytest.mark.parametrize("seconds", [None, 1.0, 8.0])
def test_a_step_of_a_sparse_belief_is_that_of_the_dense_one(track, odometry, seconds, monkeypatch):
    """Where only few places have belief, nothing is lost by leaving the others out."""
    monkeypatch.setattr(motion_model, "_LEAST_SWITCHED", 0.0)
    step = plan_step(track, SequenceSettings(), seconds, None, odometry)
    rows = np.array([20, 21, 22, 97, 180, 251])
    values = np.outer(MODES, [0.05, 0.4, 0.1, 0.05, 0.1, 0.1])
    dense = np.zeros((3, N))
    dense[:, rows] = values
    moved, lost = step.propagate(dense, 0.2)
    sparse = step.propagate_some(SparseBelief(rows, values, np.zeros(3), 0.2, N), np.arange(N))
    assert values_at(sparse.values, sparse.rows, np.arange(N), sparse.rest[:, None]) == pytest.approx(moved, abs=1e-12)
    assert sparse.lost == pytest.approx(lost, abs=1e-9)
    assert sparse.total() == pytest.approx(moved.sum())


def test_what_does_not_stand_out_is_added_to_the_rest(track):
    """An even belief with one peak: the sum stays, the peak moves, and the even part leaves the runs at their ends."""
    step = plan_step(track, SequenceSettings(), 1.0, None, None)
    even = np.tile(MODES[:, None] * 0.5 / N, N)
    even[:, 30] += MODES * 0.3
    belief = SparseBelief(np.arange(10, 60), even[:, 10:60], MODES * 0.5 / N, 0.2, N)
    sparse, (moved, lost) = step.propagate_some(belief, np.arange(N)), step.propagate(even, 0.2)
    assert belief.total() == pytest.approx(0.8) and sparse.total() + sparse.lost == pytest.approx(1)
    assert sparse.lost == pytest.approx(lost, abs=1e-3) and len(sparse.rows) < 20
    peak = np.arange(29, 34)
    assert values_at(sparse.values, sparse.rows, peak, sparse.rest[:, None]) == pytest.approx(moved[:, peak], abs=2e-4)


def test_numbers_of_a_sparse_belief_keep_their_sum():
    belief = SparseBelief(np.array([3, 7]), np.full((3, 2), 0.05), np.full(3, 0.01), 0.4, 12)
    wider, larger = belief.including(np.array([0, 7, 9])), belief.grown(30)
    assert wider.rows.tolist() == [0, 3, 7, 9] and wider.total() == pytest.approx(belief.total()) == larger.total()
    weighted = belief.weighted(np.array([2.0, 4.0]), 0.5)
    assert weighted.total() + weighted.lost == pytest.approx(1)
    assert weighted.values[0] / weighted.rest[0] == pytest.approx([20, 40])


def test_the_best_place_of_a_sparse_belief(track):
    random = np.random.default_rng(1)
    rows = np.sort(random.choice(N, 60, replace=False))
    dense = np.full(N, 1e-4)
    dense[rows] += random.random(60) / 60
    assert best_place(dense[rows], track, 3, rows, 1e-4)[0] == max(rows, key=lambda row: _window_sum(dense, track, row))
    one = answer(dense, 0.1, np.ones(N), np.zeros(N), track, SequenceSettings())
    near = track.near(one.row, 3)
    some = answer(dense[rows], 0.1, np.ones(60), np.zeros(60), track, SequenceSettings(), None, rows, 1e-4)
    assert some.at(near) == pytest.approx(dense[near]) and one.at(near) == pytest.approx(dense[near])


def _window_sum(belief, track, row):
    first, end = track.places_grid().neighbors(3)
    return belief[first[row] : end[row]].sum() + 0.1 * belief[row]


def test_places_within_five_meters_are_near(track):
    for row in (0, 99, 100, 222, 399):
        distance = np.linalg.norm(track.positions - track.positions[row], axis=1)
        along = (np.abs(np.arange(N) - row) <= 3) & (track.traverses == track.traverses[row])
        assert track.near(row, 3).tolist() == np.flatnonzero(along | (distance <= 5)).tolist()


def test_ranges_that_overlap_are_joined():
    found = union_of_ranges(np.array([2, 3, 3, 9]), np.array([5, 4, 6, 9]))
    assert found.tolist() == [2, 3, 4, 5, 6, 9]
    assert len(union_of_ranges(np.empty(0, np.int64), np.empty(0, np.int64))) == 0
