"""Which answers the page calls wrong, and where it draws the frames."""

import numpy as np
import pytest

from tests.placemap.places import drive, new_map
from vpr_aesvc.types import Frame, Pose
from vpr_aesvc.view.places import DrawnPlaces
from vpr_aesvc.view.truth import find_truth


@pytest.fixture
def places(tmp_path):
    """40 places, two meters apart along x."""
    with new_map(tmp_path / "a.vprmap", drive(40, step=2.0)) as place_map:
        yield DrawnPlaces.of(place_map)


def test_the_distance_tells_within_the_scale_of_the_run(places):
    frames = [Frame("", pose=Pose(2.0 * at, 0.5)) for at in range(40)] + [Frame("without a pose")]
    best = np.array([*range(39), 0, 5])
    truth = find_truth(places, frames, best, np.ones(41, bool))
    assert truth.words == "right within 1 m"  # of a run of 78 m
    assert truth.right[:39].all() and truth.right[39] == 0 and np.isnan(truth.right[40])
    assert truth.error[0] == 0.5 and truth.error[39] > 78 and np.isnan(truth.xy[40]).all()
    wide = [Frame("", pose=Pose(20.0 * at, 0.0)) for at in range(40)]
    assert find_truth(places, wide, best[:40], np.zeros(40, bool)).words == "right within 25 m"


def test_a_run_from_another_origin_is_moved_and_one_far_away_is_not_judged(places):
    turned = [Frame("", pose=Pose(7.0, 2.0 * at - 11.0)) for at in range(40)]
    best = np.arange(40)
    best[30] = 3
    truth = find_truth(places, turned, best, np.ones(40, bool))
    assert "the run was moved" in truth.words and truth.right.sum() == 39 and truth.right[30] == 0
    assert np.abs(truth.xy[:, 1]).max() < 0.1 and np.abs(truth.xy[:, 0] - 2.0 * np.arange(40)).max() < 0.1
    away = [Frame("", pose=Pose(2.0 * at, 500.0)) for at in range(40)]
    truth = find_truth(places, away, best, np.zeros(40, bool))
    assert truth.words.startswith("not judged: the run's poses are 500 m") and np.isnan(truth.right).all()


def test_without_poses_the_index_tells_or_nothing(tmp_path):
    stored = [
        Frame(f"{at}", sequence=name, index=at, extra={"index": str(at)}) for name in ("a", "b") for at in range(10)
    ]
    with new_map(tmp_path / "b.vprmap", stored) as place_map:
        drawn = DrawnPlaces.of(place_map)
    assert drawn.xy[3].tolist() == [3, 0] and drawn.xy[14].tolist() == [4, -drawn.spacing] and 2 < drawn.spacing < 3
    frames, none = [Frame("", sequence="b", index=at) for at in range(10)], np.zeros(10, bool)
    truth = find_truth(drawn, frames, np.array([*range(10, 19), 4]), none)
    assert truth.words == "right within 3 frames of the same sequence" and truth.right.tolist() == [1] * 9 + [0]
    assert truth.xy[5][1] == pytest.approx(-0.7 * drawn.spacing)  # above the line of its sequence
    blind = find_truth(drawn, [Frame("")] * 10, np.arange(10), none)
    assert (
        blind.words.startswith("not judged") and (blind.xy[:, 1] == drawn.spacing).all() and np.isnan(blind.right).all()
    )
