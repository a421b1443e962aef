import sqlite3

import numpy as np
import pytest

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.mapping import build_map
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.info import map_info
from vpr_aesvc.types import Frame, Pose


@pytest.fixture(scope="module")
def describer(drawn_model):
    return Describer.open(drawn_model)


def random_unit(rows, dim, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_what_was_added_comes_back(tmp_path, describer, random_image):
    frames = [
        Frame("a.png", stamp=12.5, pose=Pose(1, 2, 3, 0, 0, 0, 1), sequence="monday", index=4, extra={"floor": "2"}),
        Frame("b.png"),
    ]
    rows = random_unit(2, describer.dim)
    with PlaceMap.create(tmp_path / "m.vprmap", describer) as place_map:
        ids = place_map.add(frames, rows, [random_image, None])
    with PlaceMap.open(tmp_path / "m.vprmap", describer) as place_map:
        places = place_map.places()
        assert list(places) == ids and len(place_map) == 2
        first, second = places.values()
        assert (first.label, first.traverse, first.stamp, first.pose) == ("a.png", "monday", 12.5, frames[0].pose)
        assert first.extra == {"floor": "2", "index": "4"}
        assert (second.traverse, second.pose, second.stamp) == ("traverse-1", None, None)
        assert np.abs(place_map.descriptors()[1] - rows).max() < 1e-3
        assert place_map.thumbnail(ids[0]).shape == random_image.shape and place_map.thumbnail(ids[1]) is None
        info = map_info(place_map)
        assert (info.places, info.with_pose, info.bounds) == (2, 1, (1, 2, 1, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["m.vprmap"]  # one file, the log folded in


@pytest.mark.parametrize("size", [8, 16, None])
def test_search_equals_brute_force_over_prefixes(tmp_path, describer, size):
    rows, queries = random_unit(50, describer.dim), random_unit(7, describer.dim, seed=1)
    with PlaceMap.create(tmp_path / "m.vprmap", describer) as place_map:
        ids = place_map.add([Frame(str(i)) for i in range(50)], rows)
        found = place_map.search(queries, k=5, size=size)
        stored = place_map.descriptors()[1].astype(np.float32)
    cut = size or describer.dim
    q, d = (x[:, :cut] / np.linalg.norm(x[:, :cut], axis=1, keepdims=True) for x in (queries, stored))
    cosines = q @ d.T
    for row, matches in enumerate(found):
        best = np.argsort(-cosines[row])[:5]
        assert [match.place.id for match in matches] == [ids[i] for i in best]
        assert np.allclose([match.similarity for match in matches], cosines[row, best], atol=1e-5)


def test_the_index_sees_places_added_after_a_search(tmp_path, describer):
    rows = random_unit(3, describer.dim)
    with PlaceMap.create(tmp_path / "m.vprmap", describer) as place_map:
        assert place_map.search(rows[0]) == [] and place_map.search(rows[:2]) == [[], []]
        place_map.add([Frame("0"), Frame("1")], rows[:2])
        assert len(place_map.search(rows[2], k=9)) == 2
        place_map.add([Frame("2")], rows[2:])
        assert place_map.search(rows[2])[0].place.label == "2"


def test_a_batch_is_added_whole_or_not_at_all(tmp_path, describer):
    rows = random_unit(2, describer.dim)
    with PlaceMap.create(tmp_path / "m.vprmap", describer) as place_map:
        with pytest.raises(VprError, match="must be finite and of length 1"):
            place_map.add(
                [Frame("0"), Frame("1")], np.where(np.arange(2)[:, None] == 1, np.nan, rows).astype(np.float32)
            )
        with pytest.raises(VprError, match="expected descriptors of shape"):
            place_map.add([Frame("0")], rows)
        with pytest.raises(ValueError, match="zip"):  # one image too few: found while adding, after the first place
            place_map.add_stored([Frame("0"), Frame("1")], np.asarray(rows, np.float16), [None])
        assert len(place_map) == 0


def test_mistakes_in_a_search(drawn_map, describer):
    with PlaceMap.open(drawn_map, describer) as place_map:
        rows = random_unit(1, describer.dim)
        with pytest.raises(VprError, match="size 17 is not one this map was made for; choose one of 8, 16, 32"):
            place_map.search(rows, size=17)
        with pytest.raises(VprError, match="the query has 3"):
            place_map.search(rows[:, :3])
        with pytest.raises(VprError, match="k must be at least 1"):
            place_map.search(rows, k=0)


def test_a_map_of_another_model_is_refused(drawn, drawn_map, tmp_path):
    from vpr_aesvc.backbones import open_backbone
    from vpr_aesvc.training import train

    frames = open_input(drawn).split("database").frames
    other = train(frames[:20], open_backbone("hog"), tmp_path / "other", method="aesvc")
    with pytest.raises(VprError, match=r"was made with model \w{16}.*is model \w{16}"):
        PlaceMap.open(drawn_map, other)


def test_files_that_are_no_maps(tmp_path, describer):
    with pytest.raises(VprError, match="no such map"):
        PlaceMap.open(tmp_path / "nothing.vprmap")
    (tmp_path / "text.vprmap").write_text("not a map, but long enough to hold a header" * 9)
    (tmp_path / "empty.vprmap").write_bytes(b"")
    sqlite3.connect(tmp_path / "other.vprmap").execute("CREATE TABLE t (x)").connection.close()
    for name in ("text", "empty", "other"):
        with pytest.raises(VprError, match="not a place map"):
            PlaceMap.open(tmp_path / f"{name}.vprmap")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.vprmap", "other.vprmap", "text.vprmap"]


def test_another_schema_and_a_cut_file(tmp_path, drawn_map):
    newer = tmp_path / "newer.vprmap"
    newer.write_bytes(drawn_map.read_bytes())
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(VprError, match="has map schema 99, this vpr_aesvc reads schema 2; build the map again"):
        PlaceMap.open(newer)
    cut = tmp_path / "cut.vprmap"
    cut.write_bytes(drawn_map.read_bytes()[: drawn_map.stat().st_size // 2])
    with pytest.raises(VprError, match=r"cut\.vprmap"), PlaceMap.open(cut) as place_map:
        place_map.descriptors()


def test_an_output_that_exists_is_left_alone(tmp_path, describer, drawn):
    target = tmp_path / "m.vprmap"
    target.write_text("precious")
    with pytest.raises(VprError, match="exists already"):
        PlaceMap.create(target, describer)
    with pytest.raises(VprError, match="exists already"):
        build_map(open_input(drawn).frames, describer, target)
    assert target.read_text() == "precious"


def test_a_build_that_fails_leaves_nothing(tmp_path, describer):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_text("words")
    with pytest.raises(VprError, match="none of the 1 images could be read"):
        build_map(open_input(tmp_path / "in").frames, describer, tmp_path / "m.vprmap")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_the_map_finds_its_own_images(drawn, drawn_map, describer):
    frames = open_input(drawn).split("database").frames
    with PlaceMap.open(drawn_map, describer) as place_map:
        found = place_map.search(describer.describe(read_image(frames[7].path)), k=1)[0]
    assert found.place.label == frames[7].label and found.similarity > 0.999
    assert found.place.pose == frames[7].pose
