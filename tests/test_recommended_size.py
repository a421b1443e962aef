"""A model that recommends a size: maps and queries take it where none is given. Models without one work as before."""

import json
import shutil

import numpy as np
import pytest

from tests.command import vpr
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.export import export_model
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.mapping import build_map
from vpr_aesvc.model import load_model, save_model
from vpr_aesvc.onboard.engine import Engine
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.copies import merge
from vpr_aesvc.projections.artifact import prefix
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.settings import RecognizerSettings


def recommending(model, size, path):
    """A copy of the model that recommends this size."""
    manifest, projection = load_model(model)
    training = manifest.training.model_copy(update={"size_scores": {8: 0.1, size: 0.5, 1056: 0.51}})
    save_model(path, manifest.model_copy(update={"recommended_size": size, "training": training}), projection)
    return path


@pytest.fixture(scope="module")
def model(drawn_model, tmp_path_factory):
    return recommending(drawn_model, 16, tmp_path_factory.mktemp("recommending") / "model")


@pytest.fixture(scope="module")
def images(drawn):
    return [read_image(frame.path) for frame in open_input(drawn).frames[:3]]


def test_descriptors_have_the_recommended_size(drawn_model, model, images):
    whole, short = Describer.open(drawn_model), Describer.open(model)
    assert (short.dim, short.sizes, short.family) == (16, (8, 16), whole.family)
    assert np.array_equal(short.describe_batch(images), prefix(whole.describe_batch(images), 16))
    assert np.array_equal(short.of_size(None).describe_batch(images), whole.describe_batch(images))
    assert short.dim == 16 and short.of_size(16) is short and short.of_size(32).sizes == (8, 16, 32)
    with pytest.raises(VprError, match="size 5 is not one this model was trained for; choose one of 8, 16"):
        short.of_size(5)


def test_a_model_of_before_has_its_full_size(drawn_model, tmp_path):
    old = shutil.copytree(drawn_model, tmp_path / "old")
    content = json.loads((old / "model.json").read_text())
    assert content.pop("recommended_size") is None and content["training"].pop("size_scores") == {}
    (old / "model.json").write_text(json.dumps(content))
    assert Describer.open(old).dim == 1056
    content["recommended_size"] = 16
    (old / "model.json").write_text(json.dumps(content))
    with pytest.raises(VprError, match="checksum"):
        Describer.open(old)


def test_a_size_that_the_model_does_not_have_is_refused(drawn_model, tmp_path):
    with pytest.raises(VprError, match="recommends size 7, for which it was not trained"):
        Describer.open(recommending(drawn_model, 7, tmp_path / "model"))


def test_a_given_size_overrules_it(drawn, model, tmp_path):
    done = vpr("map", "build", drawn, "-m", model, "-o", tmp_path / "8.vprmap", "--size", "8")
    assert done.returncode == 0, done.stderr
    with PlaceMap.open(tmp_path / "8.vprmap") as place_map:
        assert (place_map.dim, place_map.sizes) == (8, (8,))
    assert vpr("query", tmp_path / "8.vprmap", drawn, "--json").stdout.count("\n") == 12


def test_a_map_keeps_its_size(drawn, drawn_map, model, tmp_path):
    """Also one that was made before the model recommended another; maps of two sizes are not mixed."""
    describer, frames = Describer.open(model), open_input(drawn).split("database").frames
    image = read_image(frames[0].path)
    build_map(frames, describer, tmp_path / "short.vprmap")
    with PlaceMap.open(drawn_map, describer) as whole, PlaceMap.open(tmp_path / "short.vprmap", describer) as short:
        assert (whole.dim, short.dim) == (1056, 16)
        for place_map in (whole, short):
            recognizer = Recognizer(place_map, describer, RecognizerSettings(geometry=False))
            best = place_map.search(recognizer.describer.describe(image), 1)[0]
            assert best.place.id == 1 and best.similarity > 0.99
            assert recognizer.recognize(image).best.place.id in (1, 2)  # two meters apart
            engine = Engine(place_map, describer, "localization", RecognizerSettings(), KeyframeSettings(), "")
            assert engine.describer.dim == place_map.dim
        with pytest.raises(VprError, match=r"16 numbers, .* of 1056; build one of them again with --size"):
            merge(whole, short, tmp_path / "both.vprmap")


def test_an_export_recommends_it_too(loop_model, loop_folder, tmp_path):
    model = recommending(loop_model, 32, tmp_path / "model")
    export_model(model, tmp_path / "robot")
    image = read_image(open_input(loop_folder).frames[0].path)
    one, other = Describer.open(model), Describer.open(tmp_path / "robot")
    assert one.dim == other.dim == 32 and other.of_size(None).dim == 576
    assert one.describe(image) @ other.describe(image) > 0.999
