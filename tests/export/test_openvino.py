"""Static int8, OpenVINO as what runs a robot model, and `vpr export --target auto`."""

import json
import re
import shutil
import sys

import numpy as np
import pytest

from tests.command import refused, vpr
from vpr_aesvc import Describer, VprError, open_input, read_image
from vpr_aesvc.export import export_fastest, export_model
from vpr_aesvc.runtime import open_session

onnx = pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def frames(clips_folder):
    return open_input(clips_folder).split("database").frames[::80]


@pytest.fixture(scope="module")
def static(mobilenet, trained, frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("static") / "robot"
    export_model(trained, path, "int8", frames, target="portable")
    return path


def test_static_int8_recognizes_as_the_original(static, trained, frames):
    robot = Describer.open(static)
    check = robot.manifest.check
    assert check.passed and check.cosine_median >= 0.95 and robot.family == Describer.open(trained).family
    kept = re.fullmatch(r"static, (\d+) of 52 convolutions; (\d+) stay in fp32", robot.manifest.how)
    assert kept and int(kept[1]) + int(kept[2]) == 52 and 1 <= int(kept[2]) <= 32  # all of them in int8 are too coarse
    assert robot.provider == "cpu" and robot.manifest.target == "portable"


def test_static_int8_is_what_tensorrt_takes(static):
    """Standard operators; symmetric ranges; weights of 7 bits, which no x86 processor adds up to more than 16 bits."""
    from onnx import numpy_helper

    model = onnx.load(str(static / "descriptor.onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 17)]
    constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(pairs) > 20 and all(not np.any(constants[node.input[2]]) for node in pairs)
    weights = [constants[node.input[0]] for node in pairs if node.input[0] in constants]
    assert len(weights) > 10 and {one.dtype for one in weights} == {np.dtype(np.int8)}
    assert max(np.abs(one.astype(int)).max() for one in weights) <= 64


def test_static_int8_in_openvino(static, frames):
    pytest.importorskip("openvino")
    images = [read_image(frame.path) for frame in frames[:3]]
    usual, theirs = Describer.open(static), Describer.open(static, provider="openvino", threads=1)
    assert theirs.provider == "openvino"
    assert (usual.describe_batch(images) * theirs.describe_batch(images)).sum(1).min() > 0.98


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_openvino_runs_what_was_exported_for_it(precision, trained, frames, tmp_path):
    pytest.importorskip("openvino")
    manifest = export_model(trained, tmp_path / "robot", precision, frames, target="openvino")
    robot, original = Describer.open(tmp_path / "robot", threads=1), Describer.open(trained)
    assert robot.provider == manifest.target == "openvino" and manifest.check.passed
    compiled = robot.backbone._graph._session._compiled
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    image = read_image(frames[0].path)
    assert robot.describe(image) @ original.describe(image) >= (0.9999 if precision == "fp32" else 0.99)
    assert ("OpenVINO computed the rest in" in manifest.how) == (precision == "fp16")


def test_a_robot_without_openvino_says_what_it_needs(trained, static, frames, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(VprError, match="exporting for OpenVINO needs openvino: pip install openvino"):
        export_model(trained, tmp_path / "robot", target="openvino")
    with pytest.raises(VprError, match="provider openvino needs openvino: pip install openvino"):
        Describer.open(static, provider="openvino")
    with pytest.warns(UserWarning, match="openvino is not available here"):
        assert Describer.open(static, provider="openvino,cpu").provider == "cpu"


def test_a_graph_that_openvino_cannot_read(tmp_path):
    pytest.importorskip("openvino")
    with pytest.raises(VprError, match=r"graph\.onnx: OpenVINO cannot load it"):
        open_session(b"no graph", "graph.onnx", "openvino")


def test_a_robot_model_of_an_older_version_is_read(trained, tmp_path):
    """Version 2 has no target."""
    manifest = export_model(trained, tmp_path / "robot")
    content = manifest.model_dump(exclude={"target"}) | {"version": 2}
    content["checksum"] = type(manifest)(**content).expected_checksum()
    (tmp_path / "robot" / "model.json").write_text(json.dumps(content))
    assert Describer.open(tmp_path / "robot").manifest.target == "cpu"
    content["target"] = "openvino"
    (tmp_path / "robot" / "model.json").write_text(json.dumps(content))
    with pytest.raises(VprError):
        Describer.open(tmp_path / "robot")


def test_the_fastest_of_what_passed(trained, frames, tmp_path):
    manifest, trials = export_fastest(trained, tmp_path / "robot", frames[:10])
    took = {(one.target, one.precision): one.ms for one in trials if one.ms is not None}
    assert took[manifest.target, manifest.precision] == min(took.values()) and ("cpu", "fp32") in took
    assert manifest.check.passed and Describer.open(tmp_path / "robot").fingerprint == manifest.fingerprint


def test_the_command_measures_and_chooses(trained, frames, tmp_path):
    words = ("export", trained, "-o", tmp_path / "robot", "--target", "auto")
    refused(vpr(*words), "give --calibrate IMAGES")
    (tmp_path / "images").mkdir()
    for frame in frames[:10]:
        shutil.copy(frame.path, tmp_path / "images" / frame.path.name)
    done = vpr(*words, "--calibrate", tmp_path / "images")
    assert done.returncode == 0, done.stderr
    assert re.search(r"cpu fp32: \d+\.\d ms, \d+\.\d times as fast", done.stdout), done.stdout
