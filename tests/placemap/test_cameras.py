"""The cameras of a map: stored with their traverse, kept by every copy, checked like every row."""

import math
import sqlite3

import pytest

from tests.placemap.places import drive, new_map, unit_rows
from tests.placemap.test_repair import spoil
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.copies import add_map, backup, copy_places, merge
from vpr_aesvc.placemap.repair import check_map, salvage
from vpr_aesvc.types import Frame, Intrinsics

FISHEYE = Intrinsics(300.0, 301.0, 319.5, 239.5, "equidistant", (0.01, -0.002, 0.0003, 1e-5))
PINHOLE = Intrinsics(700.0, 700.0, 600.25, 180.125)
SIZE = (640, 480)


@pytest.fixture
def path(tmp_path):
    with new_map(tmp_path / "m.vprmap", [*drive(3), *drive(2, "tuesday")]) as place_map:
        place_map.set_camera("monday", FISHEYE, SIZE)
    return tmp_path / "m.vprmap"


def test_a_place_knows_its_camera_also_after_it_is_opened_again(path):
    with PlaceMap.open(path) as place_map:
        places = list(place_map.places().values())
        assert [place_map.camera_of(place) for place in places] == [(FISHEYE, SIZE)] * 3 + [None] * 2
        with PlaceMap.open(path) as other:  # as a robot that maps while another process reads
            other.set_camera("tuesday", PINHOLE, (1226, 370))
        assert place_map.camera_of(places[4]) == (PINHOLE, (1226, 370))


def test_several_cameras_of_one_traverse(tmp_path):
    frames = [Frame(name, sequence="rig", extra={"camera": name}) for name in ("front", "rear", "left")]
    with new_map(tmp_path / "m.vprmap", frames) as place_map:
        place_map.set_camera("rig", FISHEYE, SIZE, "front")
        place_map.set_camera("rig", PINHOLE, SIZE, "rear")
        found = [place_map.camera_of(place) for place in place_map.places().values()]
        assert found == [(FISHEYE, SIZE), (PINHOLE, SIZE), None]
        place_map.set_camera("rig", PINHOLE, (64, 48))  # of all cameras that have none of their own
        assert place_map.camera_of(place_map.places()[3]) == (PINHOLE, (64, 48))


def test_another_camera_is_refused_unless_it_is_to_replace(path):
    with PlaceMap.open(path) as place_map:
        place_map.set_camera("monday", FISHEYE, SIZE)  # the same again
        for other in ((PINHOLE, SIZE), (FISHEYE, (320, 240))):
            with pytest.raises(VprError, match=r"'monday' has another camera already \(fx 300.0, .*equidistant"):
                place_map.set_camera("monday", *other)
        assert place_map.cameras() == {("monday", ""): (FISHEYE, SIZE)}
        place_map.set_camera("monday", PINHOLE, SIZE, replace=True)
        assert place_map.cameras() == {("monday", ""): (PINHOLE, SIZE)}
        with pytest.raises(VprError, match="has no traverse 'sunday'; it has monday, tuesday"):
            place_map.set_camera("sunday", PINHOLE, SIZE)
        with pytest.raises(VprError, match="must have pixels, found 0 x 480"):
            place_map.set_camera("tuesday", PINHOLE, (0, 480))
    assert not check_map(path).problems


def test_copies_keep_the_cameras(path, tmp_path):
    with PlaceMap.open(path) as place_map:
        backup(place_map, tmp_path / "backup.vprmap")
        with new_map(tmp_path / "part.vprmap") as part, new_map(tmp_path / "added.vprmap", drive(1, "first")) as added:
            copy_places(place_map, part, [2, 5])  # as prune does
            assert add_map(added, place_map) == 5
        merge(place_map, place_map, tmp_path / "merged.vprmap")
    assert salvage(path, tmp_path / "saved.vprmap").places == 5
    for name in ("backup", "part", "added", "merged", "saved"):
        assert not check_map(tmp_path / f"{name}.vprmap").problems
        with PlaceMap.open(tmp_path / f"{name}.vprmap") as copy:
            expected = {("monday", ""): (FISHEYE, SIZE)}
            if name == "merged":
                expected["monday-2", ""] = (FISHEYE, SIZE)
            assert copy.cameras() == expected, name


def test_a_camera_goes_with_the_last_place_of_its_traverse(path):
    with PlaceMap.open(path) as place_map:
        place_map.remove([1, 2])
        assert place_map.cameras()
        place_map.remove([3])
        assert place_map.cameras() == {}
        place_map.add(drive(1), unit_rows(1))
        assert place_map.cameras() == {}


def test_a_map_of_an_older_version_opens_and_may_be_given_a_camera(path, tmp_path):
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE cameras")
    db.close()
    assert not check_map(path).problems
    with PlaceMap.open(path) as old:
        assert old.cameras() == {} and old.camera_of(old.places()[1]) is None
        backup(old, tmp_path / "copy.vprmap")
    salvage(path, tmp_path / "saved.vprmap")
    for name in ("m", "copy", "saved"):
        with PlaceMap.open(tmp_path / f"{name}.vprmap") as place_map:
            place_map.set_camera("tuesday", PINHOLE, SIZE)
            assert place_map.camera_of(place_map.places()[5]) == (PINHOLE, SIZE)
        assert not check_map(tmp_path / f"{name}.vprmap").problems


@pytest.mark.parametrize("sql", ["value = replace(value, '300', '301')", "name = 'front'", "traverse = 2"])
def test_a_damaged_camera_is_found_and_left_out(path, tmp_path, sql):
    spoil(path, f"UPDATE cameras SET {sql}")
    problems = check_map(path).problems
    assert len(problems) == 1 and "does not match its checksum" in problems[0] and "camera" in problems[0]
    with PlaceMap.open(path) as place_map:
        assert len(place_map.search(unit_rows(1)[0], 5)) == 5  # the search does not need it
        with pytest.raises(VprError, match=r"the map is damaged \(the camera of traverse"):
            place_map.camera_of(place_map.places()[1])
    assert salvage(path, tmp_path / "saved.vprmap").places == 5
    with PlaceMap.open(tmp_path / "saved.vprmap") as saved:
        assert saved.cameras() == {}


def test_the_camera_of_a_damaged_traverse_is_saved(path, tmp_path):
    spoil(path, "UPDATE traverses SET notes = 'snow' WHERE id = 1")
    salvage(path, tmp_path / "saved.vprmap")
    with PlaceMap.open(tmp_path / "saved.vprmap") as saved:
        assert saved.cameras() == {("traverse-1", ""): (FISHEYE, SIZE)}


@pytest.mark.parametrize(
    "text", ["[]", "3", "{", '{"width": 1e999, "height": 1}', '{"fx": "a", "width": 1, "height": 1}']
)
def test_a_camera_of_another_program(path, text):
    from vpr_aesvc.placemap.checksums import row_checksum

    spoil(path, "UPDATE cameras SET value = ?, checksum = ?", text, row_checksum(1, "", text))
    with PlaceMap.open(path) as place_map, pytest.raises(VprError, match="the camera of traverse 1 cannot be read"):
        place_map.cameras()


def test_numbers_keep_every_digit(path):
    exact = Intrinsics(math.pi * 100, math.e * 100, 1 / 3, 2 / 3, "plumb_bob", (-0.1 / 3, 1e-17, 0, 0, math.pi))
    with PlaceMap.open(path) as place_map:
        place_map.set_camera("tuesday", exact, SIZE)
    with PlaceMap.open(path) as place_map:
        assert place_map.cameras()["tuesday", ""] == (exact, SIZE)
