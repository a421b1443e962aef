"""``vpr data``: check, frames."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from vpr_aesvc.cli.console import out
from vpr_aesvc.datasets.catalog import BENCHMARKS

app = App(name="data", help="Benchmark data sets: check that one is complete, list its frames.")
_SHOWN = 10


@app.command(name="check")
def check_command(
    set: Annotated[str, Parameter(help=f"{', '.join(BENCHMARKS)}, or the path of your own data.")],
    /,
    *,
    data: Annotated[Path | None, Parameter(help="Root folder of a named set.")] = None,
) -> int:
    """Check that a set is complete. Exit code 0 if it is, 1 if something is missing or wrong.

    Example:  vpr data check pitts30k --data pitts30k/
    """
    from vpr_aesvc.datasets.check import check_dataset

    frames, problems, notes = check_dataset(set, data)
    counts = ", ".join(f"{len(frames.split(split))} {split} images" for split in ("database", "query"))
    out.print(f"{frames.path}\n  read as {frames.kind}")
    out.print(f"  {counts}; right answer: {frames.tolerance or 'nothing says'}")
    for kind, findings in (("note", notes), ("wrong", problems)):
        for words, names in findings.items():
            out.print(f"  {kind}: {words}", style="red" if kind == "wrong" else None)
            for name in names[:_SHOWN]:
                out.print(f"    {name}")
            if len(names) > _SHOWN:
                out.print(f"    and {len(names) - _SHOWN} more")
    out.print("not whole" if problems else "whole", style="red" if problems else "green")
    return 1 if problems else 0


@app.command(name="frames")
def frames_command(
    set: Annotated[str, Parameter(help=f"{', '.join(BENCHMARKS)}, or the path of your own data.")],
    /,
    *,
    data: Annotated[Path | None, Parameter(help="Root folder of a named set.")] = None,
) -> None:
    """Print the frames of a set in the order in which they are read, as a frames.csv with absolute paths.

    Embeddings without names (--embeddings FILE.npy) must have this order.

    Example:  vpr data frames my_building/
    """
    from vpr_aesvc.datasets.catalog import open_dataset
    from vpr_aesvc.datasets.frames_csv import frames_as_csv

    print(frames_as_csv(open_dataset(set, data)), end="")
