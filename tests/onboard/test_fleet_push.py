"""A robot maps while the server is there, away, and back: mapping never waits, and the fleet catches up."""

import time

import pytest

from tests.fleet.maps import new_url
from tests.placemap.places import drive, new_map, unit_rows
from vpr_aesvc.errors import VprError
from vpr_aesvc.fleet import open_fleet_map
from vpr_aesvc.onboard.fleet_push import FleetPush


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_fleet_catches_up_after_the_server_was_away(postgres, tmp_path):
    url, rows = new_url(postgres), unit_rows(40)
    with new_map(tmp_path / "m.vprmap") as mine:
        pushing = FleetPush(tmp_path / "m.vprmap", url, "r1", "r1/map", period=0.1)
        mine.add(drive(10), rows[:10])
        until(lambda: pushing.state == "all 10 places are pushed")
        postgres.stop()
        try:
            for at in range(10, 30):
                mine.add(drive(1, "tuesday"), rows[at : at + 1])
            until(lambda: "cannot be reached" in pushing.error)
            assert len(mine) == 30
        finally:
            postgres.start()
        mine.add(drive(10, "wednesday"), rows[30:])
        until(lambda: pushing.state == "all 40 places are pushed" and not pushing.error)
        with open_fleet_map(url) as fleet:
            assert len(fleet) == len(fleet.places()) == 40 and len(fleet.traverses()) == 3
        pushing.close()
        until(lambda: not pushing._thread.is_alive())


def test_an_address_that_is_none_is_refused_at_once(tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(VprError, match="names no map"):
        FleetPush(tmp_path / "m.vprmap", "postgresql://db/fleet", "r1", "map")
