"""One file, several processes: a reader sees what a writer adds, removes and moves; a map is safe in several threads."""

import multiprocessing
import threading

import numpy as np
import pytest

from tests.placemap.places import drive, new_map, unit_rows
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap, sqlite_errors
from vpr_aesvc.placemap.repair import check_map
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.types import Pose

ROWS = unit_rows(40)


def _write(path, todo, done):
    with PlaceMap.open(path) as place_map:
        while (what := todo.get()) is not None:
            kind, value = what
            if kind == "add":
                place_map.add(drive(1, "other"), ROWS[value : value + 1])
            elif kind == "remove":
                place_map.remove([value])
            elif kind == "move":
                place_map.set_poses({value: Pose(100, 0)})
            done.put(kind)


def test_a_reader_keeps_up_with_a_writer_in_another_process(tmp_path):
    path = tmp_path / "m.vprmap"
    with new_map(path, drive(20), ROWS[:20]) as reader:
        context = multiprocessing.get_context("spawn")
        todo, done = context.Queue(), context.Queue()
        writer = context.Process(target=_write, args=(path, todo, done))
        writer.start()

        def tell(*what):
            todo.put(what)
            assert done.get(timeout=60) == what[0]

        assert reader.search(ROWS[30], 1)[0].place.id <= 20
        tell("add", 30)
        assert reader.search(ROWS[30], 1)[0].place.id == 21 and len(reader) == 21
        assert reader.add(drive(1, "mine"), ROWS[31:32]) == [22]
        tell("add", 32)
        assert [reader.search(ROWS[i], 1)[0].place.id for i in (30, 31, 32)] == [21, 22, 23]
        tell("remove", 21)
        assert reader.search(ROWS[30], 1)[0].place.id != 21
        tell("move", 5)
        near = reader.search(ROWS[4], 9, where=Where(pose=Pose(101, 0), within=5))
        assert [match.place.id for match in near] == [5] and near[0].place.pose == Pose(100, 0)
        reader.remove([22])  # the reader writes too, on top of what the other did
        assert len(reader.search(ROWS[0], 99)) == len(reader) == 21
        todo.put(None)
        writer.join(60)
        assert not check_map(path).problems


def test_a_second_writer_waits_and_then_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_errors, "BUSY_SECONDS", 0.2)
    with new_map(tmp_path / "m.vprmap", drive(3)) as one, PlaceMap.open(one.path) as other:
        with one._writing():
            assert len(other.search(ROWS[0], 9)) == 3  # reading does not wait
            with pytest.raises(VprError, match="another process has been writing"):
                other.add(drive(1), ROWS[:1])
        assert other.add(drive(1), ROWS[:1]) == [4]


def test_threads_share_a_map(tmp_path):
    with new_map(tmp_path / "m.vprmap", drive(5), ROWS[:5]) as place_map:
        failures = []

        def work(offset):
            try:
                for i in range(offset, 40, 4):
                    [place] = place_map.add(drive(1), ROWS[i : i + 1])
                    found = place_map.search(ROWS[i], 2)
                    assert place in {match.place.id for match in found}
            except BaseException as error:  # a thread's exception would be lost
                failures.append(error)

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures and len(place_map) == 45
        assert np.array_equal(place_map.descriptors()[0], np.arange(1, 46))
