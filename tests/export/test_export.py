"""Export on real images and encoders."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.durability_model import damage_model
from tests.command import refused, vpr
from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.export import export_model, model, precision
from vpr_aesvc.export.eight_bits import Attempt
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.projections.artifact import Projection
from vpr_aesvc.training import train

onnx = pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def frames(clips_folder):
    return open_input(clips_folder).split("database").frames[::40]


@pytest.fixture(scope="module")
def trained_vit(transformer, frames, tmp_path_factory):
    pytest.importorskip("transformers")
    path = tmp_path_factory.mktemp("trained") / "model"
    train(frames, open_backbone(str(transformer)), path, method="aesvc")
    return path


@pytest.fixture(scope="module")
def exported(trained, frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("robot") / "robot"
    export_model(trained, path, frames=frames)
    return path


@pytest.fixture(scope="module")
def exported_vit_int8(trained_vit, frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("robot") / "robot"
    export_model(trained_vit, path, "int8", frames)
    return path


def cosines(one, other, frames):
    images = [read_image(frame.path) for frame in frames[:6]]
    return (Describer.open(one).describe_batch(images) * Describer.open(other).describe_batch(images)).sum(1)


def test_fp32_gives_the_originals_descriptors(trained, exported, frames):
    original, robot = Describer.open(trained), Describer.open(exported)
    image = read_image(frames[3].path)
    assert np.abs(robot.describe(image) - original.describe(image)).max() < 1e-4
    assert (robot.sizes, robot.dim, robot.precision) == (original.sizes, original.dim, "fp32")
    assert robot.family == original.family == original.fingerprint != robot.fingerprint
    assert robot.manifest.check.top1_changed == 0 and robot.manifest.check.cosine_min > 0.9999
    assert sorted(path.name for path in exported.iterdir()) == ["descriptor.onnx", "model.json"]
    assert robot.warm_up() > 0


def test_the_vit_in_int8_recognizes_as_the_original(vit_tiny, trained_vit, exported_vit_int8, frames):
    robot = Describer.open(exported_vit_int8)
    check = robot.manifest.check
    assert robot.precision == "int8" and robot.family == Describer.open(trained_vit).family
    assert check.passed and check.top1_changed <= 0.01
    # Those with the largest error must stay in fp32.
    kept = re.fullmatch(r"dynamic, (\d+) of 72 matrix products; (\d+) stay in fp32", robot.manifest.how)
    assert kept and 1 <= int(kept[2]) <= 36
    assert cosines(trained_vit, exported_vit_int8, frames).min() > 0.9
    assert sum(path.stat().st_size for path in exported_vit_int8.iterdir()) < 15e6  # 22 MB in fp32


def test_half_precision_takes_and_gives_float32(trained, frames, tmp_path):
    export_model(trained, tmp_path / "robot", "fp16", frames)
    graph = onnx.load(str(tmp_path / "robot" / "descriptor.onnx")).graph
    assert {tensor.type.tensor_type.elem_type for tensor in (*graph.input, *graph.output)} == {onnx.TensorProto.FLOAT}
    assert any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in graph.initializer)
    assert cosines(trained, tmp_path / "robot", frames).min() > 0.99


def test_a_convolutional_network_has_int8_weights_only(mobilenet, trained, frames, tmp_path):
    manifest = export_model(trained, tmp_path / "robot", "int8", frames)
    assert manifest.how.startswith("weights only") and manifest.check.passed
    assert (tmp_path / "robot" / "descriptor.onnx").stat().st_size < 3e6
    assert cosines(trained, tmp_path / "robot", frames).min() > 0.95


def test_a_hidden_layer_is_exported_too(encoder, frames):
    from vpr_aesvc.export.graph import fused_graph
    from vpr_aesvc.runtime import open_session

    random = np.random.default_rng(0)
    shapes = [(576,), (576, 16), (576, 24), (24,), (24, 16)]
    projection = Projection(*(random.standard_normal(shape).astype(np.float32) for shape in shapes))
    backbone = open_backbone(str(encoder))
    model, graph_input, _ = fused_graph(backbone, projection)
    image = read_image(frames[0].path)
    session = open_session(model.SerializeToString(), "graph")
    descriptor = session.run(None, {graph_input.name: graph_input.preprocess()(image)[None]})[0]
    assert np.abs(descriptor - projection(backbone.embed([image]))).max() < 1e-4


def test_an_export_that_recognizes_less_is_refused_unless_forced(vit_tiny, trained_vit, frames, tmp_path, monkeypatch):
    def coarse(fused, tensors, reference, run, progress=None, static=False):
        graph = precision.to_dynamic(fused()).SerializeToString()  # all 72 products: too coarse for this ViT
        return Attempt(graph, "dynamic", reference.check(run(graph)))

    monkeypatch.setattr(model, "eight_bits", coarse)
    with pytest.raises(VprError, match=r"not written, as \d+\.\d% of \d+ views .* --force"):
        export_model(trained_vit, tmp_path / "robot", "int8", frames)
    assert list(tmp_path.iterdir()) == []
    forced = export_model(trained_vit, tmp_path / "robot", "int8", frames, force=True)
    assert not forced.check.passed and forced.check.cosine_median < 0.95
    assert forced.family == forced.fingerprint == Describer.open(tmp_path / "robot").family


def test_models_without_a_graph_are_refused(drawn_model, exported, tmp_path):
    with pytest.raises(VprError, match="hog runs without torch; copy the folder"):
        export_model(drawn_model, tmp_path / "robot")
    with pytest.raises(VprError, match="is a robot model already"):
        export_model(exported, tmp_path / "robot")
    assert list(tmp_path.iterdir()) == []


def test_models_of_precomputed_embeddings_are_refused(drawn, tmp_path):
    frames = open_input(drawn).split("database").frames
    rows = np.random.default_rng(0).standard_normal((len(frames), 32)).astype(np.float32)
    precomputed = GivenEmbeddings(32, rows, {frame.label: row for row, frame in enumerate(frames)}, "rows.npy")
    train(frames, precomputed, tmp_path / "model", method="aesvc")
    with pytest.raises(VprError, match="no network to export"):
        export_model(tmp_path / "model", tmp_path / "robot")


def test_too_few_images_and_an_output_that_exists(trained, frames, tmp_path):
    with pytest.raises(VprError, match="at least 10 images, found 3"):
        export_model(trained, tmp_path / "robot", frames=frames[:3])
    with pytest.raises(VprError, match="exists already"):
        export_model(trained, tmp_path, frames=frames)


def test_the_command(trained, clips_folder, tmp_path):
    done = vpr("export", trained, "-o", tmp_path / "robot")
    assert done.returncode == 0 and "was not checked" in done.stderr, done.stderr
    content = json.loads((tmp_path / "robot" / "model.json").read_text())
    assert (
        content["check"] is None and content["family"] == content["fingerprint"] != content["original"]["fingerprint"]
    )
    refused(vpr("export", trained, "-o", tmp_path / "robot"), "exists already")
    refused(vpr("export", tmp_path / "robot", "-o", tmp_path / "again"), "is a robot model already")


def test_a_robot_runs_it_without_torch_or_onnx(exported, frames):
    code = f"""
