import json
import shutil

import numpy as np
import pytest

from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import read_image


def test_the_real_mobilenet(mobilenet, ie_tower):
    backbone = open_backbone(str(mobilenet))
    paths = sorted(ie_tower.rglob("*.jpg"))
    images = [read_image(path) for path in (paths[0], paths[1], paths[-1])]
    together = backbone.embed(images)
    assert together.shape == (3, 576) and together.dtype == np.float32
    alone = np.concatenate([backbone.embed([image]) for image in images])
    assert np.allclose(together, alone, atol=1e-4)
    unit = together / np.linalg.norm(together, axis=1, keepdims=True)
    assert unit[0] @ unit[1] > unit[0] @ unit[2]
    assert backbone.embed([]).shape == (0, 576)


def test_opened_by_folder_file_or_spec(encoder):
    specs = [str(encoder), str(encoder / "model.onnx"), f"onnx:{encoder}"]
    opened = [open_backbone(spec) for spec in specs]
    assert len({backbone.fingerprint for backbone in opened}) == 1
    assert open_backbone(opened[0].spec).fingerprint == opened[0].fingerprint


def copied(encoder, folder, **changes):
    shutil.copy(encoder / "model.onnx", folder)
    settings = json.loads((encoder / "preprocess.json").read_text())
    settings["input"] |= changes
    (folder / "preprocess.json").write_text(json.dumps(settings))
    return folder


def test_color_order_is_read_and_changes_the_fingerprint(encoder, tmp_path, random_image):
    rgb, bgr = open_backbone(str(encoder)), open_backbone(str(copied(encoder, tmp_path, colour="BGR")))
    assert rgb.fingerprint != bgr.fingerprint
    american = json.loads((tmp_path / "preprocess.json").read_text().replace("colour", "color"))
    (tmp_path / "preprocess.json").write_text(json.dumps(american))
    assert open_backbone(str(tmp_path)).fingerprint == bgr.fingerprint
    flipped = np.ascontiguousarray(random_image[..., ::-1])
    # Reversed channels and reversed input order cancel, except for mean and std, which follow the input order.
    assert np.allclose(rgb.embed([flipped]), bgr.embed([random_image]), atol=1e-4)
    assert not np.allclose(rgb.embed([random_image]), bgr.embed([random_image]), atol=1e-2)


def test_bad_files(encoder, tmp_path):
    with pytest.raises(VprError, match=r"expected one \.onnx file"):
        open_backbone(f"onnx:{tmp_path}")
    shutil.copy(encoder / "model.onnx", tmp_path)
    with pytest.raises(VprError, match=r"preprocess\.json"):
        open_backbone(str(tmp_path))
    copied(encoder, tmp_path, name="pixels")
    with pytest.raises(VprError, match=r"input 'pixels' is not in model\.onnx"):
        open_backbone(str(tmp_path))
    copied(encoder, tmp_path, size="large")
    with pytest.raises(VprError, match=r"preprocess\.json: input\.size"):
        open_backbone(str(tmp_path))
    copied(encoder, tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(VprError, match="ONNX Runtime cannot load it"):
        open_backbone(str(tmp_path))
