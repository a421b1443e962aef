"""What the commands share: where words go, and progress bars. Results go to standard output, everything else to error."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

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
from rich.table import Column
from rich.text import Text

from vpr_aesvc.errors import printable
from vpr_aesvc.frame_source import FrameSource
from vpr_aesvc.placemap.interface import OpenMap


class _Console(Console):
    """Writes control characters in names as escapes. Leaves a closed pipe to ``main``, which ends the command without an error."""

    def print(self, *objects: Any, **options: Any) -> None:
        """A sentence is not wrapped: the terminal does that, and a pipe needs whole lines."""
        options.setdefault("soft_wrap", all(isinstance(one, str) for one in objects))
        super().print(*objects, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text, kept="\n\t"), **options)

    def on_broken_pipe(self) -> None:
        raise


out = _Console(highlight=False, markup=False)  # names of files and topics may hold [ ]
err = _Console(stderr=True, highlight=False, markup=False)


class _Rate(ProgressColumn):
    """Units a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.3g}/s" if speed < 1000 else f"{speed:.0f}/s")


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A callback (stage, done, of) that draws one bar a stage, with its rate, time gone and time left."""
    stage = TextColumn("{task.description:<28}", table_column=Column(overflow="fold"))
    bar = BarColumn(40 if err.width >= 110 else 8)
    numbers = MofNCompleteColumn, _Rate, TimeElapsedColumn, TimeRemainingColumn
    whole = [one(table_column=Column(no_wrap=True)) for one in numbers]  # at 80 columns the stage wraps
    with Progress(stage, bar, *whole[:3], TextColumn("left"), whole[3], console=err) as bars:
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
        err.print(note)
    for line in source.skip_counts.lines():
        err.print(f"left out: {line}", style="yellow")


def say_promise(place_map: OpenMap) -> None:
    """Learns from a new or changed map, measures what it can promise, stores both in the map and says the latter."""
    from vpr_aesvc.recognition.learned_models import learn_map
    from vpr_aesvc.recognition.self_check import measure_promise

    with progress_bars() as progress:
        learn_map(place_map, partial(progress, "learning the map"))
        promise = measure_promise(place_map, partial(progress, "measuring the map"))
    for line in promise.lines():
        out.print(line)
