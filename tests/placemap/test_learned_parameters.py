"""Parameters that recognition stores in a map."""

import sqlite3

import pytest

from tests.placemap.places import drive, new_map, unit_rows
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.repair import check_map
from vpr_aesvc.types import Pose

VALUE = {"places": 4, "worth": {"scale": 0.25, "name": "Müller"}}


def test_values_are_stored_replaced_and_deleted_when_places_change(tmp_path):
    path = tmp_path / "m.vprmap"
    with new_map(path, drive(4)) as place_map:
        assert place_map.learned_parameters("null") is None
        place_map.store_learned_parameters("null", [1])
        place_map.store_learned_parameters("null", VALUE)
    with PlaceMap.open(path) as place_map:
        assert place_map.learned_parameters("null") == VALUE and place_map.learned_parameters("other") is None
        place_map.add(drive(1, "tuesday"), unit_rows(1, seed=1))
        assert place_map.learned_parameters("null") == VALUE  # the reader knows how many places it was fitted to
        place_map.set_poses({2: Pose(9.0, 9.0)})
        assert place_map.learned_parameters("null") is None
        place_map.store_learned_parameters("null", VALUE)
        place_map.remove([1])
        assert place_map.learned_parameters("null") is None
        with pytest.raises(ValueError):
            place_map.store_learned_parameters("null", float("nan"))
        assert place_map.learned_parameters("null") is None


def test_damage_is_detected(tmp_path):
    path = tmp_path / "m.vprmap"
    with new_map(path, drive(4)) as place_map:
        place_map.store_learned_parameters("null", VALUE)
    assert not check_map(path).problems
    with sqlite3.connect(path) as db:
        db.execute("UPDATE learned SET value = replace(value, '0.25', '0.35')")
    db.close()
    assert check_map(path).problems == ["the learned parameters 'null' do not match their checksum"]
    with PlaceMap.open(path) as place_map, pytest.raises(VprError, match="learned parameters 'null'"):
        place_map.learned_parameters("null")
