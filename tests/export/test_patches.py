"""A second output of patches: of real encoders, and refused where there is none."""

import json

import numpy as np
import pytest

from tests.stand_ins import write_dinov2
from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.export import export_model, patches
from vpr_aesvc.export.fetch import fetch_encoder
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.robot_model import load_robot_model, save_robot_model
from vpr_aesvc.training import train

onnx = pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def frames(loop_folder):
    return open_input(loop_folder).split("database").frames


@pytest.fixture(scope="module")
def images(frames):
    return [read_image(frame.path) for frame in frames[:3]]


@pytest.fixture(scope="module")
def with_patches(encoder, tmp_path_factory):
    return fetch_encoder(str(encoder), tmp_path_factory.mktemp("encoder") / "encoder").path.parent


def test_a_real_network_gets_the_map_with_enough_patches(mobilenet, images, with_patches):
    plain, both = open_backbone(str(mobilenet)), open_backbone(str(with_patches))
    assert plain.patch_grid is None and both.patch_grid == (14, 14)  # 7 x 7, which the embedding pools, are too few
    embeddings, rows = both.embed_with_patches(images)
    assert rows.shape == (3, 196, both.described.patches.size) and rows.dtype == np.float32
    assert np.array_equal(embeddings, both.embed(images))
    assert np.abs(embeddings - plain.embed(images)).max() < 1e-4 * np.abs(embeddings).max()
    alone = both.embed_with_patches(images[1:2])[1][0]
    assert np.allclose(alone, rows[1], atol=1e-4) and np.abs(rows[0] - rows[1]).max() > 0.1
    assert [len(part) for part in both.embed_with_patches([])] == [0, 0]
    assert plain.fingerprint != both.fingerprint
    # A patch is of its part of the picture: what changes one corner leaves the opposite one.
    changed = images[0].copy()
    changed[: len(changed) // 4, : changed.shape[1] // 4] = 0
    moved = np.linalg.norm(both.embed_with_patches([changed])[1][0] - rows[0], axis=1).reshape(14, 14)
    assert moved[:3, :3].min() > 3 * moved[10:, 10:].max()


def test_an_encoder_that_has_patches_or_has_none_is_refused(with_patches, tmp_path):
    with pytest.raises(VprError, match="gives patches already"):
        fetch_encoder(str(with_patches), tmp_path / "again")
    helper = onnx.helper
    weights = onnx.numpy_helper.from_array(np.ones((3 * 16 * 16, 4), np.float32), "weights")
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["image"], ["flat"]), helper.make_node("MatMul", ["flat", "weights"], ["out"])],
        "flat",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, [1, 4])],
        [weights],
    )
    flat = tmp_path / "flat"
    flat.mkdir()
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), flat / "e.onnx")
    described = {"input": {"name": "image", "size": [16, 16]}, "output": {"name": "out", "size": 4}}
    (flat / "preprocess.json").write_text(json.dumps(described))
    with pytest.raises(VprError, match="cannot give patches"):
        fetch_encoder(str(flat), tmp_path / "none")
    assert not (tmp_path / "none").exists() and not (tmp_path / "again").exists()


@pytest.fixture(scope="module", params=["cls", "gem"])
def dinov2(request, tmp_path_factory):
    """A DINOv2 of random weights, and a pooling of its tokens."""
    pytest.importorskip("transformers")
    return f"{write_dinov2(tmp_path_factory.mktemp('dinov2'))}?pooling={request.param}"


def test_tokens_without_the_class_token_whatever_the_pooling(dinov2, images, tmp_path):
    original, exported = open_backbone(dinov2), fetch_encoder(dinov2, tmp_path / "encoder")
    assert original.patch_grid == exported.patch_grid == (5, 5)
    expected, rows = original.embed_with_patches(images)[1], exported.embed_with_patches(images[:1])[1]
    assert expected.shape == (3, 25, 48)
    assert np.abs(rows[0] - expected[0]).max() < 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((1, 261, 384), (224, 224), ((16, 16), 5)),  # DINOv2 with registers
        ((1, 197, 192), (224, 224), ((14, 14), 1)),
        ((1, 196, 192), (224, 224), ((14, 14), 0)),  # without the class token
        ((1, 1201, 768), (480, 640), ((30, 40), 1)),
        ((1, 512, 15, 20), (480, 640), ((15, 20), 0)),
        ((1, 7, 7, 768), (224, 224), None),  # channels last
        ((1, 512, 1, 1), (224, 224), None),
        ((1, 12, 64), (224, 224), None),
        ((1, 768), (224, 224), None),
    ],
)
def test_the_grid_follows_from_the_shape(shape, size, expected):
    assert patches._grid(shape, size) == expected


def test_tokens_of_the_real_transformer(vit_tiny, images, tmp_path):
    pytest.importorskip("transformers")
    original, exported = open_backbone(str(vit_tiny)), fetch_encoder(str(vit_tiny), tmp_path / "encoder")
    assert original.patch_grid == exported.patch_grid == (14, 14)
    embedding, rows = exported.embed_with_patches(images[:1])
    assert np.allclose(original.embed(images[:1]), embedding, atol=1e-3)
    assert np.allclose(original.embed_with_patches(images[:1])[1], rows, atol=1e-3 * np.abs(rows).max())


def test_a_robot_model_has_patches_and_an_older_one_says_how_to_get_them(encoder, frames, images, tmp_path):
    model, robot, old = tmp_path / "model", tmp_path / "robot", tmp_path / "old"
    train(frames, open_backbone(str(encoder)), model, method="aesvc")
    export_model(model, robot)
    original, describer = Describer.open(model), Describer.open(robot)
    with pytest.raises(VprError, match="export the model again"):
        original.require_patches()
    assert np.abs(original.describe(images[0]) - describer.describe(images[0])).max() < 1e-4
    expected = describer.patches(images[0])
    assert expected.shape[0] == np.prod(describer.patch_grid)
    describer.require_patches()
    describer.describe_batch(images)
    kept = describer.patches(images[0])
    assert np.shares_memory(kept, describer.patches(images[0])) and np.allclose(
        kept, expected, atol=1e-3
    )  # not computed again
    manifest, graph = load_robot_model(robot, json.loads((robot / "model.json").read_text()))
    earlier = manifest.model_copy(update={"patches": None, "version": 1})
    save_robot_model(old, earlier.model_copy(update={"checksum": earlier.expected_checksum()}), graph)
    content = json.loads((old / "model.json").read_text())
    del content["patches"]  # which version 1 did not write
    (old / "model.json").write_text(json.dumps(content))
    with pytest.raises(VprError, match="export the model again"):
        Describer.open(old).patches(images[0])
    for precision in ("fp16", "int8"):
        export_model(model, tmp_path / precision, precision)
        other = Describer.open(tmp_path / precision).patches(images[0])
        cosines = (other * expected).sum(1) / np.linalg.norm(other, axis=1) / np.linalg.norm(expected, axis=1)
        assert np.median(cosines) > 0.95
