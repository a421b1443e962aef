"""Maps of schema 1, as the first versions wrote them."""

import json
import sqlite3

import numpy as np
import pytest

from tests.placemap.places import DIM, unit_rows
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import encode_jpeg
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.check import check_map
from vpr_aesvc.types import Pose

SCHEMA_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE traverses (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE places (
    id INTEGER PRIMARY KEY, traverse INTEGER NOT NULL REFERENCES traverses (id), label TEXT NOT NULL, path TEXT, stamp REAL,
    x REAL, y REAL, z REAL, qx REAL, qy REAL, qz REAL, qw REAL, extra TEXT NOT NULL DEFAULT '{}', descriptor BLOB NOT NULL
);
CREATE TABLE thumbnails (place INTEGER PRIMARY KEY REFERENCES places (id) ON DELETE CASCADE, jpeg BLOB NOT NULL);
PRAGMA application_id = 0x5650524D;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""


@pytest.fixture
def old_map(tmp_path, random_image):
    path = tmp_path / "old.vprmap"
    with sqlite3.connect(path) as db:
        db.executescript(SCHEMA_1)
        meta = {"dim": DIM, "sizes": json.dumps([8, DIM]), "model_fingerprint": "f" * 16, "model_path": "/a/model"}
        db.executemany("INSERT INTO meta VALUES (?, ?)", [*meta.items(), ("created", "2026-01-01T00:00:00Z")])
        db.execute("INSERT INTO traverses VALUES (1, 'monday'), (4, 'tuesday')")
        for at, row in enumerate(unit_rows(6)):
            pose = (at, 2.5, -0.0, 0, 0, 0, 1) if at % 2 else (None,) * 7
            db.execute(
                f"INSERT INTO places VALUES ({', '.join('?' * 14)})",
                (
                    at + 1,
                    1 if at < 3 else 4,
                    f"{at}.jpg",
                    None,
                    10 + at,
                    *pose,
                    '{"index": "3"}',
                    row.astype("<f2").tobytes(),
                ),
            )
        db.execute("INSERT INTO thumbnails VALUES (2, ?)", (encode_jpeg(random_image),))
    db.close()
    return path


def test_an_old_map_is_brought_up_to_date(old_map, random_image):
    with PlaceMap.open(old_map) as place_map:
        places = place_map.places()
        assert list(places) == [1, 2, 3, 4, 5, 6]
        assert [place.traverse for place in places.values()] == ["monday"] * 3 + ["tuesday"] * 3
        assert places[2].pose == Pose(1, 2.5) and places[1].pose is None and places[3].stamp == 12
        assert places[1].extra == {"index": "3"}
        assert np.abs(place_map.descriptors()[1] - unit_rows(6)).max() < 1e-3
        assert place_map.thumbnail(2).shape == random_image.shape and place_map.thumbnail(1) is None
        assert place_map.model_family == place_map.model_fingerprint == "f" * 16
        assert place_map.created == "2026-01-01T00:00:00Z"
        assert place_map.add([], np.empty((0, DIM), np.float32)) == []
        place_map.remove([6])
    assert not check_map(old_map).problems
    with sqlite3.connect(old_map) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
        assert {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")} == {
            *("meta", "traverses", "places", "thumbnails", "learned", "tally", "sqlite_sequence")
        }
        assert db.execute("SELECT seq FROM sqlite_sequence").fetchone() == (6,)
    db.close()


def test_a_migration_that_fails_leaves_the_old_map(old_map):
    with sqlite3.connect(old_map) as db:
        db.execute("UPDATE places SET descriptor = 'no bytes' WHERE id = 5")
    db.close()
    with pytest.raises(VprError, match="place 5 has no descriptor"):
        PlaceMap.open(old_map)
    with sqlite3.connect(old_map) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM places").fetchone() == (6,)
        assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'old_%'").fetchone() == (0,)
    db.close()
