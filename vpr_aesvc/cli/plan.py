"""``vpr plan``: what would it cost on this machine?"""

from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from rich.table import Table

from vpr_aesvc.cli import options as opt
from vpr_aesvc.cli.console import out, progress_bars, say_skipped, say_source
from vpr_aesvc.extraction import Reader
from vpr_aesvc.inputs import open_input

_IMAGES = 200


def plan_command(
    model: Annotated[Path, Parameter(help="A model folder from `vpr train` or `vpr export`.")],
    map: opt.MapPath,
    /,
    *,
    hz: Annotated[float, opt.number("Images per second.", 0.01)] = 10.0,
    cores: Annotated[int | None, opt.number("Use so many cores, as on the robot; by default all.", 1)] = None,
    images: Annotated[
        Path | None, Parameter(help="Images to measure with; by default the pictures in the map.")
    ] = None,
) -> None:
    """Measure what recognition costs on this machine: time by stage, the highest rate, memory and disk.

    The node's engine runs on the pictures of the map, warm and at the given rate. The last line is the verdict.

    Example:  vpr plan model/ office.vprmap --hz 10 --cores 2
    """
    from vpr_aesvc.onboard.plan import STAGES, measure_plan

    given = []
    if images is not None:
        source = open_input(images)
        reader = Reader(list(source.split("query")))
        given = [image for _, image in islice(reader, _IMAGES)]
        reader.require_one()
        say_source(source)
        say_skipped(reader.skipped, len(reader.frames))
    with progress_bars() as progress:
        plan = measure_plan(model, map, hz, cores, given, partial(progress, "measuring"))
    table = Table("stage", "median, ms", "95 %, ms", "part")
    whole = float(np.median(plan.milliseconds["total"]))
    for stage in (*STAGES, "total"):
        median, high = np.percentile(plan.milliseconds[stage], (50, 95))
        table.add_row(stage, f"{median:.1f}", f"{high:.1f}", f"{100 * median / whole:.0f} %")
    out.print(table)
    disk = f"{plan.disk / 1e6:.1f} MB for {plan.places} places"
    if plan.kilometers:
        disk += f", {plan.disk / 1e6 / plan.kilometers:.0f} MB a kilometer"
    out.print(f"memory {plan.memory / 1e6:.0f} MB; disk {disk}; {len(plan.milliseconds['total'])} frames measured")
    out.print(plan.verdict())
