"""Encoders from the Hugging Face hub or torch.hub as ONNX folders, for ``--backbone``."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from vpr_aesvc.backbones.huggingface import HuggingFaceBackbone
from vpr_aesvc.backbones.onnx import OnnxBackbone
from vpr_aesvc.backbones.onnx_graph import GraphInput, GraphOutput, PreprocessFile
from vpr_aesvc.errors import VprError, first_line, require_installed
from vpr_aesvc.export.download import download_weights, mirrored_weights, sha256_of
from vpr_aesvc.export.huggingface import encoder_graph
from vpr_aesvc.export.known_encoders import ENCODERS, TORCHHUB, KnownEncoder
from vpr_aesvc.export.patches import add_patches
from vpr_aesvc.export.traced import EMBEDDING, INPUT, traced_graph
from vpr_aesvc.files import check_free, new_folder
from vpr_aesvc.images import Preprocess

if TYPE_CHECKING:
    import onnx

# ImageNet's mean and std, as every model of torchvision. The size is that of Pitts30k; these networks take any.
_TORCHHUB_RULE = Preprocess(
    height=480, width=640, interpolation="linear", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)


def fetch_encoder(name: str, output: Path, mirror: Path | None = None) -> OnnxBackbone:
    """Downloads an encoder and writes it as a folder with ``encoder.onnx`` and ``preprocess.json``, with a second output ``patches``.

    Args:
        name: an ONNX encoder without patches; one of ``ENCODERS``; a hub id or a Hugging Face folder, with ``?pooling=mean`` or ``gem``; or
            ``torchhub:REPOSITORY:FUNCTION?ARGUMENTS``, which executes the code of that repository.
        output: a folder that does not exist yet.
        mirror: a folder that stands for the network: ``OWNER/NAME`` as on the hub, and what torch.hub keeps in its own folder.

    Returns:
        the opened encoder.

    Raises:
        VprError: not known, not downloaded, not in the mirror, damaged or other weights, not exported, or the output exists.
    """
    check_free(output, "encoder")
    if Path(name).suffix == ".onnx" or any(Path(name).glob("*.onnx")):
        return _with_patches(OnnxBackbone(name), output)
    key, question, options = name.partition("?")
    known = ENCODERS.get(key)
    if known and known.by_hand:
        raise VprError(f"{key}: cannot be fetched: {known.by_hand}, and give them with --embeddings (docs/interop.md)")
    require_installed("fetching an encoder", "torch", "transformers", "onnx")
    source = known.source + question + options if known else name
    if source.startswith(TORCHHUB):
        rule = _TORCHHUB_RULE
        if known:
            height, width = known.image
            changes = {"height": height, "width": width, "interpolation": known.interpolation}
            rule = rule.model_copy(update=changes)
        graph = _from_torchhub(source, rule, mirror)
    else:
        graph, rule = _from_hub(source, known, mirror)
    dim = graph.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    described = PreprocessFile(
        input=GraphInput.of(INPUT, rule), output=GraphOutput(name=EMBEDDING, size=dim), source=_public(source)
    )
    return _write(graph, described, output)


def _public(source: str) -> str | None:
    """The source, unless it is a folder of this machine."""
    place = source.removeprefix(TORCHHUB).partition("?")[0]
    return None if any(Path(one).is_dir() for one in (place, place.rpartition(":")[0]) if one) else source


def _with_patches(encoder: OnnxBackbone, output: Path) -> OnnxBackbone:
    """A copy of an ONNX encoder with a second output, of patches."""
    require_installed("adding patches to an encoder", "onnx")
    import onnx

    if encoder.patch_grid is not None:
        raise VprError(f"{encoder.path}: gives patches already; use it as it is")
    return _write(onnx.load(str(encoder.path)), encoder.described, output, required=True)


def _write(graph: "onnx.ModelProto", described: PreprocessFile, output: Path, required: bool = False) -> OnnxBackbone:
    """Writes the encoder, with a second output if it has patches. Raises VprError if it must have them and has none."""
    patches = add_patches(graph, described.output.name, described.input)
    if patches is None and required:
        raise VprError(
            "the encoder has no feature map and no tokens that its embedding is pooled from, so it cannot give patches"
        )
    described = described.model_copy(update={"patches": patches})
    with new_folder(output, "encoder") as folder:
        (folder / "encoder.onnx").write_bytes(graph.SerializeToString())
        (folder / "preprocess.json").write_text(described.model_dump_json(indent=1))
    return OnnxBackbone(output)


def _from_hub(source: str, known: KnownEncoder | None, mirror: Path | None) -> "tuple[onnx.ModelProto, Preprocess]":
    place, _, options = source.partition("?")
    if not Path(place).is_dir():
        if place.count("/") != 1:
            raise VprError(
                f"{place!r}: no such encoder; expected one of {', '.join(ENCODERS)}, a hub id OWNER/NAME, a folder, or {TORCHHUB}REPOSITORY:FUNCTION"
            )
        revision = known.revision if known else None
        folder = mirrored_weights(mirror, place, revision) if mirror else download_weights(place, revision)
        weights = folder / "model.safetensors"
        if known and known.sha256 and (found := sha256_of(weights)) != known.sha256:
            raise VprError(f"{weights}: its SHA-256 is {found}, that of {known.name} is {known.sha256}; copy it again")
        place = str(folder)
    backbone = HuggingFaceBackbone(place, pooling=options.removeprefix("pooling=") or "cls")
    return encoder_graph(backbone), backbone.preprocess


@contextmanager
def _no_downloads() -> Iterator[None]:
    """torch.hub takes repositories and weights from its folder only."""
    import torch

    def refuse(url: str, *_: Any, **__: Any) -> None:
        raise VprError(f"the mirror lacks what is at {url}")

    original, torch.hub.download_url_to_file = torch.hub.download_url_to_file, refuse
    try:
        yield
    finally:
        torch.hub.download_url_to_file = original


def _from_torchhub(source: str, rule: Preprocess, mirror: Path | None) -> "onnx.ModelProto":
    """``torchhub:OWNER/NAME:FUNCTION?ARGUMENT=VALUE&...``, ``OWNER/NAME:COMMIT`` or a folder with ``hubconf.py`` in place of ``OWNER/NAME``."""
    import torch

    place, _, arguments = source.removeprefix(TORCHHUB).partition("?")
    repository, _, function = place.rpartition(":")
    values: dict[str, Any] = {key: int(text) if text.isdigit() else text for key, text in parse_qsl(arguments)}
    kind = "local" if Path(repository).is_dir() else "github"
    if mirror:
        if not mirror.is_dir():
            raise VprError(f"{mirror}: no such folder")
        torch.hub.set_dir(mirror)
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"  # torch.load reads tensors only, whatever the repository asks for
    try:
        # What the repository prints is no result of the command. A commit is not looked for among branches, and the user named the repository.
        with redirect_stdout(sys.stderr), _no_downloads() if mirror else nullcontext():
            module = torch.hub.load(repository, function, source=kind, trust_repo=True, skip_validation=True, **values)
    except Exception as error:  # urllib's, and any that the repository raises
        raise VprError(
            f"{source}: torch.hub cannot load it ({first_line(error)}). If a package is missing, install it with pip. Without network, copy "
            f"{torch.hub.get_dir()} from a machine that fetched it, or give the path of a clone in place of {repository!r}"
        ) from error

    class First(torch.nn.Module):  # BoQ gives its attention, too
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            given = self.module(pixels)
            return given[0] if isinstance(given, tuple) else given

    torch.backends.mha.set_fastpath_enabled(False)  # BoQ's transformer layers: their fast form has no ONNX operators
    return traced_graph(First(), rule.height, rule.width, source)