import sys
from vpr_aesvc import Describer, read_image
assert Describer.open({str(exported)!r}).describe(read_image({str(frames[0].path)!r})).shape
print(sorted({{"torch", "transformers", "onnx"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("which", ["trained", "exported"])
def test_a_damaged_folder_is_refused_or_right(which, request, frames):
    outcomes = damage_model(request.getfixturevalue(which), frames[0].path, rounds=150, seed=1)
    assert set(outcomes) <= {"error", "right"} and outcomes["error"] > 100, outcomes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(family="0" * 16), "checksum does not match"),
        (lambda c: c.update(version=99), "format version 99"),
        (lambda c: c.pop("check"), "check: Field required"),
        (lambda c: c["input"].update(size=[224, 225]), "checksum does not match"),
    ],
)
def test_a_changed_manifest_is_refused(exported, tmp_path, change, words):
    robot = shutil.copytree(exported, tmp_path / "robot")
    content = json.loads((robot / "model.json").read_text())
    change(content)
    (robot / "model.json").write_text(json.dumps(content))
    with pytest.raises(VprError, match=words):
        Describer.open(robot)


def test_another_models_graph_is_refused(exported, exported_vit_int8, tmp_path):
    robot = shutil.copytree(exported, tmp_path / "robot")
    shutil.copy(exported_vit_int8 / "descriptor.onnx", robot)
    with pytest.raises(VprError, match="damaged or belongs to another model"):
        Describer.open(robot)
    (robot / "descriptor.onnx").unlink()
    with pytest.raises(VprError, match="cannot be read"):
        Describer.open(robot)
