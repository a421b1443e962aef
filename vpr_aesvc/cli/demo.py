"""``vpr demo``: the whole product on a street it draws itself, offline."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from vpr_aesvc.cli.console import err, out, progress_bars
from vpr_aesvc.cli.options import Output
from vpr_aesvc.cli.train import describe_model
from vpr_aesvc.describer import Describer
from vpr_aesvc.files import check_free, new_folder
from vpr_aesvc.types import StageProgress

_TOLERANCE = 5.0  # meters; the street is drawn every 1.75 m, so the field's 25 m would be too easy
_METHODS = ("raw", "pca", "aesvc", "rotation")


def demo_command(
    *, output: Output = Path("demo"), seed: Annotated[int, Parameter(help="Another seed draws another street.")] = 0
) -> None:
    """Draw a street, drive it twice, train on the first drive, recognize the second, and write a report.

    Nothing is downloaded. It takes a few minutes.

    Example:  vpr demo -o demo
    """
    from vpr_aesvc.evaluation.report import check_installed

    check_free(output, "demo")
    check_installed()
    with new_folder(output, "demo") as folder, progress_bars() as progress:
        model, table, summary = _run(folder, seed, progress)
    describe_model(model.trained)
    out.print(table)
    for sentence in summary:
        out.print(sentence)
    look = (f"look at {output / 'report.html'}", "bold")
    out.print(Text.assemble("\n", look, f" in a browser; the images are in {output / 'route'}"))
    err.print(f"try: vpr query {output / 'place.vprmap'} {output / 'route'} -m {output / 'model'} --top 3")


def _run(folder: Path, seed: int, progress: StageProgress) -> tuple[Describer, Table, list[str]]:
    from vpr_aesvc.backbones import open_backbone
    from vpr_aesvc.cli.bench import results_table
    from vpr_aesvc.datasets import open_images
    from vpr_aesvc.datasets.positives import Tolerance
    from vpr_aesvc.demo import draw_route
    from vpr_aesvc.evaluation.bench import bench
    from vpr_aesvc.evaluation.benchmark_report import benchmark_report
    from vpr_aesvc.evaluation.report import write_report
    from vpr_aesvc.mapping import build_map
    from vpr_aesvc.training import train

    table = draw_route(folder / "route", seed=seed, progress=partial(progress, "drawing the street"))
    route = replace(open_images(table), stated=Tolerance("meters", _TOLERANCE))
    morning = route.split("database").frames
    backbone = open_backbone("hog")
    model = train(morning, backbone, folder / "model", seed=seed, progress=progress)
    build_map(morning, model, folder / "place.vprmap", progress=partial(progress, "building the map"))
    run = bench(route, "A street drawn for this demo", backbone, _METHODS, seed=seed, progress=progress)
    report = benchmark_report([run])
    report.summary.insert(0, "The database is the morning's drive along the street, the queries are the evening's.")
    report.notes.insert(0, ("model chosen", f"{model.trained.method}: {model.trained.training.why}"))
    write_report(report, folder / "report.html")
    return model, results_table(run.evaluation.results), report.summary
