"""The catalogue of `vpr model list`, and `vpr model fetch --mirror` from a folder that stands for the hub, on architectures of random weights."""

import json
import re

import numpy as np
import pytest

from tests.command import refused, vpr
from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.errors import VprError
from vpr_aesvc.export.fetch import fetch_encoder
from vpr_aesvc.export.known_encoders import ENCODERS, TORCHHUB

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("onnx")

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
WIDTH = {"hidden_size": 384, "num_attention_heads": 6, "num_hidden_layers": 2}  # as the model is, but for its depth


def registers():
    config = transformers.Dinov2WithRegistersConfig(**WIDTH, image_size=518, patch_size=14)
    return transformers.Dinov2WithRegistersModel(config), {"size": {"height": 224, "width": 224}, **IMAGENET}


def dinov3():
    config = transformers.DINOv3ViTConfig(**WIDTH, intermediate_size=1536, num_register_tokens=4)
    return transformers.DINOv3ViTModel(config), {"size": {"height": 224, "width": 224}, **IMAGENET}


def siglip2():
    vision = {"num_hidden_layers": 2}  # the other sizes are those of the base model
    text = {"num_hidden_layers": 1, "hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 2}
    config = transformers.SiglipConfig(vision_config=vision, text_config={**text, "vocab_size": 100})
    return transformers.SiglipModel(config), {"size": {"height": 224, "width": 224}, "resample": 2, **HALF}


def put(mirror, name, made):
    """Writes a model into the mirror at the place of a known encoder."""
    torch.manual_seed(0)
    model, settings = made()
    folder = mirror / ENCODERS[name].source
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return model.eval()


def wanted(name, model, pixels):
    """The embedding by the original's own code."""
    if name == "siglip2-base":
        return model.vision_model(pixel_values=pixels).pooler_output
    return model(pixel_values=pixels).last_hidden_state[:, 0]


@pytest.mark.parametrize(
    ("name", "made"), [("dinov2-small-registers", registers), ("dinov3-small", dinov3), ("siglip2-base", siglip2)]
)
def test_an_encoder_of_a_mirror_gives_the_originals_numbers(tmp_path, name, made):
    known = ENCODERS[name]
    model = put(tmp_path / "mirror", name, made)
    encoder = fetch_encoder(name, tmp_path / "encoder", tmp_path / "mirror")
    assert encoder.dim == known.dim and encoder.described.input.size == known.image
    side = 14 if made is registers else 16
    assert encoder.patch_grid == (224 // side, 224 // side)
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    pixels = torch.from_numpy(encoder.described.input.preprocess()(image)[None])
    with torch.inference_mode():
        expected = wanted(name, model, pixels).numpy()
    assert np.abs(encoder.embed([image]) - expected).max() < 1e-3 * np.abs(expected).max()
    again = open_backbone(f"{tmp_path / 'mirror' / known.source}?pooling=mean")
    _, patches = again.embed_with_patches([image])
    assert np.allclose(again.embed([image]), patches.mean(1), atol=1e-4)  # registers and class token are not patches
    assert patches.shape == (1, (224 // side) ** 2, known.dim)


def test_other_weights_than_the_pinned_ones_are_refused(tmp_path):
    put(tmp_path / "mirror", "dinov2-small", registers)
    with pytest.raises(VprError, match=r"model\.safetensors: its SHA-256 is \w{64}, that of dinov2-small is ae1e99f"):
        fetch_encoder("dinov2-small", tmp_path / "encoder", tmp_path / "mirror")
    assert not (tmp_path / "encoder").exists()


def test_an_empty_mirror_says_what_to_bring(tmp_path):
    done = vpr("model", "fetch", "dinov2-small", "-o", tmp_path / "encoder", "--mirror", tmp_path)
    refused(done, "has no facebook/dinov2-small")
    assert "hf download facebook/dinov2-small --revision ed25f3a31f01632728cabb09d1542f84ab7b0056" in done.stderr


def test_what_cannot_be_fetched_says_how_it_comes_in(tmp_path):
    with pytest.raises(VprError, match=r"anyloc: cannot be fetched.*--embeddings"):
        fetch_encoder("anyloc", tmp_path / "encoder")


def test_the_size_of_a_torch_hub_encoder_is_the_catalogues(tmp_path):
    """A stand-in of BoQ, which gives its attention beside the descriptor."""
    _, repository, commit, _ = ENCODERS["boq-resnet50"].source.split(":")
    folder = tmp_path / f"{repository.replace('/', '_')}_{commit}"
    folder.mkdir()
    (folder / "hubconf.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        return x.mean((2, 3)), x\n"
        "def get_trained_boq(backbone_name, output_dim):\n    return Net()\n"
    )
    encoder = fetch_encoder("boq-resnet50", tmp_path / "encoder", tmp_path)
    assert encoder.dim == 3 and encoder.described.input.size == (384, 384)
    assert encoder.described.input.interpolation == "cubic"


def test_the_catalogue_is_well_formed():
    for one in ENCODERS.values():
        assert one.good_for and one.licence and one.dim > 0, one.name
        commit = one.source.split(":")[2] if one.source.startswith(TORCHHUB) else one.revision
        assert commit is None or re.fullmatch(r"[0-9a-f]{40}", commit), one.name
        assert one.sha256 is None or (re.fullmatch(r"[0-9a-f]{64}", one.sha256) and one.revision), one.name


def test_the_list_tells_all_of_one_encoder():
    table = vpr("model", "list")
    assert all(name in table.stdout for name in ENCODERS)
    told = vpr("model", "list", "dinov3-small").stdout
    assert "DINOv3 License, to be accepted on its page" in told and "revision not pinned, SHA-256 not pinned" in told
    assert "384 numbers of 224 x 224 pixels, 86 MB" in told
    refused(vpr("model", "list", "resnet"), "'resnet': no such encoder")


def test_a_mirror_of_torch_hub_is_not_filled_from_the_network(tmp_path):
    done = vpr("model", "fetch", "boq-resnet50", "-o", tmp_path / "encoder", "--mirror", tmp_path / "typo")
    refused(done, "typo: no such folder")
    (tmp_path / "mirror").mkdir()
    done = vpr("model", "fetch", "boq-resnet50", "-o", tmp_path / "encoder", "--mirror", tmp_path / "mirror")
    refused(done, "the mirror lacks what is at https://github.com/")
    assert [path.name for path in tmp_path.iterdir()] == ["mirror"]
