"""A fleet's map whose search Milvus helps: the answers are those of PostgreSQL alone."""

import signal
import warnings

import numpy as np
import pytest

from benchmarks.milvus_server import MilvusServer, missing
from tests.command import refused, vpr
from tests.fleet.maps import new_fleet_map, new_url
from tests.placemap.places import drive, unit_rows
from vpr_aesvc.errors import VprError
from vpr_aesvc.fleet.fleet_map import FleetMap
from vpr_aesvc.placemap.where import Where

if missing():
    pytest.skip(missing(), allow_module_level=True)

COUNT = 6000  # enough for an index of its own


@pytest.fixture(scope="module")
def milvus():
    with MilvusServer() as server:
        yield server


@pytest.fixture
def filled(postgres, milvus):
    """A map that Milvus has, and its address."""
    url = new_url(postgres, index=milvus.address)
    with new_fleet_map(url, drive(COUNT)) as fleet:
        assert fleet.index().update() == COUNT
        yield fleet, url


def labels(found):
    return [[match.place.label for match in one] for one in found]


def test_the_answers_are_those_of_postgresql_alone(filled):
    fleet, _ = filled
    queries = unit_rows(100, seed=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it would say that PostgreSQL searches alone
        found = fleet.search(queries, k=5)
    exact = fleet.search(queries, k=5, exact=True)
    assert np.mean([one[0] == other[0] for one, other in zip(labels(found), labels(exact), strict=True)]) >= 0.99
    assert found[0][0].similarity == pytest.approx(exact[0][0].similarity, abs=1e-6)
    near = Where(without_traverses=("monday",))
    assert labels(fleet.search(queries[:3], k=5, where=near)) == [[], [], []]


def test_what_is_new_or_removed_counts_at_once(filled):
    fleet, url = filled
    assert fleet.index().update() == 0
    rows = unit_rows(50, seed=9)
    fleet.add(drive(50, "tuesday"), rows)
    assert labels(fleet.search(rows[7:8], k=1)) == [["tuesday/7.jpg"]]  # Milvus lacks it
    fleet.remove([fleet.search(rows[7], k=1)[0].place.id])
    assert labels(fleet.search(rows[7:8], k=1)) != [["tuesday/7.jpg"]]
    done = vpr("fleet", "index", url)
    assert done.returncode == 0 and "sent 49 places to milvus://" in done.stdout, done.stdout + done.stderr
    with FleetMap.open(url) as again:
        assert labels(again.search(rows[8:9], k=1)) == [["tuesday/8.jpg"]]
        again.remove([again.search(rows[8], k=1)[0].place.id])
        assert again.index().update() == 0
        assert labels(again.search(rows[8:9], k=1)) != [["tuesday/8.jpg"]]


def test_without_the_server_postgresql_answers_and_says_so(postgres, milvus):
    url = new_url(postgres, index="milvus://127.0.0.1:9")
    rows = unit_rows(COUNT)
    with new_fleet_map(url, drive(COUNT)) as fleet:
        with pytest.warns(UserWarning, match=r"milvus://127.0.0.1:9: cannot be used .*; PostgreSQL searches alone"):
            assert labels(fleet.search(rows[3:4], k=1)) == [["monday/3.jpg"]]
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # said once, not for each search
            assert labels(fleet.search(rows[4:5], k=1)) == [["monday/4.jpg"]]
        refused(vpr("fleet", "index", url), "cannot be used")
    empty = new_url(postgres, index=milvus.address)
    with (
        new_fleet_map(empty, drive(100)) as fleet,
        pytest.warns(UserWarning, match="does not have this map yet; `vpr fleet index` brings it there"),
    ):
        assert labels(fleet.search(rows[3:4], k=1)) == [["monday/3.jpg"]]
    with pytest.raises(VprError, match="expected index=milvus://HOST:PORT"):
        FleetMap.open(new_url(postgres, index="http://a:1"))


def test_many_removed_places_take_no_room_among_the_candidates(filled):
    fleet, _ = filled
    query = unit_rows(1, seed=11)[0]
    nearest = [match.place.id for match in fleet.search(query, k=200, exact=True)]
    fleet.remove(nearest[:150])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fleet.search(query, k=1)[0].place.id == fleet.search(query, k=1, exact=True)[0].place.id == nearest[150]


def test_a_database_that_was_restored_and_a_second_indexer_are_noticed(filled):
    fleet, url = filled
    rows = unit_rows(3, seed=13)
    fleet.add(drive(3, "restored"), rows)
    with (
        fleet.connection.transaction() as db
    ):  # transactions count from the start again: the horizon lies in the future
        db.execute("UPDATE vpr.indexes SET horizon = '9000000000000' WHERE map = %s", [fleet.map_id])
    with pytest.warns(UserWarning, match="was filled before the database was restored"):
        assert labels(fleet.search(rows[:1], k=1)) == [["restored/0.jpg"]]
    with FleetMap.open(url) as again:
        assert again.index().update() == COUNT + 3
        assert labels(again.search(rows[1:2], k=1)) == [["restored/1.jpg"]]

        def another(_done, _of):
            with again.connection.transaction() as db:
                db.execute("UPDATE vpr.indexes SET collection = 'another' WHERE map = %s", [again.map_id])

        again.add(drive(2, "late"), unit_rows(2, seed=14))
        with pytest.raises(VprError, match="another `vpr fleet index` has filled this map anew"):
            again.index().update(another)


def test_while_the_server_hangs_postgresql_answers_and_says_so(filled, milvus):
    fleet, _ = filled
    rows = unit_rows(COUNT)
    assert labels(fleet.search(rows[3:4], k=1)) == [["monday/3.jpg"]]
    milvus.signal(signal.SIGSTOP)
    try:
        with pytest.warns(UserWarning, match=r"cannot be used \(Deadline Exceeded\); PostgreSQL searches alone"):
            assert labels(fleet.search(rows[4:5], k=1)) == [["monday/4.jpg"]]
    finally:
        milvus.signal(signal.SIGCONT)
