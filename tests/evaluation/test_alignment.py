"""A run whose poses have another origin than the map's: it is seen, said, and the transform is found again."""

import csv
import json
import math
import re
import shutil

import numpy as np
import pytest

from tests.command import refused, vpr
from vpr_aesvc import Describer, build_map, open_input
from vpr_aesvc.placemap import PlaceMap

SHIFT, YAW = (12.0, -7.0), math.radians(35)


def turned(positions, yaw=YAW, shift=(*SHIFT, 1.0)):
    rotation = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
    return positions @ rotation.T + shift


@pytest.fixture(scope="module")
def moved_street(drawn, tmp_path_factory):
    """The drawn route whose rows all have poses in another frame."""
    folder = tmp_path_factory.mktemp("moved") / "route"
    shutil.copytree(drawn, folder)
    rows = list(csv.DictReader((folder / "frames.csv").open()))
    for row in rows:
        x, y, _ = turned(np.array([[float(row["easting"]), float(row["northing"]), 0.0]]))[0]
        row |= {"easting": str(x), "northing": str(y), "heading": str(float(row["heading"]) + YAW)}
    with (folder / "frames.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_eval_sees_the_shift_and_gives_both_figures(moved_street, drawn_map, tmp_path):
    rate = ("--false-positive-rate", 0.05, "--within", 5)
    done = vpr("eval", moved_street, "--map", drawn_map, "-o", tmp_path / "as_given", *rate)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "seem to have different origins" in said and "yaw -3" in said
    assert "of 12 frames 0 as given, 12 aligned" in said and "aligned:" in said
    made = json.loads((tmp_path / "as_given" / "drive.json").read_text())["made"]
    assert "different origins" in made["alignment"]
    for kind in ("se2", "sim3"):
        done = vpr("eval", moved_street, "--map", drawn_map, "-o", tmp_path / kind, "--align", kind, *rate)
        if kind == "sim3":
            refused(done, "do not determine the rotation")  # the street is straight
            continue
        assert done.returncode == 0, done.stderr
        content = json.loads((tmp_path / kind / "drive.json").read_text())
        assert "aligned" in content["made"]["alignment"]
        assert np.median([frame["nearest"] for frame in content["frames"]]) < 2.5


def test_eval_of_poses_in_one_frame_says_nothing_of_it(drawn, drawn_map, tmp_path):
    done = vpr("eval", drawn, "--map", drawn_map, "-o", tmp_path / "report")
    assert done.returncode == 0 and "origins" not in done.stdout


def test_eval_names_the_option_where_the_poses_are_far_apart(drawn, drawn_map, drawn_model, tmp_path):
    path = shutil.copy(drawn_map, tmp_path / "m.vprmap")
    with PlaceMap.open(path) as place_map:
        place_map.set_poses(
            {one.id: one.pose.__class__(one.pose.x + 5000, one.pose.y) for one in place_map.places().values()}
        )
    refused(vpr("eval", drawn, "--map", path, "-o", tmp_path / "r"), "--align se2")
    done = vpr("eval", drawn, "--map", path, "-o", tmp_path / "r", "--align", "se2", "--false-positive-rate", 0.05)
    assert done.returncode == 0, done.stderr
    assert abs(float(re.search(r"\(x ([\d.]+), y", " ".join(done.stdout.split()))[1]) - 5000) < 1
    refused(vpr("eval", drawn, "-m", drawn_model, "-o", tmp_path / "s", "--align", "se2"), "--align is for --map")


def test_merge_warns_and_finds_the_transform(moved_street, drawn, drawn_map, drawn_model, tmp_path):
    evening = open_input(moved_street).split("query")
    build_map(evening.frames, Describer.open(drawn_model), tmp_path / "evening.vprmap")
    words = (drawn_map, tmp_path / "evening.vprmap")
    done = vpr("map", "merge", *words, "-o", tmp_path / "as_given.vprmap")
    assert (
        done.returncode == 0
        and "warning: the maps do not fit each other" in done.stderr
        and "--transform auto" in done.stderr
    )
    done = vpr("map", "merge", *words, "-o", tmp_path / "both.vprmap", "--transform", "auto")
    assert done.returncode == 0, done.stderr
    with PlaceMap.open(tmp_path / "both.vprmap") as place_map:
        found = {place.label: place.pose for place in place_map.places().values()}
    truth = {frame.label: frame.pose for frame in open_input(drawn).split("query").frames}
    errors = [math.hypot(found[label].x - pose.x, found[label].y - pose.y) for label, pose in truth.items()]
    assert max(errors) < 4
    transform = done.stdout.split("the same again: ")[1].split()[0]
    done = vpr("map", "merge", *words, "-o", tmp_path / "again.vprmap", transform)
    assert done.returncode == 0 and "warning" not in done.stderr


def test_merge_cannot_find_what_the_maps_do_not_share(drawn_map, drawn_model, other_streets, tmp_path):
    build_map(open_input(other_streets), Describer.open(drawn_model), tmp_path / "other.vprmap")
    words = (drawn_map, tmp_path / "other.vprmap", "-o", tmp_path / "both.vprmap")
    refused(vpr("map", "merge", *words, "--transform", "auto"), "0 matches are too few")
    assert not (tmp_path / "both.vprmap").exists()
    done = vpr("map", "merge", *words)
    assert done.returncode == 0 and "warning" not in done.stderr
