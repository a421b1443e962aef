"""A few of what `benchmarks/durability.py` does hundreds of times."""

import os
import subprocess
import sys

import pytest

from benchmarks import damage, durability
from tests.placemap.places import drive, new_map, unit_rows
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.repair import check_map

ROWS = unit_rows(5)


def test_a_killed_writer_loses_no_acknowledged_place(tmp_path):
    places, wrong = durability.kills("ours", durability.ours_is_intact, 6, tmp_path)
    assert not wrong and places > 6


def test_a_limit_on_the_file(tmp_path):
    """In a process of its own, as the limit is the process's."""
    code = (
        f"from pathlib import Path; from benchmarks import durability as d; print(d.full_disk(Path({str(tmp_path)!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert (
        "the disk reported an error (" in done.stdout
        and "nothing was changed" in done.stdout
        and "continued with free space" in done.stdout
    )


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(small_disk):
    path = small_disk / "m.vprmap"
    with new_map(path, drive(5), ROWS) as place_map:
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(4096))
        added = 0
        with pytest.raises(VprError, match="nothing was changed") as refused:
            while added < 10_000:
                place_map.add(drive(1), ROWS[:1])
                added += 1
        assert "disk" in str(refused.value)
        assert len(place_map.search(ROWS[0], 99)) == 5 + added
    with PlaceMap.open(path) as again:  # also opened anew, with no room for a log beside it
        assert len(again.search(ROWS[0], 99)) == 5 + added
    filler.unlink()
    with PlaceMap.open(path) as again:
        again.add(drive(1), ROWS[:1])
        assert len(again) == 6 + added
    assert not check_map(path).problems


def test_bit_flips_and_truncations_are_never_silent():
    found = damage.measure(250, first_seed=10_000)
    assert sum(found.values()) == 250 and found["error"] > 50
    assert set(found) <= {"error", "right, check clean", "right, check finds it"}, found


def test_a_map_on_a_disk_that_cannot_be_written_is_read(small_disk):
    path = small_disk / "m.vprmap"
    new_map(path, drive(5), ROWS).close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with PlaceMap.open(path) as place_map:
        assert place_map.search(ROWS[2], 1)[0].place.id == 3
        with pytest.raises(VprError, match="is read-only here; make the file and its folder writable"):
            place_map.add(drive(1), ROWS[:1])
    assert not check_map(path).problems
    assert [file.name for file in small_disk.iterdir()] == ["m.vprmap"]
