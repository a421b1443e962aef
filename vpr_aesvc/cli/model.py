"""``vpr model list`` and ``fetch``, of encoders, and ``vpr model push`` and ``pull``, of models."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from cyclopts import App, Parameter
from rich.table import Column, Table

from vpr_aesvc.cli.console import out
from vpr_aesvc.cli.options import Output
from vpr_aesvc.errors import VprError
from vpr_aesvc.model import Manifest
from vpr_aesvc.runtime import median_ms

if TYPE_CHECKING:
    from vpr_aesvc.export.known_encoders import KnownEncoder

app = App(
    name="model",
    help="Encoders: list the known ones, fetch one as an ONNX file. Models: push and pull, with the Hugging Face hub.",
)
Repository = Annotated[str, Parameter(help="OWNER/NAME on the Hugging Face hub, or on the server in HF_ENDPOINT.")]
_TIMED = 5


@app.command(name="list")
def list_command(
    name: Annotated[str | None, Parameter(help="One encoder, with all that is known of it.")] = None, /
) -> None:
    """List the known encoders and how each is obtained.

    Examples:  vpr model list

               vpr model list dinov2-small
    """
    from vpr_aesvc.export.known_encoders import ENCODERS, TORCHHUB

    if name is not None:
        if name not in ENCODERS:
            raise VprError(f"{name!r}: no such encoder; expected one of {', '.join(ENCODERS)}")
        one = ENCODERS[name]
        pinned = "revision not pinned" if one.revision is None else f"revision {one.revision}"
        out.print(
            f"{name}: {one.good_for}\n  {one.dim} numbers of {one.image[1]} x {one.image[0]} pixels, {_size(one)}"
        )
        out.print(f"  licence of the weights: {one.licence}{', to be accepted on its page' if one.gated else ''}")
        if one.by_hand:
            out.print(f"  from {one.page}, by hand: {one.by_hand}")
        elif one.source.startswith(TORCHHUB):
            out.print(
                f"  from {one.page}: code at commit {one.source.split(':')[2]}, weights not pinned; pip install {one.packages}"
            )
        else:
            out.print(f"  from {one.page}: {pinned}, SHA-256 {one.sha256 or 'not pinned'}")
        return
    counts = (Column(title, justify="right") for title in ("numbers", "download"))
    table = Table("encoder", *counts, "licence", "from", box=None, pad_edge=False)
    for one in ENCODERS.values():
        how = " (torch.hub)" if one.source.startswith(TORCHHUB) else " (by hand)" if one.by_hand else ""
        table.add_row(one.name, str(one.dim), _size(one), one.licence, one.page + how)
    out.print(table)
    out.print(
        "next: vpr model list ENCODER, or vpr model fetch ENCODER -o encoder/\n"
        "  huggingface.co: needs pip install torch transformers onnx; any other hub id OWNER/NAME of a DINOv2, DINOv3, DINO, ViT, CLIP or SigLIP works too\n"
        "  torch.hub: needs pip install torchvision as well, and executes the code of the repository\n"
        "  on a machine without network: fetch it elsewhere and copy the folder encoder/, or give what you copied with --mirror FOLDER\n"
        "  any ONNX file that you have: --backbone FILE.onnx, with a preprocess.json beside it"
    )


def _size(one: "KnownEncoder") -> str:
    return "size not known" if one.megabytes is None else f"{one.megabytes:,} MB"


@app.command(name=["fetch", "export"])
def fetch_command(
    name: Annotated[
        str,
        Parameter(
            help="An encoder of `vpr model list`; an ONNX encoder, which gets a second output, of patches; a hub id OWNER/NAME or a Hugging Face folder, with ?pooling=mean or gem; "
            "or torchhub:OWNER/NAME:COMMIT:FUNCTION?ARGUMENT=VALUE, or torchhub:FOLDER:FUNCTION."
        ),
    ],
    /,
    *,
    output: Output,
    mirror: Annotated[
        Path | None,
        Parameter(
            help="A folder in place of the network: OWNER/NAME as `hf download OWNER/NAME --local-dir` writes it, and a copy of torch.hub's folder."
        ),
    ] = None,
) -> None:
    """Download an encoder and write it as an ONNX folder for --backbone, which needs no torch.

    Weights are safetensors, checked by their SHA-256. An encoder from torch.hub (cosplace-..., torchhub:...) executes Python code of its
    GitHub repository on this machine: name one that you trust. The known ones are pinned to a commit.

    Example:  vpr model fetch dinov2-small -o encoder/
    """
    from vpr_aesvc.export.fetch import fetch_encoder

    encoder = fetch_encoder(name, output, mirror)
    image = np.full((480, 640, 3), 128, np.uint8)
    encoder.embed([image])
    milliseconds = median_ms(lambda _: encoder.embed([image]), _TIMED)
    out.print(
        f"encoder {output}: {encoder.dim} numbers, {encoder.path.stat().st_size / 1e6:.1f} MB, {milliseconds:.0f} ms for an image on this machine"
    )
    out.print(f"images become {encoder.preprocessing}")
    out.print(f"next: vpr train IMAGES -o model/ --backbone {shlex.quote(str(output))}")


@app.command(name="push")
def push_command(
    model: Annotated[Path, Parameter(help="A model folder from `vpr train` or `vpr export`.")],
    repository: Repository,
    /,
    *,
    private: Annotated[
        bool, Parameter(negative="", help="Only you can see the repository; one that is public already is refused.")
    ] = False,
) -> None:
    """Upload a model to the Hugging Face hub, with a card that says what it was made from.

    It is public unless --private or your settings say otherwise. The card is the folder's README.md, if you wrote one. Log in once with `hf auth login`.

    Example:  vpr model push robot_model/ me/office-places
    """
    from vpr_aesvc.export.hub import push_model

    out.print(f"model {model} is at {push_model(model, repository, private)}")
    out.print(f"next, anywhere: vpr model pull {repository} -o model/")


@app.command(name="pull")
def pull_command(repository: Repository, /, *, output: Output) -> None:
    """Download a model from the Hugging Face hub and check it.

    Example:  vpr model pull me/office-places -o model/
    """
    from vpr_aesvc.export.hub import pull_model

    manifest = pull_model(repository, output)
    needs = f"; it needs the encoder {manifest.backbone.spec}" if isinstance(manifest, Manifest) else ""
    out.print(
        f"model {output}: {manifest.precision}, {manifest.sizes[-1]} numbers, fingerprint {manifest.fingerprint}{needs}"
    )
    out.print(f"next: vpr map build IMAGES -m {shlex.quote(str(output))} -o place.vprmap")
