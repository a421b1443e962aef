"""``vpr map build`` and ``vpr map info``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from vpr_aesvc.backbones.given import read_embeddings
from vpr_aesvc.cli.console import EMBEDDINGS_HELP, out, progress_bars, say_skipped
from vpr_aesvc.datasets import open_input
from vpr_aesvc.describer import Describer
from vpr_aesvc.files import check_free

app = typer.Typer(no_args_is_help=True, help="Make a place map, or look into one.")


@app.command("build")
def build_command(
    input: Annotated[
        Path, typer.Argument(help="A folder of images, or a frames.csv (its rows with split `database`).")
    ],
    model: Annotated[Path, typer.Option("-m", "--model", help="A model folder made by `vpr train`.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The map file to make, such as office.vprmap.")],
    embeddings: Annotated[Path | None, typer.Option(help=EMBEDDINGS_HELP)] = None,
) -> None:
    """Make a map of the images of a place."""
    from vpr_aesvc.placemap.build import build_map

    check_free(output, "map")
    inputs = open_input(input)
    frames = inputs.split("database").frames
    describer = Describer.open(model, None if embeddings is None else read_embeddings(embeddings, inputs.frames))
    with progress_bars() as progress:
        skipped = build_map(
            frames, describer, output, progress=lambda done, of: progress("describing images", done, of)
        )
    say_skipped(skipped, len(frames))
    out.print(
        f"map {output} holds {len(frames) - len(skipped)} places; next: vpr query {output} NEW_IMAGES", markup=False
    )


@app.command("info")
def info_command(
    map: Annotated[Path, typer.Argument(help="A .vprmap file.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
) -> None:
    """Say what a map holds."""
    from vpr_aesvc.placemap import PlaceMap

    with PlaceMap.open(map) as place_map:
        info = place_map.info()
    if as_json:
        typer.echo(json.dumps(asdict(info)))
        return
    out.print(
        f"[bold]{escape(info.path)}[/]: {info.places} places, {info.size_bytes / 1e6:.2f} MB, made {info.created}"
    )
    for name, count in list(info.traverses.items())[:20]:
        out.print(f"  traverse {name}: {count} places", markup=False)
    if len(info.traverses) > 20:
        out.print(f"  and {len(info.traverses) - 20} more traverses")
    if info.bounds:
        x_min, y_min, x_max, y_max = info.bounds
        out.print(f"  {info.with_pose} with a pose, within {x_max - x_min:.1f} m x {y_max - y_min:.1f} m")
    else:
        out.print("  no poses")
    sizes = ", ".join(str(size) for size in info.sizes)
    out.print(f"  descriptors: {info.dim} numbers, {2 * info.dim} bytes a place; sizes for search: {sizes}")
    out.print(f"  model {info.model_fingerprint}, then at {info.model_path}", markup=False)
