import json

import numpy as np
import pytest

from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import read_image

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def save(model, folder, **processor):
    model.save_pretrained(folder)
    settings = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_normalize": True, "do_rescale": True, **processor}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory):
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
    )
    return save(
        transformers.Dinov2Model(config),
        tmp_path_factory.mktemp("dinov2"),
        size={"shortest_edge": 32},
        crop_size={"height": 28, "width": 28},
        do_center_crop=True,
        resample=3,
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    torch.manual_seed(0)
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    text = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 99,
    }
    model = transformers.CLIPModel(transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=16))
    return save(model, tmp_path_factory.mktemp("clip"), size={"shortest_edge": 32}, crop_size=32, do_center_crop=True)


@pytest.mark.parametrize("pooling", ["cls", "mean", "gem"])
@pytest.mark.parametrize("kind", ["dinov2", "clip"])
def test_poolings_of_random_models(kind, pooling, request, random_image):
    backbone = open_backbone(f"{request.getfixturevalue(kind)}?pooling={pooling}")
    images = [random_image, np.ascontiguousarray(random_image[::-1]), random_image[:30]]
    together = backbone.embed(images)
    assert together.dtype == np.float32 and together.shape == (3, 32) == (3, backbone.dim)
    assert np.isfinite(together).all()
    alone = np.concatenate([backbone.embed([image]) for image in images])
    assert np.allclose(together, alone, atol=1e-5)
    assert not np.allclose(together[0], together[1], atol=1e-3)


def test_clip_gives_its_vision_towers_own_class_token(clip, random_image):
    backbone = open_backbone(str(clip))
    model = transformers.CLIPVisionModel.from_pretrained(clip).eval()
    pixels = torch.from_numpy(backbone.preprocess(random_image))[None]
    with torch.inference_mode():
        expected = model(pixel_values=pixels).pooler_output.numpy()
    assert np.allclose(backbone.embed([random_image]), expected, atol=1e-5)


def test_the_fingerprint_covers_weights_and_pooling(dinov2, tmp_path):
    cls, mean = open_backbone(str(dinov2)), open_backbone(f"{dinov2}?pooling=mean")
    assert cls.fingerprint != mean.fingerprint
    assert open_backbone(cls.spec).fingerprint == cls.fingerprint
    torch.manual_seed(1)
    other = save(transformers.Dinov2Model(transformers.Dinov2Config.from_pretrained(dinov2)), tmp_path, size=28)
    assert open_backbone(str(other)).fingerprint != cls.fingerprint


def test_preprocessing_is_the_models_own(transformer, loop_folder):
    """Close to transformers' own processor, whose resize kernel (Pillow) differs slightly; the channel order must agree."""
    image = read_image(loop_folder / "frames/001.jpg")
    ours = open_backbone(str(transformer)).preprocess(image)
    processor = transformers.ViTImageProcessor.from_pretrained(str(transformer))
    theirs = processor(image, return_tensors="np")["pixel_values"][0]
    assert ours.shape == theirs.shape == (3, 224, 224)
    assert np.abs(ours - theirs).mean() < 0.03
    assert np.abs(ours[::-1] - theirs).mean() > 2 * np.abs(ours - theirs).mean()


def test_the_real_vit(vit_tiny, ie_tower):
    backbone = open_backbone(str(vit_tiny))
    paths = sorted(ie_tower.rglob("*.jpg"))
    near, far = [read_image(path) for path in paths[:2]], read_image(paths[-1])
    embeddings = backbone.embed([*near, far])
    assert embeddings.shape == (3, 192)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    assert unit[0] @ unit[1] > unit[0] @ unit[2] + 0.1


def test_missing_weights_say_how_to_get_them():
    with pytest.raises(VprError, match=r"facebook/no-such-model.*cache.*hf download facebook/no-such-model"):
        open_backbone("facebook/no-such-model")


def test_bad_folders_and_options(tmp_path, dinov2):
    with pytest.raises(VprError, match=r"config\.json"):
        open_backbone(f"hf:{tmp_path}")
    with pytest.raises(VprError, match="pooling 'max'"):
        open_backbone(f"{dinov2}?pooling=max")
    with pytest.raises(VprError, match="no such file or folder"):
        open_backbone("nothing")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(VprError, match=r"config\.json"):
        open_backbone(str(tmp_path))
