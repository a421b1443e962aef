"""A map file that is replaced or overwritten while it is open."""

import shutil

import pytest

from tests.placemap.places import drive, new_map, unit_rows
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.repair import check_map


def wal(path):
    return path.with_name(path.name + "-wal")


@pytest.fixture
def paths(tmp_path):
    """An open map's path and, closed, a larger map that takes its place."""
    new_map(tmp_path / "new.vprmap", drive(30)).close()
    return tmp_path / "m.vprmap", tmp_path / "new.vprmap"


@pytest.mark.parametrize("replace", [lambda new, path: new.replace(path), shutil.copyfile])
def test_a_replaced_map_leaves_the_new_file_alone(paths, replace):
    path, new = paths
    old = new_map(path, drive(10))
    assert wal(path).stat().st_size, "its places are in the WAL, which SQLite would merge into the new file"
    content = new.read_bytes()
    replace(new, path)
    assert old.is_at(path) == (replace is shutil.copyfile)
    with PlaceMap.open(path, immutable=True) as found:
        assert len(found) == 30 and found.id != old.id
    old.abandon()
    old.close()
    assert path.read_bytes() == content and not wal(path).exists() and len(list(path.parent.glob("*"))) <= 2
    with PlaceMap.open(path) as opened:
        assert len(opened.places()) == 30 and opened.add(drive(1), unit_rows(1)) == [31]
    assert not check_map(path).problems


def test_the_wal_that_came_with_the_new_file_stays(paths):
    path, new = paths
    old = new_map(path, drive(10))
    with PlaceMap.open(new) as writer:
        writer.add(drive(1), unit_rows(1))
        wal(new).replace(wal(path))
        new.replace(path)
        old.abandon()
        assert wal(path).stat().st_size
    with PlaceMap.open(path) as opened:
        assert len(opened.places()) == 31


def test_a_file_that_is_still_being_copied_is_refused(paths):
    path, new = paths
    content = new.read_bytes()
    for size in (0, 50, 4096, len(content) // 2):
        path.write_bytes(content[:size])
        with pytest.raises(VprError, match="damaged"):
            PlaceMap.open(path, immutable=True)
