"""Names that would move the cursor, files that block who opens them, poses that no robot has, and two writers at once."""

import os
import shutil
import socket
import subprocess

import numpy as np
import pytest

from tests.command import VPR, refused, vpr
from tests.placemap.places import drive, new_map, unit_rows
from vpr_aesvc.errors import VprError, printable
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.types import Pose

RED = "\x1b[31mred\x07\u202egpj"
SHOWN = r"\x1b[31mred\x07\u202egpj"


def clean(text):
    return not any(sign in text for sign in ("\x1b", "\x07", "\u202e", "\x9b", "\r"))


@pytest.mark.parametrize("sign", ["\x1b[2J", "\x07", "\r", "\x9b31m", "\x08", "\x7f", "\u2028", "\u2066"])
def test_every_control_character_becomes_text(sign):
    assert clean(printable(f"a{sign}b")) and printable(f"a{sign}b").startswith("a\\")


def test_letters_and_line_breaks_stay():
    text = "straße 東京 [b] \\n\n\tnext"
    assert printable(text, kept="\n\t") == text and printable("a\nb") == r"a\nb"


def test_labels_traverses_and_notes_are_shown_as_text(drawn, drawn_map, drawn_model, tmp_path):
    """Tables, lines, notes, what was left out, and errors."""
    folder = tmp_path / RED
    folder.mkdir()
    for at, image in enumerate(sorted((drawn / "images" / "evening").glob("*.jpg"))[:3]):
        shutil.copy(image, folder / f"{at}{RED}.jpg")
    (folder / f"broken{RED}.jpg").write_bytes(b"no image")
    asked = vpr("query", drawn_map, folder)
    built = vpr("map", "build", folder, "-m", drawn_model, "-o", tmp_path / f"{RED}.vprmap", "--traverse", RED)
    info = vpr("map", "info", tmp_path / f"{RED}.vprmap")
    failed = vpr("map", "info", tmp_path / f"no{RED}\n.vprmap")
    for done in (asked, built, info, failed):
        assert clean(done.stdout + done.stderr), ascii(done.stdout + done.stderr)
        assert SHOWN in done.stdout + done.stderr
    assert asked.returncode == built.returncode == info.returncode == 0
    refused(failed, "no such map")


def special_files(folder):
    os.mkfifo(folder / "fifo")
    os.mkfifo(folder / "fifo.tum")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.close()


@pytest.mark.parametrize(
    "words",
    [
        ("map", "build", "fifo", "-m", "model", "-o", "new.vprmap"),
        ("map", "build", "socket", "-m", "model", "-o", "new.vprmap"),
        ("map", "build", "/dev/zero", "-m", "model", "-o", "new.vprmap"),
        ("map", "build", "images", "--trajectory", "fifo.tum", "-m", "model", "-o", "new.vprmap"),
        ("map", "build", "images", "--embeddings", "fifo", "-m", "model", "-o", "new.vprmap"),
        ("map", "info", "fifo"),
        ("map", "import", "fifo.tum", "new.vprmap"),
        ("query", "fifo", "images"),
        ("bag", "info", "fifo"),
        ("bench", "fifo", "-o", "results"),
        ("train", "images", "--backbone", "fifo", "-o", "new_model"),
    ],
    ids=lambda words: " ".join(words[:5]),
)
def test_a_file_that_blocks_is_refused_at_once(tmp_path, words):
    special_files(tmp_path)
    (tmp_path / "images").mkdir()
    refused(vpr(*words, cwd=tmp_path), "is a FIFO, a socket or a device")


@pytest.mark.parametrize("number", [1e308, -1e10, 2e9])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_pose_that_no_robot_has_is_refused(number, axis):
    with pytest.raises(ValueError, match=r"within 1e\+09 m"):
        Pose(*np.eye(3)[axis] * number)


def test_far_poses_of_files_are_refused(tmp_path):
    new_map(tmp_path / "m.vprmap", drive(3)).close()
    (tmp_path / "far.tum").write_text("1000 1e308 0 0 0 0 0 1\n")
    refused(vpr("map", "import", tmp_path / "far.tum", tmp_path / "m.vprmap"), "1e308")
    words = (tmp_path / "m.vprmap", tmp_path / "m.vprmap", "-o", tmp_path / "both.vprmap", "--transform", "1e300,0,0,0")
    refused(vpr("map", "merge", *words), "within 1e+09 m")
    assert not (tmp_path / "both.vprmap").exists()


def test_an_existing_map_is_added_to(drawn, drawn_map, drawn_model):
    done = vpr("map", "build", drawn, "-m", drawn_model, "-o", drawn_map)
    refused(done, f"`vpr map add {drawn_map} {drawn}`")


def test_of_two_adds_of_one_traverse_at_once_one_is_refused(drawn, drawn_map, tmp_path):
    """Both find the name free when they begin; the second to write finds it taken."""
    path = shutil.copy(drawn_map, tmp_path / "m.vprmap")
    words = [*VPR, "map", "add", str(path), str(drawn / "images" / "evening"), "--traverse", "second"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=300)[1] for process in both]
    with PlaceMap.open(path) as place_map:
        traverses = [place.traverse for place in place_map.places().values()]
    assert sorted(process.returncode for process in both) == [0, 1], errors
    assert sum("has a traverse second already; nothing was added" in text for text in errors) == 1
    assert traverses == ["morning"] * 40 + ["second"] * 12


def test_the_name_is_checked_again_when_the_places_are_written(tmp_path):
    """Another process adds the traverse after this one has looked for it."""
    rows = unit_rows(3)
    with new_map(tmp_path / "m.vprmap", drive(3)) as place_map:
        place_map.require_new_traverses(["tuesday"])
        with PlaceMap.open(tmp_path / "m.vprmap") as other:
            other.add(drive(3, "tuesday"), rows)
        with pytest.raises(VprError, match="has a traverse tuesday already; nothing was added"):
            place_map.add_stored(drive(3, "tuesday"), rows.astype(np.float16), [None] * 3, new=["tuesday"])
        assert len(place_map) == 6
