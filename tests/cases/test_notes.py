"""How an input was understood is said once on the terminal, kept in the map, and written into reports."""

import html
import json

import pytest

from tests.command import vpr
from vpr_aesvc import Describer, build_map, open_backbone, open_input
from vpr_aesvc.evaluation.bench import bench
from vpr_aesvc.evaluation.benchmark_report import benchmark_report
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.copies import merge


@pytest.fixture(scope="module")
def lap(drawn, tmp_path_factory):
    """A folder of images with a trajectory: its notes say the format and the axes."""
    folder = tmp_path_factory.mktemp("notes")
    images = sorted((drawn / "images" / "morning").glob("*.jpg"))[:12]
    (folder / "lap").mkdir()
    for at, image in enumerate(images):
        (folder / "lap" / f"{100 + at}.0.jpg").write_bytes(image.read_bytes())
    lines = [f"{100 + at}.0 {1.5 * at} 0 0 0 0 0 1" for at in range(12)]
    (folder / "lap.tum").write_text("\n".join(lines) + "\n")
    return folder


def notes_of(folder):
    from vpr_aesvc import InputOptions

    return open_input(folder / "lap", InputOptions(trajectory=folder / "lap.tum")).notes


def test_a_recordings_notes_are_kept_and_said(lap, drawn_model, tmp_path):
    notes = notes_of(lap)
    assert notes
    path = tmp_path / "lap.vprmap"
    words = (lap / "lap", "--trajectory", lap / "lap.tum")
    done = vpr("map", "build", *words, "-m", drawn_model, "-o", path)
    info = vpr("map", "info", path).stdout.splitlines()
    for note in notes:
        assert done.stderr.count(note) == 1
        assert f"    {note}" in info
    assert sum(line.startswith("  traverse lap:") for line in info) == 1
    assert (
        json.loads(vpr("map", "info", path, "--json").stdout)["traverses"][0]["traverse"]["notes"].splitlines()[1:]
        == notes
    )


def test_an_evaluations_report_holds_the_notes(lap, drawn_model, tmp_path):
    words = (lap / "lap", "--trajectory", lap / "lap.tum", "-m", drawn_model, "-o", tmp_path / "report")
    done = vpr("eval", *words)
    assert done.returncode == 0, done.stderr
    made = json.loads((tmp_path / "report" / "drive.json").read_text())["made"]
    page = (tmp_path / "report" / "report.html").read_text()
    for note in notes_of(lap):
        assert note in made.values() and done.stderr.count(note) == 1
        assert note in html.unescape(page)


def test_of_a_set_every_traverse_has_the_notes_and_they_are_printed_once(drawn, drawn_model, tmp_path):
    source = open_input(drawn).split("database")
    source.notes.append("stamps: nanoseconds")
    path = tmp_path / "set.vprmap"
    build_map(source, Describer.open(drawn_model), path)
    with PlaceMap.open(path) as place_map:
        for traverse in place_map.traverses().values():
            assert traverse.notes.splitlines() == ["frames.csv", "stamps: nanoseconds"]
    assert vpr("map", "info", path).stdout.count("stamps: nanoseconds") == 1


def test_notes_go_with_a_traverse_into_other_maps(lap, drawn_model, drawn_map, tmp_path):
    path = tmp_path / "lap.vprmap"
    assert (
        vpr("map", "build", lap / "lap", "--trajectory", lap / "lap.tum", "-m", drawn_model, "-o", path).returncode == 0
    )
    note = notes_of(lap)[0]
    with PlaceMap.open(drawn_map) as one, PlaceMap.open(path) as other:
        merge(one, other, tmp_path / "both.vprmap")
    assert note in vpr("map", "info", tmp_path / "both.vprmap").stdout


def test_a_benchmark_says_how_its_input_was_read(drawn):
    source = open_input(drawn)
    assert "input" not in bench(source, "a street", open_backbone("hog"), ["raw"]).protocol
    source.notes += ["degrees", "qw first"]
    run = bench(source, "a street", open_backbone("hog"), ["raw"])
    assert ("input", "degrees; qw first") in benchmark_report([run]).notes
