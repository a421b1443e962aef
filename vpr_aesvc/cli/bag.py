"""``vpr bag``: what is in a recording that matters here, and its keyframes as files."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from vpr_aesvc.cli.console import out, progress_bars, say_source
from vpr_aesvc.cli.options import BagFlags, InputFlags, InputPath, Json, KeyframeFlags, Output
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.inputs import RECORDING_HELP

app = App(name="bag", help="ROS 1 and ROS 2 bags, without ROS installed.")


@app.command(name="info")
def info_command(
    bag: Annotated[Path, Parameter(help="A bag: its folder, or a .bag, .mcap or .db3 file.")],
    /,
    *,
    reading: BagFlags = BagFlags(),
    as_json: Json = False,
) -> int:
    """Print what a bag holds, and what a map would be built from.

    Exit code 0 if a map can be built from it as it is; 1 if it is damaged, has no images, or the choice of a topic is yours.

    Example:  vpr bag info drive/
    """
    from vpr_aesvc.recordings.bags.info import bag_info

    path = bag.expanduser()
    if not path.exists():
        raise VprError(f"{path}: no such file or folder; expected a bag")
    asked = vars(reading)
    given = "".join(f" --{name.replace('_', '-')} {value}" for name, value in asked.items() if value is not None)
    with progress_bars() as progress:
        info = bag_info(path, InputOptions(**asked), partial(progress, "reading the bag"))
    if as_json:
        print(json.dumps(info.as_json()))
    else:
        for line in info.lines(given):
            out.print(line)
    return 1 if info.problem is not None or info.damage is not None else 0


@app.command(name="images")
def images_command(
    input: InputPath,
    /,
    *,
    output: Output,
    keyframes: KeyframeFlags = KeyframeFlags(),
    reading: InputFlags = InputFlags(),
) -> None:
    """Write the keyframes of a recording as JPEG images, with a frames.csv of their stamps and poses.

    These are the images that `vpr map build` would make places of. Other tools, and the other commands of vpr, read the folder.

    Example:  vpr bag images office.mcap -o office_images/
    """
    from vpr_aesvc.files import check_free, new_folder
    from vpr_aesvc.keyframes.selection import SelectionStats, write_keyframes, write_table

    check_free(output, "images")
    source, stats = reading.open(input, None, **keyframes.given), SelectionStats()
    if not source.is_recording:
        raise VprError(f"{input}: expected {RECORDING_HELP}; this is a set of images already")
    with new_folder(output, "images") as folder, progress_bars() as progress:
        frames = write_keyframes(source, folder, keyframes.settings, stats, partial(progress, "choosing keyframes"))
        write_table(frames, folder / "frames.csv")
    say_source(source)
    tried = f"{stats.tried - stats.taken} more were tried and rejected"
    out.print(f"{output}: {len(frames)} images of {stats.frames}; {tried}")
