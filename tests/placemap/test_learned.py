"""What recognition keeps with a map."""

import sqlite3

import numpy as np
import pytest

from tests.placemap.places import drive, new_map, unit_rows
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.check import check_map
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.types import Pose

VALUE = {"places": 4, "worth": {"scale": 0.25, "name": "Müller"}}


def test_it_is_kept_replaced_and_forgotten_when_places_change(tmp_path):
    path = tmp_path / "m.vprmap"
    with new_map(path, drive(4)) as place_map:
        assert place_map.learned("null") is None
        place_map.learn("null", [1])
        place_map.learn("null", VALUE)
    with PlaceMap.open(path) as place_map:
        assert place_map.learned("null") == VALUE and place_map.learned("other") is None
        place_map.add(drive(1, "tuesday"), unit_rows(1, seed=1))
        assert place_map.learned("null") == VALUE  # what reads it knows how many places it was learned from
        place_map.set_poses({2: Pose(9.0, 9.0)})
        assert place_map.learned("null") is None
        place_map.learn("null", VALUE)
        place_map.remove([1])
        assert place_map.learned("null") is None
        with pytest.raises(ValueError):
            place_map.learn("null", float("nan"))
        assert place_map.learned("null") is None


def test_damage_is_noticed(tmp_path):
    path = tmp_path / "m.vprmap"
    with new_map(path, drive(4)) as place_map:
        place_map.learn("null", VALUE)
    assert not check_map(path).problems
    with sqlite3.connect(path) as db:
        db.execute("UPDATE learned SET value = replace(value, '0.25', '0.35')")
    db.close()
    assert check_map(path).problems == ["what was learned as 'null' does not match its checksum"]
    with PlaceMap.open(path) as place_map, pytest.raises(VprError, match="learned as 'null'"):
        place_map.learned("null")


def test_similarities_of_places_that_are_left_out(tmp_path):
    rows = unit_rows(6)
    with new_map(tmp_path / "m.vprmap", drive(6), rows) as place_map:
        place_map.remove([2])
        ids, found = place_map.similarities(rows[0], where=Where(recent_places=2))
        assert ids.tolist() == [1, 3, 4, 5, 6]
        assert np.isneginf(found[0]).tolist() == [False, False, False, True, True]
        assert found[0, 0] == pytest.approx(1, abs=1e-3)
