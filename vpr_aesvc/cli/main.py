"""The ``vpr`` command: from images to a place match."""

from __future__ import annotations

import signal
import sys

import typer

from vpr_aesvc.errors import VprError

try:
    from vpr_aesvc.cli import bag, bench, data, demo, doctor, eval, export, map, query, replay, train
except KeyboardInterrupt:  # most of the first second goes by here
    sys.exit(130)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Visual place recognition: a robot asks its camera, have I been here before, and where is that?\n\n"
    "Three steps, each a command: [bold]vpr train[/] fits a model to images of the place, without labels; "
    "[bold]vpr map build[/] makes a map of them; [bold]vpr query[/] finds new images in the map. "
    "[bold]vpr demo[/] shows all of it on a street it draws itself; [bold]vpr bench[/] compares methods and sizes on a benchmark "
    "or on your own data, which [bold]vpr data check[/] looks over first.",
)
app.command("train")(train.train_command)
app.add_typer(map.app, name="map")
app.command("query")(query.query_command)
app.command("replay")(replay.replay_command)
app.command("eval")(eval.eval_command)
app.command("export")(export.export_command)
app.command("bench")(bench.bench_command)
app.add_typer(data.app, name="data")
app.add_typer(bag.app, name="bag")
app.command("doctor")(doctor.doctor_command)
app.command("demo")(demo.demo_command)


def main() -> None:
    """Runs the command; a user's mistake is one line on standard error and exit code 1, an interrupt 130, a request to end 143."""
    signal.signal(signal.SIGTERM, _end)
    try:
        app()
    except VprError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; nothing half-written was left", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # `vpr query ... --json | head`
        sys.stderr.close()
        sys.exit(0)


def _end(number: int, _frame: object) -> None:
    """As Ctrl-C: what is half-written goes on the way out. A second request must not disturb that."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)
