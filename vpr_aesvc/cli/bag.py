"""``vpr bag info``: what is in a recording that matters here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vpr_aesvc.cli.console import out, progress_bars

app = typer.Typer(no_args_is_help=True, help="Recorded bags of ROS 1 and ROS 2, without ROS installed.")


@app.command("info")
def info_command(
    bag: Annotated[Path, typer.Argument(help="A bag: its folder, or a .bag, .mcap or .db3 file.")],
    image_topic: Annotated[str | None, typer.Option(help="Which images a map would be built from.")] = None,
    pose_topic: Annotated[str | None, typer.Option(help="Which poses; `tf` for transforms, `none` for none.")] = None,
    base_frame: Annotated[str | None, typer.Option(help="The robot's frame.")] = None,
    map_frame: Annotated[str | None, typer.Option(help="The fixed frame, where poses are taken from TF.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say in words what a bag holds, and what a map would be built from.

    Exit code 0 when a map can be built from it as it is, 1 when it is damaged, holds no images, or leaves a choice of topics.
    """
    from vpr_aesvc.errors import VprError
    from vpr_aesvc.recordings.info import bag_info
    from vpr_aesvc.recordings.info_words import info_lines
    from vpr_aesvc.recordings.recording import RecordingOptions

    path = bag.expanduser()
    if not path.exists():
        raise VprError(f"{path}: no such file or folder; expected a bag")
    asked = {"image_topic": image_topic, "pose_topic": pose_topic, "base_frame": base_frame, "map_frame": map_frame}
    options = RecordingOptions(**asked)  # type: ignore[arg-type]
    given = "".join(f" --{name.replace('_', '-')} {value}" for name, value in asked.items() if value is not None)
    with progress_bars() as progress:
        info = bag_info(path, options, lambda done, of: progress("reading the bag", done, of))
    if as_json:
        typer.echo(json.dumps(info.as_json()))
    else:
        for line in info_lines(info, given):
            out.print(line, markup=False, soft_wrap=True)
    raise typer.Exit(1 if info.problem is not None or info.damage is not None else 0)
