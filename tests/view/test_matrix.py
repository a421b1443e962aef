"""The distance matrix of two traverses, or of a traverse and a run, and the bound of a live run."""

import json

import numpy as np
import pytest

from benchmarks.damage import DIM
from tests.placemap.places import new_map, unit_rows
from tests.view.test_page import pixels, until
from tests.view.test_server import get
from vpr_aesvc import PlaceMap
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.types import Frame, Match
from vpr_aesvc.view.matrix import Matrices
from vpr_aesvc.view.places import DrawnPlaces
from vpr_aesvc.view.recognized_run import RecognizedRun


def opened(data):
    """How many places of both sides are shown and there, and the cosines."""
    head = np.frombuffer(data[:16], "<u4").tolist()
    return head, np.frombuffer(data[16:], "<i2").reshape(head[:2]) / 32767


def test_the_cosines_are_those_of_the_stored_descriptors(address, drawn_map):
    with PlaceMap.open(drawn_map) as place_map:
        stored = place_map.descriptors()[1].astype(np.float32)
    head, itself = opened(get(address, "/matrix/0/0")[2])
    assert head == [40, 40, 40, 40] and np.allclose(itself, stored @ stored.T, atol=2e-3)
    head, run = opened(get(address, "/matrix/0/1")[2])
    assert head == [40, 12, 40, 12]
    for frame in range(12):
        assert np.allclose(run[:, frame], np.frombuffer(get(address, f"/frame/0/{frame}/cosines")[2], "<f4"), atol=2e-3)
    assert get(address, "/matrix/0/2")[0] == get(address, "/matrix/-1/0")[0] == 404


def test_a_long_traverse_is_sampled_and_an_unknown_descriptor_is_no_number(tmp_path):
    count = 2500
    rows = unit_rows(count + 3, DIM)
    frames = [Frame(str(at), sequence="long" if at < count else "short") for at in range(count + 3)]
    with new_map(tmp_path / "a.vprmap", frames, rows) as place_map:
        run = RecognizedRun("run", MapSnapshot(place_map, DIM))
        nothing = Recognition(False, "no place")
        matrices = Matrices(place_map, DrawnPlaces.of(place_map), [run])
        with pytest.raises(LookupError):
            matrices.cosines(0, 2)
        for descriptor in (None, rows[5]):
            run.add(Frame("x"), descriptor, nothing)
        head, cosines = opened(matrices.cosines(0, 1))
        assert head == [1000, 3, 2500, 3]
        taken = np.arange(1000) * 2500 // 1000
        assert np.allclose(cosines, rows[taken] @ rows[count:].T, atol=2e-3)
        _, of_run = opened(matrices.cosines(0, 2))
        assert (of_run[:, 0] < -1).all() and of_run[2, 1] == pytest.approx(1, abs=1e-3)


def test_a_live_run_keeps_the_newest_frames(tmp_path):
    with new_map(tmp_path / "a.vprmap", [Frame("a"), Frame("b")], unit_rows(2, DIM)) as place_map:
        drawn, run = DrawnPlaces.of(place_map), RecognizedRun("run", MapSnapshot(place_map, DIM), most=10)
        for at in range(23):
            match = Match(drawn.places[at % 2], 0.5)
            run.add(Frame(str(at)), np.full(DIM, at), Recognition(True, f"why {at}", match, probability=at / 100))
    shown = run.content(drawn)
    assert shown["label"] == [str(at) for at in range(15, 23)] and shown["dropped"] == 15
    assert shown["best"] == [at % 2 for at in range(15, 23)] and shown["probability"][0] == 0.15
    assert [json.loads(run.details[at])["why"] for at in (0, 7)] == ["why 15", "why 22"]
    assert run.descriptors([0, 7], DIM)[:, 0].tolist() == [15, 22]


def test_a_cell_shows_both_pictures(open_page, address, scene):
    page = open_page(address)
    page.keyboard.press("m")
    until(page, "document.getElementById('matrix-text').textContent.includes('12 frames of')")
    assert page.is_hidden("#map") and "40 places of" in page.get_attribute("#cells", "aria-label")
    page.wait_for_timeout(100)
    before = pixels(page, "#cells")
    page.focus("#cells")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "PageDown"):
        page.keyboard.press(key)
    frame, place = scene["runs"][0]["label"][1], scene["map"]["label"][11]
    said = page.inner_text("#cell-text")
    assert frame in said and place in said and said.startswith("Cosine ")
    until(page, "[...document.querySelectorAll('.pair img')].every((image) => image.naturalWidth > 100)")
    captions = page.locator(".pair figcaption").all_inner_texts()
    assert place in captions[0] and frame in captions[1]
    page.wait_for_timeout(100)
    assert pixels(page, "#cells") != before
    page.locator("#rows").select_option("1")
    until(page, "document.getElementById('matrix-text').textContent.startsWith('12 frames of')")
    box = page.locator("#cells").bounding_box()
    page.mouse.click(box["x"] + 2, box["y"] + 2)
    assert page.inner_text("#detail h2") == "Cosine 1.000"
    page.locator(".others button").first.click()
    assert page.is_visible("#map") and page.inner_text("#detail h2") == scene["runs"][0]["label"][0]
