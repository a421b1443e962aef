"""`vpr model push` and `pull`: real model folders, huggingface_hub's own client, and a hub on loopback. The client's other way to upload, Xet, is off."""

import json
import os
import shutil
import signal
import subprocess
from functools import partial

import numpy as np
import pytest

from tests.command import VPR, refused
from tests.export.local_hub import Hub, serve
from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.export import export_model
from vpr_aesvc.export.hub import pull_model, push_model
from vpr_aesvc.export.known_encoders import ENCODERS
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.model import WEIGHTS, load_model, save_model
from vpr_aesvc.robot_model import GRAPH, RobotManifest, save_robot_model
from vpr_aesvc.training import train

huggingface_hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="module")
def frames(drawn):
    return open_input(drawn).split("database").frames


@pytest.fixture(scope="module")
def fetched(encoder, tmp_path_factory):
    """An ONNX encoder as `vpr model fetch` writes it: it names its source."""
    folder = shutil.copytree(encoder, tmp_path_factory.mktemp("fetched") / "encoder")
    described = json.loads((folder / "preprocess.json").read_text())
    (folder / "preprocess.json").write_text(json.dumps({**described, "source": ENCODERS["dinov2-small"].source}))
    return folder


@pytest.fixture(scope="module")
def onnx_model(fetched, frames, tmp_path_factory):
    pytest.importorskip("torch")
    path = tmp_path_factory.mktemp("onnx") / "model"
    train(frames, open_backbone(str(fetched)), path, method="aesvc")
    return path


@pytest.fixture(scope="module")
def robot(onnx_model, frames, tmp_path_factory):
    pytest.importorskip("onnx")
    path = tmp_path_factory.mktemp("robot") / "robot"
    export_model(onnx_model, path, frames=frames[:12])
    return path


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with nothing on it, that huggingface_hub in this process takes for the hub. The user is logged in."""
    (tmp_path / "hub").mkdir()
    with serve(Hub(written=tmp_path / "hub", token=TOKEN)) as served:
        template = f"{served.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        values = {"ENDPOINT": served.url, "HUGGINGFACE_CO_URL_TEMPLATE": template, "HF_HUB_DISABLE_XET": True}
        for name, value in {**values, "HF_TOKEN_PATH": str(tmp_path / "no_login")}.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield served


def started(hub, tmp_path, *words, token=TOKEN):
    """The command as a process, which heeds Ctrl-C even where a shell started the tests in the background."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "COLUMNS": "200",
        "HF_HUB_DISABLE_XET": "1",
    }
    environment |= {"HF_TOKEN": token} if token else {}
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*VPR, "model", *map(str, words)], env=environment, cwd=tmp_path, preexec_fn=heed, **pipes)


def ended(process):
    out, said = process.communicate(timeout=200)
    assert TOKEN not in out + said
    return subprocess.CompletedProcess(process.args, process.returncode, out, said)


def refusal(function, *arguments):
    """What is said, in one line and without the token."""
    with pytest.raises(VprError) as raised:
        function(*arguments)
    said = str(raised.value)
    assert TOKEN not in said and "\n" not in said
    return said


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_trained_model_goes_there_and_back_by_the_command(hub, drawn_model, drawn, tmp_path):
    done = ended(started(hub, tmp_path, "push", drawn_model, "someone/street", "--private"))
    assert done.returncode == 0 and f"{hub.url}/someone/street" in done.stdout, done.stderr
    assert hub.created[0]["visibility"] == "private"
    done = ended(started(hub, tmp_path, "pull", "someone/street", "-o", "model", token=None))
    assert done.returncode == 0, done.stderr
    pulled, original = Describer.open(tmp_path / "model"), Describer.open(drawn_model)
    image = read_image(next(drawn.rglob("*.jpg")))
    assert np.array_equal(pulled.describe(image), original.describe(image))
    assert pulled.trained == original.trained and pulled.fingerprint in done.stdout
    assert names(tmp_path / "model") == ["README.md", "model.json", WEIGHTS]
    assert not (tmp_path / "home" / "hub").exists()  # no second copy in the cache


