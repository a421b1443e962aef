"""The mean of five crops, and the choice whether it is used."""

import numpy as np
import pytest

from tests.command import vpr
from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.export.model import export_model
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input


def test_the_mean_of_the_image_and_its_corners(drawn):
    images = [read_image(frame.path) for frame in open_input(drawn).frames[:3]]
    hog, crops = open_backbone("hog"), open_backbone("hog?crops=5")
    assert crops.spec == "hog?crops=5" and crops.dim == hog.dim and crops.fingerprint != hog.fingerprint
    found = crops.embed(images)
    height, width = images[0].shape[:2]
    h, w = round(0.8 * height), round(0.8 * width)
    image = images[0]
    parts = hog.embed(
        [image, image[:h, :w], image[:h, width - w :], image[height - h :, :w], image[height - h :, width - w :]]
    )
    parts /= np.linalg.norm(parts, axis=1, keepdims=True)
    assert np.allclose(found[0], parts.mean(0), atol=1e-6)
    assert found.shape == (3, hog.dim) and crops.embed([]).shape == (0, hog.dim)


def test_an_option_may_come_before(transformer):
    crops = open_backbone(f"{transformer}?pooling=mean&crops=5")
    assert crops.spec.endswith("?pooling=mean&crops=5")
    with pytest.raises(VprError, match="not known"):
        open_backbone(f"{transformer}?crops=7")


def test_train_tries_them_and_says_what_they_gain(drawn, tmp_path):
    done = vpr("train", drawn, "-o", tmp_path / "m", "--crops")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    used = "five crops are averaged" in said
    assert used or "five crops did not help AE-SVC enough" in said
    assert "of one crop" in said
    model = Describer.open(tmp_path / "m")
    assert model.backbone.spec == ("hog?crops=5" if used else "hog")


def test_a_model_of_crops_is_used_but_not_exported(drawn, encoder, tmp_path):
    done = vpr("train", drawn, "-o", tmp_path / "m", "--backbone", f"{encoder}?crops=5", "--method", "aesvc")
    assert done.returncode == 0, done.stderr
    done = vpr("map", "build", drawn, "-m", tmp_path / "m", "-o", tmp_path / "p.vprmap")
    assert done.returncode == 0, done.stderr
    with pytest.raises(VprError, match="averages five crops of each image, which a robot model does not do"):
        export_model(tmp_path / "m", tmp_path / "robot")


def test_precomputed_embeddings_have_no_crops(drawn, tmp_path):
    rows = np.random.default_rng(0).standard_normal((len(open_input(drawn).frames), 32)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    done = vpr("train", drawn, "-o", tmp_path / "m", "--embeddings", tmp_path / "rows.npy", "--crops")
    assert done.returncode == 1 and "crops need images" in done.stderr and not (tmp_path / "m").exists()
