"""A model folder as a repository of the Hugging Face hub: ``vpr model push`` and ``vpr model pull``."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from vpr_aesvc.describer import AnyManifest, Describer
from vpr_aesvc.errors import VprError, require_installed
from vpr_aesvc.export.download import hub_errors
from vpr_aesvc.export.known_encoders import ENCODERS, TORCHHUB
from vpr_aesvc.export.model_card import model_card
from vpr_aesvc.files import check_free, new_folder
from vpr_aesvc.model import MANIFEST, WEIGHTS, Manifest, load_model, read_manifest
from vpr_aesvc.robot_model import GRAPH, is_robot_model

CARD = "README.md"
_HUB_ID = re.compile(r"(?:hf:)?([\w.-]+/[\w.-]+)(?:\?.*)?")


def push_model(path: Path, repository: str, private: bool = False) -> str:
    """Uploads a model in one commit, so that a repository never holds half of one. Creates the repository if there is none.

    The card is the folder's ``README.md``, or is made from the manifest. Paths of this machine are left out of ``model.json``.

    Args:
        path: a folder of `vpr train` or `vpr export`.
        repository: ``OWNER/NAME`` on the hub, without files or with a model.
        private: only its owner sees the repository; by default a new one is as the owner's settings say, which begin as public.

    Returns:
        the address of the repository.

    Raises:
        VprError: not a model, its encoder is a file of this machine, no login, other files in the repository, it is public against ``private``, or
            not uploaded.
    """
    manifest, weights = _opened(path)
    content, card = _shared(path, manifest, repository)
    card = (path / CARD).read_bytes() if (path / CARD).is_file() else card
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token

    login = "give a token that may write there to `hf auth login` or in HF_TOKEN"
    added = ((MANIFEST, content), (weights, path / weights), (CARD, card))
    operations: list[Any] = [CommitOperationAdd(name, data) for name, data in added]
    with hub_errors(repository, "pushed to", f"copy the folder. If you were refused, {login}", f"; {login}"):
        if get_token() is None:
            raise VprError(f"{repository}: pushing needs a login; {login}")
        api = HfApi()
        url = str(api.create_repo(repository, private=private or None, exist_ok=True))
        info = api.model_info(repository)
        there = {one.rfilename for one in info.siblings or []}
        if private and not info.private:
            raise VprError(f"{repository}: is public; make it private in its settings, or choose another name")
        if there - {".gitattributes", CARD} and MANIFEST not in there:
            raise VprError(f"{repository}: holds other files and no model; choose another name")
        operations += [CommitOperationDelete(name) for name in {WEIGHTS, GRAPH} - {weights} if name in there]
        api.create_commit(repository, operations, commit_message=f"Model {manifest.fingerprint}")
    return url


def pull_model(repository: str, output: Path) -> AnyManifest:
    """Downloads ``OWNER/NAME`` and opens the model before it is at ``output``, a folder that does not exist yet. Returns its manifest.

    Raises VprError: no such repository, no model in it, not downloaded, damaged, or the output exists.
    """
    check_free(output, "model")
    require_installed("pulling a model", "huggingface_hub")
    from huggingface_hub import HfApi, hf_hub_download

    with new_folder(output, "model") as folder:
        with hub_errors(repository, "downloaded from", "pull it on another machine and copy the folder"):
            info = HfApi().model_info(repository)
            there = {one.rfilename for one in info.siblings or []}
            if MANIFEST not in there:
                raise VprError(f"{repository}: holds no model of vpr_aesvc (no {MANIFEST})")
            for name in sorted({MANIFEST, WEIGHTS, GRAPH, CARD} & there):
                hf_hub_download(repository, name, revision=info.sha, local_dir=folder)
        shutil.rmtree(folder / ".cache", ignore_errors=True)  # huggingface_hub's own
        try:
            return _opened(folder)[0]
        except VprError as error:
            raise VprError(str(error).replace(str(folder), repository)) from error


def _opened(path: Path) -> tuple[AnyManifest, str]:
    """The manifest and the name of the weights, both verified. A robot model is opened whole; the encoder of another is not looked for."""
    if is_robot_model(read_manifest(path)):
        return Describer.open(path).manifest, GRAPH
    return load_model(path)[0], WEIGHTS


def _shared(path: Path, manifest: AnyManifest, repository: str) -> tuple[bytes, bytes]:
    """``model.json`` without paths of this machine, and the card. Raises VprError: the model needs an encoder that only this machine has."""
    require_installed("pushing a model", "huggingface_hub")
    spec = manifest.backbone.spec if isinstance(manifest, Manifest) else manifest.original.backbone
    found = None if Path(spec.partition("?")[0]).exists() else _HUB_ID.fullmatch(spec)
    hub_id = found and found[1]
    known = next((one for one in ENCODERS.values() if one.source in (spec, hub_id)), None)
    shared: AnyManifest
    if isinstance(manifest, Manifest):
        if not (hub_id or spec == "hog" or spec.startswith("embeddings:")):
            raise VprError(
                f"{path}: its encoder {spec} is a file of this machine; push what `vpr export {path} -o robot_model/` makes, which holds it"
            )
        names = [line.rpartition("/")[2] for line in manifest.training.skipped]
        training = manifest.training.model_copy(update={"skipped": names})
        shared = manifest.model_copy(update={"training": training})
    else:
        named = spec if hub_id or spec.startswith(TORCHHUB) else Path(spec).name
        original = manifest.original.model_copy(update={"backbone": named})
        shared = manifest.model_copy(update={"original": original})
    shared = shared.model_copy(update={"checksum": shared.expected_checksum()})
    content = json.dumps(shared.model_dump(), indent=1) + "\n"
    return content.encode(), model_card(shared, repository, hub_id, known).encode()
