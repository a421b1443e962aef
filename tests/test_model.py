import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input


@pytest.fixture
def model(drawn_model, tmp_path):
    return shutil.copytree(drawn_model, tmp_path / "model")


def test_descriptors_have_unit_norm_and_do_not_depend_on_the_batch(drawn, drawn_model):
    describer = Describer.open(drawn_model)
    images = [read_image(frame.path) for frame in open_input(drawn).frames[:3]]
    together = describer.describe_batch(images)
    assert together.shape == (3, describer.dim) and together.dtype == np.float32
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.allclose(describer.describe(images[1]), together[1], atol=1e-5)
    assert describer.sizes[-1] == describer.dim == 1056


def test_a_black_image_gives_finite_numbers(drawn_model):
    assert np.isfinite(Describer.open(drawn_model).describe(np.zeros((20, 30, 3), np.uint8))).all()


def edit(model, change):
    content = json.loads((model / "model.json").read_text())
    change(content)
    (model / "model.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(version=99), "format version 99"),
        (lambda c: c.pop("sizes"), "sizes: Field required"),
        (lambda c: c.update(surprise=1), "surprise"),
        (lambda c: c.update(fingerprint="0" * 16), "does not match its weights"),
        (lambda c: c["backbone"].update(spec="hog:9"), "its backbone cannot be opened"),
        (lambda c: c.update(sizes=[8, 16]), "do not agree on the sizes"),
    ],
)
def test_a_changed_manifest_is_refused(model, change, words):
    edit(model, change)
    with pytest.raises(VprError, match=words):
        Describer.open(model)


def test_damaged_and_missing_models(model, tmp_path):
    weights = model / "projection.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(data)
    with pytest.raises(VprError, match=r"damaged|not finite"):
        Describer.open(model)
    weights.unlink()
    with pytest.raises(VprError, match="missing or damaged"):
        Describer.open(model)
    (model / "model.json").write_text("{")
    with pytest.raises(VprError, match="cannot be read"):
        Describer.open(model)
    with pytest.raises(VprError, match="not a model folder"):
        Describer.open(tmp_path)


def assert_runs_without_torch(code):
    """In a fresh interpreter."""
    code += 'import sys; print(sorted({"torch", "transformers", "matplotlib", "scipy"} & set(sys.modules)))'
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_a_robot_never_imports_torch(drawn, drawn_map):
    image = open_input(drawn).frames[0].path
    assert_runs_without_torch(f"""
from vpr_aesvc import Describer, PlaceMap, read_image
with PlaceMap.open({str(drawn_map)!r}) as place_map:
    describer = Describer.open(place_map.model_path)
    place_map.require(describer)
    assert place_map.search(describer.describe(read_image({str(image)!r})))[0].place.id == 1
""")


def test_the_onnx_encoder_needs_no_torch(drawn, encoder):
    image = open_input(drawn).frames[0].path
    assert_runs_without_torch(f"""
from vpr_aesvc import open_backbone, read_image
assert open_backbone({str(encoder)!r}).embed([read_image({str(image)!r})]).shape == (1, 576)
""")
