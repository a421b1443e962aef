"""``vpr model list`` and ``vpr model fetch``."""

import shlex
from typing import Annotated

import numpy as np
from cyclopts import App, Parameter
from rich.table import Column, Table

from vpr_aesvc.cli.console import out
from vpr_aesvc.cli.options import Output
from vpr_aesvc.runtime import median_ms

app = App(name="model", help="Encoders: list the known ones, fetch one as an ONNX file.")
_TIMED = 5


@app.command(name="list")
def list_command() -> None:
    """List the known encoders and how each is obtained.

    Example:  vpr model list
    """
    from vpr_aesvc.export.known_encoders import ENCODERS, TORCHHUB

    counts = (Column(name, justify="right") for name in ("numbers", "download"))
    table = Table("encoder", *counts, "from", box=None, pad_edge=False)
    for one in ENCODERS.values():
        place, _, _ = one.source.removeprefix(TORCHHUB).partition(":")
        source = f"github.com/{place} (torch.hub)" if one.source.startswith(TORCHHUB) else f"huggingface.co/{place}"
        table.add_row(one.name, str(one.dim), f"{one.megabytes:,} MB", source)
    out.print(table)
    out.print(
        "next: vpr model fetch ENCODER -o encoder/\n"
        "  huggingface.co: needs pip install torch transformers onnx; any other hub id OWNER/NAME of a DINOv2, DINO, ViT or CLIP works too\n"
        "  torch.hub: needs pip install torchvision as well, and executes the code of the repository\n"
        "  on a machine without network: fetch it elsewhere and copy the folder encoder/\n"
        "  any ONNX file that you have: --backbone FILE.onnx, with a preprocess.json beside it"
    )


@app.command(name="fetch")
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
) -> None:
    """Download an encoder and write it as an ONNX folder for --backbone, which needs no torch.

    Weights are safetensors, checked by their SHA-256. An encoder from torch.hub (cosplace-..., torchhub:...) executes Python code of its
    GitHub repository on this machine: name one that you trust. The known ones are pinned to a commit.

    Example:  vpr model fetch dinov2-small -o encoder/
    """
    from vpr_aesvc.export.fetch import fetch_encoder

    encoder = fetch_encoder(name, output)
    image = np.full((480, 640, 3), 128, np.uint8)
    encoder.embed([image])
    milliseconds = median_ms(lambda _: encoder.embed([image]), _TIMED)
    out.print(
        f"encoder {output}: {encoder.dim} numbers, {encoder.path.stat().st_size / 1e6:.1f} MB, {milliseconds:.0f} ms for an image on this machine"
    )
    out.print(f"images become {encoder.preprocessing}")
    out.print(f"next: vpr train IMAGES -o model/ --backbone {shlex.quote(str(output))}")
