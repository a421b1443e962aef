"""What would lose places or call a whole map damaged, found by trying."""

import shutil

import numpy as np
import pytest

from benchmarks import durability
from tests.placemap.places import drive, new_map, unit_rows
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.copies import backup
from vpr_aesvc.placemap.repair import check_map
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.types import Frame, Pose

ROWS = unit_rows(40)


@pytest.fixture
def killed(tmp_path):
    """A map whose writer was killed: its newest places are in the log beside it."""
    path = tmp_path / "w.vprmap"
    durability.kill_while_writing("ours", path, 0.3)
    assert path.with_name("w.vprmap-wal").stat().st_size
    return path


def test_a_new_map_does_not_take_over_the_log_of_one_that_was_removed(killed):
    killed.unlink()
    with new_map(killed, drive(3)) as place_map:
        assert len(place_map) == 3
    with PlaceMap.open(killed) as place_map:
        assert len(place_map.search(ROWS[0], 99)) == 3


def test_a_file_put_over_a_map_that_was_not_closed_is_refused_and_stays(killed, tmp_path):
    new_map(tmp_path / "small.vprmap", drive(3)).close()
    shutil.move(tmp_path / "small.vprmap", killed)
    with pytest.raises(VprError, match="is another map's"):
        PlaceMap.open(killed)
    killed.with_name("w.vprmap-wal").unlink()
    with PlaceMap.open(killed) as place_map:
        assert len(place_map) == 3


def test_a_backup_put_over_a_map_that_was_not_closed_is_refused(tmp_path):
    path = tmp_path / "w.vprmap"
    with new_map(path, drive(5)) as place_map:
        backup(place_map, tmp_path / "copy.vprmap")
    with PlaceMap.open(path) as writer:
        writer.add(drive(5, "later"), ROWS[:5])
        shutil.copy(path.with_name("w.vprmap-wal"), tmp_path / "log")  # what a killed writer would leave
    shutil.copy(tmp_path / "copy.vprmap", path)
    shutil.copy(tmp_path / "log", path.with_name("w.vprmap-wal"))
    with pytest.raises(VprError, match="is another map's"):
        PlaceMap.open(path)


def test_a_writer_says_when_its_file_was_replaced(tmp_path):
    with new_map(tmp_path / "m.vprmap", drive(2)) as place_map:
        new_map(tmp_path / "other.vprmap").close()
        (tmp_path / "other.vprmap").replace(tmp_path / "m.vprmap")
        with pytest.raises(VprError, match="was removed or replaced while the map was open"):
            place_map.add(drive(1), ROWS[:1])


def test_numbers_of_any_type_are_stored_so_that_they_can_be_read(tmp_path):
    with new_map(tmp_path / "m.vprmap", drive(2)) as place_map:
        place_map.set_poses({np.int64(1): Pose(np.float32(1.5), -0.0)})
        place_map.start_traverse("x", started=-0.0)
        [odd] = place_map.add([Frame("bad\udcff name.jpg", stamp=np.float64(3), index=1234567)], ROWS[:1])
        for wrong in (
            lambda: place_map.add([Frame("q", stamp=float("nan"))], ROWS[:1]),
            lambda: place_map.add([Frame("q", pose=Pose(0, 0, 0, 0, 0, 0, 0))], ROWS[:1]),
            lambda: place_map.add([Frame("q")], ROWS[:1] * 1e6),
            lambda: place_map.start_traverse("x", started=float("nan")),
            lambda: place_map.start_traverse("x", robot=2),
            lambda: place_map.set_poses({2**70: Pose(0, 0)}),
            lambda: place_map.places([99]),
            lambda: place_map.thumbnail(2**70),
        ):
            with pytest.raises(VprError, match=r"^(?!.*damaged)"):
                wrong()
        assert place_map.places([odd])[odd].extra == {"index": "1234567"} and len(place_map) == 3
        assert place_map.places([1])[1].pose == Pose(1.5, 0)
    assert not check_map(tmp_path / "m.vprmap").problems
    with pytest.raises(VprError, match="the map is closed"):
        place_map.places()


def test_exclusion_along_the_way_after_removals(tmp_path):
    frames = [Frame(str(x), pose=Pose(x, 0), sequence="a") for x in (0, 1, 1000, 2, 3)]
    frames.append(Frame("b", pose=Pose(50, 0), sequence="b"))
    with new_map(tmp_path / "m.vprmap", frames) as place_map:
        assert place_map.search(ROWS[0], 1)  # the arrays are in memory when places go
        place_map.remove([3, 6])
        where = Where(recent_meters=2.5)
        with PlaceMap.open(tmp_path / "m.vprmap") as fresh:
            for either in (place_map, fresh):
                assert {match.place.label for match in either.search(ROWS[0], 9, where=where)} == {"0"}
