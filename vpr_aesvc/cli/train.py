"""``vpr train``."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from vpr_aesvc.backbones import BACKBONE_HELP, Backbone, open_backbone
from vpr_aesvc.backbones.given import read_embeddings
from vpr_aesvc.cli.console import EMBEDDINGS_HELP, out, progress_bars, say_skipped
from vpr_aesvc.cli.query_recording import say_recording
from vpr_aesvc.cli.recording_options import INPUT_HELP, keyframe_options, recording_options, refuse_unused
from vpr_aesvc.datasets import open_input
from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
from vpr_aesvc.keyframes.folder import write_keyframes
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.model import Manifest
from vpr_aesvc.recordings import is_recording, open_recording
from vpr_aesvc.recordings.recording import RecordingOptions
from vpr_aesvc.types import Frame


@recording_options
@keyframe_options
def train_command(
    input: Annotated[
        Path,
        typer.Argument(
            help=f"A folder of images of the place, a frames.csv (its rows with split `database`); or a run: {INPUT_HELP}."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The model folder to make.")],
    keyframes: KeyframeSettings,
    recording: RecordingOptions,
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
    """Fit a model to images of a place, or to a recorded run through it, without labels.

    Of a run, the keyframes are trained on. The images need no poses and no order; where a frames.csv or file names give some, they only help to choose the projection.

    Example:  vpr train my_building/ -o model/ --backbone facebook/dinov2-small
    """
    check_free(output, "model")
    wanted = parse_sizes(sizes)
    if is_recording(input, recording):
        from vpr_aesvc.training import require_torch

        if embeddings is not None:
            raise VprError(f"{input}: --embeddings belong to a folder of images; a recording needs a backbone")
        require_torch()
        run, opened = open_recording(input, recording), open_backbone(backbone)
        with tempfile.TemporaryDirectory(prefix="vpr-keyframes-") as folder:
            with progress_bars() as progress:
                frames: Sequence[Frame] = write_keyframes(
                    run, Path(folder), keyframes, progress=partial(progress, "choosing keyframes")
                )
            say_recording(run)
            out.print(f"{len(frames)} keyframes to train on", markup=False)
            trained = _train(frames, opened, output, wanted, method, seed)
    else:
        refuse_unused(input, recording, keyframes)
        inputs = open_input(input)
        frames = inputs.split("database").frames
        opened = open_backbone(backbone) if embeddings is None else read_embeddings(embeddings, inputs.frames)
        trained = _train(frames, opened, output, wanted, method, seed)
    say_skipped(trained.training.skipped, len(frames))
    describe_model(trained)
    given, made = shlex.quote(str(input)), shlex.quote(str(output))
    said = f"model {output} is ready; next: vpr map build {given} -m {made} -o place.vprmap"
    out.print(said, markup=False, soft_wrap=True)


def _train(
    frames: Sequence[Frame], backbone: Backbone, output: Path, sizes: list[int] | None, method: str, seed: int
) -> Manifest:
    from vpr_aesvc.training import train

    with progress_bars() as progress:
        return train(frames, backbone, output, sizes, method, seed, progress).trained


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
