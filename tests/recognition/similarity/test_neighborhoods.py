import numpy as np
import pytest

from vpr_aesvc.errors import VprError
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.recognition.similarity.neighborhoods import Neighborhoods


def walk(places, dim=32, seed=0, step=0.6):
    """Descriptors of a robot that drives on: neighbors are alike, others are not."""
    random = np.random.default_rng(seed)
    rows = [random.standard_normal(dim)]
    for _ in range(places - 1):
        rows.append((1 - step) * rows[-1] + np.sqrt(1 - (1 - step) ** 2) * random.standard_normal(dim))
    return unit(np.array(rows))


def test_the_score_is_the_ridge_length_within_the_span_of_the_neighbors():
    rows, frame = walk(60), walk(1, seed=9)[0]
    ((best, score),) = Neighborhoods(rows).best_places(rows @ frame, count=1)
    near = rows[max(best - 2, 0) : best + 3]
    similar = near @ frame
    expected = (
        np.sqrt(similar @ np.linalg.solve(near @ near.T + 0.2 * np.eye(len(near)), similar)) + 0.02 * rows[best] @ frame
    )
    assert score == pytest.approx(expected, abs=1e-5)


def test_a_frame_between_two_places_is_found_and_one_from_elsewhere_has_a_small_margin():
    rows = walk(200)
    places = Neighborhoods(rows)
    inside = places.margin(rows @ unit(rows[80] + rows[81]))
    outside = places.margin(rows @ walk(1, seed=5)[0])
    assert inside.row in (79, 80, 81, 82) and inside.value > 3 * outside.value
    assert inside.rival >= 0 and abs(inside.rival - inside.row) > places.separation


def test_neighbors_end_with_the_traverse():
    rows = walk(80)
    places = Neighborhoods(rows, ["a"] * 40 + ["b"] * 40)
    last = places.margin(rows @ rows[39])
    alone = Neighborhoods(rows[:40]).margin(rows[:40] @ rows[39])
    assert last.row == 39 and last.score == pytest.approx(alone.score, abs=1e-5)
    assert last.rival >= 40 or last.rival < 39 - places.separation


def test_an_excluded_place_is_not_found():
    rows = walk(120)
    similarities = rows @ rows[60]
    assert Neighborhoods(rows).margin(similarities).row == 60
    similarities[50:71] = -np.inf
    found = Neighborhoods(rows).margin(similarities)
    assert not 50 <= found.row < 71 and found.value < 1.5
    everything = Neighborhoods(rows).margin(np.full(120, -np.inf, np.float32))
    assert (everything.row, everything.rival, everything.value) == (-1, -1, 0.0)


def test_standing_still_is_one_place():
    random = np.random.default_rng(1)
    rows = walk(120)
    still = unit(rows[60] + 1e-3 * random.standard_normal((50, 32)).astype(np.float32))
    places = Neighborhoods(np.concatenate([rows[:60], still, rows[61:]]))
    assert len(places) == 169 and len(places.kept) == 120
    found = places.margin(np.concatenate([rows[:60], still, rows[61:]]) @ still[30])
    moving = Neighborhoods(rows).margin(rows @ still[30])
    assert 60 <= found.row < 110
    assert found.value == pytest.approx(moving.value, rel=0.1)


def test_slow_driving_is_not_standing_still():
    rows = np.linspace(walk(1)[0], walk(1, seed=1)[0], 200)
    kept = Neighborhoods(unit(rows)).kept
    assert 5 < len(kept) < 60 and np.ptp(np.diff(kept)) < 40


def test_a_place_driven_past_twice_is_its_own_rival_unless_positions_say_so():
    random = np.random.default_rng(2)
    lap = walk(100)
    again = unit(lap + 0.05 * random.standard_normal(lap.shape).astype(np.float32))
    rows, names = np.concatenate([lap, again]), ["a"] * 100 + ["b"] * 100
    where = np.tile(np.column_stack([np.arange(100) * 2.0, np.zeros(100)]), (2, 1))
    similarities = rows @ lap[50]
    without, known = Neighborhoods(rows, names), Neighborhoods(rows, names, where)
    assert without.margin(similarities).value < 0.4 < 1.2 < known.margin(similarities).value
    where[::7] = np.nan
    assert known.margin(similarities).row == Neighborhoods(rows, names, where).margin(similarities).row == 50


@pytest.mark.parametrize("count", range(12))
def test_no_map_is_too_small(count):
    rows = walk(40)[:count]
    found = Neighborhoods(rows.reshape(count, 32)).margin(np.full(count, 0.3, np.float32))
    assert np.isfinite(found.value) and (found.row < 0) == (count == 0)


def test_bad_input_is_refused():
    rows = walk(10)
    for given, words in (
        ((rows, ["a"]), "the traverse of each of 10"),
        ((rows, None, np.zeros((3, 2))), "position of"),
    ):
        with pytest.raises(VprError, match=words):
            Neighborhoods(*given)
    with pytest.raises(VprError, match="finite"):
        Neighborhoods(np.full((3, 4), np.nan))
    with pytest.raises(VprError, match="similarities to 10 places"):
        Neighborhoods(rows).margin(np.zeros(9))
    with pytest.raises(VprError, match="a similarity is NaN"):
        Neighborhoods(rows).margin(np.full(10, np.nan))
