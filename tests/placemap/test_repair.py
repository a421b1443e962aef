"""`check` sees every kind of damage; `salvage` saves all that is whole."""

import sqlite3

import numpy as np
import pytest

from tests.placemap.places import DIM, drive, new_map, unit_rows
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.repair import check_map, salvage

ROWS = unit_rows(30)


@pytest.fixture
def whole(tmp_path, random_image):
    with new_map(tmp_path / "m.vprmap") as place_map:
        place_map.start_traverse("monday", 1.7e9, "rover", "rain")
        place_map.add(drive(30), ROWS, [random_image] * 30)
    return tmp_path / "m.vprmap"


def spoil(path, sql, *values):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        assert db.execute(sql, values).rowcount == 1
    db.close()


DAMAGE = {
    "a descriptor": (
        "UPDATE places SET descriptor = ? WHERE id = 7",
        [ROWS[3].astype("<f2").tobytes()],
        "place 7: its stamp, pose or descriptor does not match",
    ),
    "a pose": ("UPDATE places SET x = 99 WHERE id = 7", [], "place 7: its stamp, pose or descriptor does not match"),
    "a stamp of another type": ("UPDATE places SET stamp = 'noon' WHERE id = 7", [], "place 7: its stamp"),
    "a label": ("UPDATE places SET label = 'other.jpg' WHERE id = 7", [], "place 7: its label, path or extra"),
    "a place is gone": ("DELETE FROM places WHERE id = 30", [], "it has 29 places, 30 were written"),
    "a thumbnail": ("UPDATE thumbnails SET jpeg = x'00' WHERE place = 7", [], "place 7: its thumbnail does not match"),
    "no thumbnail": ("DELETE FROM thumbnails WHERE place = 7", [], "place 7: its thumbnail is missing"),
    "an orphan": (
        "INSERT INTO thumbnails VALUES (999, x'00')",
        [],
        "thumbnails row 999 refers to a missing row of places",
    ),
    "a traverse": ("UPDATE traverses SET notes = 'snow'", [], "traverse 1 does not match its checksum"),
    "the description": ("UPDATE meta SET value = '[8]' WHERE key = 'sizes'", [], "the description of the map"),
    "the tally": ("UPDATE tally SET places = 31", [], "the count of places does not match its checksum"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_check_names_the_damage_and_searches_refuse_what_they_touch(whole, kind):
    assert check_map(whole).problems == [] and check_map(whole).thumbnails == 30
    sql, values, words = DAMAGE[kind]
    spoil(whole, sql, *values)
    problems = check_map(whole).problems
    assert any(words in problem for problem in problems), problems
    if kind in ("an orphan", "a thumbnail", "no thumbnail", "a label"):
        return
    with pytest.raises(VprError, match="the map is damaged"), PlaceMap.open(whole) as place_map:
        place_map.search(ROWS[0], 30)


def test_numbers_that_no_robot_wrote(tmp_path):
    with new_map(tmp_path / "m.vprmap") as place_map:
        place_map.add_stored(drive(2), (unit_rows(2) * 3).astype("<f2"), [None, None])
        place_map.add_stored(drive(1), np.full((1, DIM), np.nan, "<f2"), [None])
    problems = check_map(tmp_path / "m.vprmap").problems
    assert len(problems) == 3 and problems[0] == "place 1: its descriptor has length 3, not 1"
    assert problems[2] == "place 3: its descriptor has length nan, not 1"


def test_salvage_saves_all_but_the_damaged(whole, tmp_path, random_image):
    spoil(whole, "UPDATE places SET x = 99 WHERE id = 7")
    spoil(whole, "UPDATE thumbnails SET jpeg = x'00' WHERE place = 9")
    done = salvage(whole, tmp_path / "saved.vprmap")
    assert (done.places, done.damaged, done.thumbnails_lost) == (29, 1, 1)
    assert not check_map(tmp_path / "saved.vprmap").problems
    with PlaceMap.open(tmp_path / "saved.vprmap") as saved:
        assert [place.label for place in saved.places().values()] == [f"monday/{i}.jpg" for i in range(30) if i != 6]
        assert saved.traverses()["monday"].notes == "rain"
        assert saved.search(ROWS[10], 1)[0].place.label == "monday/10.jpg"
        assert saved.thumbnail(1).shape == random_image.shape and saved.thumbnail(8) is None


def test_salvage_of_broken_pages(tmp_path, random_image):
    """A page in the middle is overwritten: places on both sides of it are saved."""
    with new_map(tmp_path / "m.vprmap") as place_map:
        for at in range(0, 300, 30):
            place_map.add(drive(30, f"drive-{at}"), ROWS, [random_image] * 30)
    content = bytearray((tmp_path / "m.vprmap").read_bytes())
    at = content.index(b"drive-150/15.jpg") // 4096 * 4096
    content[at : at + 4096] = bytes(4096)
    (tmp_path / "m.vprmap").write_bytes(content)
    assert check_map(tmp_path / "m.vprmap").problems
    done = salvage(tmp_path / "m.vprmap", tmp_path / "saved.vprmap")
    assert 200 < done.places < 300 and not check_map(tmp_path / "saved.vprmap").problems
    with PlaceMap.open(tmp_path / "saved.vprmap") as saved:
        labels = [place.label for place in saved.places().values()]
        assert {"drive-0/0.jpg", "drive-270/29.jpg"} <= set(labels) and "drive-150/15.jpg" not in labels


def test_salvage_without_a_description_asks_for_the_model(whole, tmp_path, drawn_model):
    from vpr_aesvc.describer import Describer

    spoil(whole, "UPDATE meta SET value = '[8]' WHERE key = 'sizes'")
    with pytest.raises(VprError, match="say which model made it with -m MODEL"):
        salvage(whole, tmp_path / "saved.vprmap")
    with pytest.raises(VprError, match="no place in it is intact"):  # a model of another size
        salvage(whole, tmp_path / "saved.vprmap", Describer.open(drawn_model))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.vprmap"]
