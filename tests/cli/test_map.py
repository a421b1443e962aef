"""`vpr map ...` as a user runs it."""

import json
import shutil

import numpy as np
import pytest

from tests.command import refused, vpr
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.poses import write_tum


@pytest.fixture
def street(drawn_map, tmp_path):
    return shutil.copy(drawn_map, tmp_path / "street.vprmap")


def answer(*words):
    done = vpr(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_info_says_what_is_there(street):
    text = answer("map", "info", street)
    assert "40 places" in text and "40 with a pose" in text and "in memory for search" in text and "(fp32)" in text
    found = json.loads(answer("map", "info", street, "--json"))
    assert found["places"] == 40 and found["traverses"][0]["meters"] > 10


def test_check_and_salvage(street, tmp_path):
    assert "is whole: 40 places, 40 thumbnails" in answer("map", "check", street)
    content = bytearray(street.read_bytes())
    at = content.index(b"morning/0010.jpg") if b"morning/0010.jpg" in content else content.index(b".jpg", 30_000)
    content[at] ^= 1
    street.write_bytes(content)
    done = vpr("map", "check", street)
    refused(done, "vpr map salvage")
    assert "does not match the checksum" in done.stdout
    refused(vpr("query", street, street.parent), "")
    assert "holds 39 places; 1 were damaged" in answer("map", "salvage", street, "-o", tmp_path / "saved.vprmap")
    assert "is whole: 39 places" in answer("map", "check", tmp_path / "saved.vprmap")


def test_prune_backup_merge(street, tmp_path):
    text = answer("map", "prune", street, "-o", tmp_path / "small.vprmap", "--places", 10, "--radius", 20, "--force")
    assert "keeps 10 of 40 places and saves" in text and "part of the right answers lost" in text
    assert "is whole" in answer("map", "check", tmp_path / "small.vprmap")
    assert "is whole" in answer("map", "backup", street, "-o", tmp_path / "copy.vprmap")
    text = answer(
        "map", "merge", street, tmp_path / "copy.vprmap", "-o", tmp_path / "both.vprmap", "--transform", "100,0,0,90"
    )
    assert "holds 80 places" in text and "is now" in text
    found = json.loads(answer("map", "info", tmp_path / "both.vprmap", "--json"))
    assert found["places"] == 80 and found["bounds"][2] > 99


def test_export_and_import(street, tmp_path):
    assert "holds 40 poses" in answer("map", "export", street, tmp_path / "t.tum")
    assert "40 places of" in answer("map", "import", tmp_path / "t.tum", street)
    late = (tmp_path / "t.tum").read_text().splitlines()[1:9]
    (tmp_path / "late.tum").write_text("\n".join(late))
    assert "32 lie further than" in answer("map", "import", tmp_path / "late.tum", street)


def test_imported_poses_are_judged(street, tmp_path):
    """As `map build --trajectory` judges them. What `map export` wrote comes back as it was, even that of a drone that only climbs."""

    def rows():
        with PlaceMap.open(street) as places:
            write_tum(places.places().values(), tmp_path / "now.tum")
        (tmp_path / "now.tum").rename(tmp_path / "first.tum")
        return np.loadtxt(tmp_path / "first.tum")

    def said(text):
        (tmp_path / "new.tum").write_text(text)
        return " ".join(answer("map", "import", tmp_path / "new.tum", street).split())

    stamps = rows()[:, 0].tolist()
    first = (tmp_path / "first.tum").read_text().splitlines()[0]
    climb = "".join(f"{stamp} 0 0 {i / 2:g} 0 0 0 1\n" for i, stamp in enumerate(stamps))
    assert "with body axes, as its first line says" in said(f"{first}\n{climb}")
    assert rows()[9].tolist() == [stamps[9], 0, 0, 4.5, 0, 0, 0, 1]
    text = said(climb)
    assert "of the camera's optical frame" in text
    assert rows()[9].tolist() == [stamps[9], 4.5, 0, 0, 0, 0, 0, 1]
    text = said("".join(f"{stamp} {500 * i} 0 0 0 0 0 1\n" for i, stamp in enumerate(stamps)))
    assert "in millimeters" in text
    (tmp_path / "kitti.tum").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
    refused(vpr("map", "import", tmp_path / "kitti.tum", street), "is in KITTI format")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("map", "prune", "{map}", "-o", "{out}", "--radius", "0"), "radius must be a millimeter or more"),
        (("map", "prune", "{map}", "-o", "{out}", "--places", "1", "--radius", "1"), "places must stay"),
        (("map", "prune", "{map}", "-o", "{map}"), "exists already"),
        (("map", "merge", "{map}", "{map}", "-o", "{out}", "--transform", "1,2"), "--transform must be four numbers"),
        (("map", "backup", "nowhere.vprmap", "-o", "{out}"), "no such map"),
        (("map", "import", "nowhere.tum", "{map}"), "cannot be read"),
        (("map", "check", "nowhere.vprmap"), "no such map"),
    ],
)
def test_mistakes_leave_nothing(street, tmp_path, words, said):
    refused(vpr(*(word.format(map=street, out=tmp_path / "out.vprmap") for word in words), cwd=tmp_path), said)
    assert [path.name for path in tmp_path.iterdir()] == ["street.vprmap"]
