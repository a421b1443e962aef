"""Obvious mistakes in calls from Python are a VprError of one line, like those of the command."""

import numpy as np
import pytest

import vpr_aesvc as v
from vpr_aesvc import VprError
from vpr_aesvc.placemap import PlaceMap

IMAGE = np.full((48, 64, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def model(drawn_model):
    return v.Describer.open(drawn_model)


@pytest.fixture
def places(drawn_map):
    with PlaceMap.open(drawn_map) as place_map:
        yield place_map


@pytest.mark.parametrize(
    "wrong",
    [{"k": 2.5}, {"k": "3"}, {"k": None}, {"k": 0}, {"size": 8.0}, {"size": "all"}, {"size": 7}],
    ids=str,
)
def test_search(places, wrong):
    with pytest.raises(VprError):
        places.search(np.eye(places.dim, dtype=np.float32)[0], **wrong)


@pytest.mark.parametrize("descriptor", ["abc", None, [1, 2], [[1], [2, 3]]], ids=str)
def test_descriptors(places, descriptor):
    with pytest.raises(VprError):
        places.search(descriptor)


def test_places_of_a_map(places, model, tmp_path):
    row = np.eye(places.dim, dtype=np.float32)[:1]
    with PlaceMap.create(tmp_path / "m.vprmap", model) as new:
        for frames, rows, images in (
            (["a.jpg"], row, None),
            ([IMAGE], row, None),
            ([v.Frame("a")], [[1.0, 2.0]], None),
            ([v.Frame("a")], row[0], None),
            ([v.Frame("a")], row, []),
            ([v.Frame("a")], row, [IMAGE, IMAGE]),
        ):
            with pytest.raises(VprError):
                new.add(frames, rows, images)
        assert len(new) == 0
        new.add([v.Frame("a")], row)
        with pytest.raises(VprError):
            new.set_poses({1: (0.0, 0.0, 0.0)})


def test_what_is_opened_and_built(drawn, drawn_map, drawn_model, model, tmp_path):
    source = v.open_input(drawn)
    for wrong in (
        lambda: v.open_input(["a.jpg"]),
        lambda: v.open_input(None),
        lambda: v.open_input(drawn, {"pose_gap": 1}),
        lambda: PlaceMap.open(None),
        lambda: v.build_map(str(drawn), model, tmp_path / "a.vprmap"),
        lambda: v.build_map(source, drawn_model, tmp_path / "b.vprmap"),
        lambda: v.Recognizer(drawn_map, model),
        lambda: v.train([], v.open_backbone("hog"), tmp_path / "c"),
        lambda: v.train([v.Frame("a", image=IMAGE)], v.open_backbone("hog"), tmp_path / "d"),
        lambda: v.train(str(drawn), v.open_backbone("hog"), tmp_path / "e"),
    ):
        with pytest.raises(VprError):
            wrong()
    assert list(tmp_path.iterdir()) == []


def test_a_recognizer(places, model):
    recognizer = v.Recognizer(places, model)
    for frame, more in (
        (None, {}),
        (IMAGE.astype(np.float32) / 255, {}),
        ("absent.jpg", {}),
        (IMAGE, {"odometry": (1.0, 0.0, 0.0)}),
        (v.Frame("a", image=IMAGE), {"descriptor": [1.0]}),
    ):
        with pytest.raises(VprError):
            recognizer.recognize(frame, **more)
    with pytest.raises(VprError, match="has no model"):
        v.Recognizer(places, None).recognize(IMAGE)
