"""`vpr export --target portable`: standard operators alone, and the same descriptors in ONNX Runtime and in OpenVINO."""

from pathlib import Path

import numpy as np
import pytest

from tests.command import refused, vpr
from vpr_aesvc import Describer, VprError, open_backbone, open_input, read_image, train
from vpr_aesvc.backbones.onnx_graph import Graph, GraphInput, PreprocessFile
from vpr_aesvc.export.graph import fused_graph
from vpr_aesvc.export.portable import standard_operators
from vpr_aesvc.projections.artifact import Projection

onnx = pytest.importorskip("onnx")
MIN_COSINE = 0.9999


@pytest.fixture(scope="module")
def frames(clips_folder):
    return open_input(clips_folder).split("database").frames[::80]


def write_dinov2_small(folder):
    """The shape of DINOv2-S/14 with random weights."""
    import torch
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=384, num_attention_heads=6, num_hidden_layers=12, image_size=518, patch_size=14)
    Dinov2Model(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, '
        '"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 3}'
    )
    return folder


@pytest.fixture(scope="module", params=["vit", "convolutional", "dinov2_small"])
def graphs(request, tmp_path_factory):
    """The backbone with a projection: as a graph for ONNX Runtime, and portable, with the description of its input and output."""
    if request.param == "convolutional":
        spec = request.getfixturevalue("encoder")
    else:
        pytest.importorskip("transformers")
        is_vit = request.param == "vit"
        spec = request.getfixturevalue("transformer") if is_vit else write_dinov2_small(tmp_path_factory.mktemp("d"))
    backbone = open_backbone(str(spec))
    linear = np.random.default_rng(0).standard_normal((backbone.dim, 64)).astype(np.float32)
    fused, image, output = fused_graph(backbone, Projection.of(np.full(backbone.dim, 0.01, np.float32), linear))
    usual = fused.SerializeToString()
    portable = standard_operators(fused, output.name, image)
    return usual, portable, PreprocessFile(input=image, output=output)


def run(content, described):
    return Graph(content, Path("graph"), described)


def test_only_standard_operators_of_opset_17(graphs):
    usual, portable, _ = graphs
    domains = {node.domain for node in onnx.load_from_string(usual).graph.node}
    assert [(one.domain, one.version) for one in portable.opset_import] == [("", 17)]
    assert {node.domain for node in portable.graph.node} <= {""}, domains
    onnx.checker.check_model(portable, full_check=True)
    dims = [one.dim_value for one in portable.graph.input[0].type.tensor_type.shape.dim]
    assert dims[0] == 1 and all(dims)


def test_the_descriptors_are_the_originals(graphs, frames):
    usual, portable, described = graphs
    images = [read_image(frame.path) for frame in frames[:3]]
    original, other = (run(one, described)(images) for one in (usual, portable.SerializeToString()))
    assert (original * other).sum(1).min() >= MIN_COSINE


def test_openvino_gives_the_same(graphs, frames):
    pytest.importorskip("openvino")
    usual, portable, described = graphs
    images = [read_image(frame.path) for frame in frames[:2]]
    theirs = Graph(portable.SerializeToString(), Path("graph"), described, "openvino", threads=1)
    assert (run(usual, described)(images) * theirs(images)).sum(1).min() >= MIN_COSINE


def test_an_operator_that_is_not_standard_is_named():
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node("Gelu", ["image"], ["out"], "gelu", domain="com.microsoft")
    tensors = [helper.make_tensor_value_info(name, floats, [1, 3, 8, 8]) for name in ("image", "out")]
    graph = helper.make_graph([node], "g", tensors[:1], tensors[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    with pytest.raises(VprError, match=r"com\.microsoft\.Gelu of the encoder is no standard operator"):
        standard_operators(helper.make_model(graph, opset_imports=opsets), "out", GraphInput(name="image", size=(8, 8)))


def test_the_command(encoder, frames, tmp_path):
    train(frames, open_backbone(str(encoder)), tmp_path / "model", method="aesvc")
    done = vpr("export", tmp_path / "model", "-o", tmp_path / "robot", "--target", "portable")
    assert done.returncode == 0 and "standard operators" in done.stdout, done.stderr
    image = read_image(frames[0].path)
    one, two = (Describer.open(tmp_path / name).describe(image) for name in ("model", "robot"))
    assert one @ two >= MIN_COSINE
    words = ("export", tmp_path / "model", "-o", tmp_path / "x", "--target")
    refused(
        vpr(*words, "portable", "--precision", "int8"), "int8 for portable takes the ranges of its numbers from images"
    )
    refused(vpr(*words, "gpu"), "", 2)
