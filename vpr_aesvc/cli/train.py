"""``vpr train``."""

import shlex
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from vpr_aesvc.backbones import BACKBONE_HELP, open_backbone
from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.backbones.shards import Shards, is_shards
from vpr_aesvc.cli.console import out, progress_bars, say_skipped, say_source
from vpr_aesvc.cli.options import Embeddings, InputFlags, InputPath, KeyframeFlags, Output
from vpr_aesvc.errors import VprError
from vpr_aesvc.files import check_free
from vpr_aesvc.inputs import database_frames
from vpr_aesvc.model import MANIFEST, Manifest


def train_command(
    input: InputPath,
    /,
    *,
    output: Output,
    backbone: Annotated[
        str | None, Parameter(help=f"What turns an image into an embedding: {BACKBONE_HELP}; default hog.")
    ] = None,
    embeddings: Embeddings = None,
    sizes: Annotated[str, Parameter(help="Descriptor sizes, e.g. 16,32,64; by default powers of two.")] = "",
    method: Annotated[
        str, Parameter(help="auto, by held-out frames; raw, pca, aesvc, rotation; the paper's aesvc-paper, ss2d-paper.")
    ] = "auto",
    seed: Annotated[int, Parameter(help="The same images and seed give the same bytes.")] = 0,
    keyframes: KeyframeFlags = KeyframeFlags(),
    reading: InputFlags = InputFlags(),
) -> None:
    """Fit a model to images of a place, or to a recorded drive through it, without labels.

    Of a set with splits, the `database` images are used; of a recording, its keyframes. Poses and order are not needed; if the input has
    them, they only help to choose the projection.

    Of many images, `vpr extract` writes the embeddings first; give its folder as the input.

    Example:  vpr train my_building/ -o model/ --backbone facebook/dinov2-small
    """
    from vpr_aesvc.training import require_torch, train

    check_free(output, "model")
    requested_sizes = parse_sizes(sizes)
    require_torch()
    if is_shards(input):
        if backbone or embeddings or keyframes != KeyframeFlags() or reading != InputFlags():
            raise VprError(
                f"{input}: shards hold embeddings; leave out --backbone, --embeddings and the options of recordings"
            )
        shards = Shards(input, "database")
        with progress_bars() as progress:
            given = GivenEmbeddings(shards.manifest.dim, shards)
            describe_model(train(shards, given, output, requested_sizes, method, seed, progress).trained)
        say_skipped(shards.skipped, len(shards) + len(shards.skipped))
        out.print(f"model {output} is ready; it needs the encoder {shards.manifest.spec}")
        return
    source = reading.open(input, embeddings, **keyframes.given)
    opened = source.embeddings or open_backbone(backbone or "hog")
    with tempfile.TemporaryDirectory(prefix="vpr-keyframes-") as folder, progress_bars() as progress:
        frames = database_frames(source, Path(folder), keyframes.settings, progress=progress)
        model = train(frames, opened, output, requested_sizes, method, seed, progress).trained
    say_source(source)
    if source.is_recording:
        out.print(f"{len(frames)} keyframes were used")
    say_skipped(model.training.skipped, len(frames))
    describe_model(model)
    hint = f"model {output} is ready; next: vpr map build {shlex.quote(str(input))} -m {shlex.quote(str(output))} -o place.vprmap"
    out.print(hint)


def describe_model(manifest: Manifest) -> None:
    """Says what was chosen and why."""
    info = manifest.training
    out.print(Text.assemble("chosen: ", (manifest.method, "bold"), f", because {info.why}"))
    if info.held_out_scores:
        scores = sorted(info.held_out_scores.items(), key=lambda item: -item[1])
        out.print("  held-out score: " + ", ".join(f"{name} {score:.3f}" for name, score in scores))
    if "after" in info.cosine_variance:
        before, after = info.cosine_variance["before"], info.cosine_variance["after"]
        variance = f"{before:.4f} before, {after:.4f} after"
        out.print(f"  variance of the cosines of pairs: {variance}; {MANIFEST} has the AE-SVC terms")
    out.print(f"  sizes: {', '.join(map(str, manifest.sizes))}")
    if info.size_scores:
        out.print(
            "  held-out score by size: " + ", ".join(f"{size} {score:.3f}" for size, score in info.size_scores.items())
        )
    size, full = manifest.recommended_size or manifest.sizes[-1], manifest.sizes[-1]
    why = "held-out frames do not show that fewer do as well"
    if size < full:
        why = "the smallest that loses at most .01 of the best of these scores, with two standard errors to spare"
    out.print(f"recommended size: {'all ' if size == full else ''}{size} numbers; {why}")


def parse_sizes(text: str) -> list[int] | None:
    """``16,32,64`` as numbers; None for an empty text. Raises VprError: not numbers of at least 1 with commas between."""
    if not text:
        return None
    try:
        sizes = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise VprError(f"--sizes must be numbers with commas between, such as 16,32,64; found {text!r}") from None
    if sizes[0] < 1:
        raise VprError(f"--sizes must be at least 1, found {sizes[0]}")
    return sizes
