"""``vpr bag``: what is in a recording that matters here, and its keyframes as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vpr_aesvc.cli.console import out, progress_bars
from vpr_aesvc.cli.recording_options import INPUT_HELP, keyframe_options, recording_options
from vpr_aesvc.keyframes.gate import KeyframeSettings
from vpr_aesvc.recordings.recording import RecordingOptions

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
    from vpr_aesvc.recordings.bags.info import bag_info
    from vpr_aesvc.recordings.bags.info_text import info_lines

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


@app.command("images")
@recording_options
@keyframe_options
def images_command(
    input: Annotated[Path, typer.Argument(help=f"The run: {INPUT_HELP}.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder of images to make.")],
    keyframes: KeyframeSettings,
    recording: RecordingOptions,
) -> None:
    """Write the keyframes of a run as JPEG images, with a frames.csv that says when and where they were taken.

    They are what `vpr map build` would make places of; other tools, and the other commands of vpr, read the folder.

    Example:  vpr bag images office.mcap -o office_images/
    """
    from functools import partial

    from vpr_aesvc.cli.query_recording import say_recording
    from vpr_aesvc.files import check_free, new_folder
    from vpr_aesvc.keyframes.folder import write_keyframes, write_table
    from vpr_aesvc.keyframes.selection import SelectionStats
    from vpr_aesvc.recordings import open_recording

    check_free(output, "images")
    run, seen = open_recording(input, recording), SelectionStats()
    with new_folder(output, "images") as partial_folder, progress_bars() as progress:
        frames = write_keyframes(run, partial_folder, keyframes, seen, partial(progress, "choosing keyframes"))
        write_table(frames, partial_folder / "frames.csv")
    say_recording(run)
    tried = seen.tried - seen.taken
    out.print(
        f"{output}: {len(frames)} images of {seen.frames}, {tried} tried were of no use", markup=False, soft_wrap=True
    )
