"""``vpr train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vpr_aesvc.backbones import BACKBONE_HELP, open_backbone
from vpr_aesvc.backbones.given import read_embeddings
from vpr_aesvc.cli.console import EMBEDDINGS_HELP, out, progress_bars, say_skipped
from vpr_aesvc.datasets import open_input
from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
from vpr_aesvc.model import Manifest


def train_command(
    input: Annotated[
        Path, typer.Argument(help="A folder of images of the place, or a frames.csv (its rows with split `database`).")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The model folder to make.")],
    backbone: Annotated[str, typer.Option(help=f"What turns an image into numbers: {BACKBONE_HELP}.")] = "hog",
    embeddings: Annotated[Path | None, typer.Option(help=EMBEDDINGS_HELP)] = None,
    sizes: Annotated[
        str, typer.Option(help="Descriptor sizes to train for, e.g. 16,32,64; powers of two by default.")
    ] = "",
    method: Annotated[
        str,
        typer.Option(help="auto chooses on held-out frames | raw | pca | whitening | aesvc | rotation | free | pair."),
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Same images and seed give the same bytes.")] = 0,
) -> None:
    """Fit a model to images of a place, without labels.

    The images need no poses and no order; where a frames.csv or file names give some, they only help to choose the projection.

    Example:  vpr train my_building/ -o model/ --backbone facebook/dinov2-small
    """
    from vpr_aesvc.training import train

    check_free(output, "model")
    inputs = open_input(input)
    frames = inputs.split("database").frames
    wanted = parse_sizes(sizes)
    opened = open_backbone(backbone) if embeddings is None else read_embeddings(embeddings, inputs.frames)
    with progress_bars() as progress:
        model = train(frames, opened, output, wanted, method, seed, progress)
    say_skipped(model.trained.training.skipped, len(frames))
    describe_model(model.trained)
    out.print(f"model {output} is ready; next: vpr map build {input} -m {output} -o place.vprmap", markup=False)


def describe_model(manifest: Manifest) -> None:
    """Says what was chosen and why, and how well the constraints are met."""
    info = manifest.training
    out.print(f"chosen: [bold]{manifest.method}[/], because {info.why}")
    if info.held_out_scores:
        scores = sorted(info.held_out_scores.items(), key=lambda item: -item[1])
        out.print("  held-out score: " + ", ".join(f"{name} {score:.3f}" for name, score in scores))
        out.print(
            f"  covariance enlarged by {info.isotropic:g} of its mean eigenvalue and {info.view:g} of the covariance of views"
        )
    if "after" in info.terms:
        out.print("  AE-SVC term      before (PCA)  after")
        for name, before in info.terms["before"].items():
            out.print(f"  {name:<16} {before:<13.3g} {info.terms['after'][name]:.3g}")
        before, after = info.cosine_variance["before"], info.cosine_variance["after"]
        out.print(f"  variance of the cosines of pairs: {before:.4f} before, {after:.4f} after")
    out.print(f"  sizes: {', '.join(map(str, manifest.sizes))}")


def parse_sizes(text: str) -> list[int] | None:
    if not text:
        return None
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise VprError(f"--sizes must be numbers with commas between, such as 16,32,64; found {text!r}") from None
    if found[0] < 1:
        raise VprError(f"--sizes must be at least 1, found {found[0]}")
    return found