def test_the_card_says_what_the_model_knows(hub, drawn_model, robot, onnx_model, tmp_path):
    push_model(drawn_model, "someone/street")
    push_model(robot, "someone/robot")
    card = huggingface_hub.ModelCard((tmp_path / "hub/street/README.md").read_text())
    assert (card.data.library_name, card.data.license, card.data.base_model) == ("vpr_aesvc", None, None)
    info, _ = load_model(drawn_model)
    assert f"{info.training.images} images without labels; seed 0" in card.text and info.fingerprint in card.text
    assert ", ".join(map(str, info.sizes)) in card.text and "vpr model pull someone/street -o model/" in card.text
    card = huggingface_hub.ModelCard((tmp_path / "hub/robot/README.md").read_text())
    assert (card.data.license, card.data.base_model) == ("apache-2.0", "facebook/dinov2-small")
    check = Describer.open(robot).manifest.check
    assert f"lowest {check.cosine_min:.4f}" in card.text and "| Apache-2.0 |" in card.text
    assert load_model(onnx_model)[0].fingerprint in card.text


def test_a_card_that_the_user_wrote_is_kept_and_the_other_kind_of_weights_is_removed(hub, drawn_model, robot, tmp_path):
    push_model(drawn_model, "someone/street")
    copied = shutil.copytree(robot, tmp_path / "copied")
    (copied / "README.md").write_text("---\nlicense: mit\n---\nOurs.\n")
    push_model(copied, "someone/street")
    assert names(tmp_path / "hub/street") == [".gitattributes", "README.md", GRAPH, "model.json"]
    pull_model("someone/street", tmp_path / "model")
    assert (tmp_path / "model/README.md").read_bytes() == (copied / "README.md").read_bytes()
    assert (tmp_path / "model" / GRAPH).read_bytes() == (robot / GRAPH).read_bytes()
    assert len(hub.created) == 1
    assert "is public" in refusal(push_model, drawn_model, "someone/street", True)
    assert GRAPH in names(tmp_path / "hub/street")


def test_no_path_of_this_machine_is_published(hub, drawn_model, robot, tmp_path):
    manifest, projection = load_model(drawn_model)
    training = manifest.training.model_copy(update={"skipped": [f"{tmp_path}/images/7.jpg: is truncated"]})
    save_model(tmp_path / "skipped", manifest.model_copy(update={"training": training}), projection)
    push_model(tmp_path / "skipped", "someone/street")
    robot_manifest = Describer.open(robot).manifest
    original = robot_manifest.original.model_copy(update={"backbone": f"onnx:{tmp_path}/encoder.onnx"})
    fields = robot_manifest.model_dump(exclude={"fingerprint", "family", "checksum", "version", "format"})
    graph = (robot / GRAPH).read_bytes()
    save_robot_model(tmp_path / "exported", RobotManifest.of(graph, **{**fields, "original": original}), graph)
    push_model(tmp_path / "exported", "someone/robot")
    files = [tmp_path / "hub" / one / file for one in ("street", "robot") for file in ("model.json", "README.md")]
    published = "".join(path.read_text() for path in files)
    assert "7.jpg: is truncated" in published and "1 more could not be read" in published
    assert "encoder.onnx" in published and str(tmp_path) not in published
    assert "| licence of its weights | not known here |" in published
    for name in ("street", "robot"):
        pull_model(f"someone/{name}", tmp_path / name)


def test_an_encoder_of_this_machine_is_refused(hub, onnx_model):
    said = refusal(push_model, onnx_model, "someone/street")
    assert f"is a file of this machine; push what `vpr export {onnx_model} -o robot_model/` makes" in said
    assert not hub.requests


