"""``vpr extract``."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from vpr_aesvc.backbones import BACKBONE_HELP, open_backbone
from vpr_aesvc.cli.console import out, progress_bars, say_skipped, say_source
from vpr_aesvc.cli.options import InputFlags, InputPath, KeyframeFlags
from vpr_aesvc.errors import VprError, require_installed
from vpr_aesvc.inputs import database_frames

_RAY = "Extract on the Ray cluster at this address, such as 127.0.0.1:6379; `auto` finds one here, `local` starts one."


def extract_command(
    input: InputPath,
    /,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="A new folder, or that of a run to go on with.")],
    backbone: Annotated[str, Parameter(help=f"What turns an image into an embedding: {BACKBONE_HELP}.")] = "hog",
    ray: Annotated[str | None, Parameter(help=_RAY)] = None,
    seed: Annotated[int, Parameter(help="The same images and seed give the same bytes.")] = 0,
    keyframes: KeyframeFlags = KeyframeFlags(),
    reading: InputFlags = InputFlags(),
) -> None:
    """Write the embeddings of many images to a folder of shards, for `vpr train` and for --embeddings of other commands.

    Of a set all images are embedded, of a recording its keyframes. The same command again goes on after an interruption.

    Example:  vpr extract my_building/ -o shards/ --backbone facebook/dinov2-small
    """
    from vpr_aesvc.sharding import Local, Ray, extract

    source = reading.open(input, None, **keyframes.given)
    if ray is not None:
        require_installed("--ray", "ray")
        if source.is_recording:
            raise VprError(f"{input}: --ray is for images, which other machines can read; leave out --ray")
    opened = open_backbone(backbone)
    with tempfile.TemporaryDirectory(prefix="vpr-keyframes-") as folder, progress_bars() as progress:
        chosen = database_frames(source, Path(folder), keyframes.settings, progress=progress)
        frames = chosen if source.is_recording else list(source)
        engine = Local() if ray is None else Ray(ray)
        shards = extract(frames, opened, output, engine, seed=seed, progress=partial(progress, "embedding images"))
    say_source(source)
    say_skipped(shards.skipped, len(frames))
    count = f"{len(shards)} embeddings in {len(shards.manifest.shards)} shards"
    out.print(f"{count}; next: vpr train {output} -o model/, or --embeddings {output}")
