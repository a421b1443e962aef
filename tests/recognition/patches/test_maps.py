"""Patches in maps: stored, kept by everything that copies places, and used by the recognizer."""

import json
import math
import shutil
import sqlite3

import numpy as np
import pytest

from tests.command import refused, vpr
from tests.recognition.laps import posed
from vpr_aesvc import Describer, Frame, PlaceMap, Recognizer, RecognizerSettings, open_input, train
from vpr_aesvc.errors import VprError
from vpr_aesvc.export import export_model
from vpr_aesvc.export.fetch import fetch_encoder
from vpr_aesvc.images import read_image
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.mapping import build_map
from vpr_aesvc.onboard.engine import Engine, IncomingFrame
from vpr_aesvc.placemap.copies import backup, copy_places, merge
from vpr_aesvc.placemap.repair import check_map, salvage
from vpr_aesvc.recognition.patches.projection import PatchProjection

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def model(loop_folder, encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    fetched = fetch_encoder(str(encoder), folder / "encoder")
    train(open_input(loop_folder).split("database").frames, fetched, folder / "model", method="aesvc")
    return folder / "model"


@pytest.fixture(scope="module")
def built(loop_folder, model, tmp_path_factory):
    """The file of a map of lap 1, with patches."""
    path = tmp_path_factory.mktemp("map") / "lap.vprmap"
    frames = [posed(frame) for frame in open_input(loop_folder).split("database").frames]
    build_map(frames, Describer.open(model), path, patches=True)
    return path


@pytest.fixture(scope="module")
def asked(loop_folder):
    return open_input(loop_folder).split("query").frames


def test_the_command_builds_adds_and_says_the_cost(loop_folder, loop_model, model, asked, tmp_path):
    path = tmp_path / "lap.vprmap"
    refused(vpr("map", "build", loop_folder, "-m", loop_model, "-o", path, "--patches"), "gives no patches")
    assert not path.exists()
    assert vpr("map", "build", loop_folder, "-m", model, "-o", path, "--patches").returncode == 0
    (tmp_path / "more").mkdir()
    for frame in asked[:3]:
        shutil.copy(frame.path, tmp_path / "more")
    done = vpr("map", "add", path, tmp_path / "more", "--traverse", "again")
    assert done.returncode == 0, done.stderr
    info = json.loads(vpr("map", "info", path, "--json").stdout)
    assert info["with_patches"] == info["places"] == 43
    bytes_a_place = info["patch_bytes"] // 43
    assert bytes_a_place == 32 * np.prod(Describer.open(model).patch_grid)
    assert f"patches: {bytes_a_place} bytes a place, 43 of 43 places" in vpr("map", "info", path).stdout


def test_copies_keep_patches_and_damage_is_found(built, model, tmp_path):
    with PlaceMap.open(built) as place_map:
        ids = place_map.descriptors()[0]
        stored = [place_map.patches(place) for place in ids]
        assert None not in stored and place_map.patch_sizes() == (len(ids), sum(map(len, stored)))
        backup(place_map, tmp_path / "backup.vprmap")
        with PlaceMap.create_like(tmp_path / "pruned.vprmap", place_map.meta) as pruned:
            copy_places(place_map, pruned, ids[::2])
            assert [pruned.patches(place) for place in pruned.descriptors()[0]] == stored[::2]
        with PlaceMap.create(tmp_path / "plain.vprmap", Describer.open(model)) as plain:
            copy_places(place_map, plain, ids[:5])  # another projection, here none: patches cannot be compared
            assert plain.patch_sizes() == (0, 0) and plain.patches(1) is None
            merge(place_map, plain, tmp_path / "merged.vprmap")
    with PlaceMap.open(tmp_path / "merged.vprmap") as merged:
        assert merged.patch_sizes()[0] == len(ids)
    copy = tmp_path / "backup.vprmap"
    with sqlite3.connect(copy) as db:
        db.execute("UPDATE patches SET patches = zeroblob(length(patches)) WHERE place = 3")
    db.close()
    assert "the patches of place 3 do not match their checksum" in check_map(copy).problems
    with PlaceMap.open(copy) as place_map, pytest.raises(VprError, match="patches of place 3"):
        place_map.patches(3)
    assert salvage(copy, tmp_path / "saved.vprmap").places == len(ids)
    with PlaceMap.open(tmp_path / "saved.vprmap") as saved:
        assert [saved.patches(place) for place in ids] == [*stored[:2], None, *stored[3:]]
        assert saved.remove([1]) == 1 and saved.patch_sizes()[0] == len(ids) - 2


def test_a_map_of_an_earlier_version_has_no_table(built, tmp_path):
    with PlaceMap.open(built) as place_map:
        meta = {key: text for key, text in place_map.meta.items() if key != "patches"}
        with PlaceMap.create_like(tmp_path / "old.vprmap", meta) as old:
            copy_places(place_map, old, place_map.descriptors()[0][:3])
    with sqlite3.connect(tmp_path / "old.vprmap") as db:
        db.execute("DROP TABLE patches")
    db.close()
    with PlaceMap.open(tmp_path / "old.vprmap") as old:
        assert old.patches(1) is None and old.patch_sizes() == (0, 0) and PatchProjection.of(old) is None
    assert check_map(tmp_path / "old.vprmap").problems == []


def test_patches_choose_what_is_verified_and_order_it_with_the_inliers(built, model, asked):
    with PlaceMap.open(built) as place_map:
        describer = Describer.open(model)
        settings = RecognizerSettings(sequence=False)
        ranked, plain, alone = (
            Recognizer(place_map, describer, settings.model_copy(update=change))
            for change in ({}, {"patches": False}, {"geometry": False})
        )
        ranked.prepare()
        by_inliers, by_patches = ranked.learned.match_model.ranking
        assert by_inliers > 0 and by_patches >= 0
        changed = 0
        for frame in asked[::6]:
            with_patches, without = ranked.recognize(frame), plain.recognize(frame)
            scores = [
                by_inliers * math.log1p(one.geometry.inliers) + by_patches * one.patches.score
                for one in with_patches.candidates
                if one.geometry is not None  # after a clear one no other is verified
            ]
            assert scores == sorted(scores, reverse=True) and len(with_patches.candidates) == 5
            assert all(candidate.patches is None for candidate in without.candidates)
            assert all(candidate.patches is None for candidate in alone.recognize(frame).candidates)
            places = [{one.match.place.id for one in result.candidates} for result in (with_patches, without)]
            changed += places[0] != places[1]
        assert changed


def test_a_place_of_the_map_matches_itself_entirely(built, model, loop_folder):
    image = read_image(open_input(loop_folder).split("database").frames[7].path)
    with PlaceMap.open(built) as place_map:
        best = Recognizer(place_map, Describer.open(model)).recognize(image).candidates[0]
    assert best.match.place.id == 8 and best.patches.score > 0.95


def test_places_without_patches_keep_their_rank(built, model, asked, tmp_path):
    with PlaceMap.open(built) as place_map, PlaceMap.create_like(tmp_path / "some.vprmap", place_map.meta) as some:
        ids, descriptors = place_map.descriptors()
        frames = [Frame(place.label, pose=place.pose) for place in place_map.places().values()]
        some.add(frames[:20], descriptors[:20].astype(np.float32))
        some.add(frames[20:], descriptors[20:].astype(np.float32), patches=[place_map.patches(p) for p in ids[20:]])
        assert some.patch_sizes()[0] == len(ids) - 20
        recognizer = Recognizer(some, Describer.open(model), RecognizerSettings(sequence=False, candidates=10))
        both = 0
        for frame in asked[::6]:
            candidates = recognizer.recognize(frame).candidates
            scores = [one.patches.score for one in candidates if one.patches is not None]
            assert all((one.patches is None) == (one.match.place.id <= 20) for one in candidates)
            both += 0 < len(scores) < 10
        assert both


def test_a_model_without_patches_serves_the_map_as_before(built, asked, loop_model):
    with PlaceMap.open(built) as place_map:
        rows = place_map.descriptors()[1].astype(np.float32)
        recognizer = Recognizer(place_map, None, RecognizerSettings(sequence=False))
        assert recognizer.recognize(asked[0], descriptor=rows[3]).candidates[0].patches is None
    plain = Describer.open(loop_model)
    assert plain.patch_grid is None
    with pytest.raises(VprError, match="gives no patches"):
        plain.patches(read_image(asked[0].path))


def test_a_robot_stores_patches_as_it_maps(built, model, asked, tmp_path):
    describer = Describer.open(model)
    with PlaceMap.open(built) as place_map, PlaceMap.create_like(tmp_path / "robot.vprmap", place_map.meta):
        pass
    place_map = PlaceMap.open(tmp_path / "robot.vprmap")
    engine = Engine(place_map, describer, "mapping", RecognizerSettings(), KeyframeSettings(seconds=0), "drive")
    images = [read_image(frame.path) for frame in asked[:12:4]]
    for stamp, image in enumerate(images):
        outcome = engine.process(IncomingFrame("", Frame("now", stamp=100.0 * stamp), lambda image=image: image))
        assert outcome.place_id == stamp + 1, outcome
    engine.add(Frame("here"), images[0])
    projection = PatchProjection.of(place_map)
    assert place_map.patch_sizes()[0] == 4
    assert place_map.patches(1) == place_map.patches(4) == projection.encode(describer.patches(images[0]))
    engine.close()


def test_a_robot_model_of_an_encoder_with_patches_gives_the_same_patches(model, asked, tmp_path):
    export_model(model, tmp_path / "robot")
    original, robot = Describer.open(model), Describer.open(tmp_path / "robot")
    image = read_image(asked[0].path)
    assert np.allclose(original.describe(image), robot.describe(image), atol=1e-4)
    assert np.abs(original.patches(image) - robot.patches(image)).max() < 1e-3


def test_a_damaged_projection_is_named(built, tmp_path):
    with PlaceMap.open(built) as place_map:
        for text in ("{", '{"grid": [14, 14]}', '{"grid": [14], "size": 32, "weights": ""}'):
            place_map.patch_projection = text
            with pytest.raises(VprError, match="projection of patches cannot be read"):
                PatchProjection.of(place_map)
