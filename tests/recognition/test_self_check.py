"""What a map says that it can promise, and what pruning loses of it."""

import json
import re
import shutil

import numpy as np
import pytest

from benchmarks.recognition_variants import write_map
from tests.command import refused, vpr
from tests.placemap.places import drive, new_map
from vpr_aesvc import Describer, build_map, open_input
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.decision import lowest_rate
from vpr_aesvc.recognition.learned_models import LearnedModels
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.self_check import measure_promise, recognize_places, stored_promise

DIM = 64


def walk(count, step, seed=0):
    """float32 [count, 64], unit norm: neighbors are similar, by ``step`` less for each frame."""
    random = np.random.default_rng(seed)
    rows = [random.standard_normal(DIM)]
    for _ in range(count - 1):
        rows.append(rows[-1] + step * random.standard_normal(DIM))
    return np.array([row / np.linalg.norm(row) for row in rows], np.float32)


def map_of(path, rows):
    meta_map = new_map(path)
    meta = meta_map.meta
    meta_map.close()
    path.unlink()
    place_map = PlaceMap.create_like(path, {**meta, "dim": str(DIM), "sizes": f"[{DIM}]"})
    place_map.add(drive(len(rows), step=3.0), rows)
    return place_map


def test_the_lowest_rate_is_that_of_the_decision(tmp_path):
    """The stored figure is the rate that no margin can go below; a map with nothing to compare has the prior's."""
    lowest = []
    for count in (12, 60, 300):
        with map_of(tmp_path / f"{count}.vprmap", walk(count, 0.5)) as place_map:
            promise = measure_promise(place_map)
            snapshot = MapSnapshot(place_map, DIM)
            snapshot.update()
            learned = LearnedModels(place_map, DIM)
            learned.update(snapshot, geometry=False, has_revisited=False)
            assert promise.lowest == lowest_rate(learned.null, None, sequence=False)
            assert promise.lowest == pytest.approx(float(learned.null.false_positive_rate(1e9)))
            assert lowest_rate(learned.null, None, sequence=True) == pytest.approx(promise.lowest / 1.5)
            lowest.append(promise.lowest)
            assert stored_promise(place_map) == promise.lines()
    assert lowest[0] == 0.01 > max(lowest[1:])


def test_a_change_of_places_or_poses_makes_it_unknown(tmp_path):
    with map_of(tmp_path / "m.vprmap", walk(30, 0.5)) as place_map:
        assert "not measured" in stored_promise(place_map)[0]
        measure_promise(place_map)
        place_map.remove([3])
        assert "not measured" in stored_promise(place_map)[0]


def test_places_of_one_map_are_recognized_in_another(drawn_map, tmp_path):
    copy = shutil.copy(drawn_map, tmp_path / "m.vprmap")
    with PlaceMap.open(copy) as one, PlaceMap.open(drawn_map) as other:
        found = list(recognize_places(one, other, [3, 17]))
    assert [place.id for place, _ in found] == [3, 17]
    assert all(result.best.place.id == place.id and result.accepted for place, result in found)


def test_every_command_that_makes_a_map_says_it(drawn, drawn_map, drawn_model, tmp_path):
    words = "lowest false-positive rate that this map can promise: 0.00"
    path = tmp_path / "m.vprmap"
    built = vpr("map", "build", drawn, "-m", drawn_model, "-o", path)
    assert words in built.stdout and "measured with 40 places" in built.stdout
    line = next(line for line in built.stdout.splitlines() if words in line)
    assert " of 40 places, left out and searched in the rest" in built.stdout
    info = vpr("map", "info", path).stdout
    assert f"  {line}\n" in info and line in json.loads(vpr("map", "info", path, "--json").stdout)["promise"]
    added = vpr("map", "add", path, drawn / "images" / "evening").stdout
    assert (
        words in added
        and "measured with 52 places" in added
        and "measured with 52 places" in vpr("map", "info", path).stdout
    )
    assert "not measured" in vpr("map", "info", drawn_map).stdout  # made from Python


def test_pruning_says_what_recognition_loses_and_writes_no_map_that_accepts_nothing(
    drawn, drawn_map, drawn_model, tmp_path
):
    """In a map without pictures ten places promise nothing by similarity alone."""
    frames, describer = open_input(drawn).split("database").frames, Describer.open(drawn_model)
    rows = np.vstack([part for _, part, _ in describer.describe_frames(frames, [])])
    bare, output = tmp_path / "bare.vprmap", tmp_path / "small.vprmap"
    write_map(bare, describer, frames, rows, with_images=False)
    done = vpr("map", "prune", bare, "-o", output, "--places", 10, "--radius", 20)
    refused(done, "nothing would be accepted in it")
    assert "are accepted in the whole map, 0 in the new one" in done.stderr and not output.exists()
    done = vpr("map", "prune", bare, "-o", output, "--places", 10, "--radius", 20, "--force")
    assert done.returncode == 0 and "keeps 10 of 40" in done.stdout and "0 in the new one" in done.stdout
    few = vpr("map", "prune", drawn_map, "-o", tmp_path / "few.vprmap", "--places", 10, "--radius", 20)
    assert few.returncode == 0 and "0 in the new one" not in few.stdout, few.stderr  # key points promise more


def test_pruning_that_keeps_enough_is_written(drawn_map, tmp_path):
    done = vpr("map", "prune", drawn_map, "-o", tmp_path / "small.vprmap", "--places", 34, "--radius", 20)
    assert done.returncode == 0, done.stderr
    counts = re.search(
        r"of (\d+) removed places, recognized as single new images, (\d+) are accepted in the whole map", done.stdout
    )
    assert counts is not None and int(counts[1]) >= int(counts[2]) >= 6
    assert list(tmp_path.glob("*")) == [tmp_path / "small.vprmap"]


def test_eval_says_it_for_each_variant(drawn, drawn_map, drawn_model, tmp_path):
    """Also in a map of ten places a match that key points verify can be accepted at 0.01: other maps taught what that means."""
    few = open_input(drawn).split("database").frames[:10]
    build_map(few, Describer.open(drawn_model), tmp_path / "few.vprmap")
    for name, path in (("few", tmp_path / "few.vprmap"), ("whole", drawn_map)):
        done = vpr("eval", drawn, "--map", path, "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert "lowest false-positive rate that the map can promise: single frame 0.0" in done.stdout
        rates = [float(rate) for rate in re.findall(r"with (?:geometry|both) (0\.\d+)", done.stdout)]
        assert len(rates) == 2 and rates[1] < rates[0] < 0.01 and "no match" not in done.stdout
        assert (
            "single frame 0.0"
            in json.loads((tmp_path / name / "drive.json").read_text())["made"]["lowest rate that the map can promise"]
        )
