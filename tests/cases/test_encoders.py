"""Encoders as exporters write them: half precision, weights in other files, a size or a normalization that cannot be right."""

import json
import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.command import vpr
from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import Preprocess, encode_jpeg

SIDE, SIZE = 8, 4
IMAGE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def images(folder):
    folder.mkdir()
    for number in range(12):
        picture = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
        (folder / f"{number}.jpg").write_bytes(encode_jpeg(picture))
    return folder


def trained(encoder, tmp_path):
    photos = images(tmp_path / "photos")
    return vpr("train", photos, "-o", tmp_path / "model", "--backbone", encoder / "encoder.onnx", "--method", "raw")


def write(folder, kind=TensorProto.FLOAT, shape=("N", 3, SIDE, SIDE), output=("N", SIZE), outside=None, **described):
    """Flatten and MatMul: pixels -> numbers. ``outside``: the file of its weights."""
    folder.mkdir(exist_ok=True)
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    numbers = np.prod([size if isinstance(size, int) else SIDE for size in shape[1:]])
    weights = np.random.default_rng(1).normal(size=(numbers, SIZE)).astype(np.float32)
    middle, nodes = "x", []
    if kind == TensorProto.UINT8:
        nodes.append(helper.make_node("Cast", ["x"], ["c"], to=TensorProto.FLOAT))
        middle, dtype = "c", np.float32
    nodes += [helper.make_node("Flatten", [middle], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), output)],
        [numpy_helper.from_array(weights.astype(dtype), "w")],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 16)])
    onnx.save_model(model, folder / "encoder.onnx", save_as_external_data=outside is not None, location=outside)
    rule = {"name": "x", "size": [SIDE, SIDE], "scale": 1 / 255, **described}
    (folder / "preprocess.json").write_text(json.dumps({"input": rule, "output": {"name": "y", "size": SIZE}}))
    return folder


def test_any_type_of_input_gives_the_same_numbers(tmp_path):
    expected = open_backbone(str(write(tmp_path / "float32"))).embed([IMAGE])
    half = open_backbone(str(write(tmp_path / "float16", TensorProto.FLOAT16))).embed([IMAGE])
    assert half.dtype == np.float32 and np.allclose(half, expected, atol=0.05)
    double = open_backbone(str(write(tmp_path / "float64", TensorProto.DOUBLE))).embed([IMAGE])
    assert np.allclose(double, expected, atol=1e-4)
    raw = open_backbone(str(write(tmp_path / "bytes", TensorProto.UINT8, scale=1.0))).embed([IMAGE])
    assert np.allclose(raw / 255, expected, atol=1e-3)
    with pytest.raises(VprError, match="takes bytes from 0 to 255; expected scale 1"):
        open_backbone(str(write(tmp_path / "scaled", TensorProto.UINT8)))
    with pytest.raises(VprError, match=r"takes tensor\(bfloat16\)|ONNX Runtime cannot load"):
        open_backbone(str(write(tmp_path / "bfloat16", TensorProto.BFLOAT16)))


def test_a_half_precision_encoder_is_exported(tmp_path):
    photos, encoder = images(tmp_path / "photos"), write(tmp_path / "half", TensorProto.FLOAT16, outside="w.bin")
    done = vpr("train", photos, "-o", tmp_path / "model", "--backbone", encoder, "--method", "raw")
    assert done.returncode == 0, done.stderr
    done = vpr("export", tmp_path / "model", "-o", tmp_path / "robot", "--calibrate", photos)
    assert done.returncode == 0, done.stderr
    done = vpr("map", "build", photos, "-m", tmp_path / "robot", "-o", tmp_path / "place.vprmap")
    assert done.returncode == 0 and "holds 12 places" in done.stdout, done.stderr


