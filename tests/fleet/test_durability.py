"""A server that is killed under four writers, and readers beside writers: no acknowledged place is lost, missed or found twice."""

import multiprocessing
import os
import signal
import time
from collections import Counter

import numpy as np

from tests.fleet.maps import new_fleet_map, new_url
from tests.placemap.places import META, drive, new_map, unit_rows
from vpr_aesvc.errors import VprError
from vpr_aesvc.fleet import open_fleet_map
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.types import Frame

WRITERS = 4
KILLS = int(os.environ.get("VPR_TEST_KILLS", "3"))  # of the server, and as many of writers
PULLS = int(os.environ.get("VPR_TEST_PULLS", "30"))
_CONTEXT = multiprocessing.get_context("spawn")


def _write(url, writer, acknowledged):
    """Adds two places at a time until it is killed; goes on when the server is back."""
    rows, count = unit_rows(2, seed=writer), 0
    with open_fleet_map(url) as fleet, acknowledged.open("a") as file:
        while True:
            labels = [f"{writer}/{count}", f"{writer}/{count + 1}"]
            try:
                fleet.add([Frame(label, sequence=f"w{writer}") for label in labels], rows)
            except VprError as error:
                assert "cannot be reached" in str(error), error
                time.sleep(0.05)
            else:
                file.write("".join(f"{label}\n" for label in labels))
                file.flush()
            count += 2


def test_no_acknowledged_place_is_lost_when_the_server_and_writers_are_killed(postgres, tmp_path):
    url = new_url(postgres)
    new_fleet_map(url).close()
    writers, seconds = [], []

    def start(number):
        one = _CONTEXT.Process(target=_write, args=(url, number, tmp_path / f"{number}.txt"))
        one.start()
        writers.append(one)

    def count(number):
        path = tmp_path / f"{number}.txt"
        return len(path.read_text().splitlines()) if path.exists() else 0

    try:
        for number in range(WRITERS):
            start(number)
        for kill in range(KILLS):
            before = [count(number) for number in range(len(writers))]
            end = time.monotonic() + 60
            while any(count(at) <= before[at] for at in range(kill, kill + WRITERS)):  # all are at work again
                assert time.monotonic() < end and all(one.is_alive() for one in writers[kill:])
                time.sleep(0.05)
            postgres.stop(signal.SIGKILL)
            killed = time.monotonic()
            postgres.start()
            with open_fleet_map(url) as fleet:
                assert len(fleet) > 0
            seconds.append(time.monotonic() - killed)
            writers[kill].kill()
            start(WRITERS + kill)
    finally:
        [one.kill() for one in writers]
        [one.join(60) for one in writers]
    known = [label for path in tmp_path.glob("*.txt") for label in path.read_text().split("\n")[:-1]]
    with open_fleet_map(url) as fleet:
        stored = Counter(place.label for place in fleet.places().values())
        assert len(fleet) == stored.total()  # the count of the log and the places agree
    lost = [label for label in known if label not in stored]
    print(f"{len(known)} acknowledged, {len(lost)} lost, back after at most {max(seconds):.1f} s")
    assert len(known) > 20 and not lost and set(stored.values()) == {1}
    halves = Counter(label.split("/")[0] + "/" + str(int(label.split("/")[1]) // 2) for label in stored)
    assert set(halves.values()) == {2}  # a transaction is there whole or not at all


def _push(url, path, robot, stop):
    from vpr_aesvc.fleet.push import fleet_map_for, push

    count = 0
    with PlaceMap.open(path) as mine, fleet_map_for(url, mine) as fleet:
        while not stop.is_set():
            mine.add(drive(7, f"drive-{count // 10}"), unit_rows(7, seed=count))
            push(mine, fleet, robot, "map")
            count += 1


def test_two_robots_push_while_a_third_pulls(postgres, tmp_path):
    from vpr_aesvc.fleet.pull import pull

    url, stop = new_url(postgres), _CONTEXT.Event()
    paths = [tmp_path / "r1.vprmap", tmp_path / "r2.vprmap"]
    [new_map(path).close() for path in paths]
    new_fleet_map(url).close()
    robots = [_CONTEXT.Process(target=_push, args=(url, path, path.stem, stop)) for path in paths]
    [one.start() for one in robots]
    added = pulls = some = 0
    with open_fleet_map(url) as fleet, PlaceMap.create_like(tmp_path / "here.vprmap", META) as here:
        try:
            while pulls < PULLS or some < 10:  # pulls that brought something
                new = pull(fleet, here).added
                added, pulls, some = added + new, pulls + 1, some + (new > 0)
                assert all(one.is_alive() for one in robots)
        finally:
            stop.set()
            [one.join() for one in robots]
        added += pull(fleet, here).added
        assert all(one.exitcode == 0 for one in robots)
        pushed = {f"{path.stem}/{at}" for path in paths for at in _ids(path)}
        found = Counter(place.extra["fleet_id"] for place in here.places().values())
        print(f"{pulls} pulls, {some} of them brought something, {len(pushed)} places")
        assert added == len(here) == len(fleet) == len(pushed) and set(found.values()) == {1}
        with fleet.arrays() as arrays:
            assert np.array_equal(arrays.ids, sorted(fleet.places()))


def _ids(path):
    with PlaceMap.open(path) as place_map:
        return list(place_map.places())
