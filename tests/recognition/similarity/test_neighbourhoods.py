import numpy as np
import pytest

from vpr_aesvc.errors import VprError
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.recognition.similarity.neighbourhoods import Neighbourhoods


def walk(places, dim=32, seed=0, step=0.6):
    """Descriptors of a robot that drives on: neighbours are alike, others are not."""
    random = np.random.default_rng(seed)
    rows = [random.standard_normal(dim)]
    for _ in range(places - 1):
        rows.append((1 - step) * rows[-1] + np.sqrt(1 - (1 - step) ** 2) * random.standard_normal(dim))
    return unit(np.array(rows))


def test_support_is_the_ridge_length_within_the_span_of_the_neighbours():
    rows, frame = walk(60), walk(1, seed=9)[0]
    ((best, support),) = Neighbourhoods(rows).peaks(rows @ frame, 1)
    near = rows[max(best - 2, 0) : best + 3]
    similar = near @ frame
    expected = (
        np.sqrt(similar @ np.linalg.solve(near @ near.T + 0.2 * np.eye(len(near)), similar)) + 0.02 * rows[best] @ frame
    )
    assert support == pytest.approx(expected, abs=1e-5)


def test_a_frame_between_two_places_is_found_and_one_from_elsewhere_is_not_believed():
    rows = walk(200)
    places = Neighbourhoods(rows)
    inside = places.evidence(rows @ unit(rows[80] + rows[81]))
    outside = places.evidence(rows @ walk(1, seed=5)[0])
    assert inside.row in (79, 80, 81, 82) and inside.value > 3 * outside.value
    assert inside.rival >= 0 and abs(inside.rival - inside.row) > places.apart


def test_neighbours_end_with_the_traverse():
    rows = walk(80)
    places = Neighbourhoods(rows, ["a"] * 40 + ["b"] * 40)
    last = places.evidence(rows @ rows[39])
    alone = Neighbourhoods(rows[:40]).evidence(rows[:40] @ rows[39])
    assert last.row == 39 and last.support == pytest.approx(alone.support, abs=1e-5)
    assert last.rival >= 40 or last.rival < 39 - places.apart


def test_a_hidden_place_is_not_found():
    rows = walk(120)
    similarities = rows @ rows[60]
    assert Neighbourhoods(rows).evidence(similarities).row == 60
    similarities[50:71] = -np.inf
    found = Neighbourhoods(rows).evidence(similarities)
    assert not 50 <= found.row < 71 and found.value < 1.5
    everything = Neighbourhoods(rows).evidence(np.full(120, -np.inf, np.float32))
    assert (everything.row, everything.rival, everything.value) == (-1, -1, 0.0)


def test_standing_still_is_one_place():
    random = np.random.default_rng(1)
    rows = walk(120)
    still = unit(rows[60] + 1e-3 * random.standard_normal((50, 32)).astype(np.float32))
    places = Neighbourhoods(np.concatenate([rows[:60], still, rows[61:]]))
    assert len(places) == 169 and len(places.kept) == 120
    found = places.evidence(np.concatenate([rows[:60], still, rows[61:]]) @ still[30])
    moving = Neighbourhoods(rows).evidence(rows @ still[30])
    assert 60 <= found.row < 110
    assert found.value == pytest.approx(moving.value, rel=0.1)


def test_slow_driving_is_not_standing_still():
    rows = np.linspace(walk(1)[0], walk(1, seed=1)[0], 200)
    kept = Neighbourhoods(unit(rows)).kept
    assert 5 < len(kept) < 60 and np.ptp(np.diff(kept)) < 40


def test_a_place_driven_past_twice_is_its_own_rival_unless_positions_say_so():
    random = np.random.default_rng(2)
    lap = walk(100)
    again = unit(lap + 0.05 * random.standard_normal(lap.shape).astype(np.float32))
    rows, names = np.concatenate([lap, again]), ["a"] * 100 + ["b"] * 100
    where = np.tile(np.column_stack([np.arange(100) * 2.0, np.zeros(100)]), (2, 1))
    similarities = rows @ lap[50]
    without, known = Neighbourhoods(rows, names), Neighbourhoods(rows, names, where)
    assert without.evidence(similarities).value < 0.4 < 1.2 < known.evidence(similarities).value
    where[::7] = np.nan
    assert known.evidence(similarities).row == Neighbourhoods(rows, names, where).evidence(similarities).row == 50


@pytest.mark.parametrize("count", range(12))
def test_no_map_is_too_small(count):
    rows = walk(40)[:count]
    found = Neighbourhoods(rows.reshape(count, 32)).evidence(np.full(count, 0.3, np.float32))
    assert np.isfinite(found.value) and (found.row < 0) == (count == 0)


def test_what_does_not_fit_is_refused():
    rows = walk(10)
    for given, words in (
        ((rows, ["a"]), "the traverse of each of 10"),
        ((rows, None, np.zeros((3, 2))), "position of"),
    ):
        with pytest.raises(VprError, match=words):
            Neighbourhoods(*given)
    with pytest.raises(VprError, match="finite"):
        Neighbourhoods(np.full((3, 4), np.nan))
    with pytest.raises(VprError, match="similarities to 10 places"):
        Neighbourhoods(rows).evidence(np.zeros(9))
    with pytest.raises(VprError, match="not a number"):
        Neighbourhoods(rows).evidence(np.full(10, np.nan))
