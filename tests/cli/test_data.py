"""`vpr data` as a user runs it: a process, its exit code and its words."""

import shutil

import cv2
import numpy as np
import pytest

from tests.command import vpr
from tests.conftest import DATA
from tests.datasets.pitts_shaped import make_pitts_shaped


@pytest.fixture
def pairs(tmp_path):
    for folder in ("query", "ref"):
        (tmp_path / folder).mkdir()
        for n in range(30):
            cv2.imwrite(str(tmp_path / folder / f"{n}.png"), np.zeros((4, 4, 3), np.uint8))
    return tmp_path


def test_a_whole_set(pairs):
    done = vpr("data", "check", pairs)
    assert done.returncode == 0, done.stderr
    assert "30 database images, 30 query images" in done.stdout and "within 0 frames" in done.stdout
    assert done.stdout.splitlines()[-1] == "whole"


def test_what_is_wrong_is_named(pairs):
    (pairs / "ref" / "3.png").write_bytes(b"")
    done = vpr("data", "check", pairs)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"1 image files are empty (0 bytes)\n    {pairs / 'ref' / '3.png'}\n" in done.stdout
    assert done.stdout.splitlines()[-1] == "not whole"


def test_missing_files_are_ten_and_how_many_more(tmp_path, clips_folder):
    root = make_pitts_shaped(tmp_path / "pitts", clips_folder, 60, 20, "published")
    shutil.rmtree(root / "queries_real")
    done = vpr("data", "check", "pitts30k", "--data", root)
    assert done.returncode == 1
    assert "10000 database images expected, 60 found" in done.stdout and "20 image files are missing\n" in done.stdout
    assert done.stdout.count(f"    {root}") == 10 and "    and 10 more\n" in done.stdout


def test_the_real_list_without_its_images():
    if not (DATA / "pitts30k").is_dir():
        pytest.skip(f"real data is absent: {DATA / 'pitts30k'}")
    done = vpr("data", "check", "pitts30k", "--data", DATA / "pitts30k")
    assert done.returncode == 1 and done.stdout.count("  wrong: ") == 1 and "  note: " not in done.stdout
    assert "  wrong: 16816 image files are missing; Pitts30k (test) needs " in done.stdout
    assert "queries_real" in done.stdout and "https://" in done.stdout and "    and 16806 more\n" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tokyo247", "--data", "."], "247query_subset_v2"),
        (["pitts30k"], "say where it is, with --data"),
        (["nosuch"], "no such set; the sets are pitts30k"),
    ],
)
def test_a_set_that_is_not_there(words, said, tmp_path):
    done = vpr("data", "check", *(str(tmp_path) if word == "." else word for word in words))
    assert done.returncode == 1 and "Traceback" not in done.stderr and done.stdout == ""
    assert done.stderr.startswith("error: ") and said in done.stderr and done.stderr.count("\n") == 1
