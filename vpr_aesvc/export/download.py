"""Weights from the Hugging Face hub, as safetensors, into the user's cache."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from vpr_aesvc.errors import VprError, first_line

_FILES = ["config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"]
_CONVERTER = "SFconvertbot"  # the hub's own account, which offers weights as safetensors in a pull request


def download_weights(hub_id: str, revision: str | None = None) -> Path:
    """Downloads what is not in the cache yet, with progress bars, and checks the SHA-256 of the weights.

    Args:
        hub_id: ``OWNER/NAME``.
        revision: a commit; by default the newest, or its conversion to safetensors by the hub.

    Returns:
        the folder of the cache with ``config.json``, ``preprocessor_config.json`` and safetensors.

    Raises:
        VprError: no such model, no network, no safetensors, or damaged weights, which are then removed from the cache.
    """
    from huggingface_hub import constants

    advice = f"run it on another machine and copy the encoder, or copy {constants.HF_HUB_CACHE} and run it here"
    with hub_errors(hub_id, "downloaded from", advice, "; `vpr model list` names the known ones"):
        folder = _snapshot(hub_id, revision)
        if not any(folder.glob("*.safetensors")):
            folder = _snapshot(hub_id, _conversion(hub_id) or revision)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise VprError(
            f"{hub_id}: has no safetensors, and pickled weights are not loaded; convert them where you trust them, with transformers' "
            "AutoModel.from_pretrained(...).save_pretrained(FOLDER), and fetch FOLDER"
        )
    for path in weights:
        _check(path, hub_id)
    return folder


@contextmanager
def hub_errors(hub_id: str, done: str, advice: str, missing: str = "") -> Iterator[None]:
    """Raises what huggingface_hub raises as VprError: a licence to accept, no such model (``missing`` follows), and else that the model cannot be
    ``done`` the hub, with ``advice`` for a machine without network."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if hub_id.count("/") != 1:
        raise VprError(f"{hub_id!r}: expected OWNER/NAME")
    try:
        yield
    except VprError:
        raise
    except GatedRepoError as error:
        raise VprError(
            f"{hub_id}: its licence must be accepted first, at {constants.ENDPOINT}/{hub_id}; then run `hf auth login` and this command again"
        ) from error
    except (HFValidationError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise VprError(
            f"{hub_id}: no such model at {constants.ENDPOINT}, or it needs `hf auth login` ({first_line(error)}){missing}"
        ) from error
    except Exception as error:  # httpx, OSError and others, all for: not done
        raise VprError(
            f"{hub_id}: cannot be {done} {constants.ENDPOINT} ({first_line(error)}). Run the command again. Without network, {advice}"
        ) from error


def _snapshot(hub_id: str, revision: str | None) -> Path:
    """The folder of a revision in the cache; without network, as it was cached. Files are downloaded one after the other in this thread: Ctrl-C
    ends that at once, but would wait for the threads of ``snapshot_download`` until they have the whole file."""
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        listed = HfApi().model_info(hub_id, revision=revision or "main").siblings or []
    except (HFValidationError, RepositoryNotFoundError, RevisionNotFoundError):
        raise
    except Exception as error:  # no network
        try:
            return Path(snapshot_download(hub_id, revision=revision, local_files_only=True))
        except Exception:
            raise error from None
    names = [one.rfilename for one in listed if any(fnmatch(one.rfilename, pattern) for pattern in _FILES)]
    paths = [Path(hf_hub_download(hub_id, name, revision=revision)) for name in names]
    return paths[names.index("config.json")].parent


def _conversion(hub_id: str) -> str | None:
    """The pull request in which the hub offers the weights as safetensors, if there is one."""
    from huggingface_hub import HfApi

    offers = HfApi().get_repo_discussions(hub_id, author=_CONVERTER, discussion_type="pull_request")
    return next((f"refs/pr/{one.num}" for one in offers if one.author == _CONVERTER), None)


def _check(path: Path, hub_id: str) -> None:
    """Compares weights with their SHA-256 on the hub, by which the cache names the file behind a link. A cache without links is not checked."""
    if not path.is_symlink():
        return
    blob = path.parent / path.readlink()
    found = sha256_of(path)
    if blob.name != found:
        for one in (path.resolve(), blob, path):  # the blob may be a link too, to a store that several caches share
            one.unlink(missing_ok=True)
        raise VprError(
            f"{hub_id}: {path.name} was damaged on the way: its SHA-256 is {found}, the hub says {blob.name}; it was removed, "
            "run the command again"
        )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hex digits."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def mirrored_weights(mirror: Path, hub_id: str, revision: str | None) -> Path:
    """The folder ``OWNER/NAME`` of a mirror. Raises VprError, with what to bring, if it is not there."""
    folder = mirror / hub_id
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        at = f" --revision {revision}" if revision else ""
        raise VprError(
            f"{mirror}: has no {hub_id} with config.json, preprocessor_config.json and safetensors; with network, run "
            f"`hf download {hub_id}{at} --local-dir {hub_id}` and copy {hub_id} into {mirror}"
        )
    return folder
