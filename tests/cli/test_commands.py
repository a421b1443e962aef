"""The `vpr` command as a user runs it: a process, its exit code, one clear line, and what it leaves on disk."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.command import VPR, refused, vpr
from vpr_aesvc.inputs import open_input


@pytest.fixture(scope="module")
def images(drawn, tmp_path_factory) -> Path:
    """Fourteen good images in a plain folder, without poses."""
    folder = tmp_path_factory.mktemp("plain")
    for path in sorted((drawn / "images" / "morning").glob("*.jpg"))[:14]:
        shutil.copy(path, folder / path.name)
    return folder


def test_train_build_info_query(drawn, tmp_path):
    done = vpr("train", drawn, "-o", tmp_path / "m", "--method", "aesvc", "--sizes", "8,16")
    assert done.returncode == 0, done.stderr
    assert "chosen: aesvc" in done.stdout and "variance of the cosines" in done.stdout
    done = vpr("map", "build", drawn, "-m", tmp_path / "m", "-o", tmp_path / "s.vprmap")
    assert done.returncode == 0 and "holds 40 places" in done.stdout, done.stderr
    info = json.loads(vpr("map", "info", tmp_path / "s.vprmap", "--json").stdout)
    assert (info["places"], info["sizes"], info["with_pose"]) == (40, [8, 16, 1056], 40)
    assert "40 places" in vpr("map", "info", tmp_path / "s.vprmap").stdout

    done = vpr("query", tmp_path / "s.vprmap", drawn, "--json", "--top", "3", "--size", "16")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 12 and all(len(line["matches"]) == 3 for line in lines)
    assert lines[0]["query"].startswith("images/evening/")
    assert set(lines[0]["matches"][0]) >= {"place", "path", "similarity"}
    assert 0 < lines[0]["matches"][0]["similarity"] <= 1
    pose_of = {frame.label: frame.pose for frame in open_input(drawn).frames}
    near = 0
    for line in lines:
        pose, (x, y, *_) = pose_of[line["query"]], line["matches"][0]["pose"]
        near += np.hypot(pose.x - x, pose.y - y) < 5
    assert near >= 10  # 12 of 12 on this street of 70 m
    assert "R@1" in done.stderr and "12 queries" in done.stderr
    table = vpr("query", tmp_path / "s.vprmap", drawn)
    assert table.returncode == 0 and "best match" in table.stdout
    moved = shutil.move(tmp_path / "m", tmp_path / "elsewhere")
    refused(vpr("query", tmp_path / "s.vprmap", drawn), "say where it is with -m MODEL")
    assert vpr("query", tmp_path / "s.vprmap", drawn, "-m", moved).returncode == 0


def test_the_default_training_chooses_and_says_why(drawn, tmp_path):
    done = vpr("train", drawn, "-o", tmp_path / "m")
    assert done.returncode == 0, done.stderr
    assert "chosen: " in done.stdout and "held-out" in done.stdout
    manifest = json.loads((tmp_path / "m" / "model.json").read_text())
    assert set(manifest["training"]["held_out_scores"]) == {"raw", "aesvc", "rotation"}
    assert list(manifest["training"]["size_scores"]) == ["8", "16", "32", "64", "1056"] and "by size: 8 " in done.stdout
    assert manifest["recommended_size"] is None and "recommended size: all 1056 numbers" in done.stdout


def test_help_teaches():
    for words in (["--help"], ["train", "--help"], ["map", "build", "--help"], ["query", "--help"], ["demo", "--help"]):
        done = vpr(*words)
        assert done.returncode == 0 and "Usage" in done.stdout
    assert "without labels" in vpr("train", "--help").stdout


def test_bad_images_among_good_ones_are_skipped_counted_and_named(images, tmp_path):
    folder = shutil.copytree(images, tmp_path / "in")
    first = sorted(folder.iterdir())[0]
    (folder / "cut.jpg").write_bytes(first.read_bytes()[:2000])
    (folder / "words.jpg").write_text("this is not an image")
    done = vpr("train", folder, "-o", tmp_path / "m", "--method", "pca")
    assert done.returncode == 0, done.stderr
    assert "2 of 16 images skipped" in done.stderr
    assert "cut.jpg: the file is truncated" in done.stderr and "words.jpg: not an image" in done.stderr
    done = vpr("map", "build", folder, "-m", tmp_path / "m", "-o", tmp_path / "p.vprmap")
    assert done.returncode == 0 and "holds 14 places" in done.stdout
    assert "left out: 2 images that cannot be read" in done.stderr and "cut.jpg" in done.stderr
    done = vpr("query", tmp_path / "p.vprmap", folder, "--json")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 14 and "cut.jpg" in done.stderr


def test_inputs_that_are_none(images, tmp_path):
    out = tmp_path / "m"
    refused(vpr("train", tmp_path / "nothing", "-o", out), "no such file or folder")
    (tmp_path / "empty").mkdir()
    refused(vpr("train", tmp_path / "empty", "-o", out), "no images in this folder")
    (tmp_path / "t.csv").write_text("file,split\na.png,database\n")
    refused(vpr("train", tmp_path / "t.csv", "-o", out), "column path is missing")
    only_words = tmp_path / "words"
    only_words.mkdir()
    for i in range(12):
        (only_words / f"{i}.jpg").write_text("words")
    refused(vpr("train", only_words, "-o", out), "none of the 12 images could be read")
    refused(vpr("train", images, "-o", out, "--backbone", "nothing"), "no such file or folder, and not a hub id")
    refused(vpr("train", images, "-o", out, "--sizes", "16,many"), "--sizes must be numbers")
    refused(vpr("train", images, "-o", out, "--sizes", "9999"), "choose sizes up to")
    assert not out.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "t.csv", "words"]


def test_too_few_alike_or_constant_images(images, tmp_path):
    few, same, black = (tmp_path / name for name in ("few", "same", "black"))
    for folder in (few, same, black):
        folder.mkdir()
    paths = sorted(images.iterdir())
    for i in range(9):
        shutil.copy(paths[i], few)
    for i in range(12):
        shutil.copy(paths[i % 3], same / f"{i}.jpg")
        cv2.imwrite(str(black / f"{i}.png"), np.zeros((20, 30, 3), np.uint8))
    refused(vpr("train", few, "-o", tmp_path / "m"), "at least 10 images, found 9")
    refused(vpr("train", same, "-o", tmp_path / "m"), "at least 10 different images, found 3 among 12")
    refused(vpr("train", black, "-o", tmp_path / "m"), "all images have the same embedding")
    assert not (tmp_path / "m").exists()


def test_outputs_that_exist_are_left_alone(images, drawn_model, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    refused(vpr("train", images, "-o", precious), "exists already")
    refused(vpr("map", "build", images, "-m", drawn_model, "-o", precious), "exists already")
    refused(vpr("demo", "-o", precious), "exists already")
    refused(vpr("train", images, "-o", tmp_path / "no" / "such" / "m"), "does not exist")
    assert precious.read_text() == "keep me"


def test_maps_and_models_that_are_none_or_do_not_fit(images, drawn, drawn_map, drawn_model, tmp_path):
    (tmp_path / "text.vprmap").write_text("words")
    refused(vpr("map", "info", tmp_path / "text.vprmap"), "not a place map")
    refused(vpr("query", tmp_path / "none.vprmap", images), "no such map")
    refused(
        vpr("query", drawn_map, drawn, "--size", "17"), "size 17 is not one this map was made for; choose one of 8,"
    )
    refused(vpr("map", "build", images, "-m", tmp_path, "-o", tmp_path / "m.vprmap"), "not a model folder")
    assert vpr("train", images, "-o", tmp_path / "other", "--method", "pca").returncode == 0
    refused(vpr("query", drawn_map, drawn, "-m", tmp_path / "other"), "or build the map again")
    done = vpr("query", drawn_map, drawn, "--top", "0")
    assert done.returncode == 2 and "Traceback" not in done.stderr


@pytest.mark.parametrize(("signal", "code"), [(2, 130), (15, 143)])
def test_an_interrupt_leaves_nothing(images, tmp_path, signal, code):
    many = tmp_path / "many"
    many.mkdir()
    for i in range(600):
        os.link(sorted(images.iterdir())[i % 14], many / f"{i}.jpg")
    process = subprocess.Popen([*VPR, "train", str(many), "-o", str(tmp_path / "m")], stderr=subprocess.PIPE, text=True)
    try:
        process.wait(timeout=3)
        pytest.fail("the training ended before it could be interrupted")
    except subprocess.TimeoutExpired:
        process.send_signal(signal)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many"]
