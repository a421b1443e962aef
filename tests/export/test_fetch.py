"""`vpr model fetch`: from a hub on loopback, and from torch.hub's folder, to an ONNX encoder that gives torch's numbers."""

import os
import resource
import shutil
import signal
import subprocess

import numpy as np
import pytest

from tests.command import VPR, refused
from tests.export.cosplace_shaped import network, write_repository
from tests.export.local_hub import Hub, serve
from tests.stand_ins import write_dinov2
from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.errors import VprError
from vpr_aesvc.export import export_model
from vpr_aesvc.export.fetch import fetch_encoder
from vpr_aesvc.export.known_encoders import ENCODERS
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.training import train

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("onnx")

PINNED = ENCODERS["vit-b16"]
COSPLACE = ENCODERS["cosplace-resnet18-512"].source


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory):
    """A DINOv2 of random weights, as the hub has it."""
    return write_dinov2(tmp_path_factory.mktemp("dinov2"))


@pytest.fixture(scope="module")
def images(drawn):
    return [read_image(path) for path in sorted(drawn.rglob("*.jpg"))[:4]]


def started(hub, name, output, **options):
    """The command as a process; its cache is beside the output."""
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(output.parent / "home"), "COLUMNS": "200"}
    environment |= {"TORCH_HOME": str(output.parent / "torch")}
    words = [*VPR, "model", "fetch", name, "-o", str(output)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(words, env=environment, **pipes, **options)


def ended(process):
    out, said = process.communicate(timeout=200)
    return subprocess.CompletedProcess(process.args, process.returncode, out, said)


def fetch(hub, name, output, **options):
    return ended(started(hub, name, output, **options))


def cached_weights(output):
    return sorted((output.parent / "home").rglob("*.safetensors"))


def test_a_fetched_encoder_gives_the_numbers_of_torch(transformer, images, tmp_path):
    output = tmp_path / "encoder"
    with serve(Hub({("someone/vit", "main"): transformer})) as hub:
        done = fetch(hub, "someone/vit", output)
    assert done.returncode == 0, done.stderr
    original, fetched = open_backbone(str(transformer)), open_backbone(str(output))
    expected = original.embed(images)
    assert np.abs(fetched.embed(images) - expected).max() < 1e-4 * np.abs(expected).max()
    assert fetched.preprocessing == original.preprocessing
    assert all(
        words in done.stdout for words in (f"{original.dim} numbers", " MB", " ms for an image", "next: vpr train")
    )


def test_a_known_name_is_fetched_at_its_commit_and_again_without_network(dinov2, images, tmp_path):
    with serve(Hub({(PINNED.source, PINNED.revision): dinov2})) as hub:
        done = fetch(hub, "vit-b16?pooling=gem", tmp_path / "encoder")
    assert done.returncode == 0, done.stderr
    assert any(f"/resolve/{PINNED.revision}/" in request for request in hub.requests)
    expected = open_backbone(f"{dinov2}?pooling=gem").embed(images)
    fetched = open_backbone(str(tmp_path / "encoder"))
    assert np.allclose(fetched.embed(images), expected, atol=1e-4)
    assert fetched.described.source == f"{PINNED.source}?pooling=gem"
    weights = cached_weights(tmp_path / "encoder")[0]  # as caches with a shared store have it: one more link
    blob = weights.resolve()
    blob.symlink_to(shutil.move(blob, tmp_path / "store"))
    done = fetch(hub, "vit-b16?pooling=gem", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again/encoder.onnx").read_bytes() == (tmp_path / "encoder/encoder.onnx").read_bytes()


def test_pickled_weights_are_not_taken_but_the_conversion_of_the_hub_is(dinov2, tmp_path):
    pickled, other = tmp_path / "pickled", tmp_path / "other"
    shutil.copytree(dinov2, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    revisions = {("someone/dino", "main"): pickled, ("someone/dino", "refs/pr/9"): other}
    with serve(Hub(revisions)) as hub:
        done = fetch(hub, "someone/dino", tmp_path / "encoder")
        refused(done, "someone/dino: has no safetensors")
        hub.revisions["someone/dino", "refs/pr/3"], hub.bot_pull = dinov2, 3
        done = fetch(hub, "someone/dino", tmp_path / "encoder")
    assert done.returncode == 0, done.stderr
    assert not any("pytorch_model.bin" in request or "pr/9" in request for request in hub.requests)
    assert open_backbone(str(tmp_path / "encoder")).dim == 48


def test_a_damaged_download_leaves_nothing(dinov2, tmp_path):
    with serve(Hub({("someone/dino", "main"): dinov2}, damaged="model.safetensors")) as hub:
        done = fetch(hub, "someone/dino", tmp_path / "encoder")
        refused(done, "model.safetensors was damaged on the way")
        assert not cached_weights(tmp_path / "encoder") and not (tmp_path / "encoder").exists()
        hub.damaged = None
        done = fetch(hub, "someone/dino", tmp_path / "encoder")
    assert done.returncode == 0, done.stderr


def test_a_broken_connection_leaves_no_encoder(dinov2, tmp_path):
    with serve(Hub({("someone/dino", "main"): dinov2}, cut="model.safetensors")) as hub:
        done = fetch(hub, "someone/dino", tmp_path / "encoder")
    refused(done, "someone/dino: cannot be downloaded")
    assert "Run the command again" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"] and not cached_weights(tmp_path / "encoder")


def test_a_full_disk_leaves_no_encoder(dinov2, tmp_path):
    """A limit of the size of files in place of a disk that is full: for the download, then for the encoder, which is larger than the weights."""

    def limited(size):
        return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))}

    weights = (dinov2 / "model.safetensors").stat().st_size
    with serve(Hub({("someone/dino", "main"): dinov2})) as hub:
        refused(
            fetch(hub, "someone/dino", tmp_path / "encoder", **limited(weights // 2)),
            "someone/dino: cannot be downloaded",
        )
        assert not cached_weights(tmp_path / "encoder")
        assert fetch(hub, "someone/dino", tmp_path / "other").returncode == 0
        size = (tmp_path / "other/encoder.onnx").stat().st_size
        done = fetch(hub, "someone/dino", tmp_path / "encoder", **limited(size - 1))
    refused(done, "the encoder cannot be written")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "other"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_download_leaves_no_encoder(dinov2, tmp_path, number):
    with serve(Hub({("someone/dino", "main"): dinov2}, stalled="model.safetensors")) as hub:
        process = started(hub, "someone/dino", tmp_path / "encoder")
        assert hub.reached.wait(120)
        process.send_signal(number)
        done = ended(process)
        assert not hub.ended.is_set()  # it did not wait for the rest of the file
        assert done.returncode == 128 + number and "Traceback" not in done.stderr, done.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == ["home"] and not cached_weights(tmp_path / "encoder")
        hub.stalled = None
        assert fetch(hub, "someone/dino", tmp_path / "encoder").returncode == 0


def test_what_cannot_be_fetched_says_what_to_do(tmp_path):
    with serve(Hub()) as hub:
        refused(fetch(hub, "someone/nothing", tmp_path / "encoder"), "someone/nothing: no such model at http://127")
        hub.gated = True
        done = fetch(hub, "dinov3-small", tmp_path / "encoder")
        refused(done, f"its licence must be accepted first, at {hub.url}/facebook/dinov3-vits16-pretrain-lvd1689m")
    done = fetch(hub, "dino-vits8", tmp_path / "encoder")  # the server has ended
    refused(done, "facebook/dino-vits8: cannot be downloaded")
    assert "run it on another machine and copy the encoder" in done.stderr and str(tmp_path / "home") in done.stderr
    refused(fetch(hub, "dinov3", tmp_path / "encoder"), "'dinov3': no such encoder; expected one of dinov2-small")
    assert not (tmp_path / "encoder").exists()


@pytest.fixture(scope="module")
def cosplace():
    return network(512)


@pytest.fixture
def checkpoint(cosplace, tmp_path):
    """The weights in torch.hub's folder, which is as after a download of CosPlace but for a smaller network."""
    _, repository, commit, _ = COSPLACE.split(":")
    hub = tmp_path / "torch" / "hub"
    write_repository(hub / f"{repository.replace('/', '_')}_{commit}")
    (hub / "checkpoints").mkdir()
    path = hub / "checkpoints" / "ResNet18_512_cosplace.pth"
    torch.save(cosplace.state_dict(), path)
    return path


def test_cosplace_keeps_its_pooling_and_norm(checkpoint, cosplace, images, tmp_path):
    output = tmp_path / "encoder"
    done = fetch(Hub(), "cosplace-resnet18-512", output)
    assert done.returncode == 0, done.stderr
    assert "a model with ResNet18" in done.stderr and "a model with" not in done.stdout and "512 numbers" in done.stdout
    fetched = open_backbone(str(output))
    rule = fetched.described.input
    assert (rule.size, rule.mean, rule.std) == ((480, 640), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    pixels = torch.from_numpy(np.stack([rule.preprocess()(image) for image in images]))
    with torch.inference_mode():
        expected = cosplace(pixels).numpy()
        averaged = torch.nn.functional.normalize(
            cosplace.aggregation[3](cosplace.backbone(pixels).mean((2, 3)))
        ).numpy()
    assert np.abs(fetched.embed(images) - expected).max() < 1e-4
    assert np.abs(averaged - expected).max() > 1e-2  # another pooling gives other numbers
    assert np.allclose(np.linalg.norm(fetched.embed(images), axis=1), 1, atol=1e-5)


def test_a_repository_in_a_folder_and_what_is_wrong_with_one(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = write_repository(tmp_path / "clone")
    spec = f"torchhub:{folder}:get_trained_model?backbone=ResNet18&fc_output_dim=512"
    fetched = fetch_encoder(spec, tmp_path / "encoder")
    assert fetched.dim == 512 and fetched.described.source is None  # others do not have the folder
    with pytest.raises(VprError, match=r"torch\.hub cannot load it \(Cannot find callable nothing"):
        fetch_encoder(f"torchhub:{folder}:nothing", tmp_path / "other")
    (folder / "hubconf.py").write_text("dependencies = ['no_such_package']\n")
    with pytest.raises(VprError, match=r"Missing dependencies: no_such_package.*install it with pip"):
        fetch_encoder(spec, tmp_path / "other")
    (folder / "hubconf.py").write_text("import torch\ndef images():\n    return torch.nn.Conv2d(3, 3, 1)\n")
    with pytest.raises(VprError, match=r"no vector for an image"):
        fetch_encoder(f"torchhub:{folder}:images", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_weights_that_hold_code_are_not_executed(checkpoint, tmp_path, monkeypatch):
    class Code:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    torch.save(Code(), checkpoint)
    with pytest.raises(VprError, match=r"torch\.hub cannot load it"):
        fetch_encoder("cosplace-resnet18-512", tmp_path / "encoder")
    assert not (tmp_path / "executed").exists() and not (tmp_path / "encoder").exists()


def test_a_fetched_encoder_trains_and_exports(dinov2, drawn, tmp_path):
    encoder = fetch_encoder(str(dinov2), tmp_path / "encoder")
    frames = open_input(drawn).split("database").frames
    train(frames, open_backbone(encoder.spec), tmp_path / "model", method="aesvc")
    manifest = export_model(tmp_path / "model", tmp_path / "robot", frames=frames)
    assert manifest.check.passed and manifest.check.cosine_min > 0.999
