"""What the commands share: where words go, and progress bars. Results go to standard output, everything else to error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from vpr_aesvc.frame_source import FrameSource


class _Console(Console):
    """Leaves a closed pipe to ``main``, which ends the command without an error."""

    def on_broken_pipe(self) -> None:
        raise


out = _Console(highlight=False, markup=False)  # names of files and topics may hold [ ]
err = _Console(stderr=True, highlight=False, markup=False)


class _Speed(ProgressColumn):
    """Steps a second: images, while they are embedded."""

    def render(self, task: Task) -> Text:
        return Text("" if not task.speed else f"{task.speed:,.0f}/s" if task.speed >= 10 else f"{task.speed:.1f}/s")


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A callback (stage, done, of) that draws one bar a stage, with time gone and time left."""
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bars:
        tasks: dict[str, object] = {}

        def show(stage: str, done: int, of: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=of)
            bars.update(tasks[stage], completed=done)  # type: ignore[arg-type]

        yield show


def say_skipped(skipped: Sequence[str], of: int) -> None:
    """Names the images that were left out."""
    if skipped:
        err.print(f"warning: {len(skipped)} of {of} images skipped:", style="yellow")
        for line in skipped[:20]:
            err.print(f"  {line}")
        if len(skipped) > 20:
            err.print(f"  and {len(skipped) - 20} more")


def say_source(source: FrameSource) -> None:
    """What was found in an input and what could not be used; on standard error."""
    for note in source.notes:
        err.print(note, soft_wrap=True)
    for line in source.skip_counts.lines():
        err.print(f"left out: {line}", style="yellow", soft_wrap=True)