def test_weights_in_other_files_are_found_and_covered(tmp_path, monkeypatch):
    whole = open_backbone(str(write(tmp_path / "whole")))
    (tmp_path / "apart" / "weights").mkdir(parents=True)
    folder = write(tmp_path / "apart", outside="weights/w.bin")
    monkeypatch.chdir(os.sep)
    apart = open_backbone(str(folder))
    assert np.array_equal(apart.embed([IMAGE]), whole.embed([IMAGE]))
    data = folder / "weights" / "w.bin"
    changed = bytearray(data.read_bytes())
    changed[-1] ^= 1
    data.write_bytes(changed)
    assert open_backbone(str(folder)).fingerprint != apart.fingerprint
    data.write_bytes(changed[:-4])
    with pytest.raises(VprError, match="ONNX Runtime cannot load it"):
        open_backbone(str(folder))
    data.unlink()
    with pytest.raises(VprError, match=r"w\.bin: encoder\.onnx keeps its weights in this file"):
        open_backbone(str(folder))


@pytest.mark.parametrize("location", ["../w.bin", "/etc/hostname"])
def test_weights_outside_the_folder_are_refused(tmp_path, location):
    folder = write(tmp_path / "encoder", outside="w.bin")
    model = onnx.load(folder / "encoder.onnx", load_external_data=False)
    (tmp_path / "w.bin").write_bytes((folder / "w.bin").read_bytes())
    next(one for one in model.graph.initializer[0].external_data if one.key == "location").value = location
    (folder / "encoder.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(VprError, match="expected a file in the same folder"):
        open_backbone(str(folder))


def test_a_graph_that_takes_something_else_is_one_line(tmp_path):
    for number, (shape, described) in enumerate(
        [
            (("N", SIDE, SIDE, 3), {}),
            (("N", 3, SIDE, SIDE), {"layout": "NHWC"}),
            (("N", 1, SIDE, SIDE), {}),
            (("N", 3 * SIDE * SIDE), {}),
            (("N", 3, SIDE, SIDE), {"size": [SIDE, SIDE + 1]}),
        ]
    ):
        with pytest.raises(VprError, match=r"preprocess\.json: describes an input .* encoder\.onnx takes"):
            open_backbone(str(write(tmp_path / str(number), shape=shape, **described)))
    free = open_backbone(str(write(tmp_path / "free", shape=("N", 3, "H", "W"), size=[SIDE, 2 * SIDE])))
    with pytest.raises(VprError, match=r"ONNX Runtime cannot run it on an input of \[1, 3, 8, 16\]"):
        free.embed([IMAGE])


def test_a_fixed_batch_takes_any_number_of_images(tmp_path):
    expected = open_backbone(str(write(tmp_path / "free"))).embed([IMAGE] * 5)
    fixed = write(tmp_path / "fixed", shape=(4, 3, SIDE, SIDE), output=(4, SIZE))
    assert np.allclose(open_backbone(str(fixed)).embed([IMAGE] * 5), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("scale", "mean", "std"),
    [
        (1 / 255, 123.7, 58.4),
        (1 / 255, 0.485, 58.4),
        (1.0, 0.485, 0.229),
        (1 / 255, 123.7, 1.0),
        (1 / 255**2, 0.0, 1.0),
    ],
)
def test_a_normalization_that_cannot_be_right(tmp_path, scale, mean, std):
    encoder = write(tmp_path / "encoder", scale=scale, mean=[mean] * 3, std=[std] * 3)
    with pytest.raises(VprError, match=r"preprocess\.json: .*scale .* mean .* std"):
        open_backbone(str(encoder))


@pytest.mark.parametrize(
    ("scale", "mean", "std"),
    [
        (1 / 255, 0.485, 0.229),
        (1.0, 123.7, 58.4),
        (1.0, 0.0, 1.0),
        (1.0, 127.5, 127.5),
        (1.0, 103.9, 1.0),
        (1 / 255, 0.5, 1.0),
    ],
)
def test_normalizations_in_use(scale, mean, std):
    Preprocess(height=8, width=8, scale=scale, mean=(mean,) * 3, std=(std,) * 3)