def test_what_cannot_be_pushed_says_what_to_do(hub, drawn_model, tmp_path, monkeypatch):
    assert "cannot be pushed to" in refusal(push_model, drawn_model, "other/street")
    assert "some one/street" in refusal(push_model, drawn_model, "some one/street")
    assert "expected OWNER/NAME" in refusal(push_model, drawn_model, "street")
    assert "not a model folder" in refusal(push_model, tmp_path / "hub", "someone/street")
    damaged = shutil.copytree(drawn_model, tmp_path / "damaged")
    weights = (damaged / WEIGHTS).read_bytes()
    (damaged / WEIGHTS).write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    assert "the model is damaged" in refusal(push_model, damaged, "someone/street")
    language = tmp_path / "hub/language"
    language.mkdir()
    (language / "config.json").write_text("{}")
    hub.revisions["someone/language", "main"] = language
    assert "holds other files and no model" in refusal(push_model, drawn_model, "someone/language")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "`hf auth login`" in refusal(push_model, drawn_model, "someone/street")
    monkeypatch.delenv("HF_TOKEN")
    assert "pushing needs a login; give a token" in refusal(push_model, drawn_model, "someone/street")
    assert names(tmp_path / "hub") == ["language"] and names(language) == ["config.json"]


@pytest.mark.parametrize("token", [f"{TOKEN} x\x01", f"{TOKEN}é"])
def test_an_odd_token_is_not_printed(hub, drawn_model, tmp_path, monkeypatch, token):
    monkeypatch.setenv("HF_TOKEN", token)
    assert refusal(push_model, drawn_model, "someone/street").startswith("someone/street: ")
    assert refusal(pull_model, "someone/street", tmp_path / "model").startswith("someone/street: ")


def test_an_interrupted_push_leaves_no_file(hub, drawn_model, tmp_path):
    hub.stalled_upload = True
    process = started(hub, tmp_path, "push", drawn_model, "someone/street")
    assert hub.reached.wait(120)
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert done.returncode == 130 and "Traceback" not in done.stderr, done.stderr
    assert names(tmp_path / "hub/street") == [".gitattributes"]
    hub.stalled_upload = False
    push_model(drawn_model, "someone/street")


def test_an_interrupted_pull_leaves_nothing(hub, drawn_model, tmp_path):
    hub.revisions["someone/street", "main"], hub.stalled = drawn_model, WEIGHTS
    process = started(hub, tmp_path, "pull", "someone/street", "-o", "model")
    assert hub.reached.wait(120)
    process.send_signal(signal.SIGTERM)
    done = ended(process)
    assert done.returncode == 143 and "Traceback" not in done.stderr, done.stderr
    assert names(tmp_path) in (["hub"], ["home", "hub"])


def test_what_cannot_be_pulled_leaves_nothing(hub, drawn_model, robot, tmp_path):
    hub.revisions["someone/street", "main"], hub.revisions["someone/robot", "main"] = drawn_model, robot
    hub.revisions["someone/nothing", "main"] = tmp_path / "hub"

    def said(name):
        words = refusal(pull_model, name, tmp_path / "model")
        assert words.startswith(f"{name}: ") and names(tmp_path) == ["hub"], words
        return words

    assert "no such model at http://127" in said("someone/absent")
    assert "holds no model of vpr_aesvc (no model.json)" in said("someone/nothing")
    hub.cut = WEIGHTS
    assert "cannot be downloaded" in said("someone/street")
    hub.cut, hub.damaged = None, WEIGHTS
    assert "the model is damaged" in said("someone/street")
    hub.damaged = GRAPH
    assert "is damaged or belongs to another model" in refusal(pull_model, "someone/robot", tmp_path / "model")
    hub.damaged, hub.gated = None, True
    assert "its licence must be accepted first" in said("someone/street")
    (tmp_path / "model").mkdir()
    assert "exists already" in refusal(pull_model, "someone/street", tmp_path / "model")


def test_without_network_or_login(hub, drawn_model, tmp_path, monkeypatch):
    with serve(Hub()) as gone:
        pass
    monkeypatch.setattr(constants, "ENDPOINT", gone.url)
    assert "Without network, copy the folder" in refusal(push_model, drawn_model, "someone/street")
    said = refusal(pull_model, "someone/street", tmp_path / "model")
    assert "Without network, pull it on another machine" in said and names(tmp_path) == ["hub"]
    refused(ended(started(gone, tmp_path, "push", drawn_model, "someone/street", token=None)), "pushing needs a login")
